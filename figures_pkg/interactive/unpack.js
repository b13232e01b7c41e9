function () {
  "use strict";
  // The data file is a script, since pages opened from a folder may not read files: it assigns one base64 string to a name.
  function loaded(file, key) {
    return new Promise((yes, no) => {
      const tag = document.createElement("script");
      const place = () => (window.companionData || {})[key];
      if (place()) return yes(place());
      tag.src = file;
      tag.onload = () => { tag.remove(); if (place()) yes(place()); else no(new Error("is incomplete, or of another build of this book")); };
      tag.onerror = () => { tag.remove(); no(new Error("is missing beside this page")); };
      document.head.append(tag);
    });
  }
  async function inflated(packed) {
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(stream).arrayBuffer());  // fails where the length or the checksum is wrong
  }
  function parted(whole) {  // head, codes (pixel by pixel, all positions of each) and maps
    const size = new DataView(whole.buffer).getUint32(0, true);
    const head = JSON.parse(new TextDecoder().decode(whole.subarray(4, 4 + size)));
    const [ny, nx, h, w] = head.shape, count = ny * nx, pixels = h * w, body = whole.subarray(4 + size);
    if (body.length !== pixels * (1 + count) + 2 * count * head.maps.length) throw new Error("has another length than its head says");
    const codes = body.subarray(pixels, pixels * (1 + count));
    for (let p = 0; p < pixels; p++) {
      const median = body[p];
      for (let i = p * count; i < (p + 1) * count; i++) codes[i] += median;
    }
    const stored = new Uint16Array(body.slice(pixels * (1 + count)).buffer);
    const maps = head.maps.map((map, k) => Float64Array.from(stored.subarray(k * count, (k + 1) * count),
      (code) => map.least + code * ((map.most - map.least) / 65535)));
    return { head: head, codes: codes, maps: maps };
  }
  async function data(info) {
    const text = await loaded(info.file, info.key);
    let packed;
    try { packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)); } catch (error) { throw new Error("is damaged"); }
    if (packed.length !== info.bytes) throw new Error("is incomplete: " + packed.length + " of " + info.bytes + " bytes");
    delete window.companionData[info.key];
    let whole;
    try { whole = await inflated(packed); } catch (error) { throw new Error("is damaged: its checksum is wrong"); }
    return parted(whole);
  }
  return data;
}
