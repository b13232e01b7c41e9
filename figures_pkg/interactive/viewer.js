function (kit) {
  "use strict";
  const { root, data } = kit;
  if (!kit.able(["a canvas"])) return;
  const canvas = root.querySelector("canvas"), pen = canvas.getContext("2d");
  const START = multiply(turn(1, -0.35), multiply(turn(0, 0.15), identity()));
  const view = { state: 0, enlarged: false, rotation: START, words: "turned away from [100]", zoom: 1 };

  // Rows of a rotation: the directions that point right, up and towards the viewer, in coordinates (a, b*, c).
  function identity() { return [[0, 1, 0], [0, 0, 1], [1, 0, 0]]; }
  function alongC() { return [[0, 1, 0], [-1, 0, 0], [0, 0, 1]]; }
  function turn(axis, angle) {
    const c = Math.cos(angle), s = Math.sin(angle);
    return axis === 0 ? [[1, 0, 0], [0, c, -s], [0, s, c]] : [[c, 0, s], [0, 1, 0], [-s, 0, c]];
  }
  function multiply(a, b) { return a.map((row) => [0, 1, 2].map((j) => row[0] * b[0][j] + row[1] * b[1][j] + row[2] * b[2][j])); }
  function apply(m, v) { return m.map((row) => row[0] * v[0] + row[1] * v[1] + row[2] * v[2]); }

  function onPage(v, scale, width, height) {
    const seen = apply(view.rotation, v);
    return [width / 2 + scale * seen[0], height / 2 - scale * seen[1], seen[2]];
  }

  function draw() {
    if (!canvas.clientWidth) return;
    const { width, height } = kit.fine(canvas);
    pen.fillStyle = kit.colour("ground");
    pen.fillRect(0, 0, width, height);
    const scale = view.zoom * Math.min(width, height) / data.size;
    const state = data.states[view.state];
    const places = state.places.map((p, i) => (view.enlarged ? [p[0], p[1], state.enlarged[i]] : p));
    const atoms = places.map((p) => onPage(p, scale, width, height));
    const corners = state.places.map((p) => onPage(p, scale, width, height));
    const parts = [];
    for (const [i, j, k] of state.faces) {
      const face = [corners[i], corners[j], corners[k]];
      parts.push({ depth: (face[0][2] + face[1][2] + face[2][2]) / 3, draw: () => drawFace(face) });
    }
    for (const [from, to] of data.edges) addLine(parts, from, to, scale, width, height);
    atoms.forEach((p, i) => {
      const [colour, radius] = data.elements[state.symbols[i]];
      parts.push({ depth: p[2], draw: () => drawAtom(p, colour, radius * scale) });
    });
    parts.sort((a, b) => a.depth - b.depth).forEach((part) => part.draw());
    drawArrow(data.arrow, state, scale, width, height);
    drawTriad(height);
    kit.find("status").textContent =
      state.name + ": " + state.pattern + "; Er displacements " + (view.enlarged ? "× " + data.factor : "as they are") + "; " + view.words + ".";
  }

  function drawFace(face) {
    pen.beginPath();
    face.forEach((p, i) => (i ? pen.lineTo(p[0], p[1]) : pen.moveTo(p[0], p[1])));
    pen.closePath();
    pen.fillStyle = data.face + "2e";
    pen.strokeStyle = data.face + "66";
    pen.lineWidth = 0.7;
    pen.fill();
    pen.stroke();
  }

  function drawAtom(p, colour, radius) {
    const shade = pen.createRadialGradient(p[0] - radius / 3, p[1] - radius / 3, radius / 8, p[0], p[1], radius);
    shade.addColorStop(0, "#ffffff");
    shade.addColorStop(0.45, colour);
    shade.addColorStop(1, colour);
    pen.beginPath();
    pen.arc(p[0], p[1], radius, 0, 2 * Math.PI);
    pen.fillStyle = shade;
    pen.strokeStyle = "#333333";
    pen.lineWidth = 0.8;
    pen.fill();
    pen.stroke();
  }

  function addLine(parts, from, to, scale, width, height) {
    const grey = kit.colour("quiet"), at = (t) => onPage(from.map((v, i) => v + t * (to[i] - v)), scale, width, height);
    for (let n = 0; n < 8; n++) {  // short pieces, so that atoms cover the right part of an edge
      const a = at(n / 8), b = at((n + 1) / 8);
      parts.push({ depth: (a[2] + b[2]) / 2, draw: () => stroke(a, b, grey, 1) });
    }
  }

  function stroke(a, b, colour, width) {
    pen.beginPath();
    pen.moveTo(a[0], a[1]);
    pen.lineTo(b[0], b[1]);
    pen.strokeStyle = colour;
    pen.lineWidth = width;
    pen.stroke();
  }

  function pointer(a, b, colour, width, head) {
    const length = Math.hypot(b[0] - a[0], b[1] - a[1]) || 1e-9;
    const ux = (b[0] - a[0]) / length, uy = (b[1] - a[1]) / length, tip = Math.min(head, length);
    const base = [b[0] - tip * ux, b[1] - tip * uy];
    stroke(a, base, colour, width);
    pen.beginPath();
    pen.moveTo(b[0], b[1]);
    pen.lineTo(base[0] - 0.5 * head * uy, base[1] + 0.5 * head * ux);
    pen.lineTo(base[0] + 0.5 * head * uy, base[1] - 0.5 * head * ux);
    pen.fillStyle = colour;
    pen.fill();
  }

  function write(text, x, y, colour, font) {
    pen.font = font;
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    pen.fillStyle = colour;
    pen.fillText(text, x, y);
  }

  function drawArrow(ends, state, scale, width, height) {
    const pair = ends.map((p) => onPage(p, scale, width, height));
    const [a, b] = state.sign > 0 ? pair : [pair[1], pair[0]];
    const colour = kit.colour(state.sign > 0 ? "plus" : "minus");
    pointer(a, b, colour, 6, 18);
    const away = Math.max(Math.hypot(b[0] - a[0], b[1] - a[1]), 1);
    write(state.name, b[0] + 18 * (b[0] - a[0]) / away, b[1] + 18 * (b[1] - a[1]) / away, colour, "bold 15px sans-serif");
  }

  function drawTriad(height) {
    const origin = [44, height - 44];
    data.axes.map((name, i) => [name, apply(view.rotation, [0, 1, 2].map((j) => +(i === j)))])
      .sort((p, q) => p[1][2] - q[1][2])
      .forEach(([name, v]) => {
        if (Math.hypot(v[0], v[1]) > 0.05) pointer(origin, [origin[0] + 28 * v[0], origin[1] - 28 * v[1]], kit.colour("ink"), 1.3, 7);
        const end = Math.hypot(v[0], v[1]) > 0.05 ? [37 * v[0], 37 * v[1]] : [-10, -8];
        write(name, origin[0] + end[0], origin[1] - end[1], kit.colour("ink"), "italic 14px serif");
      });
  }

  function rotate(right, down) {
    view.rotation = multiply(turn(0, down), multiply(turn(1, right), view.rotation));
    view.words = "turned by hand";
    draw();
  }
  function zoom(factor) {
    view.zoom = Math.min(6, Math.max(0.4, view.zoom * factor));
    draw();
  }
  function look(rotation, words) {
    Object.assign(view, { rotation: rotation, words: words, zoom: 1 });
    draw();
  }

  const button = (text, act, pressed) => kit.button(text, kit.find("buttons"), () => { act(); draw(); }, pressed);
  data.states.forEach((state, i) => button(state.name, () => { view.state = i; }, () => view.state === i));
  button("Er × " + data.factor, () => { view.enlarged = !view.enlarged; }, () => view.enlarged);
  button("along [100]", () => look(identity(), "view along [100]"));
  button("along [001]", () => look(alongC(), "view along [001]"));

  const fingers = new Map();
  const spread = () => { const [p, q] = [...fingers.values()]; return Math.hypot(p[0] - q[0], p[1] - q[1]); };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.focus({ preventScroll: true });
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, [event.clientX, event.clientY]);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!fingers.has(event.pointerId)) return;
    const before = fingers.get(event.pointerId), apart = fingers.size === 2 && spread();
    fingers.set(event.pointerId, [event.clientX, event.clientY]);
    if (apart) zoom(spread() / Math.max(apart, 1));
    else if (fingers.size === 1) rotate((event.clientX - before[0]) / 150, (event.clientY - before[1]) / 150);
  });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, (event) => fingers.delete(event.pointerId));
  canvas.addEventListener("wheel", (event) => {
    if (document.activeElement !== canvas) return;  // until it is clicked, the wheel scrolls the page
    event.preventDefault();
    zoom(Math.exp(-event.deltaY / 500));
  }, { passive: false });
  const KEYS = {
    ArrowLeft: () => rotate(-0.1, 0), ArrowRight: () => rotate(0.1, 0), ArrowUp: () => rotate(0, -0.1), ArrowDown: () => rotate(0, 0.1),
    "+": () => zoom(1.15), "=": () => zoom(1.15), "-": () => zoom(1 / 1.15), Home: () => look(START, "turned away from [100]"),
  };
  kit.keys(canvas, KEYS);
  kit.onTheme(draw);
  kit.show();
  kit.onResize(canvas, draw);
  draw();
}
