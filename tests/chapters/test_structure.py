"""The drawn crystal keeps handedness, distances and signs; the schematic follows from the experiment's numbers."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import matplotlib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from figures_pkg.chapters.structure import (
    ELEMENTS,
    SOURCE_HEIGHT,
    SPECIMEN_HEIGHT,
    Experiment,
    angle_exaggeration,
    bipyramids,
    crystal_viewer,
    disc_radius,
    draw_detector_face,
    draw_experiment,
    draw_length,
    draw_projection,
    exaggerate,
    fill_box,
    label_displacements,
    layer_displacements,
    place_of,
    polarization_arrow,
    project,
    reflections_on_detector,
    scene,
    to_page,
    viewer_data,
)
from figures_pkg.crystal.structure import ermno3

DIRECTIONS = st.tuples(*3 * [st.floats(-1, 1)]).filter(lambda v: np.hypot(v[0], v[1]) > 0.1)


@pytest.fixture(params=[1, -1])
def crystal(request):
    """ErMnO3 in either polarization."""
    return ermno3(request.param)


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


EXPERIMENT = Experiment(
    frame_px=(256, 256), origin_px=(124.0, 128.6), g002_px=(-17.41, -5.89), g010_px=(-6.74, 18.88), scan_shape=(256, 256),
    step_nm=1.4, convergence_mrad=1.24, mrad_per_px=0.2396, wall_lean_deg=20.0, beam_energy_kev=200.0, camera_length_cm=22.95,
    nominal_length_cm=12.0,
)  # fmt: skip


def test_reflections_are_those_of_the_zone():
    """Only even l, whole discs inside the frame, and each with its opposite about the direct beam where both fit."""
    indices, places = reflections_on_detector(EXPERIMENT)
    assert (indices[:, 1] % 2 == 0).all() and len(np.unique(indices, axis=0)) == len(indices)
    radius = disc_radius(EXPERIMENT)
    assert (places > radius).all() and (places < 255 - radius).all()
    by_index = {tuple(i): p for i, p in zip(indices, places)}
    assert np.allclose(by_index[0, 0], EXPERIMENT.origin_px)
    assert np.allclose(by_index[0, 4] + by_index[0, -4], 2 * np.array(EXPERIMENT.origin_px))
    assert np.allclose(by_index[3, 2], place_of(EXPERIMENT, 3, 2))


def test_no_reflection_is_forgotten_at_the_border():
    """The orders searched reach beyond the frame on all sides."""
    assert len(reflections_on_detector(EXPERIMENT)[0]) == len(reflections_on_detector(EXPERIMENT, orders=20)[0])


def test_discs_of_the_stated_convergence_would_overlap():
    """At 9 mrad a disc is wider than the spacing of 002; at 1.24 mrad discs are separate."""
    spacing = np.hypot(*EXPERIMENT.g002_px)
    assert 2 * disc_radius(EXPERIMENT) < spacing < 2 * disc_radius(replace(EXPERIMENT, convergence_mrad=9.0))


def test_one_factor_enlarges_every_angle(ax):
    """The cone above the specimen and the direct disc below it open by the same drawn angle."""
    artists = draw_experiment(ax, EXPERIMENT)
    cone = artists["beam"].get_xy()
    above = (cone[:, 0].max() - cone[:, 0].min()) / 2 / (SOURCE_HEIGHT - SPECIMEN_HEIGHT)
    discs = artists["discs"].get_paths()
    direct = min(discs, key=lambda path: np.linalg.norm(path.vertices.mean(axis=0)))
    widest = np.ptp(direct.vertices[:, 0]) / 2  # sheared: a little wider than the radius
    below = widest / np.hypot(1, 0.35) / SPECIMEN_HEIGHT
    assert above == pytest.approx(below, rel=0.01)
    assert above == pytest.approx(1.24e-3 * angle_exaggeration(EXPERIMENT))


def test_detector_and_discs_lie_where_the_oblique_view_puts_them(ax):
    """The direct beam falls straight below the probe, and row 0 is the far side."""
    artists = draw_experiment(ax, EXPERIMENT)
    centres = np.array([path.vertices[:-1].mean(axis=0) for path in artists["discs"].get_paths()])
    assert np.linalg.norm(centres, axis=1).min() < 1e-2
    assert len(centres) == len(reflections_on_detector(EXPERIMENT)[0])
    corners = artists["detector"].get_xy()
    assert corners[0, 1] > corners[2, 1]
    assert to_page(0.0, 1.0, 0.0)[1] > to_page(0.0, 0.0, 0.0)[1]


@pytest.mark.parametrize("lean", [-30.0, 0.0, 20.0])
def test_wall_leans_as_given_and_plus_p_is_left(ax, lean):
    """Undoing the oblique view, the wall has the lean it was given, and the red domain is on its left."""
    artists = draw_experiment(ax, replace(EXPERIMENT, wall_lean_deg=lean))
    (x1, y1), (x0, y0) = np.array(artists["wall"].get_data()).T[:2]
    depth = (y1 - y0) / to_page(0, 1, 0)[1]
    right = (x1 - x0) - to_page(0, 1, 0)[0] * depth
    assert np.rad2deg(np.arctan2(right, depth)) == pytest.approx(lean)
    left, other = (path.vertices[:-1].mean(axis=0) for path in artists["domains"].get_paths())
    colours = artists["domains"].get_facecolor()
    assert left[0] < other[0] and colours[0, 0] > colours[0, 2] and colours[1, 0] < colours[1, 2]


def test_raster_has_one_point_in_sixteen(ax):
    """256 positions drawn every 16th are 16 x 16 points."""
    assert len(draw_experiment(ax, EXPERIMENT)["raster"].get_xdata()) == 256
    assert any("1 in 16" in text.get_text() for text in ax.texts)


def test_words_carry_the_numbers(ax):
    """Every number that the drawing states comes from the experiment."""
    draw_experiment(ax, replace(EXPERIMENT, step_nm=2.0, convergence_mrad=0.76, camera_length_cm=30.0))
    words = " ".join(text.get_text() for text in ax.texts)
    for part in ("step 2 nm", "512 nm", "0.76 mrad", "30.00 cm", "200 kV", "0.240 mrad"):
        assert part in words


def test_face_shows_row_zero_at_the_top_and_c_up_left(ax):
    """Face-on, 002 lies above and left of the direct beam, as in the published pictures."""
    discs = draw_detector_face(ax, EXPERIMENT)
    assert ax.get_ylim()[0] > ax.get_ylim()[1]
    indices, places = reflections_on_detector(EXPERIMENT)
    drawn = np.array([path.vertices[:-1].mean(axis=0) for path in discs.get_paths()])
    assert np.allclose(drawn, places[:, ::-1])
    row, col = place_of(EXPERIMENT, 0, 2) - place_of(EXPERIMENT, 0, 0)
    assert row < 0 and col < 0
    bar = ax.lines[-1].get_xdata()
    assert (bar[1] - bar[0]) * EXPERIMENT.mrad_per_px == pytest.approx(10.0)


class Page(HTMLParser):
    """Collects ids, tags left open, and the text of scripts by type."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.open, self.scripts = [], [], {}
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.ids += [attrs["id"]] if "id" in attrs else []
        self.open.append(tag)
        self.kind = attrs.get("type", "code") if tag == "script" else None

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        self.kind = None

    def handle_data(self, data):
        if getattr(self, "kind", None):
            self.scripts[self.kind] = self.scripts.get(self.kind, "") + data


@pytest.fixture(scope="module")
def crystals():
    """Both states with the layers of Mn at the same heights."""
    plus, minus = ermno3(1), ermno3(-1)
    cell = plus.cell_angstrom
    return {1: (plus.positions_angstrom + [0, 0, cell[2] / 2]) % cell, -1: minus.positions_angstrom}, plus.symbols, cell


@pytest.fixture(scope="module")
def html(crystals):
    """One viewer."""
    return crystal_viewer(*crystals)


def test_nothing_is_fetched(html):
    """No address, no import, no source: the page needs no other file and no network."""
    assert not re.search(r"(https?:)?//[a-z0-9-]+\.[a-z]", html, re.IGNORECASE)
    assert not re.search(r"\b(src|href|srcset)\s*=|@import|url\(|\bfetch\(|XMLHttpRequest|\bimport\b", html)


def test_it_is_small(html):
    """Less than 60 kB, with less than 300 lines of script, the shared ones included."""
    assert len(html.encode()) < 60_000
    assert Page(html).scripts["code"].count("\n") < 300


def test_html_is_balanced_and_says_what_it_is(html):
    """Every tag is closed, the canvas can be reached by keyboard and has a name, and there is a word without JavaScript."""
    assert Page(html).open == []
    canvas = re.search(r"<canvas[^>]*>", html)[0]
    assert 'tabindex="0"' in canvas and re.search(r'aria-label="[^"]{40,}"', canvas)
    assert 'class="companion-stage" hidden' in html  # the script shows it, so nothing empty stands where scripts are off
    assert "figure above" in re.search(r"<noscript>(.*?)</noscript>", html)[1]
    assert "$" not in re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL)


def test_two_viewers_share_no_id(crystals):
    """Ids differ between viewers, and each script starts its own."""
    first, second = (crystal_viewer(*crystals) for _ in range(2))
    assert not set(Page(first).ids) & set(Page(second).ids)
    for text in (first, second):
        name = Page(text).ids[0]
        assert Page(text).scripts["code"].rstrip().endswith(f'("{name}"));')
        assert all(i.startswith(name) for i in Page(text).ids)
    assert 'id="mine"' in crystal_viewer(*crystals, name="mine")


def test_it_takes_its_colours_from_the_page(html):
    """Ground and letters are the theme's, with colours of their own where there is no theme; the canvas paints them too."""
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)[1]
    assert "--ground: var(--pst-color-background, #ffffff)" in style and 'html[data-theme="dark"]' in style
    assert "background: var(--ground); color: var(--ink)" in style
    assert 'fillStyle = kit.colour("ground")' in html


def test_data_holds_every_atom(html, crystals):
    """The inline JSON has the atoms of both scenes to 0.001 angstrom, and its enlarged heights move only Er."""
    states, symbols, cell = crystals
    data = json.loads(Page(html).scripts["application/json"])
    assert data == json.loads(json.dumps(viewer_data(states, symbols, cell)))
    for state in data["states"]:
        drawn = scene(states[state["sign"]], symbols, cell)
        places = np.array(state["places"]) + cell / 2
        assert np.allclose(places, drawn.places, atol=6e-4) and state["symbols"] == drawn.symbols.tolist()
        moved = np.array(state["enlarged"]) - np.array(state["places"])[:, 2]
        assert (abs(moved[drawn.symbols != "Er"]) < 1e-9).all()
        assert {abs(round(m, 2)) for m in moved[drawn.symbols == "Er"]} == {0.34, 0.67}
        assert len(state["faces"]) == 6 * len(drawn.corners)
        assert (drawn.symbols[np.array(state["faces"])] == "O").all()


def test_pattern_words_follow_the_atoms(crystals):
    """The state called +P has twice as many Er above their layer as below."""
    data = viewer_data(*crystals)
    for state in data["states"]:
        chosen = np.array(state["symbols"]) == "Er"
        moved = (np.array(state["enlarged"]) - np.array(state["places"])[:, 2])[chosen]
        assert (moved > 0).sum() > (moved < 0).sum() if state["sign"] > 0 else (moved > 0).sum() < (moved < 0).sum()
        assert state["pattern"].startswith("two Er up" if state["sign"] > 0 else "two Er down")


def test_cell_has_twelve_edges(crystals):
    """The edges are those of the box, each once."""
    edges = np.array(viewer_data(*crystals)["edges"])
    lengths = np.sort(np.linalg.norm(edges[:, 1] - edges[:, 0], axis=1))
    assert np.allclose(lengths, np.sort(np.repeat(crystals[2], 4)), atol=2e-3)


def test_script_ends_no_tag_early(crystals):
    """Text inside the JSON cannot close its script element."""
    states, symbols, cell = crystals
    html = crystal_viewer(states, symbols, cell, name="x")
    inside = re.search(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)[1]
    assert "<" not in inside
