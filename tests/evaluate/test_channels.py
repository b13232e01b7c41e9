"""Channels are matched, chosen and named by what is known, and the domain map among them is found."""

import numpy as np
import pytest
import xarray as xr

from figures_pkg.evaluate.channels import (
    at_positions,
    choose_channel,
    domain_channel,
    match_channels,
    name_channels,
    named_maps,
    open_embedding,
    pick_channels,
    plateau_score,
    reference_maps,
    sparsity,
)
from figures_pkg.evaluate.scores import wall_zones
from figures_pkg.evaluate.walls import walls_by_course  # fmt: skip

N = 48
AXIS = np.arange(40) * 4.0  # nm
COORDS = {"scan_y": AXIS, "scan_x": AXIS}


def as_channels(*images):
    """Maps on the positions of the truth."""
    axis = np.arange(N) * 2.0
    return xr.DataArray(np.stack(images), {"scan_y": axis, "scan_x": axis}, ("channel", "scan_y", "scan_x"), name="test")


def test_matching_undoes_permutation_and_sign():
    """Channels in another order with other signs and scales find their partners; a reference without one says so, a dead channel is none."""
    rng = np.random.default_rng(0)
    reference = rng.normal(size=(6, 20, 21))
    order, sign = rng.permutation(6), rng.choice([-3.0, 2.0], size=6)
    channel, correlation = match_channels(sign[:, None, None] * reference[order] + 5, reference)
    np.testing.assert_array_equal(order[channel], np.arange(6))
    np.testing.assert_allclose(correlation, np.sign(sign)[channel])
    channel, correlation = match_channels(np.stack([reference[2], np.ones((20, 21))]), reference[:3])
    assert channel[2] == 0 and (channel == -1).sum() == 1
    assert np.sort(np.abs(correlation))[:2] == pytest.approx([0, 0])


def test_a_plateau_score_tells_domains_from_ramps_and_walls():
    """Half a field and the sectors of a vortex score, a ramp covers 10 % of the way at its middle, a line is no domain however sharp it is."""
    y, x = np.indices((60, 100)) - 30.0
    assert plateau_score(x + 0.4 * y > 0) > 0.95 and plateau_score(np.sin(3 * np.arctan2(y, x)) > 0) > 0.8
    assert plateau_score(x) == pytest.approx(0.75 * 2 * 5 / 100, abs=0.02)
    assert plateau_score(np.abs(x + 0.4 * y) < 2) == plateau_score(np.abs(x + 0.4 * y) > 2) == plateau_score(np.ones((9, 9))) == 0


def test_rule_prefers_plateaus(one_wall):
    """Among a ramp, noise, a bend, a clean map of walls and a noisy map of domains the rule takes the domains; a method's own order wins."""
    rng = np.random.default_rng(3)
    y, x = np.indices((N, N))
    noise, near = rng.normal(size=(N, N)), wall_zones(one_wall)[0]
    maps = as_channels(x * 1.0, noise, np.sin(y / 9.0), near * 1.0, one_wall.domain.values + 0.3 * noise)
    channel, score = choose_channel(maps)
    assert channel == 4 and score > 0.7
    assert plateau_score(noise, 2.0) < 0.1
    assert choose_channel(maps.assign_attrs(chosen=0))[0] == 0
    with pytest.raises(ValueError, match="dead"):
        choose_channel(as_channels(np.zeros((N, N))))


def scan_array(values):
    return xr.DataArray(np.asarray(values, float), dims=tuple(COORDS), coords=COORDS)


@pytest.fixture(scope="module")
def truth():
    """+P in a stripe between two upright walls; c points right, so the right wall is head-to-head and the left tail-to-tail."""
    y, x = np.meshgrid(AXIS, AXIS, indexing="ij")
    left, right = x - 58.0, 106.0 - x
    domain = np.where((left > 0) & (right > 0), 1, -1)
    nearest_left = np.abs(left) < np.abs(right)
    data = {"polarization": domain, "domain": domain, "wall_distance_nm": np.where(nearest_left, left, right),
            "wall_width_nm": np.full(x.shape, 6.0), "wall_type": np.where(nearest_left, -1, 1),
            "wall_step": np.where(y < 80, 1, -1), "thickness_nm": 60 + 0.1 * y, "tilt_b_mrad": np.sin(y / 30),
            "tilt_c_mrad": np.cos(y / 17)}  # fmt: skip
    return xr.Dataset({name: scan_array(values) for name, values in data.items()})


@pytest.fixture(scope="module")
def matched(truth):
    """What matching leaves of the same specimen: domains with some positions unknown, distances from walls between positions."""
    domain = truth.domain.copy()
    domain[3, 4:9] = 0
    halfway = np.sign(truth.wall_distance_nm) * np.maximum(np.abs(truth.wall_distance_nm), 2.0)
    fields = {name: truth[name] for name in ("thickness_nm", "tilt_b_mrad", "tilt_c_mrad")}
    fields["thickness_nm"] = fields["thickness_nm"].where(domain != 0)
    return xr.Dataset({"domain": domain, "wall_distance_nm": halfway} | fields, attrs={"basis": "matched", "sign_known": 1})


@pytest.fixture(scope="module")
def maps(truth):
    """Channels made of the truth: a head-to-head wall, −P with thickness in it, nothing, thickness."""
    rng = np.random.default_rng(0)
    known = named_maps(truth)
    noise = 0.05 * rng.normal(size=(4, 40, 40))
    parts = [known["head-to-head wall"], 0.05 * known["thickness"] - known["±P"], 0 * noise[0], known["thickness"] / 4]
    values = np.stack(parts) + noise * np.array([1, 1, 0, 1])[:, None, None]
    return xr.DataArray(values, dims=("channel", *COORDS), coords=COORDS | {"channel": np.arange(4)})


def test_channels_bear_the_name_of_what_they_were_made_of(maps, truth):
    """Whatever the sign; a constant channel is dead."""
    names = name_channels(maps, truth)
    assert [name.name for name in names] == ["head-to-head wall", "±P", "dead", "thickness"]
    assert names[1].correlation < -0.9 and str(names[2]) == "dead" and "|r| = " in str(names[0])
    assert [name.name for name in name_channels(maps, None)] == ["live", "live", "dead", "live"]


def test_walls_are_named_by_charge_and_by_the_turn_of_the_phase(truth):
    """The parts of both divisions add up to all walls."""
    known = named_maps(truth)
    for first, second in (("head-to-head wall", "tail-to-tail wall"), ("walls, phase +60°", "walls, phase −60°")):
        np.testing.assert_allclose(known[first] + known[second], known["walls"])
    assert known["walls"].max() == pytest.approx(np.exp(-((2 / 4) ** 2)))  # 2 nm from the wall, reach one step of 4 nm


def test_picked_channels_are_turned_and_differ(maps, truth):
    """−P comes back as +P, and no channel is given twice."""
    known = named_maps(truth)
    (domains, thickness), r = pick_channels(maps, [known["±P"], known["thickness"]])
    assert (int(domains.channel), int(thickness.channel)) == (1, 3) and (r > 0.9).all()
    assert np.corrcoef(domains.values.ravel(), known["±P"].ravel())[0, 1] > 0.9
    with pytest.raises(ValueError, match="5 references for 4 channels"):
        pick_channels(maps, [known["±P"]] * 5)


def test_the_domain_map_is_found_without_and_turned_with_what_is_known(maps, truth, matched):
    """Zero parts both domains, +P is above it; matched domains turn it as the truth does, those of the other sign the other way."""
    found = domain_channel(maps, truth)
    inside = np.abs(truth.wall_distance_nm.values) > 8
    assert np.mean((found.values > 0) == (truth.domain.values > 0), where=inside) > 0.99
    free = domain_channel(maps, None)
    assert abs(np.corrcoef(free.values.ravel(), found.values.ravel())[0, 1]) > 0.999
    np.testing.assert_array_equal(domain_channel(maps, matched), found)
    np.testing.assert_array_equal(domain_channel(maps, matched.assign(domain=-matched.domain)), -found)


def test_a_map_on_a_grid_is_compared_at_its_positions(maps, truth):
    """Every second position of the embedding against every second of what is known."""
    coarse = maps[:, 1::2, ::2]
    there = at_positions(truth, coarse)
    np.testing.assert_array_equal(there.domain, truth.domain[1::2, ::2])
    assert at_positions(truth, maps) is truth
    found = domain_channel(coarse, truth)
    assert np.corrcoef(found.values.ravel(), there.domain.values.ravel())[0, 1] > 0.9


def test_walls_between_matched_domains_are_named_by_their_course(truth, matched):
    """Along c, P falls at a head-to-head wall and rises at a tail-to-tail wall; c reversed, the names change places."""
    found, turned = walls_by_course(matched, (0.0, 3.0)), walls_by_course(matched, (0.0, -3.0))
    near = np.abs(truth.wall_distance_nm.values) < 20
    np.testing.assert_array_equal(found.wall_type.values[near], truth.wall_type.values[near])
    np.testing.assert_array_equal(turned.wall_type.values[near], -truth.wall_type.values[near])
    np.testing.assert_allclose(np.abs(found.wall_charge.values[near]), 1, atol=0.02)
    on_wall = np.abs(found.wall_distance_nm.values) <= 4.0 / 2  # half a step: the positions on both sides
    assert on_wall[:, [14, 15, 26, 27]].all() and on_wall.sum() == 4 * 40
    along = walls_by_course(matched, (2.0, 0.0))
    assert not along.wall_type.values[near].any()  # walls along c carry no charge
    slanted = walls_by_course(matched, (3.0, 4.0))
    np.testing.assert_allclose(np.abs(slanted.wall_charge.values[10:30][near[10:30]]), 0.8, atol=0.02)
    known, compared = reference_maps(truth), reference_maps(found)
    for name in known:
        assert np.corrcoef(known[name].ravel(), compared[name].ravel())[0, 1] > 0.8
    assert walls_by_course(truth, (0.0, 3.0)) is truth


def test_a_specimen_of_one_domain_has_no_walls(matched):
    """Infinitely far from any wall, nothing is near one."""
    one = matched.assign(wall_distance_nm=matched.wall_distance_nm * 0 + np.inf, domain=matched.domain * 0 + 1)
    found = walls_by_course(one, (0.0, 3.0))
    assert (found.polarization == 1).all() and not reference_maps(found)["walls"].any()
    assert set(named_maps(found)) == {"±P", "thickness", "bend along b", "bend along c"}


def test_channels_of_a_measured_scan_are_named_by_its_matched_maps(maps, matched):
    """As by a truth, without mirror variants; with an unknown sign nothing is called +P or head-to-head; without a match no bend."""
    walls = walls_by_course(matched, (0.0, 3.0))
    assert [name.name for name in name_channels(maps, walls)] == ["head-to-head wall", "±P", "dead", "thickness"]
    assert not any("phase" in name for name in named_maps(walls))
    unknown = walls.assign_attrs(sign_known=0)
    assert [name.name for name in name_channels(maps, unknown)][:2] == ["charge A wall", "domains"]
    assert set(named_maps(walls.assign_attrs(basis="steps"))) == {"±P", "walls", "head-to-head wall", "tail-to-tail wall"}


def test_sparsity_counts_what_is_there():
    """One active channel in turn: a position uses one channel; two constant ones: it uses both."""
    turns = np.zeros((3, 6, 6))
    turns[0, :, :3], turns[1, :, 3:] = 1.0, 2.0
    found = sparsity(xr.DataArray(turns, dims=("channel", "scan_y", "scan_x")))
    assert found == pytest.approx({"live": 2, "zero": 0.5, "negative": 0.0, "effective": 1.0})
    checks = np.where(np.indices((6, 6)).sum(0) % 2, 1.0, -1.0)
    found = sparsity(xr.DataArray(np.stack([checks, -checks]), dims=("channel", "scan_y", "scan_x")))
    assert found == pytest.approx({"live": 2, "zero": 0.0, "negative": 0.5, "effective": 2.0})
    assert sparsity(xr.DataArray(np.ones((2, 3, 3)), dims=("channel", "scan_y", "scan_x")))["live"] == 0


def test_an_embedding_comes_back_in_order(tmp_path, maps):
    """Written with the channel last, as `embed` gives it, read with the channel first; a missing file says how it is made."""
    maps.drop_vars("channel").transpose("scan_y", "scan_x", "channel").to_dataset(name="embedding").to_netcdf(tmp_path / "e.nc")
    xr.testing.assert_allclose(open_embedding(tmp_path / "e.nc"), maps)
    with pytest.raises(FileNotFoundError, match="figures_pkg embed"):
        open_embedding(tmp_path / "none.nc")
