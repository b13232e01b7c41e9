"""The drawn crystal keeps handedness, distances and signs; the schematic follows from the experiment's numbers."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from figures_pkg.chapters import structure as drawing
from figures_pkg.chapters.structure import Experiment, draw_experiment, reflections_on_detector, scene, to_page
from figures_pkg.crystal.structure import ermno3


@pytest.fixture(params=[1, -1])
def atoms(request):
    """Positions, symbols and cell of ErMnO3 in either polarization, as every drawing takes them."""
    crystal = ermno3(request.param)
    return crystal.positions_angstrom, crystal.symbols, crystal.cell_angstrom


def test_each_mn_has_five_o_at_the_right_distance(atoms):
    positions, symbols, cell = atoms
    index, corner_index, corners = drawing.bipyramids(*atoms)
    away = corners - positions[index][:, None]
    distance, rise = np.linalg.norm(away, axis=2), away[..., 2]
    assert corners.shape == (12, 5, 3) and (np.array(symbols)[corner_index] == "O").all()
    assert distance.min() > 1.85 and distance.max() < 2.1
    assert (rise[:, 0] > 1.5).all() and (rise[:, 1] < -1.5).all() and (abs(rise[:, 2:]) < 0.6).all()
    spoiled = list(symbols)
    spoiled[spoiled.index("O")] = "Er"
    with pytest.raises(ValueError, match="has 4 O within"):
        drawing.bipyramids(positions, spoiled, cell)


def test_projection_draws_true_numbers(ax, atoms):
    """Two of three Er at +0.168 and one at -0.336 angstrom in +P, the opposite in -P; labels say the number, the big arrow's tip is on P's side."""
    artists = drawing.draw_projection(ax, *atoms, factor=3.0)
    sign = 1 if np.array_equal(atoms[0], ermno3(1).positions_angstrom) else -1
    moved = np.round([moved for _, moved in artists["arrows"]], 3)
    assert set(sign * moved) == {0.168, -0.336} and (sign * moved > 0).sum() > (sign * moved < 0).sum()
    for (_, y), moved in artists["arrows"]:  # they start at the mean height of a layer
        assert min(abs(y - 3 * moved - mean) for mean in artists["layers"]) < 1e-5
    labels = drawing.label_displacements(ax, artists["arrows"], above=atoms[2][2] / 2)
    assert {abs(float(label.get_text().replace("−", "-"))) for label in labels} == {0.168, 0.336}
    corners = np.unique(drawing.polarization_arrow(ax, sign, 0.0, 2.0, 6.0).get_xy(), axis=0)
    assert np.isclose(corners[:, 1], 4 + 2 * sign).sum() == 1 and ax.texts[-1].get_text() == ("+P" if sign > 0 else "−P")


EXPERIMENT = Experiment(
    frame_px=(256, 256), origin_px=(124.0, 128.6), g002_px=(-17.41, -5.89), g010_px=(-6.74, 18.88), scan_shape=(256, 256),
    step_nm=1.4, convergence_mrad=1.24, mrad_per_px=0.2396, wall_lean_deg=20.0, beam_energy_kev=200.0, camera_length_cm=22.95,
    nominal_length_cm=12.0,
)  # fmt: skip


def test_reflections_are_those_of_the_zone_and_drawn_where_they_lie(ax):
    """Only even l, whole discs inside the frame, opposites about the direct beam; face-on row 0 is at the top and 002 above and left of the beam."""
    indices, places = reflections_on_detector(EXPERIMENT)
    assert (indices[:, 1] % 2 == 0).all() and len(np.unique(indices, axis=0)) == len(indices)
    assert (places > EXPERIMENT.radius_px).all() and (places < 255 - EXPERIMENT.radius_px).all()
    by_index = {tuple(i): p for i, p in zip(indices, places)}
    assert np.allclose(by_index[0, 4] + by_index[0, -4], 2 * np.array(EXPERIMENT.origin_px))
    assert len(indices) == len(reflections_on_detector(EXPERIMENT, orders=20)[0])
    discs = drawing.draw_detector_face(ax, EXPERIMENT, bar_mrad=10.0)
    drawn = np.array([path.vertices[:-1].mean(axis=0) for path in discs.get_paths()])
    assert np.allclose(drawn, places[:, ::-1]) and ax.get_ylim()[0] > ax.get_ylim()[1]
    assert (by_index[0, 2] < by_index[0, 0]).all() and np.ptp(ax.lines[-1].get_xdata()) * 0.2396 == pytest.approx(10.0)


def test_the_drawing_follows_the_numbers(ax):
    """One factor enlarges the cone and the disc below it; words carry the numbers; the wall has the lean it was given, the red domain on its left."""
    artists = draw_experiment(ax, EXPERIMENT, every=16)
    above = np.ptp(artists["beam"].get_xy()[:, 0]) / 2 / (drawing.SOURCE_HEIGHT - drawing.SPECIMEN_HEIGHT)
    direct = min(artists["discs"].get_paths(), key=lambda path: np.linalg.norm(path.vertices.mean(axis=0)))
    widest = np.ptp(direct.vertices[:, 0]) / 2  # sheared: a little wider than the radius
    assert above == pytest.approx(widest / np.hypot(1, 0.35) / drawing.SPECIMEN_HEIGHT, rel=0.01)
    words = " ".join(text.get_text() for text in ax.texts)
    assert all(part in words for part in ("step 1.4 nm", "358 nm", "1.24 mrad", "22.95 cm", "200 kV", "0.240 mrad", "1 in 16"))
    for lean in (-30.0, 20.0):  # undoing the oblique view
        artists = draw_experiment(ax, replace(EXPERIMENT, wall_lean_deg=lean), every=64)
        (x1, y1), (x0, y0) = np.array(artists["wall"].get_data()).T[:2]
        depth = (y1 - y0) / to_page(0, 1, 0)[1]
        assert np.rad2deg(np.arctan2(x1 - x0 - to_page(0, 1, 0)[0] * depth, depth)) == pytest.approx(lean)
        left, other = (path.vertices[:-1].mean(axis=0) for path in artists["domains"].get_paths())
        colours = artists["domains"].get_facecolor()
        assert left[0] < other[0] and colours[0, 0] > colours[0, 2] and colours[1, 0] < colours[1, 2]


def test_the_viewer_needs_no_other_file_and_holds_every_atom():
    """Its JSON has the atoms of both states to 0.001 angstrom; enlarged heights move only Er, most of them along P; text ends no script."""
    states, symbols, cell = {sign: ermno3(sign).positions_angstrom for sign in (1, -1)}, ermno3(1).symbols, ermno3(1).cell_angstrom
    html = drawing.crystal_viewer(states, symbols, cell)
    assert not re.search(r"(https?:)?//[a-z0-9-]+\.[a-z]|\b(src|href|srcset)\s*=|@import|url\(|\bfetch\(|XMLHttpRequest|\bimport\b", html, re.IGNORECASE)
    assert "figure above" in re.search(r"<noscript>(.*?)</noscript>", html)[1]
    inside = re.search(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)[1]
    assert "<" not in inside
    for state in json.loads(inside)["states"]:
        positions = states[state["sign"]]
        drawn = scene(positions, symbols, cell)
        away, offset = np.linalg.norm(drawn.places[:, None] - drawn.places, axis=2), (drawn.places - positions[drawn.index]) / cell
        assert (away + 10 * np.eye(len(away))).min() > 1.0 and np.allclose(offset, np.round(offset))  # none twice, and each repeats one of the cell
        assert np.allclose(np.array(state["places"]) + cell / 2, drawn.places, atol=6e-4) and state["symbols"] == drawn.symbols.tolist()
        moved, er = np.array(state["enlarged"]) - np.array(state["places"])[:, 2], drawn.symbols == "Er"
        assert (abs(moved[~er]) < 1e-9).all() and {abs(round(m, 2)) for m in moved[er]} == {0.34, 0.67}
        assert np.sign((moved > 0).sum() - (moved < 0).sum()) == state["sign"]
        assert state["pattern"].startswith("two Er up" if state["sign"] > 0 else "two Er down")
        assert len(state["faces"]) == 6 * len(drawn.corners) and (drawn.symbols[np.array(state["faces"])] == "O").all()
