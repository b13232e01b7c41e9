function () {
  "use strict";
  const MARK = "#ffb000", NICE = [1, 2, 5, 10, 20, 25, 50, 100, 200, 250, 500, 1000];
  return function (kit, head, maps) {
    const [ny, nx, h, w] = head.shape, scan = raster(nx, ny), tint = raster(nx, ny), detector = raster(w, h);
    const palettes = Object.fromEntries(Object.entries(head.colours).map(([name, text]) => [name, kit.bytes(text)]));
    const at = (key) => maps[head.maps.findIndex((map) => map.key === key)];
    const inks = head.table.map((value) => {  // of each code, logarithmic
      const [low, high] = head.ends.map(Math.log), share = (Math.log(Math.max(value * head.unit, 1e-9)) - low) / (high - low);
      return 3 * Math.round(255 * Math.min(1, Math.max(0, share)));
    });
    const truth = at("polarization"), wall = at("wall_distance_nm") && contour(at("wall_distance_nm")), arrows = at("com_y") && field();
    if (truth) truth.forEach((value, i) => tint.picture.data.set(value > 0 ? [193, 39, 45, 110] : [31, 95, 168, 110], 4 * i));
    tint.pen.putImageData(tint.picture, 0, 0);

    function raster(width, height) {
      const canvas = document.createElement("canvas");
      Object.assign(canvas, { width: width, height: height });
      const pen = canvas.getContext("2d"), picture = pen.createImageData(width, height);
      for (let i = 3; i < picture.data.length; i += 4) picture.data[i] = 255;
      return { canvas, pen, picture };
    }
    function laid(raster, canvas) {
      const paper = kit.fine(canvas);
      paper.pen.imageSmoothingEnabled = false;
      paper.pen.drawImage(raster.canvas, 0, 0, paper.width, paper.height);
      return paper;
    }
    function stroke(pen, colour, width, path) {  // with a dark rim, for bright and dark grounds
      for (const [ink, broad] of [["#000000", width + 2], [colour, width]]) {
        Object.assign(pen, { strokeStyle: ink, lineWidth: broad, lineCap: "round" });
        pen.beginPath();
        path(pen);
        pen.stroke();
      }
    }
    function arrow(pen, x, y, dx, dy) {
      const length = Math.hypot(dx, dy) || 1e-9, head = Math.min(5, length / 2), ux = dx / length, uy = dy / length;
      pen.moveTo(x, y);
      pen.lineTo(x + dx, y + dy);
      for (const side of [-1, 1]) {
        pen.moveTo(x + dx, y + dy);
        pen.lineTo(x + dx - head * (ux + 0.6 * side * uy), y + dy - head * (uy - 0.6 * side * ux));
      }
    }
    function bar(paper, size, unit, scale) {  // of a round length, about a quarter of the width
      const lengths = NICE.map((length) => length * scale), wanted = size / 4;
      const length = lengths.reduce((best, each) => (Math.abs(each - wanted) < Math.abs(best - wanted) ? each : best));
      const { pen, width, height } = paper, y = height - 0.05 * height, x = 0.05 * width;
      stroke(pen, "#ffffff", 3, (p) => { p.moveTo(x, y); p.lineTo(x + length / size * width, y); });
      Object.assign(pen, { font: "12px sans-serif", textAlign: "left", textBaseline: "bottom", lineWidth: 3, strokeStyle: "#000000", fillStyle: "#ffffff" });
      const text = +length.toPrecision(3) + " " + unit;
      pen.strokeText(text, x, y - 5);
      pen.fillText(text, x, y - 5);
    }
    function contour(values) {  // pieces of the line where a map is zero, in positions
      const pieces = [], cross = (i, j, k, l) => {
        const a = values[j * nx + i], b = values[l * nx + k];
        return (a > 0) !== (b > 0) ? [i + (k - i) * a / (a - b) + 0.5, j + (l - j) * a / (a - b) + 0.5] : null;
      };
      for (let j = 0; j + 1 < ny; j++)
        for (let i = 0; i + 1 < nx; i++) {
          const found = [cross(i, j, i + 1, j), cross(i + 1, j, i + 1, j + 1), cross(i, j + 1, i + 1, j + 1), cross(i, j, i, j + 1)].filter(Boolean);
          for (let n = 0; n + 1 < found.length; n += 2) pieces.push([found[n], found[n + 1]]);
        }
      return pieces;
    }
    function field() {  // the centre of mass, averaged over squares of positions; the longest arrows span a square
      const side = Math.max(1, Math.ceil(Math.max(nx, ny) / 14)), found = [], down = at("com_y"), right = at("com_x");
      for (let j = 0; j + side <= ny; j += side)
        for (let i = 0; i + side <= nx; i += side) {
          let dy = 0, dx = 0;
          for (let k = 0; k < side * side; k++) {
            const place = (j + Math.floor(k / side)) * nx + i + k % side;
            dy += down[place];
            dx += right[place];
          }
          found.push([i + side / 2, j + side / 2, dx, dy]);
        }
      const longest = Math.max(...found.map((each) => Math.hypot(each[2], each[3]))) || 1;
      return found.map(([x, y, dx, dy]) => [x, y, dx / longest * side, dy / longest * side]);
    }
    const reach = arrows && at("com_y").reduce((most, dy, i) => Math.max(most, Math.hypot(dy, at("com_x")[i])), 1e-9);

    function map(canvas, values, [low, high], cmap, view) {
      const palette = palettes[cmap], data = scan.picture.data, scale = 255 / (high - low || 1);
      for (let i = 0; i < values.length; i++) {
        const level = 3 * Math.round(Math.min(255, Math.max(0, (values[i] - low) * scale)));
        data[4 * i] = palette[level];
        data[4 * i + 1] = palette[level + 1];
        data[4 * i + 2] = palette[level + 2];
      }
      scan.pen.putImageData(scan.picture, 0, 0);
      const paper = laid(scan, canvas), { pen, width, height } = paper, sx = width / nx, sy = height / ny;
      if (view.domains && truth) pen.drawImage(tint.canvas, 0, 0, width, height);
      if (view.wall && wall) stroke(pen, "#ffffff", 1.5, (p) => wall.forEach(([a, b]) => { p.moveTo(a[0] * sx, a[1] * sy); p.lineTo(b[0] * sx, b[1] * sy); }));
      if (view.com && arrows) stroke(pen, MARK, 1.2, (p) => arrows.forEach(([x, y, dx, dy]) => arrow(p, (x - dx / 2) * sx, (y - dy / 2) * sy, dx * sx, dy * sy)));
      const x = (view.x + 0.5) * sx, y = (view.y + 0.5) * sy;
      stroke(pen, view.held ? MARK : "#ffffff", 1.5, (p) => { for (const d of [-1, 1]) { p.moveTo(x + 4 * d, y); p.lineTo(x + 11 * d, y); p.moveTo(x, y + 4 * d); p.lineTo(x, y + 11 * d); } });
      bar(paper, nx * head.pitch[1], head.units[0], 1);
    }
    function pattern(canvas, codes, view) {
      const palette = palettes.magma, data = detector.picture.data;
      for (let p = 0; p < codes.length; p++) {
        const level = inks[codes[p]];
        data[4 * p] = palette[level];
        data[4 * p + 1] = palette[level + 1];
        data[4 * p + 2] = palette[level + 2];
      }
      detector.pen.putImageData(detector.picture, 0, 0);
      const paper = laid(detector, canvas), { pen, width, height } = paper, sx = width / w, sy = height / h, disc = view.disc;
      const x = (disc.col + 0.5) * sx, y = (disc.row + 0.5) * sy;
      stroke(pen, MARK, 2, (p) => p.ellipse(x, y, disc.radius * sx, disc.radius * sy, 0, 0, 2 * Math.PI));
      if (view.com && arrows) {  // from the direct beam; a quarter of the width is the largest deviation of the scan
        const place = view.y * nx + view.x, long = width / 4 / reach, middle = head.lattice ? head.lattice.centre : [-head.start[2] / head.pitch[2], -head.start[3] / head.pitch[3]];
        stroke(pen, "#7fd0ff", 2, (p) => arrow(p, (middle[1] + 0.5) * sx, (middle[0] + 0.5) * sy, at("com_x")[place] * long, at("com_y")[place] * long));
      }
      bar(paper, w * Math.abs(head.pitch[3]), head.units[1], head.units[1] === "px" ? 1 : 0.01);
    }
    function scale(canvas, cmap) {  // the colours of a map from least to most
      const strip = raster(256, 1), palette = palettes[cmap];
      for (let i = 0; i < 256; i++) strip.picture.data.set(palette.subarray(3 * i, 3 * i + 3), 4 * i);
      strip.pen.putImageData(strip.picture, 0, 0);
      laid(strip, canvas);
    }
    return { map, pattern, scale, arrows: !!arrows, truth: !!truth, wall: !!wall };
  };
}
