"""Noise-free patterns: their discs hold the library's intensities."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

from figures_pkg.diffraction.discs import disc_means
from figures_pkg.twin.patterns import disc_pattern

pytestmark = pytest.mark.physics


def test_discs_hold_the_mean_intensity_over_the_cone(preset, rocking_library):
    """The pixels around each reflection sum to its intensity averaged over the beam's cone, to 2 % of the strongest."""
    pattern = disc_pattern(rocking_library, preset, +1, 63.0, (1.0, -4.0))
    means = disc_means(rocking_library, +1, 63.0, 1.0, -4.0, preset.beam.convergence_mrad)
    rows, cols = np.indices(pattern.shape)
    geometry = np.array(preset.pattern.g010_row_col), np.array(preset.pattern.g002_row_col) / 2
    for (_, k, l), expected in zip(rocking_library.hkl, means):
        row, col = np.array(preset.pattern.origin_row_col) + k * geometry[0] + l * geometry[1]
        found = float(pattern.values[np.hypot(rows - row, cols - col) < 8].sum())
        assert found == pytest.approx(expected, abs=0.02 * means.max())
    assert means.max() > 0.02


def test_patterns_carry_reciprocal_coordinates(preset, rocking_library):
    """Zero of both axes lies on the direct beam."""
    pattern = disc_pattern(rocking_library, preset, +1, 63.0)
    row, col = (int(np.abs(pattern[dim].values).argmin()) for dim in ("det_y", "det_x"))
    np.testing.assert_allclose((row, col), preset.pattern.origin_row_col, atol=0.51)


def test_states_outside_the_library_are_refused(preset, rocking_library):
    """A tilt whose disc leaves the library gives one clear error."""
    with pytest.raises(ValueError, match="library"):
        disc_pattern(rocking_library, preset, +1, 63.0, (0.0, 7.8))


@pytest.mark.parametrize("half_angle", [2.19, 2.3])
def test_overlapping_discs_warn_with_the_angle(preset, rocking_library, half_angle):
    """A pattern whose discs overlap comes with one warning that names 2.20 mrad; one whose discs do not is silent."""
    wide = replace(preset, beam=replace(preset.beam, convergence_mrad=half_angle))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        disc_pattern(rocking_library, wide, 1, 63.0)
        disc_means(rocking_library, 1, 63.0, 0.0, 0.0, half_angle)
    assert [" from a convergence of 2.20 mrad " in str(one.message) for one in caught] == [True, True] * (half_angle > 2.2)
