function (kit, noise) {
  "use strict";
  const { root, data, minus } = kit;
  if (!kit.able(["a canvas"])) return;
  const find = (part) => root.querySelector(".frames-" + part);
  const [height, width] = data.shape;
  const codes = kit.bytes(data.codes);
  const colours = data.panels.map((panel) => kit.bytes(panel.colours));
  const view = { place: data.axes.map((axis) => axis.start), dose: 0, draw: 1 };
  const signed = (value) => (value > -0.005 ? "+" : "−") + Math.abs(value).toFixed(2);

  function flat() { return view.place.reduce((index, at, i) => index * data.axes[i].values.length + at, 0); }

  function image(panel, state) {  // share of the beam in each pixel, as stored: squares of 8-bit numbers
    const frame = panel.frames[state], start = frame * height * width, count = height * width;
    const out = new Float64Array(count);
    for (let i = 0; i < count; i++) {
      const root = codes[start + (panel.turned ? count - 1 - i : i)] / 255;
      out[i] = data.scales[frame] * root * root;
    }
    return out;
  }

  function counted(shares, index, state, electrons) {
    noise.seed(data.seed, view.draw, index, state, view.dose);
    return shares.map((share) => noise.poisson(share * electrons));
  }

  function paint(canvas, values, unit, panel, palette) {  // logarithmic; a single count is one step above the dark
    const pen = canvas.getContext("2d"), picture = pen.createImageData(width, height);
    const low = Math.log(Math.max(panel.low, unit < 1 ? unit / 2 : 0)), high = Math.log(panel.high);
    for (let i = 0; i < values.length; i++) {
      const share = (Math.log(Math.max(values[i] * unit, 1e-300)) - low) / (high - low);
      const level = 3 * Math.round(255 * Math.min(1, Math.max(0, share)));
      picture.data.set([palette[level], palette[level + 1], palette[level + 2], 255], 4 * i);
    }
    pen.putImageData(picture, 0, 0);
  }

  function inWindow(values, [row, col, radius]) {
    let total = 0;
    for (let i = Math.max(0, Math.ceil(row - radius)); i <= Math.min(height - 1, row + radius); i++)
      for (let j = Math.max(0, Math.ceil(col - radius)); j <= Math.min(width - 1, col + radius); j++)
        if ((i - row) ** 2 + (j - col) ** 2 <= radius ** 2) total += values[i * width + j];
    return total;
  }

  function measure(bar, counts, floor) {  // asymmetry of two windows less their background, and its standard deviation
    const [up, down] = bar.windows.map((where) => inWindow(counts, where));
    const net = up + down - 2 * floor;
    if (net <= 0) return null;
    const value = (up - down) / net;
    return { value: value, sigma: Math.sqrt((1 - value) ** 2 * up + (1 + value) ** 2 * down) / net };
  }

  function showBar(cell, value, found) {
    const part = (kind) => cell.querySelector(".frames-" + kind);
    part("fill").style.left = 50 + 50 * Math.min(0, value) + "%";
    part("fill").style.width = 50 * Math.abs(value) + "%";
    part("dot").hidden = !found || Math.abs(found.value) > 1;
    if (found) part("dot").style.left = 50 + 50 * found.value + "%";
    part("number").textContent = signed(value);
    part("found").textContent = found ? "counted " + signed(found.value) + " ± " + found.sigma.toFixed(2) : "";
  }

  function draw() {
    const state = flat(), electrons = data.doses[view.dose] || 0, words = [];
    data.panels.forEach((panel, index) => {
      const shares = image(panel, state), counts = electrons ? counted(shares, index, state, electrons) : null;
      paint(root.querySelectorAll("canvas")[index], counts || shares, electrons ? 1 / electrons : 1, panel, colours[index]);
      data.bars.forEach((bar, row) => {
        const cell = root.querySelectorAll(".frames-bars tbody tr")[row].querySelectorAll("td")[index];
        const value = bar.values[index][state];
        const found = counts && bar.windows ? measure(bar, counts, electrons * bar.floors[panel.frames[state]]) : null;
        showBar(cell, value, found);
        words.push(bar.name + " of " + panel.title + " " + signed(value));
      });
    });
    const places = data.axes.map((axis, i) => axis.name + " " + written(axis, view.place[i]));
    if (data.doses.length) places.push(doseWords(view.dose));
    find("status").textContent = places.join(", ") + (words.length ? ": " + words.join(", ") : "") + ".";
    if (find("again")) find("again").disabled = !electrons;
  }

  function written(axis, at) { return minus(axis.values[at]) + (axis.unit ? " " + axis.unit : ""); }
  function doseWords(at) { return data.doses[at] ? data.doses[at].toLocaleString("en") + " electrons" : "without noise"; }

  root.querySelectorAll("input").forEach((input, i) => {
    const axis = data.axes[i];
    if (axis) kit.slider(input, (at) => written(axis, at), (at) => { view.place[i] = at; draw(); });
    else kit.slider(input, doseWords, (at) => { view.dose = at; draw(); });
  });
  if (find("again")) find("again").addEventListener("click", () => { view.draw += 1; draw(); });
  kit.show();
  draw();
}
