"""Drawings of reflections show the numbers they are given."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

from figures_pkg.plotting.reflections import asymmetry_curves, atom_row, difference_map, state_map


@pytest.fixture
def ax():
    """Axes of their own."""
    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


def test_difference_map_shows_the_middle_upright(ax):
    """Only pixels within reach are drawn, row 0 at the top; relative maps end at one."""
    axis = np.linspace(-1, 1, 21)
    delta = xr.DataArray(np.outer(axis + 1, np.ones(21)), {"det_y": axis, "det_x": axis}, ("det_y", "det_x"))
    image = difference_map(ax, delta, reach=0.5, relative=True).get_array()
    assert image.shape == (11, 11) and image.max() == 1 and image[0, 0] < image[-1, 0]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]


def test_curves_carry_their_names_and_values(ax):
    """One curve for each order, with its values."""
    thickness = np.linspace(10, 100, 7)
    asymmetry_curves(ax, thickness, {2: thickness / 100, 4: -thickness / 100}, thickness > 50, 75)
    curves = {line.get_label(): line.get_ydata() for line in ax.lines}
    np.testing.assert_array_equal(curves["A(002)"], thickness / 100)
    np.testing.assert_array_equal(curves["A(004)"], -thickness / 100)


def test_state_map_puts_values_at_their_states(ax):
    """Rows are tilts and columns thicknesses, and each mark sits on its state."""
    values = np.arange(6.0).reshape(2, 3)
    drawn = state_map(ax, np.array([10.0, 20, 30]), np.array([-1.0, 1]), values, 5, marks=[(20, 1)])
    np.testing.assert_array_equal(np.reshape(drawn.get_array(), (2, 3)), values)
    assert [tuple(line.get_xydata()[0]) for line in ax.lines] == [(20, 1)] and drawn.get_clim() == (-5, 5)


def test_atoms_sit_on_their_displacements(ax):
    """One dot for each atom at its displaced place."""
    atom_row(ax, np.array([0.0, 1.0]), np.array([0.5, -1.0]), "red")
    dots = [tuple(line.get_xydata()[0]) for line in ax.lines if line.get_marker() == "o"]
    assert dots == [(0.0, 0.5), (1.0, -1.0)]
