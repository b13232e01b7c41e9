"""Dots stand where the scores are."""

import numpy as np
import pytest

from figures_pkg.plotting.maps import method_rows, score_dots


def test_rows_stand_below_each_other_and_the_large_mark_is_the_middle(ax):
    """The first row at the top, families further apart than methods, names in their colour; a small dot at each score, none without scores."""
    rows = method_rows(ax, {"first": ["a", "b"], "second": ["c"]})
    heights = [rows[name][0] for name in "abc"]
    assert heights[1] - heights[0] < heights[2] - heights[1] and ax.yaxis_inverted()
    assert [label.get_text() for label in ax.get_yticklabels()] == list("abc")
    assert rows["a"][1] == rows["b"][1] != rows["c"][1] == ax.get_yticklabels()[2].get_color()
    drawn = score_dots(ax, rows, {"a": np.array([0.9, 0.5, 0.7]), "b": np.array([])})
    np.testing.assert_allclose(drawn.get_offsets(), [[0.7, heights[0]]])
    np.testing.assert_allclose(np.sort(ax.collections[0].get_offsets()[:, 0]), [0.5, 0.7, 0.9])


@pytest.mark.parametrize("marker, filled", [("o", True), ("o", False), ("x", True)])
def test_marks_have_the_colour_given(ax, marker, filled):
    """Open marks have no face; crosses are drawn in the same colour."""
    drawn = score_dots(ax, method_rows(ax, {"first": ["a"]}), {"a": np.array([0.9])}, marker=marker, filled=filled, colour="#123456")
    face = drawn.get_facecolor()
    assert len(face) == (1 if filled else 0)
    colour = face if filled and marker != "x" else drawn.get_edgecolor()
    np.testing.assert_allclose(colour[0][:3], np.array([0x12, 0x34, 0x56]) / 255)
