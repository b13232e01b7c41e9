"""The coarse search: every pattern against every node of the library at once, as one product of two matrices."""

from dataclasses import dataclass

import numpy as np
from numba import njit

from .averaged import DiscLibrary

BATCH = 128  # patterns; their scores at all nodes are in memory together


@dataclass(frozen=True)
class CoarseGrid:
    """
    Templates at the nodes of a library.

    Attributes
    ----------
    templates
        float32, shape (2, n_b, n_c, n_t, n).
    every
        How many nodes of the library lie between two of the grid, along tilt b, tilt c and thickness.
    """

    templates: np.ndarray
    every: tuple[int, int, int]

    @classmethod
    def of(cls, library: DiscLibrary, every: tuple[int, int, int] = (1, 1, 1)) -> "CoarseGrid":
        """Every node of a library, or every second …"""
        b, c, t = every
        return cls(np.ascontiguousarray(library.at_nodes()[:, ::b, ::c, ::t]), every)

    def starts(self, data: np.ndarray, weights: np.ndarray, count: int = 2) -> np.ndarray:
        """
        Where the fit should start: the best tilts at the best local thicknesses, for both polarizations.

        A pattern's score at a node is its weighted correlation with the template there, which no scale changes. The weights are
        those of the mean over the batch, so that one product of matrices gives all scores.

        Parameters
        ----------
        data, weights : array, shape (p, n)
            Counts above background and the weights of their squares.
        count
            Starts per polarization.

        Returns
        -------
        starts : float64 array, shape (p, 2, count, 3)
            Grid coordinates of the library.
        """
        root = np.sqrt(1 / np.mean(1 / weights, axis=0)).astype(np.float32)
        scaled = self.templates.reshape(-1, data.shape[1]) * root
        scaled /= np.maximum(np.linalg.norm(scaled, axis=1, keepdims=True), 1e-12)
        result = np.empty((len(data), 2, count, 3))
        for first in range(0, len(data), BATCH):
            part = slice(first, first + BATCH)
            scores = (data[part] * root).astype(np.float32) @ scaled.T
            _best(scores.reshape(-1, *self.templates.shape[:4]), result[part])
        return result * np.array(self.every)


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
