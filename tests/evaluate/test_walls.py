"""The probe of walls is a textbook discriminant, and the charge of a vortex is that of the twin's truth."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from figures_pkg.evaluate import walls
from figures_pkg.twin.domains import TracedWalls, domain_maps, polar_axis
from figures_pkg.twin.presets import load_preset


def test_the_discriminant_is_that_of_scikit_learn_also_with_a_channel_that_only_rounding_moves():
    rng = np.random.default_rng(0)
    samples, asked = rng.normal(size=(60, 4)), rng.normal(size=(20, 4))
    first = samples[:, 0] > 0.3
    samples[:, 3], asked[:, 3] = 0.1 + np.spacing(0.1) * rng.integers(0, 2, 60), 0.11
    expected = make_pipeline(StandardScaler(), LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")).fit(samples, first).decision_function(asked)
    np.testing.assert_allclose(walls.discriminant(samples, first, asked), expected, atol=1e-9)


@pytest.mark.parametrize("rotation", [0, 30, 60, 90, 137])
def test_opposite_walls_of_a_vortex_carry_the_same_charge_in_the_twin_too(rotation):
    """Three alternating walls add up to nothing, and only the mirror variant alternates, wherever c points."""
    preset, circle = load_preset("ds2"), np.radians(60.0 * np.arange(6) + 7)
    ends = np.stack([np.sin(circle), np.cos(circle)], axis=1)
    straight = replace(preset.texture, core_fraction_yx=(0.5, 0.5), course_fraction_yx=[[0.5 + 0.1 * end, 0.5 + end] for end in ends], roughness_nm=0.0)
    preset = replace(preset, texture=straight, scan=replace(preset.scan, scan_rotation_deg=float(rotation)))
    expected = walls.vortex_charges(ends, polar_axis(preset))
    np.testing.assert_allclose(expected[:3], expected[3:], atol=1e-12)
    np.testing.assert_allclose(expected.reshape(3, 2).sum(axis=0), 0, atol=1e-12)
    y, x = np.mgrid[5:355:23.0, 5:355:23.0]
    truth = domain_maps(preset, 0, y, x, np.full(y.shape, 54.0))
    nearest = np.rint((np.degrees(np.arctan2(y - 179.2, x - 179.2)) - 7) / 60).astype(int) % 6
    np.testing.assert_allclose(truth["wall_charge"], expected[nearest], atol=1e-6)
    np.testing.assert_array_equal(truth["wall_step"], (-1) ** nearest)


def test_the_charge_of_a_winding_wall_depends_on_its_end_alone():
    preset = load_preset("ds2")
    traced, c = TracedWalls.draw(preset.texture, preset.specimen.field_nm, 0), polar_axis(preset)
    for stop in (300, 2000):
        courses = [traced.points(wall)[0][: stop + 1] for wall in range(6)]
        ends = np.array([course[-1] - course[0] for course in courses])
        steps = [np.diff(course, axis=0) for course in courses]
        sums = [(-1) ** wall * (step[:, 1] * c[0] - step[:, 0] * c[1]).sum() for wall, step in enumerate(steps)]
        np.testing.assert_allclose(sums, walls.vortex_charges(ends, c) * np.hypot(*ends.T), rtol=1e-9)
