"""The schematic's places, angles and sides follow from the experiment's numbers."""

from dataclasses import replace

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest

from figures_pkg.plotting.experiment import Experiment, disc_radius, draw_detector_face, place_of, reflections_on_detector
from figures_pkg.plotting.schematic import SOURCE_HEIGHT, SPECIMEN_HEIGHT, angle_exaggeration, draw_experiment, to_page

EXPERIMENT = Experiment(
    frame_px=(256, 256), origin_px=(124.0, 128.6), g002_px=(-17.41, -5.89), g010_px=(-6.74, 18.88), scan_shape=(256, 256),
    step_nm=1.4, convergence_mrad=1.24, mrad_per_px=0.2396, wall_lean_deg=20.0, beam_energy_kev=200.0, camera_length_cm=22.95,
    nominal_length_cm=12.0,
)  # fmt: skip


@pytest.fixture
def ax():
    """Fresh axes, closed afterwards."""
    figure, ax = plt.subplots()
    yield ax
    plt.close(figure)


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
