"""The library as discs show it, for both polarizations (a mean over a round patch of tilts), and the coarse search at all its nodes at once."""

from dataclasses import dataclass

import numpy as np
from numba import njit

from figures_pkg.diffraction.discs import average_over_cone
from figures_pkg.diffraction.library import Library, minus_p_index

from .fit import predict

WEAKEST = 1e-4  # of the incident beam; a reflection that never gets brighter, a forbidden one for instance, is left out
BATCH = 128  # patterns; their scores at all nodes are in memory together


@dataclass(frozen=True)
class DiscLibrary:
    """Mean intensities of discs over tilt b, tilt c (mrad) and thickness (nm), as cubic B-splines of +P, then -P."""

    coefficients: np.ndarray  # float32 (2, n_b + 2, n_c + 2, n_t + 2, n)
    start: np.ndarray  # (3,): the first nodes
    step: np.ndarray  # (3,): distances of nodes
    g: np.ndarray  # (n, 2): (g_b, g_c) in 1/Å

    @property
    def nodes(self) -> np.ndarray:
        """Number of nodes along tilt b, tilt c and thickness."""
        return np.array(self.coefficients.shape[1:4]) - 2

    @property
    def stop(self) -> np.ndarray:
        """Last node of tilt b, tilt c (mrad) and thickness (nm)."""
        return self.start + self.step * (self.nodes - 1)

    def only(self, index: np.ndarray) -> "DiscLibrary":
        """The same with some of the reflections."""
        return DiscLibrary(np.ascontiguousarray(self.coefficients[..., index]), self.start, self.step, self.g[index])

    def at(self, state: np.ndarray) -> np.ndarray:
        """Discs of +P and -P at one state (tilt b, tilt c, thickness), shape (2, n); a state outside is taken at the edge."""
        out = np.empty((2, 4, len(self.g)), np.float32)
        place = np.clip((state - self.start) / self.step, 0, self.nodes - 1 - 1e-6)
        for coefficients, each in zip(self.coefficients, out):
            predict(coefficients, place, each)
        return out[:, 0].astype(float)

    def at_nodes(self) -> np.ndarray:
        """Templates for :func:`coarse_starts`: intensities at all nodes, float32, shape (2, n_b, n_c, n_t, n)."""
        values = self.coefficients
        for axis in (1, 2, 3):
            low, middle, high = (np.moveaxis(values, axis, 0)[shift : values.shape[axis] - 2 + shift] for shift in range(3))
            values = np.moveaxis((low + 4 * middle + high) / np.float32(6), 0, axis)
        return np.ascontiguousarray(values)


def average_over_discs(library: Library, convergence_mrad: float, largest_g: float = np.inf) -> DiscLibrary:
    """Average a library of +P, with symmetric tilts, over a cone of a half angle, up to ``largest_g`` (1/Å); -P follows by inversion."""
    tilts = (library.tilt_b_mrad, library.tilt_c_mrad)
    steps = np.array([grid[1] - grid[0] for grid in tilts])
    means, lost = average_over_cone(library.coefficients, convergence_mrad / steps)
    both = np.stack([means, means[::-1, ::-1][..., minus_p_index(library)]])
    visible = library.coefficients.max(axis=(0, 1, 2)) > WEAKEST
    kept = visible & (np.hypot(library.g_b, library.g_c) <= largest_g)
    thickness = library.thickness_nm
    start = np.array([tilts[0][lost[0]], tilts[1][lost[1]], thickness[0]])
    g = np.stack([library.g_b, library.g_c], axis=1)
    return DiscLibrary(np.ascontiguousarray(both[..., kept]), start, np.array([*steps, thickness[1] - thickness[0]]), g[kept])


def coarse_starts(templates: np.ndarray, data: np.ndarray, weights: np.ndarray, count: int = 2) -> np.ndarray:
    """Where the fit should start: the best tilts at the best local thicknesses, for both polarizations, float64 (p, 2, count, 3) in grid coordinates.

    A score is the weighted correlation with a template (:meth:`DiscLibrary.at_nodes`), with the mean weights of the batch: one product of matrices.
    """
    root = np.sqrt(1 / np.mean(1 / weights, axis=0)).astype(np.float32)
    scaled = templates.reshape(-1, data.shape[1]) * root
    scaled /= np.maximum(np.linalg.norm(scaled, axis=1, keepdims=True), 1e-12)
    result = np.empty((len(data), 2, count, 3))
    for first in range(0, len(data), BATCH):
        part = slice(first, first + BATCH)
        scores = (data[part] * root).astype(np.float32) @ scaled.T
        _best(scores.reshape(-1, *templates.shape[:4]), result[part])
    return result


@njit(nogil=True, cache=True)
def _best(scores, starts):
    """Fill `starts` (p, 2, count, 3) from `scores` (p, 2, n_b, n_c, n_t): local maxima over thickness of the best tilts."""
    nt = scores.shape[4]
    for p in range(scores.shape[0]):
        for state in range(2):
            top = np.full(nt, -np.inf, np.float32)
            where = np.zeros((nt, 2))
            for b in range(scores.shape[2]):
                for c in range(scores.shape[3]):
                    row = scores[p, state, b, c]
                    for t in range(nt):
                        if row[t] > top[t]:
                            top[t], where[t, 0], where[t, 1] = row[t], b, c
            for s in range(starts.shape[2]):
                best = np.argmax(top)
                starts[p, state, s, 0], starts[p, state, s, 1], starts[p, state, s, 2] = where[best, 0], where[best, 1], best
                low, high = best, best
                while low > 0 and top[low - 1] < top[low]:
                    low -= 1
                while high < nt - 1 and top[high + 1] < top[high]:
                    high += 1
                top[low : high + 1] = -np.inf
