"""Names of channels, picked channels and rotated domain maps, on a scan whose maps are known."""

import numpy as np
import pytest
import xarray as xr

from figures_pkg.evaluate.naming import domain_channel, name_channels, open_embedding, pick_channels, reference_maps, sparsity, true_maps

AXIS = np.arange(40) * 4.0  # nm
COORDS = {"scan_y": AXIS, "scan_x": AXIS}


def scan_array(values):
    """A map with coordinates in nm."""
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
def maps(truth):
    """Channels made of the truth: a head-to-head wall, −P with thickness in it, nothing, thickness."""
    rng = np.random.default_rng(0)
    known = true_maps(truth)
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
    known = true_maps(truth)
    for first, second in (("head-to-head wall", "tail-to-tail wall"), ("walls, phase +60°", "walls, phase −60°")):
        np.testing.assert_allclose(known[first] + known[second], known["walls"])
    assert known["walls"].max() == pytest.approx(np.exp(-((2 / 4) ** 2)))  # 2 nm from the wall, reach one step of 4 nm


def test_picked_channels_are_turned_and_differ(maps, truth):
    """−P comes back as +P, and no channel is given twice."""
    known = true_maps(truth)
    (domains, thickness), r = pick_channels(maps, [known["±P"], known["thickness"]])
    assert (int(domains.channel), int(thickness.channel)) == (1, 3) and (r > 0.9).all()
    assert np.corrcoef(domains.values.ravel(), known["±P"].ravel())[0, 1] > 0.9
    with pytest.raises(ValueError, match="5 references for 4 channels"):
        pick_channels(maps, [known["±P"]] * 5)


def test_the_domain_map_is_found_without_and_turned_with_the_truth(maps, truth):
    """Zero parts both domains, +P is above it."""
    found = domain_channel(maps, truth)
    inside = np.abs(truth.wall_distance_nm.values) > 8
    assert np.mean((found.values > 0) == (truth.domain.values > 0), where=inside) > 0.99
    free = domain_channel(maps, None)
    assert abs(np.corrcoef(free.values.ravel(), found.values.ravel())[0, 1]) > 0.999


def test_walls_by_a_domain_map_are_those_of_the_truth(truth):
    """Along c, P falls at a head-to-head wall and rises at a tail-to-tail wall; c reversed, the names change places."""
    domains = scan_array(truth.domain.values)
    known, found = reference_maps(truth, domains, (0.0, 3.0)), reference_maps(None, domains, (0.0, 3.0))
    turned = reference_maps(None, domains, (0.0, -3.0))
    for name, other in (("head-to-head", "tail-to-tail"), ("tail-to-tail", "head-to-head")):
        assert np.corrcoef(known[name].ravel(), found[name].ravel())[0, 1] > 0.8
        np.testing.assert_array_equal(found[name], turned[other])
    assert np.corrcoef(known["walls"].ravel(), found["walls"].ravel())[0, 1] > 0.8


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
