"""The diffuse background of a mean pattern under its discs, from what lies between them.

A ring around a disc tells the level of the background, but not whether it is level: diffuse scattering falls and bends under the disc.
Its shape is taken from the mean of the scan: a product of two radial curves, one about the direct beam and one about a centre that is
fitted, because diffuse scattering gathers around the zone axis. Where the crystal tilts or thickens this part moves and
spreads; each pattern tells by how much, see :class:`Background`.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.spatial import cKDTree

BIN_PX = 3.0  # of the radial curves
ROUNDS = 4  # in which the two curves are fitted in turn while the centre is sought; they take three times as many at last
FEWEST = 500  # pixels between the discs; with fewer the background is taken as level
EVERY = 4  # of the free pixels serves to find the centre
MOVED_PX, SPREAD = 2.0, 0.02  # finite differences of a centre and of a width


@dataclass(frozen=True)
class Background:
    """
    A background, and how it changes from pattern to pattern to first order.

    Attributes
    ----------
    level
        Its mean, positive, shape (det_y, det_x).
    modes
        Changes of `level` where its wide part moves down by a pixel, to the right by a pixel, or widens by one part, shape (k, det_y, det_x).
    free
        Pixels that no disc reaches, boolean (det_y, det_x); those tell the size of the changes in each pattern.
    """

    level: np.ndarray
    modes: np.ndarray
    free: np.ndarray

    def mode_rows(self, good: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """Flat pixels and weights whose sum is the size of each mode in a pattern, blind to the level; every fifth good free pixel serves."""
        if not len(self.modes):
            return []
        row, col = np.indices(good.shape)
        chosen = self.free & good & ((row + 2 * col) % 5 == 0)
        basis = np.concatenate([self.level[None], self.modes])[:, chosen]
        weights = np.linalg.solve(basis / basis[0] @ basis.T, basis / basis[0])
        return [(np.flatnonzero(chosen), each) for each in weights[1:]]


def smooth_background(mean_pattern: np.ndarray, places: np.ndarray, centre: np.ndarray, clear_px: float,
                      bad_pixels: np.ndarray | None = None) -> Background:
    """
    Background everywhere, from the pixels that no disc reaches.

    Parameters
    ----------
    mean_pattern
        Counts, shape (det_y, det_x).
    places
        (row, col) of all discs, in the frame or not, shape (n, 2).
    centre
        (row, col) of the direct beam.
    clear_px
        Pixels nearer than this to the middle of a disc are not used.
    bad_pixels
        Boolean (det_y, det_x), not used either.

    Returns
    -------
    Background
        Constant and without modes where too few pixels are free to tell.
    """
    counts = np.asarray(mean_pattern, float)
    pixels = np.moveaxis(np.indices(counts.shape), 0, -1).reshape(-1, 2)
    free = (cKDTree(places).query(pixels)[0] > clear_px) & (counts.ravel() > 0)
    if bad_pixels is not None:
        free &= ~bad_pixels.ravel()
    if free.sum() < FEWEST:
        return Background(np.ones(counts.shape), np.empty((0, *counts.shape)), free.reshape(counts.shape))
    logarithm, weight = np.log(counts.ravel()[free]), counts.ravel()[free]
    away = _fitted_centre(pixels[free][::EVERY], logarithm[::EVERY], weight[::EVERY], centre)
    curves = _two_curves([np.linalg.norm(pixels[free] - each, axis=1) for each in (away, centre)], logarithm, weight, 3 * ROUNDS)

    def wide(middle=away, spread=1.0):
        return np.interp(np.linalg.norm(pixels - middle, axis=1) / spread, *curves[0])

    level = np.exp(wide() + np.interp(np.linalg.norm(pixels - centre, axis=1), *curves[1]))
    moved = [(wide(away + step) - wide(away - step)) / (2 * MOVED_PX) for step in MOVED_PX * np.eye(2)]
    modes = level * np.array([*moved, (wide(spread=1 + SPREAD) - wide(spread=1 - SPREAD)) / (2 * SPREAD)])
    return Background(level.reshape(counts.shape), modes.reshape(3, *counts.shape), free.reshape(counts.shape))


def _fitted_centre(pixels, logarithm, weight, start):
    """The second centre that leaves least of the background unexplained."""
    near = np.linalg.norm(pixels - start, axis=1)

    def scatter(centre):
        radii = (np.linalg.norm(pixels - centre, axis=1), near)
        curves = _two_curves(radii, logarithm, weight, ROUNDS)
        return np.sum(weight * (logarithm - sum(np.interp(radius, *curve) for radius, curve in zip(radii, curves))) ** 2)

    corners = start + np.array([[0, 0], [6, 0], [0, 6]])
    return minimize(scatter, start, method="Nelder-Mead", options={"initial_simplex": corners, "xatol": 0.2, "maxiter": 60}).x


def _two_curves(radii, logarithm, weight, rounds):
    """Radii and values of two curves whose sum follows the logarithm, each fitted to what the other leaves."""
    curves = [_curve(radii[0], logarithm, weight), (np.zeros(1), np.zeros(1))]
    for _ in range(rounds):
        for one, other in ((1, 0), (0, 1)):
            curves[one] = _curve(radii[one], logarithm - np.interp(radii[other], *curves[other]), weight)
    return curves


def _curve(radius, values, weight):
    """Mean of values over rings: mean radii and means, of the rings that hold anything."""
    ring = (radius / BIN_PX).astype(int)
    total = np.bincount(ring, weight)
    held = total > 0
    return tuple(np.bincount(ring, weight * each)[held] / total[held] for each in (radius, values))


def ring_weights(away, level, inner, ring):
    """Weights that sum the pixels of the ring to the background under the disc: its shape times a plane fitted in the ring."""
    plane = np.column_stack([np.ones(len(away)), away])
    shape = level[:, None] * plane
    fitted = np.linalg.solve(plane[ring].T @ shape[ring], plane[ring].T)
    weights = np.zeros(len(away))
    weights[ring] = (inner @ shape) @ fitted
    return weights
