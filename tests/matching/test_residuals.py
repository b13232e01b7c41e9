"""Residuals averaged over a scan: none with the right model, those that were put in with a wrong one; and scans from another model."""

import numpy as np
import pytest
import xarray as xr

from figures_pkg.matching import DiscGeometry, Matcher, average_over_discs, disc_residuals
from figures_pkg.matching.crystal_example import Example
from figures_pkg.matching.other_model import Disturbance, disturbed_scan, other_library
from figures_pkg.matching.residuals import predicted_discs

SHAPE, DIMS = (12, 12), ("scan_y", "scan_x")


@pytest.fixture(scope="module")
def matcher(library):
    geometry = DiscGeometry(np.array([124.0, 128.6]), 105.0 * np.array([[0.0, -1.0], [1.0, 0.0]]), 5.3)
    return Matcher.of(average_over_discs(library, 1.27), geometry, (256, 256))


def scan_of(matcher, factors):
    """Maps of random states, with discs as predicted times a factor for each, and counting noise."""
    rng = np.random.default_rng(0)
    maps = {"polarization": rng.choice([1, -1], SHAPE), "thickness_nm": rng.uniform(53, 59, SHAPE), "tilt_b_mrad": rng.uniform(-1, 1, SHAPE)}
    maps |= {"tilt_c_mrad": rng.uniform(-2, 2, SHAPE), "scale": np.full(SHAPE, 4e4), "chi2": np.ones(SHAPE)}
    found = xr.Dataset({name: (DIMS, values) for name, values in maps.items()}, {"g_b": ("disc", matcher.library.g[:, 0]), "g_c": ("disc", matcher.library.g[:, 1])})
    mean = np.clip(predicted_discs(found, matcher) * factors, 0, None)
    variance = mean + 300.0
    discs = {"discs": rng.normal(mean, np.sqrt(variance)), "discs_variance": variance}
    return found.assign({name: ((*DIMS, "disc"), values.reshape(*SHAPE, -1)) for name, values in discs.items()})


def test_the_right_model_leaves_no_misfit(matcher):
    assert disc_residuals(scan_of(matcher, np.ones(len(matcher.plan))), matcher).misfit < 0.003


def test_an_error_of_the_model_shows_disc_by_disc(matcher):
    factors = 1 + 0.05 * np.random.default_rng(1).normal(size=len(matcher.plan))
    found = disc_residuals(scan_of(matcher, factors), matcher)
    bright = found.share_error < 0.01
    np.testing.assert_allclose(found.share[bright], factors[bright] - 1, atol=0.04)
    assert 0.02 < found.misfit < 0.1


@pytest.fixture(scope="module")
def other():
    return other_library((14.0, 18.0), 1.5, g_max_inv_angstrom=0.8)


def test_other_scattering_factors_change_a_little_and_keep_the_mirror(other):
    from figures_pkg.twin import LibrarySettings, build_library

    usual = build_library(LibrarySettings.covering([14, 18], 1.5, 1.5, slices=2, gpts=(64, 72), g_max_inv_angstrom=0.8), progress=False)
    at = (1, 16.0, 0.4, -0.6)
    change = np.linalg.norm(other.intensities(*at) - usual.intensities(*at)) / np.linalg.norm(usual.intensities(*at))
    assert 1e-3 < change < 0.05
    mirrored = other.intensities(1, 16.0, -0.4, -0.6)
    rows = {tuple(row): number for number, row in enumerate(other.hkl.tolist())}
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
