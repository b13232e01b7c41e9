"""A probe over an inclined wall: how much of it looks at each depth of the wall, and the small blends that follow."""

import math

import numpy as np
from numba import njit
from scipy.special import ndtr

SMALLEST_SHARE = 1e-4


def depth_weights(depth, spread: float, first: float, step: float, count: int) -> np.ndarray:
    """Shares of a Gaussian on the nodes of a uniform grid, as linear interpolation between nodes would collect them.

    Parameters
    ----------
    depth : float
        Middle of the Gaussian.
    spread : float
        Its standard deviation, positive, in the unit of `depth`.
    first, step, count : float, float, int
        The grid. What lies beyond its ends is lost, so the sum is one or less.

    Returns
    -------
    weights : array, shape (count,)
    """
    nodes = (first + step * np.arange(-1, count + 1) - depth) / spread
    antiderivative = nodes * ndtr(nodes) + np.exp(-(nodes**2) / 2) / math.sqrt(2 * math.pi)
    return np.diff(antiderivative, 2) * spread / step


def lagrange_weights(nodes, value: float) -> np.ndarray:
    """Weights of a polynomial through all nodes (four at most make sense), at a value held within their range."""
    nodes = np.asarray(nodes, float)
    value = min(max(value, nodes[0]), nodes[-1])
    away = np.where(np.eye(len(nodes), dtype=bool), 1.0, nodes[:, None] - nodes)
    factors = np.where(np.eye(len(nodes), dtype=bool), 1.0, value - nodes)
    return (factors / away).prod(axis=1)


def linear_weights(nodes, value: float) -> np.ndarray:
    """Weights of linear interpolation on a uniform grid; zero for all nodes outside it."""
    return np.maximum(0.0, 1 - np.abs(np.asarray(nodes) - value) / (nodes[1] - nodes[0]))


def cubic_shares(x: float) -> np.ndarray:
    """Values of the four cubic B-splines that reach the interval, at `x` in [0, 1] within it."""
    y = 1 - x
    return np.array([y**3, 4 - 6 * x**2 + 3 * x**3, 4 - 6 * y**2 + 3 * y**3, x**3]) / 6


@njit(nogil=True, cache=True, fastmath=True)
def add_layers(coefficients, weights, thickness_weights, first_t, first_b, first_c, where, patch):
    """Add weighted layers of spline coefficients, contracted over thickness, to the reflections `where` of a patch.

    Parameters
    ----------
    coefficients : (z, n_b + 2, n_c + 2, n_t + 2, m) float32
    weights : (z,) float
    thickness_weights : (4,) float
        Of the coefficients from `first_t` on.
    first_b, first_c : int
        Index in `coefficients` of the first node of the patch; may be negative.
    where : (m,) int
        Which reflections of the patch they belong to.
    patch : (nodes_b, nodes_c, n) float32
        Added to, where the two overlap.
    """
    for z in range(coefficients.shape[0]):
        if abs(weights[z]) < SMALLEST_SHARE:
            continue
        for i in range(max(0, -first_b), min(patch.shape[0], coefficients.shape[1] - first_b)):
            for j in range(max(0, -first_c), min(patch.shape[1], coefficients.shape[2] - first_c)):
                for t in range(4):
                    share = np.float32(weights[z] * thickness_weights[t])
                    values = coefficients[z, first_b + i, first_c + j, first_t + t]
                    for r in range(where.shape[0]):
                        patch[i, j, where[r]] += share * values[r]
