"""Pictures show the right way up, say how large things are, and name their source; dots stand where the scores are."""

import matplotlib
import numpy as np
import pytest
import xarray as xr

from figures_pkg.plotting import domain_colours, overbar, pattern_map, percent, powers, scale_bar, scan_map, stamp
from figures_pkg.plotting.maps import domain_bar, domain_map, domain_pair, method_rows, score_dots, signed_difference, state_map


@pytest.fixture
def image():
    return xr.DataArray(np.arange(12.0).reshape(3, 4), {"scan_y": 2.0 * np.arange(3), "scan_x": 2.0 * np.arange(4)}, ("scan_y", "scan_x"))


def test_row_zero_is_at_the_top_and_axes_are_those_of_the_array(ax, image):
    drawn = scan_map(ax, image)
    assert np.array_equal(drawn.get_array(), image.values) and drawn.get_extent() == [-1, 7, 5, -1] and ax.yaxis_inverted()
    k = np.linspace(-1, 1, 5)
    pattern = xr.DataArray(np.arange(25.0).reshape(5, 5), {"det_y": k, "det_x": k}, ("det_y", "det_x"))
    drawn = pattern_map(ax, pattern, floor=2.0)
    assert np.array_equal(drawn.get_array(), np.maximum(pattern, 2.0)) and drawn.get_extent() == pytest.approx([-1.25, 1.25, 1.25, -1.25])
    drawn = signed_difference(ax, pattern, reach=0.6)
    assert drawn.get_clim()[0] == -drawn.get_clim()[1] < 0 and drawn.get_extent() == pytest.approx([-0.75, 0.75, 0.75, -0.75])


@pytest.mark.parametrize("width", [30.0, 358.0, 900.0])
def test_scale_bar_is_as_long_as_it_says(ax, width):
    ax.imshow(np.zeros((2, 2)), extent=(0, width, width, 0))
    scale_bar(ax, width, "nm")
    x = ax.lines[-1].get_xdata()
    assert f"{x[1] - x[0]:g} nm" == ax.texts[-1].get_text() and 0.15 < (x[1] - x[0]) / width < 0.4


def test_every_figure_names_its_source(ax):
    assert "twin" in stamp(ax.figure, "twin").get_text() and "twin" not in stamp(ax.figure, "record").get_text()
    with pytest.raises(ValueError, match="'guess'"):
        stamp(ax.figure, "guess")


def test_domains_of_unknown_sign_are_neither_red_nor_blue(ax, image):
    known, unknown = (tuple(domain_pair(sign)) for sign in (True, False))
    assert not set(known) & set(unknown)
    for sign, (plus, minus) in ((1, known), (0, unknown)):
        colours = domain_map(sign)
        assert list(domain_colours(np.array([1, -1, 0]), sign)) == [plus, minus, "#999999"]
        assert [matplotlib.colors.to_hex(colours(place)) for place in (0.0, 1.0)] == [minus, plus]
    bar = domain_bar(scan_map(ax, image * 0 + 1, cmap=domain_map(0), limits=(-1, 1)), "domain A", "domain B")
    assert [label.get_text() for label in bar.ax.get_yticklabels()] == ["domain B", "neither", "domain A"]


def test_state_map_puts_values_at_their_states(ax):
    values = np.arange(6.0).reshape(2, 3)
    drawn = state_map(ax, np.array([10.0, 20, 30]), np.array([-1.0, 1]), values, 5, marks=[(20, 1)])
    np.testing.assert_array_equal(np.reshape(drawn.get_array(), (2, 3)), values)
    assert [tuple(line.get_xydata()[0]) for line in ax.lines] == [(20, 1)] and drawn.get_clim() == (-5, 5)
    assert overbar("00-4") == r"$00\bar{4}$"


def test_rows_stand_below_each_other_and_the_large_mark_is_the_middle(ax):
    rows = method_rows(ax, {"first": ["a", "b"], "second": ["c"]})
    heights = [rows[name][0] for name in "abc"]
    assert heights[1] - heights[0] < heights[2] - heights[1] and ax.yaxis_inverted()
    assert [label.get_text() for label in ax.get_yticklabels()] == list("abc")
    assert rows["a"][1] == rows["b"][1] != rows["c"][1] == ax.get_yticklabels()[2].get_color()
    drawn = score_dots(ax, rows, {"a": np.array([0.9, 0.5, 0.7]), "b": np.array([])})
    np.testing.assert_allclose(drawn.get_offsets(), [[0.7, heights[0]]])
    np.testing.assert_allclose(np.sort(ax.collections[0].get_offsets()[:, 0]), [0.5, 0.7, 0.9])
    for filled in (True, False):  # open marks have no face
        assert len(score_dots(ax, rows, {"a": np.array([0.9])}, marker="o", filled=filled, colour="#123456").get_facecolor()) == filled


def test_numbers_in_words():
    assert powers("4e-05 of 761 beams, 1.2e+06") == "4 · 10⁻⁵ of 761 beams, 1.2 · 10⁶"
    assert [percent(share) for share in (0.0, 2e-5, 0.0276)] == ["none", "less than 0.01 %", "2.76 %"]
