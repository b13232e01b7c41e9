"""Channels are matched, chosen and scored as their definitions say."""

import numpy as np
import pytest
import xarray as xr

from figures_pkg.evaluate.channel_choice import bimodality, breadth, choose_channel, plateau_score, sharpness
from figures_pkg.evaluate.table_rows import score_maps
from figures_pkg.evaluate.matching import match_channels
from figures_pkg.evaluate.quantiles import quantile_patterns
from figures_pkg.evaluate.truth_scores import confusion, domain_regions, domain_scores, wall_auc, wall_zones

N = 48


@pytest.fixture
def truth():
    """One upright wall in the middle, head-to-head above and tail-to-tail below, a bend along x and a wedge along y."""
    y, x = np.indices((N, N)) * 2.0
    distance = N - 1 - x
    maps = {
        "domain": np.sign(distance), "wall_distance_nm": distance, "wall_width_nm": np.full((N, N), 3.0),
        "wall_type": np.where(y < N, 1, -1), "thickness_nm": 60 + 0.1 * y, "tilt_b_mrad": np.cos(y / 9),
        "tilt_c_mrad": np.sin(x / 7), "domain_state": np.where(distance > 0, 0, 1),
    }
    axis = np.arange(N) * 2.0
    return xr.Dataset({k: (("scan_y", "scan_x"), v) for k, v in maps.items()}, {"scan_y": axis, "scan_x": axis})


def as_channels(*images):
    """Maps on the positions of the truth."""
    axis = np.arange(N) * 2.0
    return xr.DataArray(np.stack(images), {"scan_y": axis, "scan_x": axis}, ("channel", "scan_y", "scan_x"), name="test")


def test_matching_undoes_permutation_and_sign():
    """Channels in another order with other signs and scales find their partners."""
    rng = np.random.default_rng(0)
    reference = rng.normal(size=(6, 20, 21))
    order, sign = rng.permutation(6), rng.choice([-3.0, 2.0], size=6)
    found = match_channels(sign[:, None, None] * reference[order] + 5, reference)
    np.testing.assert_array_equal(order[found.channel], np.arange(6))
    np.testing.assert_allclose(found.correlation, np.sign(sign)[found.channel])


def test_matching_with_too_few_channels():
    """A reference without a partner says so, and a dead channel correlates with nothing."""
    reference = np.random.default_rng(1).normal(size=(3, 9, 9))
    found = match_channels(np.stack([reference[2], np.ones((9, 9))]), reference)
    assert found.channel[2] == 0 and (found.channel == -1).sum() == 1
    assert np.sort(np.abs(found.correlation))[:2] == pytest.approx([0, 0])


def test_bimodality_of_known_distributions():
    """Two plateaus give 1, a ramp 3/4, a Gaussian 2/π."""
    x = np.indices((200, 200))[1]
    assert bimodality(x > 90) == pytest.approx(1)
    assert bimodality(x) == pytest.approx(0.75, abs=0.005)
    assert bimodality(np.random.default_rng(2).normal(size=(200, 200))) == pytest.approx(2 / np.pi, abs=0.01)
    assert bimodality(np.ones((5, 5))) == 0


def test_sharpness_tells_a_step_from_a_ramp():
    """A step covers the whole way, a ramp over n positions about 2 (2 reach − 1) / n of it."""
    x = np.indices((60, 100))[1]
    assert sharpness(x > 40) > 0.95
    assert sharpness(x * 1.0) == pytest.approx(2 * 5 / 100, abs=0.02)


def test_breadth_tells_domains_from_walls():
    """A line is no domain however sharp it is; half a field is one, and a corner of one nearly all."""
    y, x = np.indices((60, 70)) - 30.0
    assert breadth(np.abs(x + 0.4 * y) < 2, 3) == breadth(np.abs(x + 0.4 * y) > 2, 3) == 0
    assert breadth(x + 0.4 * y > 0, 3) == 1
    assert breadth(np.ones((9, 9))) == 0
    sectors = np.sin(3 * np.arctan2(y, x)) > 0
    assert 0.9 < breadth(sectors, 3) < 1


def test_rule_prefers_plateaus_to_walls(truth):
    """A clean map of walls does not win against a noisy map of domains."""
    noise = np.random.default_rng(5).normal(size=(N, N))
    near, _ = wall_zones(truth)
    assert choose_channel(as_channels(near * 1.0, truth.domain.values + 0.6 * noise))[0] == 1


def test_rule_prefers_plateaus_to_bends(truth):
    """Among a ramp, noise, a bend and a noisy domain map the rule takes the domains."""
    rng = np.random.default_rng(3)
    y, x = np.indices((N, N))
    domain = truth.domain.values + 0.3 * rng.normal(size=(N, N))
    maps = as_channels(x * 1.0, rng.normal(size=(N, N)), np.sin(y / 9.0), domain)
    channel, score = choose_channel(maps)
    assert channel == 3 and score > 0.7
    assert plateau_score(maps.values[1], 2.0) < 0.1  # noise


def test_own_choice_is_obeyed_and_death_refused(truth):
    """A method's own order wins; an embedding without a live channel is an error."""
    maps = as_channels(np.indices((N, N))[0] * 1.0, truth.domain.values)
    assert choose_channel(maps.assign_attrs(chosen=0))[0] == 0
    with pytest.raises(ValueError, match="dead"):
        choose_channel(as_channels(np.zeros((N, N))))


def test_perfect_channel_has_perfect_scores(truth):
    """The truth itself scores 1, without error and leak; its sign does not matter."""
    scores = domain_scores(-truth.domain.values, truth)
    assert scores == pytest.approx({"domain_auc": 1, "abs_r": 1, "error": 0, "leak_bend": 0, "leak_thickness": 0}, abs=1e-9)


def test_leaks_are_the_shares_that_were_mixed_in(truth):
    """A domain map with a wedge's share of variance leaks that share."""
    thickness = (truth.thickness_nm - truth.thickness_nm.mean()) / truth.thickness_nm.std()
    scores = domain_scores((truth.domain + thickness).values, truth)
    assert scores["leak_thickness"] == pytest.approx(0.5, abs=0.02)
    assert scores["leak_bend"] < scores["leak_thickness"]


def test_walls_within_one_step(truth):
    """The positions on either side of the wall are near, and a map of them scores 1."""
    near, far = wall_zones(truth)
    assert near.sum() == 2 * N and not (near & far).any()
    assert wall_auc(near * 1.0, truth) == 1


def test_rows_of_both_pickings(truth):
    """The truth's row takes the best channel for each question; the rule's row takes walls from the domain channel."""
    near, _ = wall_zones(truth)
    picked, free = score_maps(as_channels(truth.domain.values, near * truth.wall_type.values, np.indices((N, N))[0]), truth)
    assert (picked["picked_by"], free["picked_by"]) == ("truth", "rule")
    assert picked["domain_auc"] == free["domain_auc"] == 1
    assert picked["charge_auc"] == 1 and free["wall_auc"] > 0.99
    assert free["charge_auc"] < 0.8


def test_scan_without_domains_has_no_domain_score(truth):
    """Without a wall the scores against domains are nan, and the evidence stays."""
    null = truth.assign(domain=truth.domain * 0 + 1, wall_distance_nm=truth.wall_distance_nm * 0 + np.inf)
    picked, free = score_maps(as_channels(np.indices((N, N))[1] * 1.0), null)
    assert np.isnan(free["domain_auc"]) and np.isnan(picked["wall_auc"])
    assert free["evidence"] == pytest.approx(0.75 * 11 / 24, abs=0.02)  # a ramp: 11 of its 48 positions, classes 24 apart


def test_confusion_of_six_sectors():
    """Six sectors of alternating sign around a core are told apart as regions and named rightly."""
    y, x = np.indices((61, 61)) - 30.2
    state = ((np.arctan2(y, x) + np.pi) / (np.pi / 3)).astype(int) % 6
    data = {"domain": np.where(state % 2, -1, 1), "domain_state": state, "wall_distance_nm": np.full(state.shape, 99.0),
            "wall_width_nm": np.zeros(state.shape)}
    truth = xr.Dataset({k: (("scan_y", "scan_x"), v) for k, v in data.items()})
    matrix, accuracy = confusion(domain_regions(np.where(state % 2, -1.0, 1.0)), truth)
    assert matrix.shape[0] == 6 and accuracy > 0.97


def test_quantile_patterns_are_means_of_the_ends():
    """One pass over blocks gives what sorting in memory gives, for every channel."""
    rng = np.random.default_rng(6)
    scan = xr.DataArray(rng.poisson(30, size=(12, 10, 6, 5)).astype(np.uint16), dims=("scan_y", "scan_x", "det_y", "det_x"))
    maps = xr.DataArray(rng.normal(size=(3, 12, 10)), dims=("channel", "scan_y", "scan_x"))
    found = quantile_patterns(scan.chunk(scan_y=5, scan_x=4), maps, share=0.1)
    patterns, order = scan.values.reshape(120, 6, 5), np.argsort(maps.values.reshape(3, -1), axis=1)
    for channel in range(3):
        np.testing.assert_allclose(found.high[channel], patterns[order[channel, -12:]].mean(axis=0), rtol=1e-6)
        np.testing.assert_allclose(found.low[channel], patterns[order[channel, :12]].mean(axis=0), rtol=1e-6)
    with pytest.raises(ValueError, match="maps of this scan"):
        quantile_patterns(scan, maps[:, :5])
