"""From a state to counts: where the lattice falls, discs, diffuse background, blur, dead pixels, and counting noise.

**Discs.** A point of a disc away from its centre by k belongs to a plane wave that arrives tilted by ``k * wavelength``, so the
intensity inside a disc is the library read around the tilt of the specimen. Contracting over thickness and the weights of +P and
-P first leaves, for each reflection, a small patch of coefficients in the two tilts; reading it at each pixel is exact.

**Background.** A measured radial profile stands for thermal diffuse and other wide scattering. It gathers around the zone axis
more than around the direct beam, so it moves, in part, when the crystal tilts. A halo of the direct beam stands for small-angle
inelastic scattering. Counts grow and widths spread with thickness.

**Noise.** A pattern is drawn from its own stream of random words, keyed by the seed and the index of the position, so that neither
order nor threads change a count. Philox4x32-10 is the counter-based generator of Salmon et al., SC'11 (2011), doi
10.1145/2063384.2063405. Large means are drawn by the transformed rejection PTRS of Hörmann, Insurance: Mathematics and Economics
12, 39 (1993), doi 10.1016/0167-6687(93)90997-4.

Each compiled function has all its parts in this file: the compiler's cache would miss a change in another.
"""

import math
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numba import njit
from scipy.interpolate import PchipInterpolator
from scipy.stats import poisson

from figures_pkg.twin.presets import Background, Pattern

ONE, HALF, SIXTH, TWO_THIRDS = np.float32(1), np.float32(1 / 2), np.float32(1 / 6), np.float32(2 / 3)
STEP_PX = 0.25  # of the tabulated background, which is read linearly
INV_ANGSTROM_PER_MRAD = 1e-3  # times 1/wavelength: an angle of 1 mrad is 1e-3 / wavelength in 1/A

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


@dataclass(frozen=True)
class PatternGeometry:
    """Linear map between reciprocal space and the detector, rows downward: g = (g_b, g_c) in 1/Angstrom lies at ``origin + matrix @ g``.

    The measured vectors of 002 and 010 define the map, so a slight elliptic distortion of the projector is kept.
    """

    shape: tuple[int, int]
    origin: np.ndarray  # (2,) px, direct beam
    matrix: np.ndarray  # (2, 2) px per (1/Angstrom): columns are b* and c*

    @classmethod
    def from_pattern(cls, pattern: Pattern, g010_inv_angstrom: float, g002_inv_angstrom: float) -> "PatternGeometry":
        """Combine measured pixel vectors with the lengths of the same vectors in the crystal."""
        columns = [np.array(pattern.g010_row_col) / g010_inv_angstrom, np.array(pattern.g002_row_col) / g002_inv_angstrom]
        return cls(tuple(pattern.shape), np.array(pattern.origin_row_col, float), np.stack(columns, axis=1))

    @property
    def px_per_inv_angstrom(self) -> float:
        """Mean scale: the square root of the area that a unit square of reciprocal space covers."""
        return math.sqrt(abs(np.linalg.det(self.matrix)))

    def positions(self, g) -> np.ndarray:
        """(row, col) in px of reciprocal vectors `g` (..., 2), components along b* and c* in 1/Angstrom."""
        return self.origin + np.asarray(g) @ self.matrix.T

    def tilt_displacement(self, wavelength_angstrom: float) -> np.ndarray:
        """Matrix from a tilt (b, c) in mrad to the (row, col) displacement in px of the zone axis, which moves against the tilt."""
        return -self.matrix * INV_ANGSTROM_PER_MRAD / wavelength_angstrom

    def tilt_within_disc(self, wavelength_angstrom: float) -> np.ndarray:
        """Matrix from an offset (row, col) in px within a disc to the tilt (b, c) in mrad of the plane wave that it belongs to."""
        return np.linalg.inv(self.matrix) * wavelength_angstrom / INV_ANGSTROM_PER_MRAD


def psf_taps(sigma_px: float) -> np.ndarray:
    """Taps of a Gaussian point spread along one axis, of odd length and unit sum; a single 1 for ``sigma_px = 0``."""
    if sigma_px == 0:
        return np.ones(1, np.float32)
    reach = math.ceil(4 * sigma_px)
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma_px) ** 2)
    return (taps / taps.sum()).astype(np.float32)


@njit(nogil=True, cache=True, fastmath=True)
def blur(image, taps, out):
    """Convolve an image (h + 2p, w + 2p), with a rim of ``p = len(taps) // 2``, along rows and columns into `out` (h, w); all are float32."""
    height, width = out.shape
    line = np.empty(width + taps.size - 1, np.float32)
    for row in range(height):
        line[:] = 0
        for k in range(taps.size):
            for col in range(line.size):
                line[col] += taps[k] * image[row + k, col]
        out[row] = 0
        for k in range(taps.size):
            for col in range(width):
                out[row, col] += taps[k] * line[col + k]


def largest_count(counter_bits: int) -> int:
    """Largest number a counter of so many bits holds; files store 16 bits, so at most 16."""
    if not 1 <= counter_bits <= 16:
        raise ValueError(f"counter_bits is {counter_bits}; the file stores unsigned 16-bit counts, choose 1 to 16")
    return 2**counter_bits - 1


def dead_pixel_indices(dead_pixels, shape: tuple[int, int]) -> np.ndarray:
    """(n, 2) int array of dead (row, col) pixels, checked against the frame."""
    dead = np.array(dead_pixels, dtype=np.int64).reshape(-1, 2)
    outside = ((dead < 0) | (dead >= np.array(shape))).any(axis=1)
    if outside.any():
        raise ValueError(f"dead pixels {dead[outside].tolist()} lie outside the {shape[0]} x {shape[1]} frame")
    return dead


@njit(nogil=True, cache=True, fastmath=True)
def add_radial(pattern, profile, step_px, row, col):
    """Add a radial profile, tabulated every `step_px` from 0, around (row, col); beyond its end the last value stays."""
    last = profile.size - 2
    for i in range(pattern.shape[0]):
        for j in range(pattern.shape[1]):
            u = np.sqrt((i - row) ** 2 + (j - col) ** 2) / step_px
            k = min(int(u), last)
            share = min(np.float32(u - k), np.float32(1.0))
            pattern[i, j] += profile[k] + share * (profile[k + 1] - profile[k])


@njit(nogil=True, cache=True, fastmath=True)
def add_gaussian(pattern, height, sigma_px, row, col):
    """Add a round Gaussian around (row, col)."""
    scale = -0.5 / (sigma_px * sigma_px)
    line = np.exp(scale * (np.arange(pattern.shape[1]) - col) ** 2).astype(np.float32)
    for i in range(pattern.shape[0]):
        level = np.float32(height * np.exp(scale * (i - row) ** 2))
        for j in range(pattern.shape[1]):
            pattern[i, j] += level * line[j]


@dataclass(frozen=True)
class DiffuseModel:
    """Background of a preset, in px and counts."""

    profile: np.ndarray  # (m,) float32, counts per px around the moving centre every `STEP_PX`, at the reference thickness
    halo_counts: float  # per px at the height of the halo, at the reference thickness
    halo_sigma_px: float
    follow: np.ndarray  # (2, 2) from a tilt (b, c) in mrad to the (row, col) displacement of the profile in px
    thickness_nm: float  # the reference
    thickness_exponent: float  # counts change as this power of the thickness
    width_exponent: float  # and widths as this one

    @classmethod
    def build(cls, background: Background, geometry: PatternGeometry, wavelength_angstrom: float, thickness_nm: float) -> "DiffuseModel":
        """Tabulate the profile of a preset; its heights are relative until `scaled_to`."""
        scale, knots = geometry.px_per_inv_angstrom, background.radius_inv_angstrom
        nodes = np.clip(np.arange(0, 1.5 * np.hypot(*geometry.shape), STEP_PX) / scale, knots[0], knots[-1])
        return cls(
            profile=np.exp(PchipInterpolator(knots, np.log(background.counts))(nodes)).astype(np.float32),
            halo_counts=background.halo_counts,
            halo_sigma_px=background.halo_sigma_inv_angstrom * scale,
            follow=background.follows_tilt * geometry.tilt_displacement(wavelength_angstrom),
            thickness_nm=thickness_nm,
            thickness_exponent=background.thickness_exponent,
            width_exponent=background.width_exponent,
        )

    def add_to(self, pattern: np.ndarray, direct_beam, thickness_nm: float, tilts_mrad) -> None:
        """Add the background of one state to a pattern (h, w) float32; `direct_beam` is (row, col) in px."""
        ratio = thickness_nm / self.thickness_nm
        spread = ratio**self.width_exponent
        density = ratio**self.thickness_exponent / spread**2
        centre = direct_beam + self.follow @ tilts_mrad
        add_radial(pattern, self.profile * np.float32(density), STEP_PX * spread, centre[0], centre[1])
        add_gaussian(pattern, self.halo_counts * density, self.halo_sigma_px * spread, direct_beam[0], direct_beam[1])

    def scaled_to(self, counts: float, shape: tuple[int, int], direct_beam, tilts_mrad) -> "DiffuseModel":
        """The model whose frame holds `counts` in all at the reference thickness and the given tilts."""
        frame = np.zeros(shape, np.float32)
        self.add_to(frame, direct_beam, self.thickness_nm, tilts_mrad)
        factor = counts / frame.sum(dtype=float)
        return replace(self, profile=self.profile * np.float32(factor), halo_counts=self.halo_counts * factor)


@njit(nogil=True, cache=True, inline="always")
def _weights(x):
    """Values of the four cubic B-splines that reach the interval, at `x` in [0, 1] within it."""
    x = np.float32(x)
    y = ONE - x
    xx, yy = x * x, y * y
    return SIXTH * yy * y, TWO_THIRDS - xx * (ONE - HALF * x), TWO_THIRDS - yy * (ONE - HALF * y), SIXTH * xx * x


@njit(nogil=True, cache=True, fastmath=True)
def _add_contracted(coefficients, weight, b0, c0, t0, wt, patch):
    """Add ``weight`` times the coefficients around (b0, c0), contracted over four thicknesses, to `patch` (nb, nc, n)."""
    w0, w1 = np.float32(weight * wt[0]), np.float32(weight * wt[1])
    w2, w3 = np.float32(weight * wt[2]), np.float32(weight * wt[3])
    for i in range(min(patch.shape[0], coefficients.shape[0] - b0)):
        for j in range(min(patch.shape[1], coefficients.shape[1] - c0)):
            block = coefficients[b0 + i, c0 + j]
            for r in range(patch.shape[2]):
                patch[i, j, r] += w0 * block[t0, r] + w1 * block[t0 + 1, r] + w2 * block[t0 + 2, r] + w3 * block[t0 + 3, r]


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def _read_patch(patch, vb, vc):
    """Spline value of one reflection at (vb, vc), counted from the first interval of `patch` (nb, nc)."""
    b, c = int(vb), int(vc)
    wb, wc = _weights(vb - b), _weights(vc - c)
    value = np.float32(0)
    for i in range(4):
        row = patch[b + i]
        value += wb[i] * (wc[0] * row[c] + wc[1] * row[c + 1] + wc[2] * row[c + 2] + wc[3] * row[c + 3])
    return max(value, np.float32(0))


@njit(nogil=True, cache=True, error_model="numpy")
def _straight_cut(depth, y, x):
    """Share of a unit square on the inner side of a straight rim with normal along (y, x), `depth` beyond its middle."""
    if abs(depth) > 0.7072:  # half a diagonal: the rim does not meet the square
        return 1.0 if depth > 0 else 0.0
    norm = np.sqrt(y * y + x * x)
    a, b = max(abs(y), abs(x)) / norm, max(min(abs(y), abs(x)) / norm, 1e-6)
    inner, outer = 0.5 * (a - b), 0.5 * (a + b)
    if abs(depth) <= inner:
        return 0.5 + depth / a
    corner = max(outer - abs(depth), 0.0) ** 2 / (2 * a * b)
    return 1.0 - corner if depth > 0 else corner


@njit(nogil=True, cache=True, error_model="numpy")
def _coverage(y, x, to_radius, radius):
    """Share of the pixel at offset (y, x) that lies in a disc, and the factor that moves the offset into that share.

    The rim is taken as straight within a quarter of a pixel, and drawn back by the mean sagitta of the arc in it, so that
    the area of the disc is right; a single share is to half a per cent of a pixel for a disc of 5 px.
    """
    p, q = to_radius[0, 0] * y + to_radius[0, 1] * x, to_radius[1, 0] * y + to_radius[1, 1] * x
    squared = p * p + q * q
    if squared < (radius - 0.75) ** 2:
        return 1.0, 1.0
    if squared > (radius + 0.75) ** 2:
        return 0.0, 1.0
    covered = 0.0
    for quarter in range(4):
        u, v = y + 0.5 * (quarter // 2) - 0.25, x + 0.5 * (quarter % 2) - 0.25
        p, q = to_radius[0, 0] * u + to_radius[0, 1] * v, to_radius[1, 0] * u + to_radius[1, 1] * v
        depth = radius - np.sqrt(p * p + q * q) - 1 / (96 * radius)  # mean square along the rim 1/48 px2, over twice the radius
        covered += 0.25 * _straight_cut(2 * depth, u, v)
    distance = np.sqrt(squared)
    return covered, min(distance - 0.5 * (1.0 - covered), radius) / distance


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def _draw_disc(patch, vb, vc, row, col, to_grid, to_radius, radius_px, image, disc):
    """Add the disc of one reflection, ``patch`` (nb, nc), to an image; its pixels sum to its mean intensity."""
    half = disc.shape[0] // 2
    row0, col0 = int(np.floor(row + 0.5)) - half, int(np.floor(col + 0.5)) - half
    total = 0.0
    for i in range(disc.shape[0]):
        for j in range(disc.shape[1]):
            y, x = row0 + i - row, col0 + j - col
            disc[i, j] = 0
            covered, pull = _coverage(y, x, to_radius, radius_px)
            if covered > 0:
                b, c = to_grid[0, 0] * y + to_grid[0, 1] * x, to_grid[1, 0] * y + to_grid[1, 1] * x
                disc[i, j] = covered * _read_patch(patch, vb + pull * b, vc + pull * c)
                total += covered
    scale = np.float32(1.0 / total)
    for i in range(max(0, -row0), min(disc.shape[0], image.shape[0] - row0)):
        for j in range(max(0, -col0), min(disc.shape[1], image.shape[1] - col0)):
            image[row0 + i, col0 + j] += scale * disc[i, j]


@njit(nogil=True, cache=True)
def draw_discs(plus, minus, plus_weight, state, centres, to_grid, to_radius, reach, radius_px, image):
    """Add the discs of all reflections to an image (h, w) float32, in shares of the incident beam.

    Spline coefficients of +P, which has the weight 0 to 1, and of -P, which has the rest, are (n_b + 2, n_c + 2, n_t + 2, n) float32. `state` is
    tilt b, tilt c and thickness in grid coordinates of the library, `reach` how far a disc extends in those of the tilts. `centres` (n, 2) are
    in px of the image; discs may hang over the rim or lie outside. `to_grid` (2, 2) leads from an offset (row, col) in px to grid coordinates of
    the tilts, `to_radius` to reciprocal space, scaled to px; discs are round there.
    """
    first_b, first_c = int(np.floor(state[0] - reach[0])), int(np.floor(state[1] - reach[1]))
    mixed = np.zeros((int(np.floor(2 * reach[0])) + 5, int(np.floor(2 * reach[1])) + 5, plus.shape[3]), np.float32)
    t0 = min(int(state[2]), plus.shape[2] - 4)
    if plus_weight > 0:
        _add_contracted(plus, plus_weight, first_b, first_c, t0, _weights(state[2] - t0), mixed)
    if plus_weight < 1:
        _add_contracted(minus, 1 - plus_weight, first_b, first_c, t0, _weights(state[2] - t0), mixed)
    patch = np.ascontiguousarray(mixed.transpose(2, 0, 1))
    half = int(np.ceil(1.1 * radius_px)) + 2  # with a margin for the distortion
    disc = np.empty((2 * half + 1, 2 * half + 1), np.float32)
    for r in range(centres.shape[0]):
        row, col = centres[r, 0], centres[r, 1]
        if -half <= row <= image.shape[0] + half and -half <= col <= image.shape[1] + half:
            _draw_disc(patch[r], state[0] - first_b, state[1] - first_c, row, col, to_grid, to_radius, radius_px, image, disc)


@cache
def poisson_tables() -> tuple[np.ndarray, np.ndarray]:
    """Cumulative Poisson laws, ``round(2**32 * P(n <= k))`` for each mean, (512, 144) uint32, and the least k for the upper six bits of a word, uint8."""
    means = np.arange(TABLE_LIMIT * TABLES_PER_UNIT)[:, None] / TABLES_PER_UNIT
    law = poisson.cdf(np.arange(TABLE_LENGTH)[None], means)
    cumulative = np.minimum(np.rint(law * 2.0**32), 2.0**32 - 1).astype(np.uint32)
    cumulative[:, -1] = 0xFFFFFFFF
    starts = (np.arange(GUIDES, dtype=np.uint64) << np.uint64(26)).astype(np.uint32)
    guide = np.stack([np.searchsorted(row, starts, side="right") for row in cumulative])
    return cumulative, np.minimum(guide, TABLE_LENGTH - 1).astype(np.uint8)


@njit(nogil=True, cache=True, inline="always")
def _mixed(c0, c1, c2, c3, k0, k1):
    """One round of Philox: two 32x32 bit products, their halves swapped and mixed with the key."""
    p0, p1 = _M0 * np.uint64(c0), _M1 * np.uint64(c2)
    return np.uint32(p1 >> _32) ^ c1 ^ k0, np.uint32(p1 & _LOW), np.uint32(p0 >> _32) ^ c3 ^ k1, np.uint32(p0 & _LOW)


@njit(nogil=True, cache=True)
def philox(c0, c1, c2, c3, k0, k1):
    """Four random 32-bit words for a 128-bit counter and a 64-bit key, all given as uint32 words."""
    for _ in range(10):
        c0, c1, c2, c3 = _mixed(c0, c1, c2, c3, k0, k1)
        k0, k1 = np.uint32(k0 + _W0), np.uint32(k1 + _W1)
    return c0, c1, c2, c3


@njit(nogil=True, cache=True)
def _many_words(first, stream, k0, k1, w0, w1, w2, w3):
    """Fill four rows of words with those of :func:`philox` for the counters (first + lane, 0, stream, 0), all lanes in step."""
    for lane in range(w0.size):
        w0[lane], w1[lane], w2[lane], w3[lane] = np.uint32(first + lane), 0, stream, 0
    for _ in range(10):
        for lane in range(w0.size):
            w0[lane], w1[lane], w2[lane], w3[lane] = _mixed(w0[lane], w1[lane], w2[lane], w3[lane], k0, k1)
        k0, k1 = np.uint32(k0 + _W0), np.uint32(k1 + _W1)


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
    count, law = int(guide[row, word >> np.uint32(26)]), cumulative[row]
    count += word >= law[count] and count < TABLE_LENGTH - 1  # mostly enough, and no branch to guess
    while word >= law[count] and count < TABLE_LENGTH - 1:
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
    """Fill `out` (h, w) uint16 with Poisson counts, at most `largest`, of the means (h, w) float32; position and seed name the random words."""
    k0, k1 = np.uint32(seed & _LOW), np.uint32(np.uint64(seed) >> _32)
    stream = np.uint32(position)
    flat, counts = mean.reshape(-1), out.reshape(-1)
    words = np.empty((4, LANES), np.uint32)  # two pixels per column
    for start in range(0, flat.size, 2 * LANES):
        _many_words(start // 2, stream, k0, k1, words[0], words[1], words[2], words[3])
        for i in range(start, min(start + 2 * LANES, flat.size)):
            if flat[i] < TABLE_LIMIT:
                lane, first = (i - start) // 2, 2 * ((i - start) % 2)
                word, rest_word = words[first, lane], words[first + 1, lane]
                count = _inversion(float(flat[i]), word, rest_word, cumulative, guide)
            else:
                count = _transformed_rejection(float(flat[i]), np.uint32(i), stream, k0, k1)
            counts[i] = min(count, largest)
