"""The drawn crystal keeps handedness, distances and signs; the schematic follows from the experiment's numbers."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from figures_pkg.chapters.structure import (
    SOURCE_HEIGHT,
    SPECIMEN_HEIGHT,
    Experiment,
    angle_exaggeration,
    bipyramids,
    crystal_viewer,
    disc_radius,
    draw_detector_face,
    draw_experiment,
    draw_projection,
    exaggerate,
    label_displacements,
    layer_displacements,
    place_of,
    polarization_arrow,
    project,
    reflections_on_detector,
    scene,
    to_page,
)
from figures_pkg.crystal.structure import ermno3


@pytest.fixture(params=[1, -1])
def crystal(request):
    """ErMnO3 in either polarization."""
    return ermno3(request.param)


@pytest.fixture
def atoms(crystal):
    """Positions, symbols and cell, as every drawing takes them."""
    return crystal.positions_angstrom, crystal.symbols, crystal.cell_angstrom


def test_view_along_100_has_b_right_c_up_and_a_at_the_viewer():
    assert np.array_equal(project(np.eye(3)), [[0, 0, 1], [1, 0, 0], [0, 1, 0]])  # a turn, whose determinant is +1: no screw changes its hand


@given(st.floats(0, 12), st.floats(0.01, 0.3))
def test_layers_are_found_wherever_the_origin_lies(origin, step):
    """Displacements from the layer mean do not depend on where the repeat is cut, and add up to zero."""
    true = np.array([2, -1, -1, 2, -1, -1]) * step
    heights = (np.repeat([2.0, 8.0], 3) + true + origin) % 12
    means, displacements = layer_displacements(heights, 12.0)
    assert np.allclose(displacements, true)
    assert np.allclose((means + displacements - heights + 6) % 12, 6)


def test_er_pattern_is_that_of_the_structure(atoms):
    """+P has two Er at +0.168 and one at -0.336 angstrom in each layer, -P the opposite; enlarging moves nothing else."""
    positions, symbols, cell = atoms
    er = np.array(symbols) == "Er"
    means, displacements = layer_displacements(positions[er, 2], cell[2])
    sign = 1 if (displacements > 0).sum() > 6 else -1
    assert np.allclose(np.sort(sign * displacements), [-0.3357] * 4 + [0.1678] * 8, atol=5e-4)
    assert np.array_equal(ermno3(sign).positions_angstrom, positions) and len(np.unique(means.round(3))) == 2
    moved = exaggerate(positions, symbols, cell, 3.0) - positions
    assert np.allclose(moved[er, 2], 2 * displacements) and not moved[~er].any() and not moved[:, :2].any()


def test_polarizations_are_mirror_images_across_c():
    """Mirrored in the plane of a Mn layer, -P becomes +P moved by half the repeat along c."""
    plus, minus = ermno3(1), ermno3(-1)
    cell = plus.cell_angstrom
    shifted = plus.positions_angstrom + [0, 0, cell[2] / 2]
    away = (minus.positions_angstrom * [1, 1, -1])[:, None] - shifted
    distance = np.linalg.norm(away - cell * np.round(away / cell), axis=2)
    assert distance.min(axis=1).max() < 1e-6
    assert np.array_equal(np.array(minus.symbols), np.array(plus.symbols)[distance.argmin(axis=1)])


def test_each_mn_has_five_o_at_the_right_distance(atoms):
    """Every Mn sits in a trigonal bipyramid with distances between 1.85 and 2.1 angstrom; one that lost an O is reported."""
    positions, symbols, cell = atoms
    index, corner_index, corners = bipyramids(*atoms)
    away = corners - positions[index][:, None]
    distance, rise = np.linalg.norm(away, axis=2), away[..., 2]
    assert corners.shape == (12, 5, 3) and (np.array(symbols)[corner_index] == "O").all()
    assert distance.min() > 1.85 and distance.max() < 2.1
    assert (rise[:, 0] > 1.5).all() and (rise[:, 1] < -1.5).all() and (abs(rise[:, 2:]) < 0.6).all()
    spoiled = list(symbols)
    spoiled[spoiled.index("O")] = "Er"
    with pytest.raises(ValueError, match="has 4 O within"):
        bipyramids(positions, spoiled, cell)


def test_scene_holds_every_corner_once(atoms):
    """Corners of drawn bipyramids are drawn atoms, and no atom is drawn twice."""
    positions, _, cell = atoms
    drawn = scene(*atoms)
    away = np.linalg.norm(drawn.places[:, None] - drawn.places, axis=2)
    assert (away + 10 * np.eye(len(away))).min() > 1.0
    reach = np.linalg.norm(drawn.corners[:, :, None] - drawn.places, axis=-1)
    assert reach.min(axis=-1).max() < 1e-3 and (drawn.symbols[reach.argmin(axis=-1)] == "O").all()
    offset = (drawn.places - positions[drawn.index]) / cell
    assert np.allclose(offset, np.round(offset))


def test_projection_draws_true_numbers(ax, atoms):
    """Arrows carry the true displacement, layers their mean height, and labels the number in words."""
    artists = draw_projection(ax, *atoms, factor=3.0)
    found = {round(moved, 3) for _, moved in artists["arrows"]}
    assert found in ({0.168, -0.336}, {-0.168, 0.336}) and len(artists["atoms"]) == len(scene(*atoms).places)
    assert len(artists["arrows"]) == 14  # seven columns of Er in each of two layers, both borders included
    for (_, y), moved in artists["arrows"]:
        assert min(abs(y - 3 * moved - mean) for mean in artists["layers"]) < 1e-5
    labels = label_displacements(ax, artists["arrows"], above=atoms[2][2] / 2)
    assert {label.get_text().replace("−", "-") for label in labels} == {f"{moved:+.3f}" for moved in found} and len(labels) == 7


@pytest.mark.parametrize("sign", [1, -1])
def test_polarization_arrow_points_along_its_sign(ax, sign):
    """The single tip of +P is at the upper end, that of -P at the lower; the other end is as wide as the shaft."""
    corners = np.unique(polarization_arrow(ax, sign, 0.0, 2.0, 6.0).get_xy(), axis=0)
    tip, tail = (6.0, 2.0) if sign > 0 else (2.0, 6.0)
    assert np.isclose(corners[:, 1], tip).sum() == 1 and np.isclose(corners[:, 1], tail).sum() == 2
    assert ax.texts[0].get_text() == ("+P" if sign > 0 else "−P")


EXPERIMENT = Experiment(
    frame_px=(256, 256), origin_px=(124.0, 128.6), g002_px=(-17.41, -5.89), g010_px=(-6.74, 18.88), scan_shape=(256, 256),
    step_nm=1.4, convergence_mrad=1.24, mrad_per_px=0.2396, wall_lean_deg=20.0, beam_energy_kev=200.0, camera_length_cm=22.95,
    nominal_length_cm=12.0,
)  # fmt: skip


def test_reflections_are_those_of_the_zone():
    """Only even l, whole discs inside the frame, each with its opposite about the direct beam where both fit, and none forgotten."""
    indices, places = reflections_on_detector(EXPERIMENT)
    assert (indices[:, 1] % 2 == 0).all() and len(np.unique(indices, axis=0)) == len(indices)
    radius = disc_radius(EXPERIMENT)
    assert (places > radius).all() and (places < 255 - radius).all()
    by_index = {tuple(i): p for i, p in zip(indices, places)}
    assert np.allclose(by_index[0, 0], EXPERIMENT.origin_px)
    assert np.allclose(by_index[0, 4] + by_index[0, -4], 2 * np.array(EXPERIMENT.origin_px))
    assert np.allclose(by_index[3, 2], place_of(EXPERIMENT, 3, 2))
    assert len(indices) == len(reflections_on_detector(EXPERIMENT, orders=20)[0])


def test_one_factor_enlarges_every_angle(ax):
    """The cone above the specimen and the direct disc below it open by the same drawn angle; row 0 of the detector is the far side."""
    artists = draw_experiment(ax, EXPERIMENT, every=16)
    cone = artists["beam"].get_xy()
    above = np.ptp(cone[:, 0]) / 2 / (SOURCE_HEIGHT - SPECIMEN_HEIGHT)
    discs = artists["discs"].get_paths()
    direct = min(discs, key=lambda path: np.linalg.norm(path.vertices.mean(axis=0)))
    widest = np.ptp(direct.vertices[:, 0]) / 2  # sheared: a little wider than the radius
    assert above == pytest.approx(widest / np.hypot(1, 0.35) / SPECIMEN_HEIGHT, rel=0.01)
    assert above == pytest.approx(1.24e-3 * angle_exaggeration(EXPERIMENT))
    assert np.linalg.norm(direct.vertices[:-1].mean(axis=0)) < 1e-2 and len(discs) == len(reflections_on_detector(EXPERIMENT)[0])
    corners = artists["detector"].get_xy()
    assert corners[0, 1] > corners[2, 1] and to_page(0.0, 1.0, 0.0)[1] > to_page(0.0, 0.0, 0.0)[1]
    assert len(artists["raster"].get_xdata()) == 256


@pytest.mark.parametrize("lean", [-30.0, 0.0, 20.0])
def test_wall_leans_as_given_and_plus_p_is_left(ax, lean):
    """Undoing the oblique view, the wall has the lean it was given, and the red domain is on its left."""
    artists = draw_experiment(ax, replace(EXPERIMENT, wall_lean_deg=lean), every=64)
    (x1, y1), (x0, y0) = np.array(artists["wall"].get_data()).T[:2]
    depth = (y1 - y0) / to_page(0, 1, 0)[1]
    right = (x1 - x0) - to_page(0, 1, 0)[0] * depth
    assert np.rad2deg(np.arctan2(right, depth)) == pytest.approx(lean)
    left, other = (path.vertices[:-1].mean(axis=0) for path in artists["domains"].get_paths())
    colours = artists["domains"].get_facecolor()
    assert left[0] < other[0] and colours[0, 0] > colours[0, 2] and colours[1, 0] < colours[1, 2]


def test_words_carry_the_numbers(ax):
    """Every number that the drawing states comes from the experiment."""
    draw_experiment(ax, replace(EXPERIMENT, step_nm=2.0, convergence_mrad=0.76, camera_length_cm=30.0), every=16)
    words = " ".join(text.get_text() for text in ax.texts)
    for part in ("step 2 nm", "512 nm", "0.76 mrad", "30.00 cm", "200 kV", "0.240 mrad", "1 in 16"):
        assert part in words


def test_face_shows_row_zero_at_the_top_and_c_up_left(ax):
    """Face-on, 002 lies above and left of the direct beam, as in the published pictures."""
    discs = draw_detector_face(ax, EXPERIMENT, bar_mrad=10.0)
    assert ax.get_ylim()[0] > ax.get_ylim()[1]
    drawn = np.array([path.vertices[:-1].mean(axis=0) for path in discs.get_paths()])
    assert np.allclose(drawn, reflections_on_detector(EXPERIMENT)[1][:, ::-1])
    assert (place_of(EXPERIMENT, 0, 2) < place_of(EXPERIMENT, 0, 0)).all()
    bar = ax.lines[-1].get_xdata()
    assert (bar[1] - bar[0]) * EXPERIMENT.mrad_per_px == pytest.approx(10.0)


def test_the_viewer_needs_no_other_file_and_holds_every_atom():
    """Its JSON has the atoms of both states to 0.001 angstrom; enlarged heights move only Er, most of them along P; text ends no script."""
    plus, minus = ermno3(1), ermno3(-1)
    states, symbols, cell = {1: plus.positions_angstrom, -1: minus.positions_angstrom}, plus.symbols, plus.cell_angstrom
    html = crystal_viewer(states, symbols, cell)
    assert not re.search(r"(https?:)?//[a-z0-9-]+\.[a-z]|\b(src|href|srcset)\s*=|@import|url\(|\bfetch\(|XMLHttpRequest|\bimport\b", html, re.IGNORECASE)
    assert "figure above" in re.search(r"<noscript>(.*?)</noscript>", html)[1]
    inside = re.search(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)[1]
    assert "<" not in inside
    data = json.loads(inside)
    for state in data["states"]:
        drawn = scene(states[state["sign"]], symbols, cell)
        assert np.allclose(np.array(state["places"]) + cell / 2, drawn.places, atol=6e-4) and state["symbols"] == drawn.symbols.tolist()
        moved, er = np.array(state["enlarged"]) - np.array(state["places"])[:, 2], drawn.symbols == "Er"
        assert (abs(moved[~er]) < 1e-9).all() and {abs(round(m, 2)) for m in moved[er]} == {0.34, 0.67}
        assert np.sign((moved > 0).sum() - (moved < 0).sum()) == state["sign"]
        assert state["pattern"].startswith("two Er up" if state["sign"] > 0 else "two Er down")
        assert len(state["faces"]) == 6 * len(drawn.corners) and (drawn.symbols[np.array(state["faces"])] == "O").all()
    edges = np.array(data["edges"])
    assert np.allclose(np.sort(np.linalg.norm(edges[:, 1] - edges[:, 0], axis=1)), np.sort(np.repeat(cell, 4)), atol=2e-3)
