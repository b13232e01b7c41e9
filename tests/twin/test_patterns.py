"""Noise-free patterns: their discs hold the library's intensities; and the small scan in memory."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

from figures_pkg.diffraction.discs import disc_means
from figures_pkg.twin.patterns import Example, disc_pattern, example_scan

pytestmark = pytest.mark.physics


def test_discs_hold_the_mean_intensity_over_the_cone(preset, rocking_library):
    """The pixels around each reflection sum to its intensity averaged over the beam's cone, to 2 % of the strongest; the axes are zero at 000."""
    pattern = disc_pattern(rocking_library, preset, +1, 63.0, (1.0, -4.0))
    means = disc_means(rocking_library, +1, 63.0, 1.0, -4.0, preset.beam.convergence_mrad)
    rows, cols = np.indices(pattern.shape)
    g010, g001 = np.array(preset.pattern.g010_row_col), np.array(preset.pattern.g002_row_col) / 2
    for (_, k, l), expected in zip(rocking_library.hkl, means):
        row, col = preset.pattern.origin_row_col + k * g010 + l * g001
        assert float(pattern.values[np.hypot(rows - row, cols - col) < 8].sum()) == pytest.approx(expected, abs=0.02 * means.max())
    assert means.max() > 0.02
    np.testing.assert_allclose([np.abs(pattern[dim].values).argmin() for dim in ("det_y", "det_x")], preset.pattern.origin_row_col, atol=0.51)


@pytest.mark.parametrize("half_angle", [2.19, 2.3])
def test_overlapping_discs_warn_with_the_angle(preset, rocking_library, half_angle):
    """A pattern whose discs overlap comes with one warning that names 2.20 mrad; one whose discs do not is silent."""
    wide = replace(preset, beam=replace(preset.beam, convergence_mrad=half_angle))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        disc_pattern(rocking_library, wide, 1, 63.0)
        disc_means(rocking_library, 1, 63.0, 0.0, 0.0, half_angle)
    assert [" from a convergence of 2.20 mrad " in str(one.message) for one in caught] == [True, True] * (half_angle > 2.2)


def test_the_example_shows_both_variants_a_wedge_and_a_bend(rocking_library):
    scan, truth = example_scan(rocking_library, Example(positions=(5, 7), thickness_nm=(51.0, 58.0), bend_mrad=2.0))
    assert scan.dims == ("scan_y", "scan_x", "det_y", "det_x") and scan.shape == (5, 7, 128, 128)
    assert set(np.unique(truth.polarization)) == {-1, 1} and np.ptp(truth.tilt_b_mrad.values) == np.ptp(truth.tilt_c_mrad.values) == 2
    assert float(truth.thickness_nm.min()) == 51 and float(truth.thickness_nm.max()) == 58
    assert float(scan.sum(("det_y", "det_x")).mean()) == pytest.approx(2e5, rel=0.15)
