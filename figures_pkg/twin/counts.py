"""Counting noise that depends on the seed and the position only: Philox random words and an exact Poisson sampler.

A pattern is drawn from its own stream of random words, keyed by the seed and the index of the position. The order in
which patterns are rendered, the size of the blocks and the number of threads therefore cannot change a single count.

Philox4x32-10 is the counter-based generator of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as
1, 2, 3", SC'11 (2011), doi 10.1145/2063384.2063405. Large means are drawn by the transformed rejection PTRS of
Hörmann, Insurance: Mathematics and Economics 12, 39 (1993), doi 10.1016/0167-6687(93)90997-4.
"""

import functools
import math

import numpy as np
from numba import njit
from scipy.stats import poisson

# The tables hold Poisson laws at the means 0, 1/8, 2/8, ... < 64. What a mean has above its table (< 1/8) is drawn
# separately and added, because the sum of two Poisson numbers is a Poisson number: the result is exact, not rounded.
TABLES_PER_UNIT = 8
TABLE_LIMIT = 64
TABLE_LENGTH = 144  # P(n >= 144 | mean 64) = 1e-17
GUIDES = 64
LANES = 64  # random words are made this many at a time, which lets the compiler use vector instructions

_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = np.uint32(0x9E3779B9), np.uint32(0xBB67AE85)
_LOW, _32 = np.uint64(0xFFFFFFFF), np.uint64(32)
_TO_UNIT = 1.0 / 4294967296.0


@functools.cache
def poisson_tables() -> tuple[np.ndarray, np.ndarray]:
    """Cumulative Poisson laws for inversion, and where in them to start looking.

    A row of the first, (512, 144) uint32, is ``round(2**32 * P(n <= k))`` for one mean, the last entry being the largest word; the second,
    (512, 64) uint8, holds for the upper six bits of a random word the smallest k that the word can still lead to.
    """
    means = np.arange(TABLE_LIMIT * TABLES_PER_UNIT)[:, None] / TABLES_PER_UNIT
    law = poisson.cdf(np.arange(TABLE_LENGTH)[None], means)
    cumulative = np.minimum(np.rint(law * 2.0**32), 2.0**32 - 1).astype(np.uint32)
    cumulative[:, -1] = 0xFFFFFFFF
    starts = (np.arange(GUIDES, dtype=np.uint64) << np.uint64(26)).astype(np.uint32)
    guide = np.stack([np.searchsorted(row, starts, side="right") for row in cumulative])
    return cumulative, np.minimum(guide, TABLE_LENGTH - 1).astype(np.uint8)


@njit(nogil=True, cache=True, inline="always")
def _round(c0, c1, c2, c3, k0, k1):
    """One Philox round: two 32x32 bit products, their halves swapped and mixed with the key."""
    p0 = _M0 * np.uint64(c0)
    p1 = _M1 * np.uint64(c2)
    return np.uint32((p1 >> _32) ^ c1 ^ k0), np.uint32(p1 & _LOW), np.uint32((p0 >> _32) ^ c3 ^ k1), np.uint32(p0 & _LOW)


@njit(nogil=True, cache=True)
def philox(c0, c1, c2, c3, k0, k1):
    """Four random 32-bit words for a 128-bit counter and a 64-bit key, all given as uint32 words."""
    for _ in range(10):
        c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0, k1)
        k0 = np.uint32(k0 + _W0)
        k1 = np.uint32(k1 + _W1)
    return c0, c1, c2, c3


@njit(nogil=True, cache=True)
def _transformed_rejection(mean, pixel, position, k0, k1):
    """Draw from a Poisson law of mean >= 10 by Hörmann's PTRS; every try uses fresh words of the stream."""
    root = math.sqrt(mean)
    b = 0.931 + 2.53 * root
    a = -0.059 + 0.02483 * b
    inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
    squeeze = 0.9277 - 3.6224 / (b - 2.0)
    log_mean = math.log(mean)
    attempt = np.uint32(1)
    while True:
        w0, w1, _, _ = philox(pixel, attempt, position, np.uint32(1), k0, k1)
        attempt = np.uint32(attempt + np.uint32(1))
        u = (w0 + 0.5) * _TO_UNIT - 0.5
        v = (w1 + 0.5) * _TO_UNIT
        distance = 0.5 - abs(u)
        count = math.floor((2.0 * a / distance + b) * u + mean + 0.43)
        if distance >= 0.07 and v <= squeeze:
            return count
        if count < 0 or (distance < 0.013 and v > distance):
            continue
        bound = math.log(v * inverse_alpha / (a / (distance * distance) + b))
        if bound <= count * log_mean - mean - math.lgamma(count + 1.0):
            return count


@njit(nogil=True, cache=True, inline="always")
def _inversion(mean, word, rest_word, cumulative, guide):
    """Draw from a Poisson law of mean < 64: table for the grid mean below, plus the small rest."""
    row = int(mean * TABLES_PER_UNIT)
    count = int(guide[row, word >> np.uint32(26)])
    while word >= cumulative[row, count] and count < TABLE_LENGTH - 1:
        count += 1
    rest = mean - row / TABLES_PER_UNIT
    u = rest_word * _TO_UNIT
    if u > 1.0 - rest:  # exp(-rest) > 1 - rest, so most words are decided without the exponential
        term = math.exp(-rest)
        total, extra = term, 0
        while u >= total and extra < 16:
            extra += 1
            term *= rest / extra
            total += term
        count += extra
    return count


@njit(nogil=True, cache=True)
def draw_counts(mean, position, seed, largest, cumulative, guide, out):
    """Fill `out` (h, w) uint16 with Poisson counts of the means (h, w) float32.

    The position, an index below 2**32, and the seed, an unsigned 64-bit number, name the stream of random words; counts stop at `largest`
    (4095 for 12 bits). The last two arrays are those of `poisson_tables`.
    """
    k0, k1 = np.uint32(seed & _LOW), np.uint32(np.uint64(seed) >> _32)
    stream, zero = np.uint32(position), np.uint32(0)
    flat, counts = mean.reshape(-1), out.reshape(-1)
    words = np.empty((LANES, 4), np.uint32)  # two pixels per row
    for start in range(0, flat.size, 2 * LANES):
        for lane in range(LANES):
            w0, w1, w2, w3 = philox(np.uint32(start // 2 + lane), zero, stream, zero, k0, k1)
            words[lane, 0], words[lane, 1], words[lane, 2], words[lane, 3] = w0, w1, w2, w3
        pairs = words.reshape(-1, 2)
        for i in range(start, min(start + 2 * LANES, flat.size)):
            if flat[i] < TABLE_LIMIT:
                word, rest_word = pairs[i - start, 0], pairs[i - start, 1]
                count = _inversion(float(flat[i]), word, rest_word, cumulative, guide)
            else:
                count = _transformed_rejection(float(flat[i]), np.uint32(i), stream, k0, k1)
            counts[i] = min(count, largest)
