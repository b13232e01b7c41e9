"""Compiled drawing of diffraction discs from the spline coefficients of the library.

A point of a disc away from its centre by k belongs to a plane wave that arrives tilted by ``k * wavelength``, so the
intensity inside a disc is the library read around the tilt of the specimen. For one pattern the thickness and the
weights of +P and -P are the same everywhere; contracting over them first leaves, for each reflection, a small patch of
coefficients in the two tilts. Reading this patch at each pixel is exact: no expansion, no grid of sub-nodes.

Each compiled function that Python calls has all its parts in its own file, because the compiler's cache looks at one
file only and would miss a change in another.
"""

import numpy as np
from numba import njit

ONE, HALF, SIXTH, TWO_THIRDS = np.float32(1), np.float32(1 / 2), np.float32(1 / 6), np.float32(2 / 3)


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
    """Add the discs of all reflections to an image, in shares of the incident beam.

    Parameters
    ----------
    plus, minus : (n_b + 2, n_c + 2, n_t + 2, n) float32
        Spline coefficients of +P and of -P.
    plus_weight : float
        Weight of +P, 0 to 1; -P has the rest.
    state : (3,) float
        Tilt b, tilt c and thickness in grid coordinates of the library.
    centres : (n, 2) float
        (row, col) in px of the image; discs may hang over the rim or lie outside.
    to_grid : (2, 2) float
        From an offset (row, col) in px to grid coordinates of the tilts.
    to_radius : (2, 2) float
        From an offset in px to reciprocal space, scaled to px; discs are round there.
    reach : (2,) float
        How far a disc extends in grid coordinates of the tilts.
    radius_px : float
    image : (h, w) float32
        Added to.
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
