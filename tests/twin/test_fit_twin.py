"""A state whose pictures are given is found again by the fit to the published ones."""

from dataclasses import replace

import fit_twin
import numpy as np
import pytest

from figures_pkg.diffraction import LibrarySettings, build_library
from figures_pkg.imaging.lattice import disc_counts
from figures_pkg.twin import load_preset

STATE, RANGES = (33.0, 1.0, -0.5), ((29.0, 37.0), (0.0, 1.0), (-1.0, 0.0))


@pytest.fixture(scope="module")
def model():
    """The optics of DS1 on a foil half as thick."""
    library = build_library(LibrarySettings.covering(RANGES[0], 2.3, 2.3, slices=2, g_max_inv_angstrom=1.2), progress=False)
    preset = load_preset("ds1")
    specimen = replace(preset.specimen, thickness_nm=STATE[0], tilt_b_mrad=STATE[1], tilt_c_mrad=STATE[2])
    return fit_twin.PatternModel(replace(preset, specimen=specimen), library)


def test_a_state_is_found_from_discs_and_boxes(model):
    """Disc sums with errors of 10 % and exact boxes lead to the state, which counts as admissible; its neighbours two steps off in thickness do not."""
    sums, means, contrast = (values[20] for values in model.predict(STATE))
    noisy = np.maximum(sums, 1) * np.random.default_rng(0).normal(1, 0.1, len(sums))
    measured = fit_twin.Measured(noisy, means, 0.02 * means, -contrast, np.full(2, 0.02))
    table = fit_twin.fit_patterns(model, measured, RANGES)
    assert tuple(table.iloc[0][["thickness_nm", "tilt_b_mrad", "tilt_c_mrad"]]) == STATE
    assert table.plus_side[0] == -1  # the contrast was given for the other order of domains
    assert table.scale[0] == pytest.approx(fit_twin.SCALES[20], rel=0.1)
    assert np.abs(table.thickness_nm - STATE[0]).max() < 2


def test_a_wall_is_found_from_its_profile(model):
    half, distance = 1.0, np.arange(-30, 31, 1.5)
    columns = fit_twin.wall_columns(model, np.array([STATE]), (half,))
    (profiles,) = fit_twin.wall_profiles(model, STATE, 1.0, columns[-1, half], [(-1, 16.0)], distance)
    row = fit_twin.pd.Series({"thickness_nm": STATE[0], "tilt_b_mrad": STATE[1], "tilt_c_mrad": STATE[2], "scale": 1.0})
    best = min(fit_twin.fit_wall(model, row, columns, distance, profiles), key=lambda found: found["wall_rms"])
    assert (best["variant"], best["first"]) == (-1, "-P")
    assert best["inclination_deg"] == pytest.approx(16, abs=1) and best["wall_rms"] < 0.005


def test_the_operator_measures_discs(model):
    """As a matrix it gives what the function for single pictures gives."""
    picture = np.random.default_rng(1).random(model.preset.pattern.shape)
    indices = [(0, 0), (0, 2), (-3, 0)]
    found = fit_twin.disc_operator(picture.shape, model.lattice, indices, 5.0) @ picture.ravel()
    np.testing.assert_allclose(found, disc_counts(picture, model.lattice, indices, 5.0), rtol=1e-9, atol=1e-9)
