"""Scores agree with their analytic values, known mixtures of causes are taken apart again, and walls are told apart by what they are."""

import numpy as np
import pytest
import xarray as xr
from scipy.stats import norm

from figures_pkg.evaluate import area_under_curve, domain_split, effect_at_equal, variance_shares
from figures_pkg.evaluate.scores import confusion, domain_regions, domain_scores, wall_auc, wall_zones
from figures_pkg.evaluate.walls import charge_labels, departures, inclination_labels, wall_contrast


@pytest.mark.parametrize("distance", [0.0, 0.5, 2.0])
def test_auc_of_two_gaussians(distance):
    """A distance d apart, AUC is Φ(d/√2); a growing function changes nothing, exchanged regions make 1 − AUC, ties count half, no region has none."""
    first = np.arange(40_000) < 20_000
    values = np.random.default_rng(1).normal(size=40_000) + distance * first
    auc = area_under_curve(values, first, ~first)
    assert auc == pytest.approx(norm.cdf(distance / np.sqrt(2)), abs=0.006)
    assert area_under_curve(np.exp(values), first, ~first) == auc and area_under_curve(values, ~first, first) == pytest.approx(1 - auc)
    assert area_under_curve(0 * values, first, ~first) == 0.5
    with pytest.raises(ValueError, match="each needs at least one"):
        area_under_curve(values, first, first & ~first)


def test_a_channel_leaks_what_was_mixed_in(one_wall):
    """The truth itself scores 1, without error and leak, whatever its sign; with a wedge's share of variance it leaks that share."""
    perfect = {"domain_auc": 1, "abs_r": 1, "error": 0, "leak_bend": 0, "leak_thickness": 0}
    assert domain_scores(-one_wall.domain.values, one_wall) == pytest.approx(perfect, abs=1e-9)
    thickness = (one_wall.thickness_nm - one_wall.thickness_nm.mean()) / one_wall.thickness_nm.std()
    scores = domain_scores((one_wall.domain + thickness).values, one_wall)
    assert scores["leak_thickness"] == pytest.approx(0.5, abs=0.02) and scores["leak_bend"] < scores["leak_thickness"]
    near, far = wall_zones(one_wall)
    assert near.sum() == 2 * 48 and not (near & far).any() and wall_auc(near * 1.0, one_wall) == 1  # the positions on either side of a wall


def test_confusion_of_six_sectors():
    y, x = np.indices((61, 61)) - 30.2
    state = ((np.arctan2(y, x) + np.pi) / (np.pi / 3)).astype(int) % 6
    data = {"domain": np.where(state % 2, -1, 1), "domain_state": state, "wall_distance_nm": np.full(state.shape, 99.0),
            "wall_width_nm": np.zeros(state.shape)}
    truth = xr.Dataset({k: (("scan_y", "scan_x"), v) for k, v in data.items()})
    matrix, accuracy = confusion(domain_regions(np.where(state % 2, -1.0, 1.0)), truth)
    assert matrix.shape[0] == 6 and accuracy > 0.97


@pytest.fixture(scope="module")
def scan():
    y, x = np.indices((48, 48)) / 47
    return np.where(x + 0.3 * y < 0.6, 1, -1), y, x


def test_standard_error_is_that_of_repeated_noise(scan):
    domain, y, x = scan
    rng = np.random.default_rng(0)
    holes = np.where(rng.random(x.shape) < 0.15, 0, domain)
    splits = [domain_split(domain * 0.5 + x + rng.normal(size=x.shape), holes) for _ in range(20)]
    scatter = np.std([split.step for split in splits])
    assert np.mean([split.error for split in splits]) == pytest.approx(scatter, rel=0.45)
    assert np.mean([split.step for split in splits]) == pytest.approx(1.0, abs=5 * scatter / np.sqrt(20))


def test_causes_share_a_variance():
    a, b, noise = np.random.default_rng(4).normal(size=(3, 200, 200))
    shares = variance_shares(3 * a + 2 * b + noise, {"a": [a], "b": [b]})
    assert shares == pytest.approx({"a": 9 / 14, "b": 4 / 14, "rest": 1 / 14}, abs=0.01)
    assert sum(shares.values()) == pytest.approx(1)
    assert variance_shares(a, {"one": [a], "two": [a]}) == pytest.approx({"one": 0.5, "two": 0.5, "rest": 0.0}, abs=1e-9)


def test_steps_and_effects_are_exact_without_noise(scan):
    """A step comes back from under any polynomial, whatever happens at the wall, which is left out; a cause's effect from under a mixture of others."""
    domain, y, x = scan
    split = domain_split(0.02 * domain + 3 * x - 2 * x * y + y**2, domain)
    assert split.step == pytest.approx(0.04, abs=1e-12) and split.error < 1e-12
    wall = np.abs(x + 0.3 * y - 0.6) < 0.05
    assert domain_split(np.where(wall, 100.0, 0.5 * domain), np.where(wall, 0, domain)).step == pytest.approx(1.0)
    image = 0.7 * domain + np.sin(1.0) * x**2 * y - 3 * y + x
    assert effect_at_equal(image, domain / 2, [x, y]) == pytest.approx(1.4)
    inside = np.random.default_rng(1).random(x.shape) < 0.5  # chosen positions, as where a domain is known
    assert effect_at_equal(image[inside], domain[inside] / 2, [x[inside], y[inside]]) == pytest.approx(1.4)


@pytest.fixture(scope="module")
def truth(one_wall):
    """The specimen with a sharp wall."""
    return one_wall.assign(wall_width_nm=0 * one_wall.wall_width_nm)


def as_maps(*images):
    return xr.DataArray(np.stack(images), dims=("channel", "scan_y", "scan_x"))


def test_domains_on_straight_fields_leave_nothing(truth):
    y, x = np.indices((48, 48))
    image = 3 * truth.polarization.values + 0.2 * x - 0.1 * y + 7
    for line in (0.0, 12.0):
        found, where = departures(image[None], truth, line, 6.0)
        assert found.shape[1] == where.shape[1] > 48
        np.testing.assert_allclose(found, 0, atol=1e-9)


def test_a_mark_on_one_kind_of_wall_is_seen_and_a_curved_field_is_none(truth):
    """What only head-to-head walls have tells them apart, with placebo lines at chance; a field that bends differently tells those as well."""
    noise, other = np.random.default_rng(0).normal(size=(2, 48, 48))
    mark = 6 * (truth.wall_type.values > 0) * (np.abs(truth.wall_distance_nm.values) < 2)
    found = wall_contrast(as_maps(truth.polarization.values * 4 + mark + noise, other), truth, charge_labels(truth))
    assert found.at_wall > 0.97 and found.worst_placebo < 0.75
    y, x = np.indices((48, 48))
    bend = 80 * np.sin(x / 6) * np.cos(np.pi * y / 48)
    curved = wall_contrast(as_maps(truth.polarization.values + bend + 0.1 * noise), truth, charge_labels(truth))
    assert curved.worst_placebo > 0.9


def test_one_kind_of_wall_has_no_contrast(truth):
    maps = as_maps(truth.polarization.values)
    for labels in (inclination_labels(truth), np.abs(charge_labels(truth))):
        assert np.isnan(wall_contrast(maps, truth, labels).at_wall)
    half = truth.assign(wall_inclination_deg=5.0 * (truth.wall_type > 0))
    assert set(np.unique(inclination_labels(half))) == {-1, 1}
    with pytest.raises(ValueError, match="one scan"):
        wall_contrast(maps[:, 1:], truth, charge_labels(truth))
