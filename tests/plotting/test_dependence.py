"""Figures of dependences draw the arrays that they are given."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from figures_pkg.plotting.dependence import asymmetry_bars, electrons_curves, family, overlap_curves


@pytest.fixture
def ax():
    """An empty axis."""
    figure, ax = plt.subplots()
    yield ax
    plt.close(figure)


def test_family_goes_from_pale_to_dark(ax):
    """Each curve holds its values; the first is lighter than the middle one, the last darker."""
    x = np.arange(5.0)
    family(ax, x, {"less": x / 10, "as is": x / 8, "more": x / 6}, "#7a4fa3")
    lines = ax.get_lines()[:3]
    np.testing.assert_allclose([line.get_ydata() for line in lines], [x / 10, x / 8, x / 6])
    light = [sum(plt.matplotlib.colors.to_rgb(line.get_color())) for line in lines]
    assert light[0] > light[1] > light[2] and [line.get_label() for line in lines] == ["less", "as is", "more"]


def test_overlap_is_grey_from_the_limit_on(ax):
    """The grey range starts where discs touch; both kinds of curves are there."""
    angles = np.array([0.6, 1.0, 2.2, 9.0])
    overlap_curves(ax, angles, {2: angles / 10}, {2: angles / 20}, 2.196)
    left, right = ax.patches[0].get_x(), ax.patches[0].get_x() + ax.patches[0].get_width()
    assert (left, right) == pytest.approx((2.196, 9.0))
    np.testing.assert_allclose([line.get_ydata() for line in ax.get_lines()[:2]], [angles / 10, angles / 20])


def test_bars_have_the_length_of_the_asymmetry(ax):
    """One bar for each order, with its number."""
    asymmetry_bars(ax, {2: 0.47, 4: -0.24}, "red")
    assert [patch.get_width() for patch in ax.patches] == pytest.approx([0.47, -0.24])
    assert [text.get_text() for text in ax.texts] == ["+0.47", "−0.24"]


def test_electrons_are_drawn_on_a_logarithm(ax):
    """Curves hold the electrons, doses are lines with their names."""
    electrons_curves(ax, np.array([10.0, 20.0]), {"closest": (np.array([100.0, 1000.0]), "green")}, {"dose": 1e6})
    assert ax.get_yscale() == "log" and ax.texts[0].get_text() == "dose"
    np.testing.assert_allclose(ax.get_lines()[0].get_ydata(), [100, 1000])
