"""Scores of a match against truth."""

import numpy as np
import pytest

from figures_pkg.matching import match_scores, thinned

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


def test_no_position_is_refused():
    with pytest.raises(ValueError, match="no position"):
        match_scores(FOUND, TRUTH, np.zeros(4, bool))


def test_thinned_counts_have_the_mean_and_variance_of_a_lower_dose():
    rng = np.random.default_rng(0)
    counts = thinned(rng.poisson(50, 40_000).astype(np.uint16), 0.2, rng)
    assert counts.dtype == np.uint16
    assert abs(counts.mean() - 10) < 0.1 and abs(counts.var() - 10) < 0.4


def test_a_share_above_one_is_refused():
    with pytest.raises(ValueError, match="at most 1"):
        thinned(np.ones(3, np.uint16), 1.1, np.random.default_rng(0))
