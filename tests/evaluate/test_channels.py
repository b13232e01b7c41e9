"""Channels are matched, chosen and named by what is known, and patterns follow their values, measured and drawn."""

import numpy as np
import pytest
import torch
import xarray as xr

from figures_pkg.data.axes import DIMS, SCAN_DIMS
from figures_pkg.evaluate import channels
from figures_pkg.evaluate.channels import name_channels, named_maps, plateau_score, reference_maps, sweep_patterns
from figures_pkg.evaluate.scores import wall_zones
from figures_pkg.evaluate.walls import walls_by_course
from figures_pkg.model import Autoencoder, NetworkConfig
from figures_pkg.model.embed import decoded_counts
from figures_pkg.model.transform import InputTransform

AXIS = np.arange(40) * 4.0  # nm
COORDS = {"scan_y": AXIS, "scan_x": AXIS}
COURSE = (0.0, 3.0)  # c to the right


def as_channels(*images, axis=AXIS):
    coords = {"channel": np.arange(len(images)), "scan_y": axis, "scan_x": axis}
    return xr.DataArray(np.stack(images), coords, ("channel", *SCAN_DIMS), name="test")


def test_a_plateau_score_tells_domains_from_ramps_and_walls():
    """Half a field and the sectors of a vortex score, a ramp covers 10 % of the way at its middle, a line is no domain however sharp it is."""
    y, x = np.indices((60, 100)) - 30.0
    assert plateau_score(x + 0.4 * y > 0) > 0.95 and plateau_score(np.sin(3 * np.arctan2(y, x)) > 0) > 0.8
    assert plateau_score(x) == pytest.approx(0.75 * 2 * 5 / 100, abs=0.02)
    assert plateau_score(np.abs(x + 0.4 * y) < 2) == plateau_score(np.abs(x + 0.4 * y) > 2) == plateau_score(np.ones((9, 9))) == 0


def test_rule_prefers_plateaus(one_wall):
    """Among a ramp, noise, a bend, a clean map of walls and a noisy map of domains the rule takes the domains; a method's own order wins."""
    y, x = np.indices((48, 48))
    noise, near = np.random.default_rng(3).normal(size=(48, 48)), wall_zones(one_wall)[0]
    images = (x * 1.0, noise, np.sin(y / 9.0), near * 1.0, one_wall.domain.values + 0.3 * noise)
    maps = as_channels(*images, axis=np.arange(48) * 2.0)
    channel, score = channels.choose_channel(maps)
    assert channel == 4 and score > 0.7 and plateau_score(noise, 2.0) < 0.1
    assert channels.choose_channel(maps.assign_attrs(chosen=0)) == (0, plateau_score(images[0], 2.0))
    with pytest.raises(ValueError, match="dead"):
        channels.choose_channel(as_channels(np.zeros((40, 40))))


@pytest.fixture(scope="module")
def truth():
    """+P in a stripe between two upright walls; c points right, so the right wall is head-to-head and the left tail-to-tail."""
    y, x = np.meshgrid(AXIS, AXIS, indexing="ij")
    left, right = x - 58.0, 106.0 - x
    domain, nearest_left = np.where((left > 0) & (right > 0), 1, -1), np.abs(left) < np.abs(right)
    data = {"polarization": domain, "domain": domain, "wall_distance_nm": np.where(nearest_left, left, right),
            "wall_width_nm": np.full(x.shape, 6.0), "wall_type": np.where(nearest_left, -1, 1), "wall_step": np.where(y < 80, 1, -1),
            "thickness_nm": 60 + 0.1 * y, "tilt_b_mrad": np.sin(y / 30), "tilt_c_mrad": np.cos(y / 17)}
    return xr.Dataset({name: (SCAN_DIMS, np.asarray(values, float)) for name, values in data.items()}, COORDS)


@pytest.fixture(scope="module")
def matched(truth):
    """What matching leaves of the same specimen: domains with some positions unknown, distances from walls between positions."""
    domain = truth.domain.copy()
    domain[3, 4:9] = 0
    halfway = np.sign(truth.wall_distance_nm) * np.maximum(np.abs(truth.wall_distance_nm), 2.0)
    fields = truth[["thickness_nm", "tilt_b_mrad", "tilt_c_mrad"]].assign(thickness_nm=truth.thickness_nm.where(domain != 0))
    return fields.assign(domain=domain, wall_distance_nm=halfway).assign_attrs(basis="matched", sign_known=1)


@pytest.fixture(scope="module")
def maps(truth):
    """Channels made of the truth: a head-to-head wall, −P with thickness in it, nothing, thickness."""
    known, noise = named_maps(truth), 0.05 * np.random.default_rng(0).normal(size=(4, 40, 40))
    noise[2] = 0
    parts = known["head-to-head wall"], 0.05 * known["thickness"] - known["±P"], 0 * noise[2], known["thickness"] / 4
    return as_channels(*(np.stack(parts) + noise))


def test_channels_bear_the_name_of_what_they_were_made_of(maps, truth, matched):
    """Whatever the sign, by a truth or by matched maps; with an unknown sign nothing is called +P, and without a match nothing bend."""
    names, walls = name_channels(maps, truth), walls_by_course(matched, COURSE)
    for found in (names, name_channels(maps, walls)):
        assert [name.name for name in found] == ["head-to-head wall", "±P", "dead", "thickness"]
    assert names[1].correlation < -0.9 and str(names[2]) == "dead" and "|r| = " in str(names[0])
    assert [name.name for name in name_channels(maps, None)] == ["live", "live", "dead", "live"]
    assert [name.name for name in name_channels(maps, walls.assign_attrs(sign_known=0))][:2] == ["charge A wall", "domains"]
    assert not any("phase" in name for name in named_maps(walls))
    assert set(named_maps(walls.assign_attrs(basis="steps"))) == {"±P", "walls", "head-to-head wall", "tail-to-tail wall"}


def test_picked_channels_are_turned_and_differ(maps, truth):
    """−P comes back as +P, and no channel is given twice; parts of both divisions of the walls, 2 nm off and 4 nm wide, add up to all."""
    known = named_maps(truth)
    for first, second in (("head-to-head wall", "tail-to-tail wall"), ("walls, phase +60°", "walls, phase −60°")):
        np.testing.assert_allclose(known[first] + known[second], known["walls"])
    assert known["walls"].max() == pytest.approx(np.exp(-((2 / 4) ** 2)))
    (domains, thickness), r = channels.pick_channels(maps, [known["±P"], known["thickness"]])
    assert (int(domains.channel), int(thickness.channel)) == (1, 3) and (r > 0.9).all()
    assert np.corrcoef(domains.values.ravel(), known["±P"].ravel())[0, 1] > 0.9
    with pytest.raises(ValueError, match="5 references for 4 channels"):
        channels.pick_channels(maps, [known["±P"]] * 5)


def test_the_domain_map_is_found_without_and_turned_with_what_is_known(maps, truth, matched):
    """Zero parts both domains, +P is above it; matched domains turn it as the truth does, and −P the other way; a grid of positions has its own."""
    found, free = channels.domain_channel(maps, truth), channels.domain_channel(maps, None)
    assert np.mean((found.values > 0) == (truth.domain.values > 0), where=np.abs(truth.wall_distance_nm.values) > 8) > 0.99
    assert abs(np.corrcoef(free.values.ravel(), found.values.ravel())[0, 1]) > 0.999
    np.testing.assert_array_equal(channels.domain_channel(maps, matched), found)
    np.testing.assert_array_equal(channels.domain_channel(maps, matched.assign(domain=-matched.domain)), -found)
    np.testing.assert_array_equal(channels.at_positions(truth, maps[:, 1::2, ::2]).domain, truth.domain[1::2, ::2])


def test_walls_between_matched_domains_are_named_by_their_course(truth, matched):
    """Along c, P falls at a head-to-head wall and rises at a tail-to-tail wall; c reversed, the names change places; c along a wall, no charge."""
    found, turned, along, slanted = (walls_by_course(matched, g002) for g002 in (COURSE, (0.0, -3.0), (2.0, 0.0), (3.0, 4.0)))
    near = np.abs(truth.wall_distance_nm.values) < 20
    np.testing.assert_array_equal(found.wall_type.values[near], truth.wall_type.values[near])
    np.testing.assert_array_equal(turned.wall_type.values[near], -truth.wall_type.values[near])
    np.testing.assert_allclose(np.abs(found.wall_charge.values[near]), 1, atol=0.02)
    on_wall = np.abs(found.wall_distance_nm.values) <= 4.0 / 2  # half a step: the positions on both sides
    assert on_wall[:, [14, 15, 26, 27]].all() and on_wall.sum() == 4 * 40
    assert not along.wall_type.values[near].any()
    np.testing.assert_allclose(np.abs(slanted.wall_charge.values[10:30][near[10:30]]), 0.8, atol=0.02)
    known, compared = reference_maps(truth), reference_maps(found)
    assert all(np.corrcoef(known[name].ravel(), compared[name].ravel())[0, 1] > 0.8 for name in known)
    assert walls_by_course(truth, COURSE) is truth
    alone = walls_by_course(matched.assign(wall_distance_nm=matched.wall_distance_nm * 0 + np.inf, domain=matched.domain * 0 + 1), COURSE)
    assert (alone.polarization == 1).all() and not reference_maps(alone)["walls"].any()
    assert set(named_maps(alone)) == {"±P", "thickness", "bend along b", "bend along c"}


@pytest.mark.parametrize("values, live, zero, negative, effective", [
    ([[[1, 0, 1, 0]], [[0, 2, 0, 2]], [[0, 0, 0, 0]]], 2, 0.5, 0.0, 1.0),  # one active channel in turn, and a dead one
    ([[[1, -1], [-1, 1]], [[-1, 1], [1, -1]]], 2, 0.0, 0.5, 2.0), (np.ones((2, 3, 3)), 0, np.nan, np.nan, np.nan)])
def test_sparsity_counts_what_is_there(values, live, zero, negative, effective):
    found = channels.sparsity(xr.DataArray(np.array(values, float), dims=("channel", *SCAN_DIMS)))
    assert found == pytest.approx({"live": live, "zero": zero, "negative": negative, "effective": effective}, nan_ok=True)


def test_quantile_patterns_are_means_of_the_ends():
    """One pass over blocks gives what sorting in memory gives; the low end of a sparse channel is the mean of all its zeros."""
    rng = np.random.default_rng(6)
    scan = xr.DataArray(rng.poisson(30, size=(12, 10, 6, 5)).astype(np.uint16), dims=DIMS)
    values = rng.normal(size=(3, 12, 10))
    values[2] = np.maximum(values[2], 0)
    maps = xr.DataArray(values, dims=("channel", *SCAN_DIMS))
    found = channels.quantile_patterns(scan.chunk(scan_y=5, scan_x=4), maps, share=0.1)
    patterns, order = scan.values.reshape(120, 6, 5), np.argsort(values.reshape(3, -1), axis=1)
    for channel in range(3):
        low = order[channel, :12] if channel < 2 else values[2].ravel() == 0
        np.testing.assert_allclose(found.high[channel], patterns[order[channel, -12:]].mean(axis=0), rtol=1e-5)
        np.testing.assert_allclose(found.low[channel], patterns[low].mean(axis=0), rtol=1e-5)
    with pytest.raises(ValueError, match="maps of this scan"):
        channels.quantile_patterns(scan, maps[:, :5])


class Linear:
    """A decoder without a network: pattern = base + Σ a_j · image_j, on the logarithm of the counts."""

    transform, config = InputTransform("log", 2), NetworkConfig(pattern=4, filters=1, pools=(2,), channels=2)
    images = torch.as_tensor(np.random.default_rng(3).normal(size=(2, 4, 4)) * 0.05, dtype=torch.float32)

    def parameters(self):
        return iter([self.images])

    def decode(self, z):
        return 3 + torch.einsum("nc,chw->nhw", z, self.images)


def test_a_decoder_that_knows_the_scan_draws_what_was_measured():
    """The drawn difference has the measured one's shape and nearly its size; a channel alone moves the logarithm of the pattern along its image."""
    rng, net = np.random.default_rng(3), Linear()
    first = rng.uniform(0, 1, (8, 10))
    z = np.stack([first, (first > 0.5) * rng.uniform(0, 1, (8, 10))])
    binned = np.expm1(net.decode(torch.as_tensor(z.reshape(2, -1).T, dtype=torch.float32)).numpy()).reshape(8, 10, 4, 4)
    coords = {dim: np.arange(float(size)) for dim, size in zip(DIMS, (8, 10, 8, 8))}
    scan = xr.DataArray(np.kron(binned / 4, np.ones((2, 2))), coords, DIMS)
    maps = xr.DataArray(z, {"channel": [0, 1]}, ("channel", *SCAN_DIMS))
    found = sweep_patterns(net, scan, maps, maps[0], bands=8)
    r, size = channels.agreement(channels.end_difference(found.together), channels.end_difference(found.measured))
    assert r > 0.99 and size == pytest.approx(1, abs=0.1)
    assert found.measured.shape == (8, 4, 4) and float(found.det_y[0]) == 0.5
    np.testing.assert_allclose(found.measured.mean("band"), binned.mean(axis=(0, 1)), rtol=1e-5)
    found = sweep_patterns(net, scan, maps, maps[1], bands=4)
    change = np.diff(np.log1p(found.alone.values), axis=0)
    np.testing.assert_allclose(change, np.diff(found.value.values)[:, None, None] * net.images[1].numpy(), atol=1e-4)
    assert "alone" not in sweep_patterns(net, scan, maps, maps.sum("channel"), bands=4)


def test_agreement_of_a_half_as_large_change_and_of_nothing():
    pattern = xr.DataArray(np.arange(12.0).reshape(3, 4), dims=DIMS[2:])
    assert channels.agreement(pattern / 2 + 7, pattern) == pytest.approx((1, 0.5))
    assert channels.agreement(-pattern, pattern) == pytest.approx((-1, -1))
    with pytest.raises(ValueError, match="constant"):
        channels.agreement(0 * pattern, pattern)
    with pytest.raises(ValueError, match="no input transform"):
        decoded_counts(Autoencoder(NetworkConfig(pattern=32, filters=2, pools=(2, 2), channels=3), seed=0), np.zeros((1, 3)))
