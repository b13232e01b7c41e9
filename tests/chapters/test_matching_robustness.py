"""Scans from another model than the library's, and the same patterns at a lower dose."""

import numpy as np
import pytest

from figures_pkg.chapters.matching_robustness import Disturbance, disturbed_scan, other_library, thinned
from figures_pkg.diffraction.library import LibrarySettings, build_library, rows_of
from figures_pkg.twin.patterns import Example

pytestmark = pytest.mark.physics


def test_thinned_counts_have_the_mean_and_variance_of_a_lower_dose():
    rng = np.random.default_rng(0)
    counts = thinned(rng.poisson(50, 40_000).astype(np.uint16), 0.2, rng)
    assert counts.dtype == np.uint16
    assert abs(counts.mean() - 10) < 0.1 and abs(counts.var() - 10) < 0.4


DIMS = ("scan_y", "scan_x")


@pytest.fixture(scope="module")
def other():
    return other_library((14.0, 18.0), 1.5, g_max_inv_angstrom=0.8)


def test_other_scattering_factors_change_a_little_and_keep_the_mirror(other):
    usual = build_library(LibrarySettings.covering([14, 18], 1.5, 1.5, slices=2, gpts=(64, 72), g_max_inv_angstrom=0.8), progress=False)
    at = (1, 16.0, 0.4, -0.6)
    change = np.linalg.norm(other.intensities(*at) - usual.intensities(*at)) / np.linalg.norm(usual.intensities(*at))
    assert 1e-3 < change < 0.05
    mirrored = other.intensities(1, 16.0, -0.4, -0.6)
    rows = rows_of(other.hkl)
    opposite = [rows[0, -k, l] for _, k, l in other.hkl.tolist()]
    np.testing.assert_allclose(mirrored[opposite], other.intensities(1, 16.0, 0.4, -0.6), atol=2e-5)


def test_disturbances_leave_the_counts_and_change_the_patterns(other):
    example = Example(positions=(3, 4), thickness_nm=(15, 17), bend_mrad=0.6, convergence_mrad=0.8, frame_px=96, pixel_inv_angstrom=0.018)
    plain, truth = disturbed_scan(other, example, seed=1)
    assert plain.shape == (3, 4, 96, 96) and set(np.unique(truth.domain)) == {-1, 1}
    total = float(plain.sum())
    for disturbance in (Disturbance(phonons=1.0), Disturbance(strain=0.1), Disturbance(drift_px=1.0)):
        counts, _ = disturbed_scan(other, example, disturbance, seed=1)
        assert abs(float(counts.sum()) / total - 1) < 0.03  # discs leave or enter the frame
        pull = (counts.mean(DIMS) - plain.mean(DIMS)) / np.sqrt((counts.mean(DIMS) + plain.mean(DIMS)) / 12 + 0.1)
        assert float((pull**2).mean()) > 1.2  # 1 and a little less if noise were all that differs
