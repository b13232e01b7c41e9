function (kit, unpack, prepare, painter) {
  "use strict";
  const { root, data, find, fixed } = kit, LEAST = 0.75;  // px; a smaller disc may miss every pixel
  if (!kit.able(["a canvas", "DecompressionStream"])) return;
  const open = kit.button(data.open, find("start"), start);

  function start() {
    open.disabled = true;
    open.textContent = "Loading …";
    kit.say("");
    unpack(data).then(run).catch((error) => {
      kit.say("The data file " + data.file + " " + error.message + ". The picture on this page stays; build the book again, or copy its whole folder.");
      open.disabled = false;
      open.textContent = data.open;
    });
  }

  function run({ head, codes, maps }) {
    const [ny, nx, h, w] = head.shape, sums = prepare(head, codes), draw = painter(kit, head, maps), canvases = { map: find("map"), pattern: find("pattern") };
    const view = Object.assign({ x: nx >> 1, y: ny >> 1, map: -1, com: false, domains: false, wall: draw.wall, held: false }, { disc: Object.assign({}, head.disc) });
    const image = new Int32Array(ny * nx), pattern = new Uint8Array(h * w), q = (i, pixel) => head.start[i] + head.pitch[i] * pixel;
    let pixels = 0, moments = null;

    function place() { sums.pattern(view.y * nx + view.x, pattern); moments = sums.moments(pattern); }
    function add() { pixels = sums.image(view.disc, image); }
    function shown() {  // values, ends of the colours, colours, name, unit and digits of the chosen map
      if (view.map >= 0) {
        const map = head.maps[view.map], digits = Math.max(0, 3 - Math.floor(Math.log10(Math.max(Math.abs(map.shown[0]), Math.abs(map.shown[1]), 1e-9))));
        return { values: maps[view.map], ends: map.shown, cmap: map.cmap, title: map.title, units: map.units, scale: 1, digits: Math.min(digits, 6) };
      }
      let low = image[0], high = image[0];
      for (const value of image) { if (value < low) low = value; if (value > high) high = value; }
      return { values: image, ends: [low, high], cmap: "viridis", title: "virtual dark field", units: "counts", scale: head.unit, digits: 1 };
    }
    function paint(event) {
      const map = shown();
      draw.map(canvases.map, map.values, map.ends, map.cmap, view);
      draw.pattern(canvases.pattern, pattern, view);
      write(map);
      if (event) root.dispatchEvent(new CustomEvent("companion-drawn", { detail: performance.now() - event.timeStamp }));
    }
    function write(map) {
      const { row, col, radius } = view.disc, unit = " " + head.units[1], here = view.y * nx + view.x, counts = image[here] * head.unit;
      const set = (part, text) => { find(part).textContent = text; }, value = (number) => fixed(number * map.scale, map.digits);
      set("low", value(map.ends[0]));
      set("high", value(map.ends[1]) + (map.units ? " " + map.units : ""));
      set("title", map.title);
      set("position", "row " + view.y + ", column " + view.x + ": y " + fixed(q(0, view.y), 1) + ", x " + fixed(q(1, view.x), 1) + " " + head.units[0]);
      set("value", value(map.values[here]) + (map.units ? " " + map.units : ""));
      set("counts", fixed(counts, 1) + " of " + fixed(moments.total, 1) + " counts, " + fixed(100 * counts / moments.total, 2) + " %");
      set("centre", "y " + fixed(q(2, row), 4) + ", x " + fixed(q(3, col), 4) + unit + "; distance from the origin " + fixed(Math.hypot(q(2, row), q(3, col)), 4) + unit);
      set("disc", "row " + row.toFixed(2) + ", column " + col.toFixed(2) + ", radius " + radius.toFixed(2) + " px = " + fixed(radius * Math.abs(head.pitch[3]), 4) + unit + "; " + pixels + " pixels");
      set("com", "y " + fixed(1e3 * q(2, moments.row), 3) + ", x " + fixed(1e3 * q(3, moments.col), 3) + " · 10⁻³" + unit);
    }
    function speak() { find("said").textContent = find("position").textContent + "; " + find("title").textContent + " " + find("value").textContent + "; aperture " + find("centre").textContent + "; " + find("counts").textContent; }

    function go(x, y, event) {
      const [left, top] = [[x, nx], [y, ny]].map(([to, size]) => Math.min(size - 1, Math.max(0, Math.floor(to))));
      if (left === view.x && top === view.y) return;
      Object.assign(view, { x: left, y: top });
      place();
      paint(event);
    }
    function disc(row, col, radius, event) {  // kept whole on the detector, in steps of 0.01 px
      const cents = (value) => Math.round(100 * value) / 100, size = cents(Math.min(Math.min(h, w) / 2 - 0.01, Math.max(LEAST, radius)));
      const keep = (value, far) => cents(Math.min(far - 0.5 - size, Math.max(size - 0.5, value)));
      view.disc = { row: keep(row, h), col: keep(col, w), radius: size };
      choose(-1);
      add();
      range.value = size;
      say();
      paint(event);
    }
    const resize = (by) => disc(view.disc.row, view.disc.col, view.disc.radius + by);
    function choose(map) {
      if (find("choice").value !== String(map)) find("choice").value = String(map);
      if (view.map === map) return;
      view.map = map;
      draw.scale(find("scale"), shown().cmap);
    }

    const groups = new Map([["", [[-1, "virtual dark field: counts in the aperture"]]]]);
    head.maps.forEach((map, i) => { if (map.group) groups.set(map.group, [...(groups.get(map.group) || []), [i, map.title]]); });
    groups.forEach((options, name) => {
      const into = name ? find("choice").appendChild(Object.assign(document.createElement("optgroup"), { label: name })) : find("choice");
      options.forEach(([i, title]) => into.append(new Option(title, i)));
    });
    find("choice").addEventListener("change", (event) => { choose(+event.target.value); paint(); });
    for (const [name, there] of [["com", draw.arrows], ["domains", draw.truth], ["wall", draw.wall], ["held", true]]) {
      const box = find("show-" + name);
      box.parentElement.hidden = !there;
      box.checked = view[name];
      box.addEventListener("change", () => { view[name] = box.checked; paint(); });
    }
    const range = find("radius");
    range.max = Math.floor(Math.min(h, w) / 2) - 1;
    range.setAttribute("value", view.disc.radius);
    const say = kit.slider(range, () => fixed(view.disc.radius * Math.abs(head.pitch[3]), 3) + " " + head.units[1], (radius) => disc(view.disc.row, view.disc.col, radius));
    if (head.lattice) for (const order of [0, 2, -2, 4, -4]) {
      const name = "00" + Math.abs(order) + (order < 0 ? "\u0305" : ""), to = (axis) => head.lattice.centre[axis] + order / 2 * head.lattice.g002[axis];
      const made = kit.button(name, find("jumps"), () => { disc(to(0), to(1), head.disc.radius); speak(); });
      if (order < 0) made.setAttribute("aria-label", "00 minus " + -order);
    }

    const moved = (act) => (steps) => { act(steps); speak(); };
    const size = { "+": moved((n) => resize(0.5 * n)), "=": moved((n) => resize(0.5 * n)), "-": moved((n) => resize(-0.5 * n)), "_": moved((n) => resize(-0.5 * n)) };
    const arrows = (act) => ({ ArrowLeft: moved((n) => act(-n, 0)), ArrowRight: moved((n) => act(n, 0)), ArrowUp: moved((n) => act(0, -n)), ArrowDown: moved((n) => act(0, n)) });
    kit.keys(canvases.map, Object.assign(arrows((dx, dy) => go(view.x + dx, view.y + dy)), size));
    kit.keys(canvases.pattern, Object.assign(arrows((dx, dy) => disc(view.disc.row + dy, view.disc.col + dx, view.disc.radius)), size));

    const spot = (event, canvas, across, down) => {
      const box = canvas.getBoundingClientRect();
      return [(event.clientX - box.left) / box.width * across, (event.clientY - box.top) / box.height * down];
    };
    canvases.map.addEventListener("pointermove", (event) => { if (!view.held || event.buttons) go(...spot(event, canvases.map, nx, ny), event); });
    canvases.map.addEventListener("pointerdown", (event) => {  // a click of the mouse holds the position, another lets it go
      if (event.pointerType === "mouse") view.held = find("show-held").checked = !view.held;
      else canvases.map.setPointerCapture(event.pointerId);
      go(...spot(event, canvases.map, nx, ny), event);
      paint();
    });

    const fingers = new Map();
    let grip = null;  // what a drag does: move by an offset, or resize
    const apart = () => { const [a, b] = [...fingers.values()]; return Math.hypot(a[0] - b[0], a[1] - b[1]); };
    const finger = (event) => spot(event, canvases.pattern, w, h).map((value) => value - 0.5);
    canvases.pattern.addEventListener("pointerdown", (event) => {
      canvases.pattern.setPointerCapture(event.pointerId);
      const [col, row] = finger(event), away = Math.hypot(col - view.disc.col, row - view.disc.row), wide = 8 * w / canvases.pattern.clientWidth;
      fingers.set(event.pointerId, [col, row]);
      grip = { rim: away > Math.max(0.6 * view.disc.radius, view.disc.radius - wide) && away < view.disc.radius + wide, row: view.disc.row - row, col: view.disc.col - col };
      if (grip.rim) grip.more = view.disc.radius - away;
      else if (away > view.disc.radius) { grip.row = grip.col = 0; disc(row, col, view.disc.radius, event); }
    });
    canvases.pattern.addEventListener("pointermove", (event) => {
      if (!fingers.has(event.pointerId)) return;
      const before = fingers.size === 2 && apart(), [col, row] = finger(event);
      fingers.set(event.pointerId, [col, row]);
      if (fingers.size === 2) disc(view.disc.row, view.disc.col, view.disc.radius * apart() / Math.max(before, 0.1), event);
      else if (grip.rim) disc(view.disc.row, view.disc.col, Math.hypot(col - view.disc.col, row - view.disc.row) + grip.more, event);
      else disc(row + grip.row, col + grip.col, view.disc.radius, event);
    });
    for (const end of ["pointerup", "pointercancel"]) canvases.pattern.addEventListener(end, (event) => fingers.delete(event.pointerId));
    canvases.pattern.addEventListener("wheel", (event) => {
      if (document.activeElement !== canvases.pattern) return;  // until it is clicked, the wheel scrolls the page
      event.preventDefault();
      disc(view.disc.row, view.disc.col, view.disc.radius * Math.exp(-event.deltaY / 500));
    }, { passive: false });

    canvases.map.style.aspectRatio = nx + " / " + ny;
    canvases.pattern.style.aspectRatio = w + " / " + h;
    find("source").textContent = head.words.title;
    find("start").hidden = true;
    const still = data.still && document.getElementById(data.still);
    if (still) still.hidden = true;
    place();
    kit.show();
    disc(view.disc.row, view.disc.col, view.disc.radius);
    kit.onResize(canvases.map, () => { draw.scale(find("scale"), shown().cmap); paint(); });
    root.dispatchEvent(new Event("companion-open"));
  }
}
