"""B-splines: polynomials, agreement with SciPy, ends of the grid, and the compiled evaluation."""

import numpy as np
import pytest
from scipy.interpolate import make_interp_spline

from figures_pkg.diffraction.library import coefficient_matrix, evaluate_many, evaluate_spline, spline_coefficients

pytestmark = pytest.mark.physics


def cubic(b, c, t):
    """A polynomial of third degree in each variable, for two reflections."""
    first = 1 + b - 0.2 * b**3 + 0.1 * c**2 * t - 0.05 * t**3
    return np.stack([first, 2 * c**3 - b * c * t], axis=-1)


def test_cubic_polynomials_are_reproduced_up_to_the_ends():
    """Not-a-knot splines hold a cubic polynomial exactly, at the first and last node too; beyond the grid they give the value at the edge."""
    nodes = np.meshgrid(*(np.arange(float(n)) for n in (5, 6, 7)), indexing="ij")
    coefficients = spline_coefficients(cubic(*nodes)).astype(np.float32)
    points = np.concatenate([np.random.default_rng(7).uniform(0, (4, 5, 6), (50, 3)), [(0, 0, 0), (4, 5, 6)]])
    values, expected = np.empty((len(points), 2), np.float32), cubic(*points.T)
    evaluate_many(coefficients, points, values)
    np.testing.assert_allclose(values, expected, atol=1e-5 * np.abs(expected).max())
    outside, edge = np.empty((2, 2), np.float32)
    evaluate_spline(coefficients, -3.0, 99.0, 2.5, outside)
    evaluate_spline(coefficients, 0.0, 5.0, 2.5, edge)
    np.testing.assert_array_equal(outside, edge)


def test_one_axis_agrees_with_scipy():
    """Along one axis the spline is SciPy's not-a-knot interpolating spline; four nodes are the fewest."""
    samples = np.random.default_rng(3).normal(size=12)
    whole = spline_coefficients(np.broadcast_to(samples[:, None, None, None], (12, 4, 4, 1)))
    positions, ours = np.linspace(0, 11, 200), np.empty((200, 1))
    evaluate_many(whole, np.column_stack([positions, np.full((200, 2), 1.3)]), ours)
    np.testing.assert_allclose(ours[:, 0], make_interp_spline(np.arange(12), samples, k=3)(positions), atol=1e-6)
    with pytest.raises(ValueError, match="at least 4 nodes along each axis, got 3"):
        coefficient_matrix(3)
