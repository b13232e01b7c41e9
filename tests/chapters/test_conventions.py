"""Arrows point where the axes run: rows down, columns right, +c along 002, P away from or towards a wall."""

import numpy as np
import xarray as xr

from figures_pkg.chapters.conventions import array_axes, crystal_axes, draw_walls, plain_picture


def arrows(ax):
    """Start and end of each arrow, (x, y) in the units that it was given in."""
    drawn = [text for text in ax.texts if getattr(text, "arrow_patch", None)]
    return [(np.array(text.xyann), np.array(text.xy)) for text in drawn]


def test_axes_run_as_the_array_and_the_reflections_do(ax):
    """The first array axis down the page, the second to the right; +c towards 002, (row, col) turned into (x, y)."""
    plain_picture(ax, np.eye(3), "title", "cividis")
    array_axes(ax, "rows", "columns")
    crystal_axes(ax, g002=(-3.0, -4.0), g010=(4.0, -3.0), length=10.0)
    right, down, c, b = (end - start for start, end in arrows(ax))
    assert right[0] > 0 == right[1] and down[1] < 0 == down[0]
    np.testing.assert_allclose((c, b), ((-8, -6), (-6, 8)))


def test_arrows_meet_at_a_head_to_head_wall(ax):
    """With c to the right, +P left of the wall points to it and −P right of it points back; the label says HH."""
    domain = np.where(np.arange(20) < 10, 1, -1) * np.ones((6, 1), int)
    coords = {"scan_y": np.arange(6) * 10.0, "scan_x": np.arange(20) * 10.0}
    truth = xr.Dataset({"domain": (("scan_y", "scan_x"), domain), "wall_type": (("scan_y", "scan_x"), np.ones((6, 20), int))}, coords)
    draw_walls(ax, truth, (0.0, 1.0))
    left, right = arrows(ax)
    assert left[1][0] > left[0][0] and right[1][0] < right[0][0]
    assert "HH" in [text.get_text() for text in ax.texts]
