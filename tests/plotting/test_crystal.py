"""The drawn crystal keeps handedness, distances and signs, and enlarges only what it says."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from figures_pkg.plotting.atoms import bipyramids, exaggerate, fill_box, layer_displacements, project, scene
from figures_pkg.plotting.crystal import ELEMENTS, draw_length, draw_projection, label_displacements, polarization_arrow
from figures_pkg.crystal import ermno3

DIRECTIONS = st.tuples(*3 * [st.floats(-1, 1)]).filter(lambda v: np.hypot(v[0], v[1]) > 0.1)


@pytest.fixture(params=[1, -1])
def crystal(request):
    """ErMnO3 in either polarization."""
    return ermno3(request.param)


@pytest.fixture
def ax():
    """Fresh axes, closed afterwards."""
    figure, ax = plt.subplots()
    yield ax
    plt.close(figure)


def signed_volume(points):
    """Six times the signed volume of the tetrahedron of four points; its sign is the handedness."""
    return np.linalg.det(points[1:] - points[0])


@given(DIRECTIONS)
def test_projection_keeps_handedness_and_lengths(towards):
    """From wherever it is seen, a chiral set of points stays the same hand and the same size."""
    chiral = np.array([[0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 3.0]])
    seen = project(chiral, towards)
    assert signed_volume(seen) == pytest.approx(signed_volume(chiral))
    assert np.allclose(np.linalg.norm(seen, axis=1), [0, 1, 2, 3])


def test_view_along_100_has_b_right_c_up_and_a_at_the_viewer():
    """The default view is stated and so is the error for a line of sight along 'up'."""
    assert np.allclose(project(np.eye(3)), [[0, 0, 1], [1, 0, 0], [0, 1, 0]])
    with pytest.raises(ValueError, match="line of sight"):
        project(np.eye(3), towards=(0, 0, 1))


@given(st.floats(0, 12), st.floats(0.01, 0.3))
def test_layers_are_found_wherever_the_origin_lies(origin, step):
    """Displacements from the layer mean do not depend on where the repeat is cut, and add up to zero."""
    true = np.array([2, -1, -1, 2, -1, -1]) * step
    heights = (np.repeat([2.0, 8.0], 3) + true + origin) % 12
    means, displacements = layer_displacements(heights, 12.0)
    assert np.allclose(displacements, true)
    assert np.allclose((means + displacements - heights + 6) % 12, 6)


def test_a_column_without_layers_is_an_error():
    """Evenly spread heights have no layers."""
    with pytest.raises(ValueError, match="no layers"):
        layer_displacements(np.arange(0, 10, 0.5), 10.0)


def test_er_pattern_is_that_of_the_structure(crystal):
    """+P has two Er at +0.168 and one at -0.336 angstrom in each layer, -P the opposite."""
    chosen = np.array(crystal.symbols) == "Er"
    means, displacements = layer_displacements(crystal.positions_angstrom[chosen, 2], crystal.cell_angstrom[2])
    sign = 1 if (displacements > 0).sum() > 6 else -1
    assert np.allclose(np.sort(sign * displacements), [-0.3357] * 4 + [0.1678] * 8, atol=5e-4)
    same = ermno3(sign)
    assert np.array_equal(same.positions_angstrom, crystal.positions_angstrom)
    assert len(np.unique(means.round(3))) == 2


def test_polarizations_are_mirror_images_across_c():
    """Mirrored in the plane of a Mn layer, -P becomes +P moved by half the repeat along c."""
    plus, minus = ermno3(1), ermno3(-1)
    cell = plus.cell_angstrom
    shifted = plus.positions_angstrom + [0, 0, cell[2] / 2]
    away = (minus.positions_angstrom * [1, 1, -1])[:, None] - shifted
    distance = np.linalg.norm(away - cell * np.round(away / cell), axis=2)
    assert distance.min(axis=1).max() < 1e-6
    assert np.array_equal(np.array(minus.symbols), np.array(plus.symbols)[distance.argmin(axis=1)])


def test_each_mn_has_five_o_at_the_right_distance(crystal):
    """Every Mn sits in a trigonal bipyramid with distances between 1.85 and 2.1 angstrom."""
    index, corner_index, corners = bipyramids(crystal.positions_angstrom, crystal.symbols, crystal.cell_angstrom)
    centre = crystal.positions_angstrom[index][:, None]
    distance = np.linalg.norm(corners - centre, axis=2)
    assert corners.shape == (12, 5, 3) and (np.array(crystal.symbols)[corner_index] == "O").all()
    assert distance.min() > 1.85 and distance.max() < 2.1
    rise = (corners - centre)[..., 2]
    assert (rise[:, 0] > 1.5).all() and (rise[:, 1] < -1.5).all() and (abs(rise[:, 2:]) < 0.6).all()


def test_missing_corner_is_an_error(crystal):
    """A Mn that lost an O is reported with its place."""
    symbols = list(crystal.symbols)
    symbols[symbols.index("O")] = "Er"
    with pytest.raises(ValueError, match="has 4 O within"):
        bipyramids(crystal.positions_angstrom, symbols, crystal.cell_angstrom)


def test_exaggeration_scales_only_displacements(crystal):
    """Layer means, other atoms and the other coordinates stay; displacements grow by the factor."""
    chosen = np.array(crystal.symbols) == "Er"
    before, period = crystal.positions_angstrom, crystal.cell_angstrom[2]
    after = exaggerate(before, crystal.symbols, crystal.cell_angstrom, 3.0)
    assert np.array_equal(after[~chosen], before[~chosen]) and np.array_equal(after[:, :2], before[:, :2])
    means, displacements = layer_displacements(before[chosen, 2], period)
    new_means, new_displacements = layer_displacements(after[chosen, 2], period, gap=2.0)
    assert np.allclose(new_means, means) and np.allclose(new_displacements, 3 * displacements)
    assert np.allclose(exaggerate(before, crystal.symbols, crystal.cell_angstrom, 1.0), before)


def test_border_atoms_are_repeated():
    """An atom at a corner appears at all eight, one on an edge at four, one inside once."""
    cell = (4.0, 5.0, 6.0)
    for place, number in (((0, 0, 0), 8), ((0, 0, 3.0), 4), ((0, 2.0, 3.0), 2), ((1.0, 2.0, 3.0), 1)):
        index, places = fill_box(np.array([place], float), cell)
        assert len(index) == number == len(np.unique(places, axis=0))


def test_scene_holds_every_corner_once(crystal):
    """Corners of drawn bipyramids are drawn atoms, and no atom is drawn twice."""
    drawn = scene(crystal.positions_angstrom, crystal.symbols, crystal.cell_angstrom)
    away = np.linalg.norm(drawn.places[:, None] - drawn.places, axis=2)
    assert (away + 10 * np.eye(len(away))).min() > 1.0
    reach = np.linalg.norm(drawn.corners[:, :, None] - drawn.places, axis=-1)
    assert reach.min(axis=-1).max() < 1e-3 and (drawn.symbols[reach.argmin(axis=-1)] == "O").all()
    offset = (drawn.places - crystal.positions_angstrom[drawn.index]) / crystal.cell_angstrom
    assert np.allclose(offset, np.round(offset))


def test_projection_draws_true_numbers(ax, crystal):
    """Arrows carry the true displacement, layers their mean height, and labels the number in words."""
    cell = crystal.cell_angstrom
    artists = draw_projection(ax, crystal.positions_angstrom, crystal.symbols, cell, factor=3.0)
    found = {round(moved, 3) for _, moved in artists["arrows"]}
    assert found in ({0.168, -0.336}, {-0.168, 0.336})
    assert len(artists["arrows"]) == 14  # seven columns of Er in each of two layers, both borders included
    for (_, y), moved in artists["arrows"]:
        assert min(abs(y - 3 * moved - mean) for mean in artists["layers"]) < 1e-5
    labels = label_displacements(ax, artists["arrows"], above=cell[2] / 2)
    assert {label.get_text().replace("−", "-") for label in labels} == {f"{moved:+.3f}" for moved in found}
    assert all(abs(float(l.get_text().replace("−", "-"))) < 0.34 for l in labels) and len(labels) == 7


def test_every_atom_is_a_circle_of_its_element(ax, crystal):
    """The drawn atoms are those of the scene in their elements' colours."""
    drawn = scene(crystal.positions_angstrom, crystal.symbols, crystal.cell_angstrom)
    circles = draw_projection(ax, crystal.positions_angstrom, crystal.symbols, crystal.cell_angstrom)["atoms"]
    for element, (colour, radius) in ELEMENTS.items():
        same = [c for c in circles if matplotlib.colors.to_hex(c.get_facecolor()) == colour]
        assert len(same) == (drawn.symbols == element).sum() and {c.get_radius() for c in same} == {radius}


@pytest.mark.parametrize("sign", [1, -1])
def test_polarization_arrow_points_along_its_sign(ax, sign):
    """The single tip of +P is at the upper end, that of -P at the lower; the other end is as wide as the shaft."""
    corners = np.unique(polarization_arrow(ax, sign, 0.0, 2.0, 6.0).get_xy(), axis=0)
    tip, tail = (6.0, 2.0) if sign > 0 else (2.0, 6.0)
    assert np.isclose(corners[:, 1], tip).sum() == 1 and np.isclose(corners[:, 1], tail).sum() == 2
    assert ax.texts[0].get_text() == ("+P" if sign > 0 else "−P")


def test_length_is_as_long_as_it_says(ax):
    """The scale bar's length is the number under it."""
    x = draw_length(ax, 10.0, 0.0, 2.0).get_xdata()
    assert x[1] - x[0] == 2.0 and ax.texts[0].get_text() == "2 Å"
