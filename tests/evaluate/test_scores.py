"""Scores agree with their analytic values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from figures_pkg.evaluate import area_under_curve, contrast_to_noise, otsu_threshold


def two_gaussians(rng, distance, n=20_000):
    """Values of two unit Gaussians and who they belong to."""
    first = np.arange(2 * n) < n
    return rng.normal(size=2 * n) + distance * first, first


@pytest.mark.parametrize("distance", [0.0, 0.5, 2.0])
def test_auc_of_two_gaussians(distance):
    """Unit Gaussians a distance d apart have AUC Φ(d/√2)."""
    values, first = two_gaussians(np.random.default_rng(1), distance)
    assert area_under_curve(values, first, ~first) == pytest.approx(norm.cdf(distance / np.sqrt(2)), abs=0.006)


def test_contrast_of_two_gaussians():
    """Unit Gaussians a distance d apart have a contrast-to-noise of d."""
    values, first = two_gaussians(np.random.default_rng(2), 1.5)
    assert contrast_to_noise(values, first, ~first) == pytest.approx(1.5, abs=0.03)


@given(st.integers(0, 1000))
def test_auc_is_a_rank_statistic(seed):
    """AUC does not change under a growing function and becomes 1 − AUC when regions are exchanged."""
    rng = np.random.default_rng(seed)
    values, first = rng.normal(size=50), rng.random(50) < 0.4
    first[:2] = True, False
    auc = area_under_curve(values, first, ~first)
    assert area_under_curve(np.exp(values), first, ~first) == auc
    assert area_under_curve(values, ~first, first) == pytest.approx(1 - auc)


def test_ties_count_half():
    """A constant map says nothing."""
    assert area_under_curve(np.ones(4), np.array([1, 1, 0, 0]), np.array([0, 0, 1, 1])) == 0.5


def test_otsu_finds_the_gap():
    """The threshold lies between two separate classes, whatever their sizes."""
    values = np.concatenate([np.full(900, 1.0), np.full(100, 3.0)]) + np.random.default_rng(3).uniform(-0.2, 0.2, 1000)
    assert 1.2 <= otsu_threshold(values) <= 2.8


def test_empty_region_is_refused():
    """A region without positions is one clear error."""
    with pytest.raises(ValueError, match="each needs at least one"):
        contrast_to_noise(np.ones(3), np.ones(3, bool), np.zeros(3, bool))


def test_nothing_lies_above_the_threshold_of_equal_values():
    """A dead channel has one class, and is no error."""
    values = np.full((4, 5), 0.1)
    assert not (values > otsu_threshold(values)).any()
