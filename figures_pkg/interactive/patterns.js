function () {
  "use strict";
  // Sums over a scan that was unpacked: codes lie pixel by pixel, so a virtual detector adds whole rows of positions. Sums of
  // 4 x 4 pixels are kept as well, and a large detector adds these. Integers, in units of head.unit counts.
  const SIDE = 4;
  return function (head, codes) {
    const [ny, nx, h, w] = head.shape, count = ny * nx, table = Int32Array.from(head.table);
    const down = Math.floor(h / SIDE), across = Math.floor(w / SIDE), blocks = new Int32Array(down * across * count);
    for (let row = 0; row < down * SIDE; row++)
      for (let col = 0; col < across * SIDE; col++) {
        const from = (row * w + col) * count, to = (Math.floor(row / SIDE) * across + Math.floor(col / SIDE)) * count;
        for (let i = 0; i < count; i++) blocks[to + i] += table[codes[from + i]];
      }

    function inside(disc, row, col) { return (row - disc.row) * (row - disc.row) + (col - disc.col) * (col - disc.col) <= disc.radius * disc.radius; }
    function corners(disc, row, col) {
      const last = SIDE - 1;
      return inside(disc, row, col) && inside(disc, row + last, col) && inside(disc, row, col + last) && inside(disc, row + last, col + last);
    }
    function image(disc, out) {  // counts in the disc at every position, as of figures_pkg.imaging.Disc
      const reach = (middle, far) => [Math.max(0, Math.floor(middle - disc.radius)), Math.min(far - 1, Math.ceil(middle + disc.radius))];
      const [top, bottom] = reach(disc.row, h), [left, right] = reach(disc.col, w);
      let pixels = 0;
      out.fill(0);
      for (let y = Math.floor(top / SIDE); y * SIDE <= bottom; y++)
        for (let x = Math.floor(left / SIDE); x * SIDE <= right; x++) {
          if (y < down && x < across && corners(disc, y * SIDE, x * SIDE)) {
            const from = (y * across + x) * count;
            for (let i = 0; i < count; i++) out[i] += blocks[from + i];
            pixels += SIDE * SIDE;
            continue;
          }
          for (let row = y * SIDE; row < Math.min(h, (y + 1) * SIDE); row++)
            for (let col = x * SIDE; col < Math.min(w, (x + 1) * SIDE); col++) {
              if (!inside(disc, row, col)) continue;
              const from = (row * w + col) * count;
              for (let i = 0; i < count; i++) out[i] += table[codes[from + i]];
              pixels += 1;
            }
        }
      return pixels;
    }
    function pattern(place, out) {  // codes of all pixels at one position
      for (let p = 0; p < h * w; p++) out[p] = codes[p * count + place];
    }
    function moments(pattern) {  // total and centre of mass in pixels
      let total = 0, rows = 0, cols = 0;
      for (let row = 0, p = 0; row < h; row++)
        for (let col = 0; col < w; col++, p++) {
          const value = table[pattern[p]];
          total += value;
          rows += value * row;
          cols += value * col;
        }
      return { total: total * head.unit, row: rows / total, col: cols / total };
    }
    return { image, pattern, moments };
  };
}
