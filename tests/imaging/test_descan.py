"""Descan is fitted to the centre of mass, or read off the rims of the discs, whatever fills them."""

import numpy as np
import pytest
import xarray as xr
from drawn_patterns import STEP, beam, scan_of

from figures_pkg.imaging import (
    CenterOfMass,
    Disc,
    Lattice,
    descan_planes,
    fit_descan,
    remove_descan,
    summarise,
)

DRIFTING = Lattice((64.0, 66.0), (-17.4, -5.9), (-6.7, 18.9))


def test_descan_plane_is_found_and_removed():
    """A linear shift of the beam with the probe is fitted, also from a part of the scan, and removed; the wall stays."""
    y, x = np.indices((20, 24))
    wall = np.where(x > 15, 1.0, 0.0)
    images = summarise(scan_of(beam(14 + 0.05 * y - 0.03 * x + wall, 13 + 0.02 * y).astype(np.float32)))
    planes = fit_descan(images, where=wall == 0)
    np.testing.assert_allclose(planes.com_y.attrs["slope_scan_y"], 0.05 * STEP / 1.4, rtol=1e-3)
    np.testing.assert_allclose(planes.com_y.attrs["slope_scan_x"], -0.03 * STEP / 1.4, rtol=1e-3)
    np.testing.assert_allclose(planes.com_x.attrs["slope_scan_y"], 0.02 * STEP / 1.4, rtol=1e-3)
    flat = remove_descan(images, planes)
    np.testing.assert_allclose(flat.com_y, wall * STEP, atol=1e-5)
    np.testing.assert_allclose(flat.com_x, 0, atol=1e-5)
    assert flat.com_y.attrs == images.com_y.attrs and flat.total.identical(images.total)
    with pytest.raises(ValueError, match="do not lie on a line"):
        fit_descan(images, where=y == 3)


@pytest.fixture(scope="module")
def scan():
    """8 x 8 patterns that drift by 0.8 px downward along scan_y, with discs that fill unevenly along scan_x."""
    y, x = np.indices((128, 128), dtype=float)
    counts = np.zeros((8, 8, 128, 128), np.float32)
    for i, j in np.ndindex(8, 8):
        shift = 0.8 * (i - 3.5) / 7
        for k, l in DRIFTING.reflections((128, 128), 8):
            row, col = DRIFTING.position(k, l) + [shift, 0]
            inside = 1 / (1 + np.exp((np.hypot(y - row, x - col) - 5) / 0.4))
            side = 0.3 * (j - 3.5) * (1 - 2 * ((k + l // 2) % 2))  # neighbouring discs fill from opposite sides
            counts[i, j] += 200 * inside * np.exp(-((x - col - side) ** 2) / 30)
    k = STEP * (np.arange(128) - 64)
    coords = {"scan_y": 2.0 * np.arange(8), "scan_x": 2.0 * np.arange(8), "det_y": k, "det_x": k}
    attrs = {"orientation": "lab", "source": "user", "beam_energy_kev": 200.0}
    scan = xr.DataArray(counts + 5, coords, ("scan_y", "scan_x", "det_y", "det_x"), name="counts", attrs=attrs)
    for dim in ("det_y", "det_x"):
        scan[dim].attrs["units"] = "1/angstrom"
    return scan


def test_planes_of_descan_follow_the_shift_and_not_the_filling(scan):
    """The plane along scan_y is the drift, to a tenth of a pixel; the filling moves the beam's own centre of mass over five times as far."""
    planes = descan_planes(scan, DRIFTING, 5.0, tiles=2)
    drift = STEP * 0.8 * (np.arange(8) - 3.5) / 7
    assert np.allclose(planes.com_y.mean("scan_x"), drift, atol=0.1 * STEP)
    direct = summarise(scan, com=CenterOfMass(Disc(DRIFTING.centre, 9), background=np.full((128, 128), 5.0)), mean=False)
    assert 5 * np.ptp(planes.com_x.values) < np.ptp(direct.com_x.mean("scan_y").values)
    assert planes.com_y.dims == ("scan_y", "scan_x") and planes.com_y.shape == (8, 8)
    assert float(planes.com_y.mean()) == pytest.approx(0, abs=1e-12)
