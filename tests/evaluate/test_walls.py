"""Walls are told apart by what they are, not by where they stand."""

import numpy as np
import pytest
import xarray as xr

from figures_pkg.evaluate.walls import charge_labels, departures, inclination_labels, wall_contrast

N, STEP = 72, 2.0
HEAD, TAIL = 21.3, 50.6  # columns of the two walls, not on positions


@pytest.fixture(scope="module")
def truth():
    """Two upright walls, head-to-head left and tail-to-tail right, +P outside."""
    x = np.indices((N, N))[1].astype(float)
    head = x < (HEAD + TAIL) / 2
    distance = STEP * np.where(head, HEAD - x, x - TAIL)
    maps = {"wall_distance_nm": distance, "wall_width_nm": np.zeros((N, N)), "wall_type": np.where(head, 1, -1),
            "wall_charge": np.where(head, 1.0, -1.0), "wall_inclination_deg": np.zeros((N, N)),
            "polarization": np.clip(distance / STEP, -1, 1)}
    axis = np.arange(N) * STEP
    return xr.Dataset({k: (("scan_y", "scan_x"), v) for k, v in maps.items()}, {"scan_y": axis, "scan_x": axis})


def as_maps(*images):
    return xr.DataArray(np.stack(images), dims=("channel", "scan_y", "scan_x"))


def test_domains_on_straight_fields_leave_nothing(truth):
    """A channel made of the polarization and planes has no departure, at walls and beside them."""
    y, x = np.indices((N, N))
    image = 3 * truth.polarization.values + 0.2 * x - 0.1 * y + 7
    for line in (0.0, 12.0):
        found, where = departures(image[None], truth, line, 6.0)
        assert found.shape[1] == where.shape[1] > N
        np.testing.assert_allclose(found, 0, atol=1e-9)


def test_a_mark_on_one_kind_of_wall_is_seen_and_a_curved_field_is_none(truth):
    """What only head-to-head walls have tells them apart, with placebo lines at chance; a field that bends differently at both places tells those as well."""
    noise, other = np.random.default_rng(0).normal(size=(2, N, N))
    mark = 6 * (truth.wall_type.values > 0) * (np.abs(truth.wall_distance_nm.values) < STEP)
    found = wall_contrast(as_maps(truth.polarization.values * 4 + mark + noise, other), truth, charge_labels(truth))
    assert found.at_wall > 0.97 and found.worst_placebo < 0.75 and found.seen and min(found.places) > N / 2
    bend = 80 * np.sin(np.indices((N, N))[1] / 8.0)
    curved = wall_contrast(as_maps(truth.polarization.values + bend + 0.1 * noise), truth, charge_labels(truth))
    assert curved.worst_placebo > 0.9 and not curved.seen


def test_one_kind_of_wall_has_no_contrast(truth):
    """Where all walls are upright, or of one charge, there is nothing to tell apart; maps of another scan are refused."""
    maps = as_maps(truth.polarization.values)
    for labels in (inclination_labels(truth), np.abs(charge_labels(truth))):
        found = wall_contrast(maps, truth, labels)
        assert np.isnan(found.at_wall) and not found.seen
    half = truth.assign(wall_inclination_deg=5.0 * (truth.wall_type > 0))
    assert set(np.unique(inclination_labels(half))) == {-1, 1}
    with pytest.raises(ValueError, match="one scan"):
        wall_contrast(maps[:, 1:], truth, charge_labels(truth))
