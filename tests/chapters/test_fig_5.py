"""Walls as lines: where the polarization changes sign, in the colour of their kind."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from matplotlib.colors import to_rgba

from figures_pkg.chapters.fig_5 import HEAD_TO_HEAD, TAIL_TO_TAIL, wall_legend, wall_lines


@pytest.fixture(autouse=True)
def closed():
    """Leave no figure open."""
    yield
    plt.close("all")


def stripe(flip=1):
    """Two upright walls at x = 30 and 70 nm: head-to-head on the left, tail-to-tail on the right, and their kinds."""
    axis = np.arange(0, 101, 4.0)
    scan = {"scan_y": axis, "scan_x": axis}
    values = np.where((axis > 30) & (axis < 70), -1.0, 1.0) * flip
    place = np.broadcast_to(values, (axis.size, axis.size))
    kind = np.broadcast_to(np.where(axis < 50, 1, -1), place.shape)
    return [xr.DataArray(each, dims=tuple(scan), coords=scan) for each in (place, kind)]


def test_lines_lie_on_the_walls_in_their_colours():
    """Each step lies within half a scan step of its wall, and left and right walls have different colours."""
    ax = plt.figure().subplots()
    ax.set(xlim=(0, 100), ylim=(100, 0))
    lines = wall_lines(ax, *stripe())
    middles = np.mean(lines.get_segments(), axis=1)
    left = middles[:, 0] < 50
    np.testing.assert_allclose(middles[left, 0], 30, atol=2)
    np.testing.assert_allclose(middles[~left, 0], 70, atol=2)
    colours = lines.get_colors()
    assert (colours[left] == to_rgba(HEAD_TO_HEAD)).all() and (colours[~left] == to_rgba(TAIL_TO_TAIL)).all()
    assert left.sum() >= 20 and (~left).sum() >= 20


def test_the_view_stays_as_it_was():
    """Rows still grow downward."""
    ax = plt.figure().subplots()
    ax.set(xlim=(0, 100), ylim=(100, 0))
    wall_lines(ax, *stripe())
    assert ax.get_ylim() == (100, 0) and ax.get_xlim() == (0, 100)


@pytest.mark.filterwarnings("ignore:No contour levels")
def test_a_scan_without_walls_draws_nothing():
    """One domain: no line, and a legend of what the truth says of the nearest wall."""
    ax = plt.figure().subplots()
    place, kind = stripe()
    assert len(wall_lines(ax, xr.ones_like(place), kind).get_segments()) == 0


def test_the_legend_names_only_what_is_there():
    """Neutral walls are not named where there are none."""
    ax = plt.figure().subplots()
    legend = wall_legend(ax, stripe()[1])
    assert [text.get_text() for text in legend.get_texts()] == ["head-to-head", "tail-to-tail"]
