"""The share of each pixel in 1 − r between two patterns: what it sums to, what it ignores, and the ranking of reflections."""

import numpy as np
import pytest
from drawn_patterns import discs, pattern_pairs
from hypothesis import given, settings
from hypothesis import strategies as st

from figures_pkg.imaging.difference import move_onto, pearson_map, rank_reflections


@given(pattern_pairs(), st.floats(0.1, 50), st.floats(0, 10))
@settings(max_examples=50, deadline=None)
def test_pearson_map_sums_to_one_minus_r(pair, scale, lift):
    """The map is not negative and its sum is 1 − r; scaling or lifting one pattern, or exchanging the two, does not change it."""
    a, b = pair
    delta = pearson_map(a, b)
    assert (delta >= 0).all()
    assert delta.sum() == pytest.approx(1 - np.corrcoef(a.ravel(), b.ravel())[0, 1], abs=1e-7)
    np.testing.assert_allclose(pearson_map(b, scale * (a + lift * a.max())), delta, atol=1e-7)


def test_ranking_sums_discs_and_leaves_out_those_over_the_rim():
    """Values are sums over whole discs, shares add to one, and a disc that hangs over the rim does not appear."""
    delta = discs({(20, 20): 2.0, (40, 40): 1.0}, background=0)
    table = rank_reflections(delta, {"one": (40, 40), "two": (20, 20), "rim": (1, 30)}, 4.5)
    assert list(table.index) == ["two", "one"] and list(table["rank"]) == [1, 2]
    assert table.value["two"] == 2 * table.value["one"] == delta[:30, :30].sum() and table.share.sum() == pytest.approx(1)


def test_moved_pattern_lies_on_the_other():
    """A Gaussian moved by a fraction of a pixel equals one drawn there, also around a dead pixel off its peak."""
    rows, cols = np.indices((40, 40))
    there, here = (5 + 100 * np.exp(-((rows - row) ** 2 + (cols - col) ** 2) / 18) for row, col in ((20.3, 19.6), (20, 20)))
    here[28, 26] = 0
    moved = move_onto(here, (20, 20), (20.3, 19.6))
    assert np.abs(moved - there).max() < 1 < np.abs(here - there).max()


@pytest.mark.parametrize("a, b, message", [
    (np.ones((3, 3)), np.ones((3, 4)), "one shape"), (np.eye(3), np.full((3, 3), np.nan), "nan"),
    (np.eye(3), np.ones((3, 3)), "constant"), (np.eye(3), np.zeros((3, 3)), "positive mean")])
def test_patterns_that_cannot_be_compared(a, b, message):
    with pytest.raises(ValueError, match=message):
        pearson_map(a, b)
