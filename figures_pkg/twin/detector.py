"""From a state to expected counts: where the lattice falls, the discs, the diffuse background, blur and dead pixels.

**Discs.** A point of a disc away from its centre by k belongs to a plane wave that arrives tilted by ``k * wavelength``, so the
intensity inside a disc is the library read around the tilt of the specimen. For one pattern the thickness and the weights
of +P and -P are the same everywhere; contracting over them first leaves, for each reflection, a small patch of coefficients
in the two tilts. Reading this patch at each pixel is exact: no expansion, no grid of sub-nodes.

**Background.** A measured radial profile stands for thermal diffuse and other wide scattering. It gathers around the zone axis
more than around the direct beam, so it moves, in part, when the crystal tilts. A halo of the direct beam stands for small-angle
inelastic scattering. Counts grow and widths spread with thickness. Kikuchi lines and other structure that is not radial are
not modelled.

Each compiled function that Python calls has all its parts in this file, because the compiler's cache looks at one file
only and would miss a change in another.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numba import njit
from scipy.interpolate import PchipInterpolator

from figures_pkg.twin.presets import Background, Pattern

ONE, HALF, SIXTH, TWO_THIRDS = np.float32(1), np.float32(1 / 2), np.float32(1 / 6), np.float32(2 / 3)
STEP_PX = 0.25  # of the tabulated background, which is read linearly
INV_ANGSTROM_PER_MRAD = 1e-3  # times 1/wavelength: an angle of 1 mrad is 1e-3 / wavelength in 1/A


@dataclass(frozen=True)
class PatternGeometry:
    """Linear map between reciprocal space and the detector.

    Rows grow downward. The measured vectors of 002 and 010 define the map, so a slight elliptic distortion of the
    projector is kept. A vector g = (g_b, g_c) in 1/Angstrom lies at ``origin + matrix @ g``.
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
        """Mean scale: the square root of the area that a unit square of reciprocal space covers on the detector."""
        return math.sqrt(abs(np.linalg.det(self.matrix)))

    def positions(self, g) -> np.ndarray:
        """(row, col) in px of reciprocal vectors `g` (..., 2), components along b* and c* in 1/Angstrom."""
        return self.origin + np.asarray(g) @ self.matrix.T

    def tilt_displacement(self, wavelength_angstrom: float) -> np.ndarray:
        """Matrix that turns a tilt (b, c) in mrad into the (row, col) displacement in px of the zone axis.

        The zone axis moves against the tilt: a tilt of -4 mrad along c excites the +l side, around which the diffuse
        scattering gathers.
        """
        return -self.matrix * INV_ANGSTROM_PER_MRAD / wavelength_angstrom


def psf_taps(sigma_px: float) -> np.ndarray:
    """Taps of a Gaussian point spread along one axis, of odd length and unit sum; a single 1 for ``sigma_px = 0``."""
    if sigma_px == 0:
        return np.ones(1, np.float32)
    reach = math.ceil(4 * sigma_px)
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma_px) ** 2)
    return (taps / taps.sum()).astype(np.float32)


@njit(nogil=True, cache=True, fastmath=True)
def blur(image, taps, out):
    """Convolve an image (h + 2p, w + 2p), zero-padded by ``p = len(taps) // 2``, with the same symmetric taps along rows and columns.

    `out` (h, w) receives the valid part, whose counts come from the padding too; all are float32.
    """
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
        scale = geometry.px_per_inv_angstrom
        logarithm = PchipInterpolator(background.radius_inv_angstrom, np.log(background.counts))
        radius_px = np.arange(0, 1.5 * np.hypot(*geometry.shape), STEP_PX)
        nodes = np.clip(radius_px / scale, background.radius_inv_angstrom[0], background.radius_inv_angstrom[-1])
        return cls(
            profile=np.exp(logarithm(nodes)).astype(np.float32),
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


@njit(nogil=True, cache=True)
def _tilt_patch(plus, minus, plus_weight, first_b, first_c, ut, nodes_b, nodes_c):
    """Coefficients (n, nodes_b, nodes_c) in the two tilts, from the interval (first_b, first_c) on, at one thickness."""
    patch = np.zeros((nodes_b, nodes_c, plus.shape[3]), np.float32)
    t0 = min(int(ut), plus.shape[2] - 4)
    if plus_weight > 0:
        _add_contracted(plus, plus_weight, first_b, first_c, t0, _weights(ut - t0), patch)
    if plus_weight < 1:
        _add_contracted(minus, 1 - plus_weight, first_b, first_c, t0, _weights(ut - t0), patch)
    return np.ascontiguousarray(patch.transpose(2, 0, 1))


@njit(nogil=True, cache=True, fastmath=True)
def _read_patch(patch, vb, vc):
    """Spline value of one reflection at (vb, vc), counted from the first interval of `patch` (nb, nc)."""
    b, c = int(vb), int(vc)
    wb, wc = _weights(vb - b), _weights(vc - c)
    value = np.float32(0)
    for i in range(4):
        row = patch[b + i]
        value += wb[i] * (wc[0] * row[c] + wc[1] * row[c + 1] + wc[2] * row[c + 2] + wc[3] * row[c + 3])
    return max(value, np.float32(0))


@njit(nogil=True, cache=True)
def _straight_cut(depth, y, x):
    """Share of a unit square on the inner side of a straight rim with normal along (y, x), `depth` beyond its middle."""
    norm = np.sqrt(y * y + x * x)
    a, b = max(abs(y), abs(x)) / norm, max(min(abs(y), abs(x)) / norm, 1e-6)
    inner, outer = 0.5 * (a - b), 0.5 * (a + b)
    if abs(depth) <= inner:
        return 0.5 + depth / a
    corner = max(outer - abs(depth), 0.0) ** 2 / (2 * a * b)
    return 1.0 - corner if depth > 0 else corner


@njit(nogil=True, cache=True)
def _coverage(y, x, to_radius, radius):
    """Share of the pixel at offset (y, x) that lies in a disc, and the factor that moves the offset into that share.

    The rim is taken as straight within a quarter of a pixel, and drawn back by the mean sagitta of the arc in it, so that
    the area of the disc is right; a single share is to half a per cent of a pixel for a disc of 5 px. The moved offset
    never leaves the disc.
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


@njit(nogil=True, cache=True, fastmath=True)
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
    nodes_b, nodes_c = int(np.floor(2 * reach[0])) + 5, int(np.floor(2 * reach[1])) + 5
    patch = _tilt_patch(plus, minus, plus_weight, first_b, first_c, state[2], nodes_b, nodes_c)
    half = int(np.ceil(1.1 * radius_px)) + 2  # with a margin for the distortion
    disc = np.empty((2 * half + 1, 2 * half + 1), np.float32)
    for r in range(centres.shape[0]):
        row, col = centres[r, 0], centres[r, 1]
        if -half <= row <= image.shape[0] + half and -half <= col <= image.shape[1] + half:
            _draw_disc(patch[r], state[0] - first_b, state[1] - first_c, row, col, to_grid, to_radius, radius_px, image, disc)
