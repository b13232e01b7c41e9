function () {
  "use strict";
  // Marsaglia's xorshift128 (J. Stat. Softw. 8, 14, 2003), its state filled from the key by a multiplicative hash.
  const state = new Uint32Array(4);
  function hash(x) {
    x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
    x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
    return (x ^ (x >>> 16)) >>> 0;
  }
  function seed(...key) {
    let word = 0x9e3779b9;
    for (const part of key) word = hash(Math.imul(word, 31) + part + 1);
    for (let i = 0; i < 4; i++) state[i] = word = hash(word + 0x9e3779b9 * (i + 1));
    for (let i = 0; i < 16; i++) uniform();
  }
  function uniform() {
    let t = state[3];
    t ^= t << 11;
    t ^= t >>> 8;
    state[3] = state[2];
    state[2] = state[1];
    state[1] = state[0];
    state[0] = t ^ state[0] ^ (state[0] >>> 19);
    return state[0] / 4294967296;
  }
  function few(mean) {  // inversion: how many terms of the Poisson law lie below one uniform number
    const u = uniform();
    let term = Math.exp(-mean), total = term, count = 0;
    while (u >= total && count < 200) {
      count += 1;
      term *= mean / count;
      total += term;
    }
    return count;
  }
  function poisson(mean) {  // a sum of Poisson numbers is one of the summed mean
    let count = 0;
    for (; mean > 16; mean -= 16) count += few(16);
    return count + few(mean);
  }
  return { seed: seed, uniform: uniform, poisson: poisson };
}
