"""Scores agree with their analytic values, and known mixtures of polarization, bend and thickness are taken apart again."""

import numpy as np
import pytest
import xarray as xr
from scipy.stats import norm

from figures_pkg.evaluate import area_under_curve, domain_split, effect_at_equal, otsu_threshold, variance_shares
from figures_pkg.evaluate.scores import confusion, domain_regions, domain_scores, wall_auc, wall_zones


@pytest.mark.parametrize("distance", [0.0, 0.5, 2.0])
def test_auc_of_two_gaussians(distance):
    """Unit Gaussians a distance d apart have AUC Φ(d/√2); an empty region has none."""
    first = np.arange(40_000) < 20_000
    values = np.random.default_rng(1).normal(size=40_000) + distance * first
    assert area_under_curve(values, first, ~first) == pytest.approx(norm.cdf(distance / np.sqrt(2)), abs=0.006)
    with pytest.raises(ValueError, match="each needs at least one"):
        area_under_curve(values, first, first & ~first)


@pytest.mark.parametrize("seed", range(5))
def test_auc_is_a_rank_statistic(seed):
    """AUC does not change under a growing function and becomes 1 − AUC when regions are exchanged."""
    rng = np.random.default_rng(seed)
    values, first = rng.normal(size=50), rng.random(50) < 0.4
    auc = area_under_curve(values, first, ~first)
    assert area_under_curve(np.exp(values), first, ~first) == auc
    assert area_under_curve(values, ~first, first) == pytest.approx(1 - auc)
    assert area_under_curve(np.ones(50), first, ~first) == 0.5  # ties count half


def test_otsu_finds_the_gap():
    """The threshold lies between two separate classes, whatever their sizes."""
    values = np.concatenate([np.full(900, 1.0), np.full(100, 3.0)]) + np.random.default_rng(3).uniform(-0.2, 0.2, 1000)
    assert 1.2 <= otsu_threshold(values) <= 2.8
    dead = np.full((4, 5), 0.1)  # one class
    assert not (dead > otsu_threshold(dead)).any()


def test_a_channel_leaks_what_was_mixed_in(one_wall):
    """The truth itself scores 1, without error and leak, whatever its sign; with a wedge's share of variance it leaks that share."""
    perfect = {"domain_auc": 1, "abs_r": 1, "error": 0, "leak_bend": 0, "leak_thickness": 0}
    assert domain_scores(-one_wall.domain.values, one_wall) == pytest.approx(perfect, abs=1e-9)
    thickness = (one_wall.thickness_nm - one_wall.thickness_nm.mean()) / one_wall.thickness_nm.std()
    scores = domain_scores((one_wall.domain + thickness).values, one_wall)
    assert scores["leak_thickness"] == pytest.approx(0.5, abs=0.02) and scores["leak_bend"] < scores["leak_thickness"]


def test_walls_within_one_step(one_wall):
    """The positions on either side of the wall are near, and a map of them scores 1."""
    near, far = wall_zones(one_wall)
    assert near.sum() == 2 * 48 and not (near & far).any()
    assert wall_auc(near * 1.0, one_wall) == 1


def test_confusion_of_six_sectors():
    """Six sectors of alternating sign around a core are told apart as regions and named rightly."""
    y, x = np.indices((61, 61)) - 30.2
    state = ((np.arctan2(y, x) + np.pi) / (np.pi / 3)).astype(int) % 6
    data = {"domain": np.where(state % 2, -1, 1), "domain_state": state, "wall_distance_nm": np.full(state.shape, 99.0),
            "wall_width_nm": np.zeros(state.shape)}
    truth = xr.Dataset({k: (("scan_y", "scan_x"), v) for k, v in data.items()})
    matrix, accuracy = confusion(domain_regions(np.where(state % 2, -1.0, 1.0)), truth)
    assert matrix.shape[0] == 6 and accuracy > 0.97


@pytest.fixture(scope="module")
def scan():
    """A domain map with a slanted wall and smooth coordinates."""
    y, x = np.indices((48, 48)) / 47
    return np.where(x + 0.3 * y < 0.6, 1, -1), y, x


def test_step_on_a_polynomial_is_exact(scan):
    """Without noise the step comes back whatever the polynomial, and whatever happens at the wall itself, which is left out."""
    domain, y, x = scan
    split = domain_split(0.02 * domain + 3 * x - 2 * x * y + y**2, domain)
    assert split.step == pytest.approx(0.04, abs=1e-12) and split.error < 1e-12
    wall = np.abs(x + 0.3 * y - 0.6) < 0.05
    assert domain_split(np.where(wall, 100.0, 0.5 * domain), np.where(wall, 0, domain)).step == pytest.approx(1.0)


def test_standard_error_is_that_of_repeated_noise(scan):
    """The jackknife error agrees with the scatter over independent noise."""
    domain, y, x = scan
    rng = np.random.default_rng(0)
    splits = [domain_split(domain * 0.5 + x + rng.normal(size=x.shape), domain) for _ in range(40)]
    scatter = np.std([s.step for s in splits])
    assert np.mean([s.error for s in splits]) == pytest.approx(scatter, rel=0.35)
    assert np.mean([s.step for s in splits]) == pytest.approx(1.0, abs=5 * scatter / np.sqrt(40))


def test_the_step_of_matched_domains_is_that_of_the_true_ones(scan):
    """Holes of poor fits and a wall that runs along whole positions cost precision, not correctness; noise stays within the errors."""
    domain, y, x = scan
    rng = np.random.default_rng(7)
    image = 1.5 * domain + 4 * x - 3 * x * y + 2 * y**2 + 0.3 * rng.normal(size=x.shape)
    wall = np.abs(x + 0.3 * y - 0.6) < 0.06
    true = domain_split(image, np.where(wall, 0, domain), order=4)
    holes = rng.random(x.shape) < 0.15
    ragged = np.abs(x + 0.3 * y - 0.6) < 0.06 + 0.03 * rng.random(x.shape)
    matched = domain_split(image, np.where(holes | ragged, 0, domain), order=4)
    assert matched.step == pytest.approx(true.step, abs=2 * np.hypot(true.error, matched.error))
    assert matched.step == pytest.approx(3.0, abs=4 * matched.error) and 0 < matched.error < 0.3


def test_causes_share_a_variance():
    """Uncorrelated causes get their own variance, two copies of one cause half each, and everything sums to one."""
    a, b, noise = np.random.default_rng(4).normal(size=(3, 200, 200))
    shares = variance_shares(3 * a + 2 * b + noise, {"a": [a], "b": [b]})
    assert shares == pytest.approx({"a": 9 / 14, "b": 4 / 14, "rest": 1 / 14}, abs=0.01)
    assert sum(shares.values()) == pytest.approx(1)
    assert variance_shares(a, {"one": [a], "two": [a]}) == pytest.approx({"one": 0.5, "two": 0.5, "rest": 0.0}, abs=1e-9)


def test_effect_at_equal_causes_is_exact(scan):
    """A cause's effect comes back from under a nonlinear mixture of the others."""
    domain, y, x = scan
    image = 0.7 * domain + np.sin(1.0) * x**2 * y - 3 * y + x
    assert effect_at_equal(image, domain / 2, [x, y]) == pytest.approx(1.4)
    inside = np.random.default_rng(1).random(x.shape) < 0.5  # chosen positions, as where a domain is known
    assert effect_at_equal(image[inside], domain[inside] / 2, [x[inside], y[inside]]) == pytest.approx(1.4)
