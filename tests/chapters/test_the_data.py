"""The authors' boxes are drawn on their pixels."""

import numpy as np
import pytest
import xarray as xr

from figures_pkg.chapters.the_data import mark_box


def test_box_covers_its_pixels(ax):
    """A half-open box of pixels is drawn from the edge of its first to the edge of its last pixel."""
    k = 0.1 * (np.arange(10) - 4)
    pattern = xr.DataArray(np.ones((10, 10)), {"det_y": k, "det_x": k}, ("det_y", "det_x"))
    box = mark_box(ax, pattern, rows=(2, 4), cols=(0, 1), name="box1", colour="white")
    assert box.get_xy() == pytest.approx((-0.45, -0.25))
    assert (box.get_width(), box.get_height()) == pytest.approx((0.1, 0.2))
