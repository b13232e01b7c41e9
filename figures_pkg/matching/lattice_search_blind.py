"""A net of discs found without knowing anything about it: the autocorrelation gives its vectors, its harmonics the place.

Every pair of discs that a lattice vector joins adds to the autocorrelation at that vector, so missing discs, noise and the
place of the direct beam do not matter. The pattern enters as the logarithm of its counts without slow changes, so that weak
discs far out count as much as the direct beam, and the autocorrelation is zero on average: a net that is too fine then
collects valleys, one that is too coarse misses peaks, and the right one has the largest sum.
"""

from itertools import combinations

import numpy as np
import scipy.fft
from scipy.ndimage import gaussian_filter, map_coordinates, maximum_filter, median_filter

from .lattice_search_zone import reduced

STRONGEST, SHORTEST = 8, 12  # so many peaks of either kind are tried as basis vectors, all pairs of them
ORDERS = np.array([(i, j) for i in range(-6, 7) for j in range(-6, 7) if (i, j) > (0, 0)])  # half of the net; it is even


def cleaned(pattern: np.ndarray) -> np.ndarray:
    """Counts with dead, hot and undefined pixels replaced by the median of their neighbours, shape (h, w)."""
    counts = np.nan_to_num(np.asarray(pattern, float), nan=0.0, posinf=0.0, neginf=0.0).clip(0)
    middle = median_filter(counts, 3)
    away = np.log1p(counts) - np.log1p(middle)
    noise = 1.4826 * np.median(np.abs(away))
    return np.where(np.abs(away) > max(8 * noise, 0.3), middle, counts)


def contrast(counts: np.ndarray, wide_px: float) -> np.ndarray:
    """Logarithm of the counts without what changes over `wide_px` and more, cut off at four standard deviations."""
    logarithm = np.log1p(counts)
    signal = gaussian_filter(logarithm, 1.0) - gaussian_filter(logarithm, wide_px)
    return np.clip(signal, *(np.array([-4, 4]) * signal.std()))


def find_net(counts: np.ndarray, wide_px: float | None = None) -> tuple[np.ndarray, float]:
    """
    The two shortest vectors of the net of discs, from the autocorrelation.

    Parameters
    ----------
    counts
        Cleaned mean pattern, shape (h, w).
    wide_px
        Changes over more than this count as background; by default a 32nd of the frame.

    Returns
    -------
    basis : array, shape (2, 2)
        Columns (row, col) in px; zeros when there are not two peaks across each other.
    clearness : float
        Mean autocorrelation on the eight nearest points of the net over the scatter of the whole map.
    """
    image = contrast(counts, wide_px or min(counts.shape) / 32)
    correlation = _autocorrelation(image)
    peaks = _peaks(correlation)
    candidates = peaks[:STRONGEST] + sorted(peaks[STRONGEST:40], key=np.linalg.norm)[:SHORTEST]
    pairs = [np.stack(pair, axis=1) for pair in combinations(candidates, 2)]
    bases = [reduced(pair) for pair in pairs if _across(pair)]
    if not bases:
        return np.zeros((2, 2)), 0.0
    best = max(bases, key=lambda basis: _on_net(correlation, basis).sum())
    best = reduced(_polished(peaks, best))
    near = np.abs(ORDERS).max(axis=1) == 1
    return best, float(_on_net(correlation, best, ORDERS[near]).mean() / correlation.std())


def place_net(counts: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """
    A point (row, col) of the net near the middle of the frame, from the phases of the pattern's first harmonics.

    The phase of a harmonic is that of the mean disc, so an unevenly filled disc moves it a little; the rims mend that later.
    """
    image = contrast(counts, np.linalg.norm(basis, axis=0).min() / 2)
    middle = (np.array(counts.shape) - 1) / 2
    away = np.moveaxis(np.indices(counts.shape), 0, -1) - middle
    u = away @ np.linalg.inv(basis).T
    window = np.outer(*(np.hanning(n + 2)[1:-1] for n in counts.shape))
    phases = [np.angle(np.sum(image * window * np.exp(2j * np.pi * u[..., axis]))) for axis in (0, 1)]
    return middle + basis @ (np.array(phases) / (2 * np.pi))


def _autocorrelation(image):
    """Autocorrelation of a windowed image over that of the window, zero shift in the middle, zero where too little overlaps."""
    window = np.outer(*(np.hanning(n + 2)[1:-1] for n in image.shape))
    weighted = (image - np.average(image, weights=window)) * window
    shape = [scipy.fft.next_fast_len(2 * n) for n in image.shape]
    parts = [np.fft.irfft2(np.abs(np.fft.rfft2(part, shape)) ** 2, shape) for part in (weighted, window)]
    raw, overlap = (np.fft.fftshift(part) for part in parts)
    enough = overlap > 0.05 * overlap.max()
    result = np.where(enough, raw / np.where(enough, overlap, 1), 0)
    return result / result.max()


def _peaks(correlation):
    """Vectors from the middle to the local maxima of one half of the map, strongest first, to a fraction of a pixel."""
    middle = np.array(correlation.shape) // 2
    smooth = gaussian_filter(correlation, 1.0)
    noise = 1.4826 * np.median(np.abs(smooth[smooth != 0]))
    found = np.argwhere((smooth == maximum_filter(smooth, 5)) & (smooth > 2 * noise))
    found = found[(found > 0).all(axis=1) & (found < np.array(smooth.shape) - 1).all(axis=1)]
    found = found[[tuple(place) > tuple(middle) for place in found]] if len(found) else found.reshape(0, 2)
    heights = smooth[tuple(found.T)]
    order = np.argsort(-heights)[:80]
    return [place - middle + _summit(smooth, place) for place in found[order]]


def _summit(image, place):
    """Where a parabola through a pixel and its neighbours has its top, for each axis, counted from the pixel."""
    shift = []
    for step in ((1, 0), (0, 1)):
        before, here, after = (image[tuple(place + sign * np.array(step))] for sign in (-1, 0, 1))
        curve = before - 2 * here + after
        shift.append(0.5 * (before - after) / curve if curve < 0 else 0.0)
    return np.clip(shift, -0.5, 0.5)


def _across(pair):
    """Whether two vectors differ in direction by more than about 15 degrees."""
    return abs(np.linalg.det(pair)) > 0.25 * np.linalg.norm(pair, axis=0).prod()


def _on_net(correlation, basis, orders=ORDERS):
    """The autocorrelation at the points of a net, shape (n,); zero outside the map."""
    places = (np.array(correlation.shape) // 2)[:, None] + basis @ orders.T
    return map_coordinates(correlation, places, order=1, mode="constant")


def _polished(peaks, basis):
    """The basis that fits all peaks close to its net, by least squares; farther peaks join as the basis gets better."""
    vectors = np.array(peaks)
    for orders in (1.5, 3.0, 6.0):
        index = np.round(vectors @ np.linalg.inv(basis).T)
        away = np.linalg.norm(vectors - index @ basis.T, axis=1)
        near = (away < 0.15 * np.linalg.norm(basis, axis=0).min()) & (np.abs(index).max(axis=1) <= orders) & index.any(axis=1)
        if np.linalg.matrix_rank(index[near]) == 2:
            basis = np.linalg.lstsq(index[near], vectors[near], rcond=None)[0].T
    return basis
