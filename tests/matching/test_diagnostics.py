"""Scores of a match against truth, and residuals averaged over a scan."""

import numpy as np
import pytest
import xarray as xr

from figures_pkg.matching import DiscGeometry, Matcher, average_over_discs, disc_residuals, match_scores
from figures_pkg.matching.diagnostics import predicted_discs

pytestmark = pytest.mark.physics

TRUTH = {"domain": np.array([1, 1, -1, -1]), "thickness_nm": np.full(4, 60.0), "tilt_b_mrad": np.zeros(4), "tilt_c_mrad": np.zeros(4)}
FOUND = {
    "polarization": np.array([1, -1, -1, 1]),
    "thickness_nm": np.array([61.0, 59.0, 63.0, 90.0]),
    "chi2": np.array([1.0, 1.2, 5.0, 9.0]),
    "poor_fit": np.array([False, False, True, True]),
    "log_likelihood_ratio": np.array([40.0, -3.0, -50.0, 1.0]),
} | {name: np.zeros(4) for name in ("tilt_b_mrad", "tilt_c_mrad")}
FOUND |= {f"{name}_error": np.full(4, 1.5) for name in ("thickness_nm", "tilt_b_mrad", "tilt_c_mrad")}


def test_scores_count_only_what_lies_inside():
    scores = match_scores(FOUND, TRUTH, np.array([True, True, True, False]))
    assert scores["wrong"] == pytest.approx(1 / 3)
    assert scores["thickness_nm bias"] == 1
    assert scores["thickness_nm rms"] == pytest.approx(np.sqrt(11 / 3))
    assert scores["thickness_nm within"] == pytest.approx(2 / 3)
    assert (scores["chi2"], scores["poor"], scores["log_likelihood_ratio"]) == (1.2, pytest.approx(1 / 3), 3)


SHAPE, DIMS = (12, 12), ("scan_y", "scan_x")


@pytest.fixture(scope="module")
def matcher(library):
    geometry = DiscGeometry(np.array([124.0, 128.6]), 105.0 * np.array([[0.0, -1.0], [1.0, 0.0]]), 5.3)
    return Matcher.of(average_over_discs(library, 1.27), geometry, (256, 256))


def matched(matcher, factors):
    """Maps of random states, with discs as predicted times a factor for each, and counting noise."""
    rng = np.random.default_rng(0)
    maps = {"polarization": rng.choice([1, -1], SHAPE), "thickness_nm": rng.uniform(53, 59, SHAPE)}
    maps |= {"tilt_b_mrad": rng.uniform(-1, 1, SHAPE), "tilt_c_mrad": rng.uniform(-2, 2, SHAPE), "scale": np.full(SHAPE, 4e4), "chi2": np.ones(SHAPE)}
    places = {name: ("disc", column) for name, column in zip(("g_b", "g_c"), matcher.library.g.T)}
    found = xr.Dataset({name: (DIMS, values) for name, values in maps.items()}, places)
    mean = np.clip(predicted_discs(found, matcher) * factors, 0, None)
    variance = mean + 300.0
    discs = {"discs": rng.normal(mean, np.sqrt(variance)), "discs_variance": variance}
    return found.assign({name: ((*DIMS, "disc"), values.reshape(*SHAPE, -1)) for name, values in discs.items()})


def test_an_error_of_the_model_shows_disc_by_disc(matcher):
    assert disc_residuals(matched(matcher, np.ones(len(matcher.plan))), matcher).misfit < 0.003
    factors = 1 + 0.05 * np.random.default_rng(1).normal(size=len(matcher.plan))
    found = disc_residuals(matched(matcher, factors), matcher)
    bright = found.share_error < 0.01
    np.testing.assert_allclose(found.share[bright], factors[bright] - 1, atol=0.04)
    assert 0.02 < found.misfit < 0.1
