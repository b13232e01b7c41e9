"""Scans from another model than the library's."""

import numpy as np
import pytest

from figures_pkg.chapters.matching_robustness import Disturbance, disturbed_scan, other_library
from figures_pkg.diffraction.library import LibrarySettings, build_library
from figures_pkg.twin.patterns import Example

pytestmark = pytest.mark.physics


def test_other_factors_and_disturbances_leave_the_counts_and_change_the_patterns():
    """Other scattering factors by 0.1 to 5 %, each disturbance by more than the noise."""
    other = other_library((14.0, 18.0), 1.5, g_max_inv_angstrom=0.8)
    usual = build_library(LibrarySettings.covering([14, 18], 1.5, 1.5, slices=2, gpts=(64, 72), g_max_inv_angstrom=0.8), progress=False)
    at = (1, 16.0, 0.4, -0.6)
    assert 1e-3 < np.linalg.norm(other.intensities(*at) - usual.intensities(*at)) / np.linalg.norm(usual.intensities(*at)) < 0.05
    example = Example(positions=(3, 4), thickness_nm=(15, 17), bend_mrad=0.6, convergence_mrad=0.8, frame_px=96, pixel_inv_angstrom=0.018)
    plain, truth = disturbed_scan(other, example, seed=1)
    assert plain.shape == (3, 4, 96, 96) and set(np.unique(truth.domain)) == {-1, 1}
    for disturbance in (Disturbance(phonons=1.0), Disturbance(strain=0.1), Disturbance(drift_px=1.0)):
        counts, _ = disturbed_scan(other, example, disturbance, seed=1)
        assert abs(float(counts.sum()) / float(plain.sum()) - 1) < 0.03  # discs leave or enter the frame
        here, there = (each.mean(("scan_y", "scan_x")) for each in (counts, plain))
        pull = (here - there) / np.sqrt((here + there) / 12 + 0.1)
        assert float((pull**2).mean()) > 1.2  # 1 and a little less if noise were all that differs
