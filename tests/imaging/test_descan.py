"""Descan is read off the rims of the discs, whatever fills them."""

import numpy as np
import pytest
import xarray as xr

from figures_pkg.imaging import CenterOfMass, Disc, Lattice, descan_planes, summarise

LATTICE = Lattice((64.0, 66.0), (-17.4, -5.9), (-6.7, 18.9))
STEP = 0.01


@pytest.fixture(scope="module")
def scan():
    """8 x 8 patterns that drift by 0.8 px downward along scan_y, with discs that fill unevenly along scan_x."""
    y, x = np.indices((128, 128), dtype=float)
    counts = np.zeros((8, 8, 128, 128), np.float32)
    for i, j in np.ndindex(8, 8):
        shift = 0.8 * (i - 3.5) / 7
        for k, l in LATTICE.reflections((128, 128), 8):
            row, col = LATTICE.position(k, l) + [shift, 0]
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


def test_planes_follow_the_shift(scan):
    """The plane along scan_y is the drift, to a tenth of a pixel."""
    planes = descan_planes(scan, LATTICE, 5.0, tiles=2)
    drift = STEP * 0.8 * (np.arange(8) - 3.5) / 7
    assert np.allclose(planes.com_y.mean("scan_x"), drift, atol=0.1 * STEP)


def test_filling_moves_the_rims_far_less_than_the_centre_of_mass(scan):
    """What fills the discs along scan_x moves the direct beam's own centre of mass over five times as far."""
    planes = descan_planes(scan, LATTICE, 5.0, tiles=2)
    direct = summarise(scan, com=CenterOfMass(Disc(LATTICE.centre, 9), background=np.full((128, 128), 5.0)), mean=False)
    assert 5 * np.ptp(planes.com_x.values) < np.ptp(direct.com_x.mean("scan_y").values)


def test_planes_are_those_that_remove_descan_takes(scan):
    """The result lies on the scan's own positions, in the unit of the detector."""
    planes = descan_planes(scan, LATTICE, 5.0, tiles=2)
    assert planes.com_y.dims == ("scan_y", "scan_x") and planes.com_y.shape == (8, 8)
    assert float(planes.com_y.mean()) == pytest.approx(0, abs=1e-12)
