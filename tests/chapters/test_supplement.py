"""Sheets of channels: one column each, and tails where they belong."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

from figures_pkg.chapters.supplement import channel_histogram, embedding_sheet
from figures_pkg.plotting.maps import POLARITY


@pytest.fixture(autouse=True)
def closed():
    """Leave no figure open."""
    yield
    plt.close("all")


def embedding(channels, rng):
    """Random channels over a small scan, and random differences."""
    scan = {"scan_y": np.arange(12.0), "scan_x": np.arange(10.0)}
    maps = xr.DataArray(rng.normal(size=(channels, 12, 10)), dims=("channel", *scan), coords=scan)
    detector = {"det_y": np.linspace(-1, 1, 21), "det_x": np.linspace(-1, 1, 21)}
    return maps, xr.DataArray(rng.normal(size=(channels, 21, 21)), dims=("channel", *detector), coords=detector)


def test_every_channel_has_its_map_histogram_and_difference():
    """Five channels fill five of eight columns; the other places stay empty."""
    maps, differences = embedding(5, np.random.default_rng(0))
    figure = embedding_sheet(maps, differences, [f"c{n}" for n in range(5)])
    shown = [ax for ax in figure.axes if ax.get_visible() and ax.has_data()]
    assert len(shown) == 15 and [ax.get_title() for ax in shown if ax.get_title()] == [f"c{n}" for n in range(5)]


def test_the_marked_tails_hold_the_share_that_was_asked():
    """The dotted lines of a histogram stand at the quantiles."""
    values = np.random.default_rng(1).normal(size=4000)
    ax = plt.figure().subplots()
    channel_histogram(ax, values, 0.1, cmap=POLARITY)
    low, high = (line.get_xdata()[0] for line in ax.lines)
    assert np.mean(values < low) == pytest.approx(0.1, abs=1e-3) and np.mean(values > high) == pytest.approx(0.1, abs=1e-3)


def test_a_missing_title_is_refused():
    """The numbers of channels, differences and titles must agree."""
    maps, differences = embedding(3, np.random.default_rng(3))
    with pytest.raises(ValueError, match="3 channels, 3 differences and 2 titles"):
        embedding_sheet(maps, differences, ["a", "b"])
