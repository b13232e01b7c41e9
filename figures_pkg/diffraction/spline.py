"""Uniform cubic B-splines in tilt and thickness: coefficients from samples, and compiled evaluation.

Grid coordinates count nodes from zero: ``u = (x - x[0]) / (x[1] - x[0])``. A spline over ``n`` nodes has ``n + 2``
coefficients, one ghost on either side, so that it reaches its first and its last node without a mirror or a periodic
continuation that the intensities do not have.
"""

import numpy as np
from numba import njit


def coefficient_matrix(nodes):
    """Matrix that turns samples at the nodes into cubic B-spline coefficients.

    The two conditions beyond interpolation are "not a knot": the third derivative does not jump at the second and the
    last but one node, so that a cubic polynomial is reproduced exactly up to the ends.

    Parameters
    ----------
    nodes : int
        Number of samples on a uniform grid, at least 4.

    Returns
    -------
    matrix : array, shape (nodes + 2, nodes)
    """
    if nodes < 4:
        raise ValueError(f"a cubic spline needs at least 4 nodes along each axis, got {nodes}; widen the range or shorten steps")
    size = nodes + 2
    system = np.zeros((size, size))
    for row in range(nodes):
        system[row, row : row + 3] = (1 / 6, 4 / 6, 1 / 6)
    fourth_difference = (1, -4, 6, -4, 1)
    system[nodes, :5] = fourth_difference
    system[nodes + 1, -5:] = fourth_difference
    return np.linalg.inv(system)[:, :nodes]


def spline_coefficients(samples, axes=(0, 1, 2)):
    """Cubic B-spline coefficients of samples on a uniform grid.

    Parameters
    ----------
    samples : array
        Values at the nodes.
    axes : tuple of int
        Axes to interpolate along; each grows by two.

    Returns
    -------
    coefficients : array of the dtype of `samples`, each of `axes` longer by 2
    """
    coefficients = samples
    for axis in axes:
        matrix = coefficient_matrix(coefficients.shape[axis]).astype(coefficients.dtype)
        coefficients = np.moveaxis(np.tensordot(matrix, coefficients, axes=(1, axis)), 0, axis)
    return np.ascontiguousarray(coefficients)


@njit(nogil=True, cache=True)
def cubic_weights(u, nodes, weights):
    """Write the four weights at grid coordinate `u` (clipped to the grid) and return the index of the first of them."""
    u = min(max(u, 0.0), nodes - 1.0)
    start = min(int(u), nodes - 2)
    x = u - start
    y = 1.0 - x
    weights[0] = y * y * y / 6
    weights[1] = (4 - 6 * x * x + 3 * x * x * x) / 6
    weights[2] = (4 - 6 * y * y + 3 * y * y * y) / 6
    weights[3] = x * x * x / 6
    return start


@njit(nogil=True, cache=True)
def evaluate_spline(coefficients, ub, uc, ut, out):
    """Evaluate all reflections at one point, without allocation beyond a few numbers; GIL released.

    Parameters
    ----------
    coefficients : float32 array, shape (n_tilt_b + 2, n_tilt_c + 2, n_thickness + 2, n)
    ub, uc, ut : float
        Grid coordinates along tilt b, tilt c and thickness, clipped to the grid.
    out : float array, shape (n,)
        Receives the intensities. The spline may undershoot zero, by up to 0.002 of the incident beam at 100 nm.
    """
    wb = np.empty(4, np.float32)
    wc = np.empty(4, np.float32)
    wt = np.empty(4, np.float32)
    b0 = cubic_weights(ub, coefficients.shape[0] - 2, wb)
    c0 = cubic_weights(uc, coefficients.shape[1] - 2, wc)
    t0 = cubic_weights(ut, coefficients.shape[2] - 2, wt)
    out[:] = 0
    for i in range(4):
        for j in range(4):
            w = wb[i] * wc[j]
            block = coefficients[b0 + i, c0 + j]
            for r in range(out.shape[0]):
                out[r] += w * (
                    wt[0] * block[t0, r] + wt[1] * block[t0 + 1, r] + wt[2] * block[t0 + 2, r] + wt[3] * block[t0 + 3, r]
                )


@njit(nogil=True, cache=True)
def evaluate_many(coefficients, points, out):
    """Evaluate at grid coordinates `points`, shape (m, 3), into `out`, shape (m, n)."""
    for m in range(points.shape[0]):
        evaluate_spline(coefficients, points[m, 0], points[m, 1], points[m, 2], out[m])
