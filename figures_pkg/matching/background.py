"""The diffuse background of a mean pattern under its discs, from what lies between them.

A ring around a disc tells the level of the background, but not whether it is level: diffuse scattering falls and bends under the disc.
Its shape is the same in all patterns, nearly, so it is taken once, from the mean: a product of two radial curves, one about
the direct beam and one about a centre that is fitted, because diffuse scattering gathers around the zone axis.
"""

import numpy as np
from scipy.optimize import minimize
from scipy.spatial import cKDTree

BIN_PX = 3.0  # of the radial curves
ROUNDS = 4  # in which the two curves are fitted in turn while the centre is sought; they take three times as many at last
FEWEST = 500  # pixels between the discs; with fewer the background is taken as level


def smooth_background(mean_pattern: np.ndarray, places: np.ndarray, centre: np.ndarray, clear_px: float,
                      bad_pixels: np.ndarray | None = None) -> np.ndarray:
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
    array, shape (det_y, det_x)
        Positive; constant where too few pixels are free to tell.
    """
    counts = np.asarray(mean_pattern, float)
    pixels = np.moveaxis(np.indices(counts.shape), 0, -1).reshape(-1, 2)
    free = (cKDTree(places).query(pixels)[0] > clear_px) & (counts.ravel() > 0)
    if bad_pixels is not None:
        free &= ~bad_pixels.ravel()
    if free.sum() < FEWEST:
        return np.ones(counts.shape)
    logarithm, weight = np.log(counts.ravel()[free]), counts.ravel()[free]
    away = _fitted_centre(pixels[free], logarithm, weight, centre)
    curves = _two_curves([np.linalg.norm(pixels[free] - each, axis=1) for each in (away, centre)], logarithm, weight, 3 * ROUNDS)
    total = sum(np.interp(np.linalg.norm(pixels - each, axis=1), *curve) for each, curve in zip((away, centre), curves))
    return np.exp(total).reshape(counts.shape)


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
