"""B-splines: polynomials, agreement with SciPy, ends of the grid, and the compiled evaluation."""

import numpy as np
import pytest
from scipy.interpolate import make_interp_spline

from figures_pkg.diffraction.spline import coefficient_matrix, cubic_weights, evaluate_many, evaluate_spline, spline_coefficients

pytestmark = pytest.mark.physics


def cubic(b, c, t):
    """A polynomial of third degree in each variable, for two reflections."""
    first = 1 + b - 0.2 * b**3 + 0.1 * c**2 * t - 0.05 * t**3
    return np.stack([first, 2 * c**3 - b * c * t], axis=-1)


@pytest.fixture
def polynomial_coefficients():
    """Coefficients of `cubic` over 5 x 6 x 7 nodes with unit steps."""
    nodes = np.meshgrid(*(np.arange(float(n)) for n in (5, 6, 7)), indexing="ij")
    return spline_coefficients(cubic(*nodes)).astype(np.float32)


def test_cubic_polynomials_are_reproduced_up_to_the_ends(polynomial_coefficients):
    """Not-a-knot splines hold a cubic polynomial exactly, at the first and last node too."""
    rng = np.random.default_rng(7)
    points = np.concatenate([rng.uniform(0, (4, 5, 6), (50, 3)), [(0, 0, 0), (4, 5, 6)]])
    values = np.empty((len(points), 2), np.float32)
    evaluate_many(polynomial_coefficients, points, values)
    expected = cubic(*points.T)
    np.testing.assert_allclose(values, expected, atol=1e-5 * np.abs(expected).max())


def test_one_axis_agrees_with_scipy():
    """Along one axis the spline is SciPy's not-a-knot interpolating spline."""
    samples = np.random.default_rng(3).normal(size=12)
    positions = np.linspace(0, 11, 200)
    coefficients, weights = coefficient_matrix(12) @ samples, np.empty(4)
    ours = [weights @ coefficients[start : start + 4] for start in (cubic_weights(u, 12, weights) for u in positions)]
    np.testing.assert_allclose(ours, make_interp_spline(np.arange(12), samples, k=3)(positions), atol=1e-10)


def test_nodes_are_interpolated():
    """At every node the spline has the value that it was given."""
    samples = np.random.default_rng(5).normal(size=(5, 4, 6, 3)).astype(np.float32)
    coefficients, out = spline_coefficients(samples), np.empty(3, np.float32)
    for node in np.ndindex(samples.shape[:3]):
        evaluate_spline(coefficients, *map(float, node), out)
        np.testing.assert_allclose(out, samples[node], atol=2e-5)


def test_weights_sum_to_one_and_are_positive():
    """Weights of a point anywhere on the grid are a partition of one."""
    weights = np.empty(4)
    for u in np.linspace(0, 9, 37):
        start = cubic_weights(u, 10, weights)
        assert 0 <= start <= 8 and weights.min() >= -1e-15
        assert weights.sum() == pytest.approx(1, abs=1e-12)


def test_points_beyond_the_grid_are_clipped(polynomial_coefficients):
    """The kernel never reads outside its array: beyond the grid it gives the value at the edge."""
    outside, edge = np.empty(2, np.float32), np.empty(2, np.float32)
    evaluate_spline(polynomial_coefficients, -3.0, 99.0, 2.5, outside)
    evaluate_spline(polynomial_coefficients, 0.0, 5.0, 2.5, edge)
    np.testing.assert_array_equal(outside, edge)


def test_too_few_nodes_are_refused():
    """A cubic needs four nodes; the error says what was given."""
    with pytest.raises(ValueError, match="at least 4 nodes along each axis, got 3"):
        coefficient_matrix(3)
