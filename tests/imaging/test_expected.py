"""The lattice that the manifest expects."""

import numpy as np
import pytest
import xarray as xr

from figures_pkg.data import load_manifest
from figures_pkg.imaging import expected_lattice


@pytest.fixture(scope="module")
def scan():
    """What is asked of a scan: its beam energy and its pixel."""
    return xr.DataArray(np.zeros((2, 2)), {"det_x": [0.0, 0.009555]}, ("det_y", "det_x"), attrs={"beam_energy_kev": 200.0})


@pytest.mark.parametrize("name, radius_px", [("ds1", 5.17), ("ds2", 3.17)])
def test_lattice_and_radius_are_those_of_the_manifest(scan, name, radius_px):
    """Centre and vectors are the manifest's; the radius is angle / wavelength (0.02508 Angstrom) / pixel."""
    entry = load_manifest()[name]
    lattice, radius = expected_lattice(entry, scan)
    np.testing.assert_allclose(lattice.centre, entry.axes["origin_row_col_px"].value)
    np.testing.assert_allclose(lattice.position(0, 2), np.add(lattice.centre, entry.axes["g002_row_col_px"].value))
    np.testing.assert_allclose(lattice.position(1, 0), np.add(lattice.centre, entry.axes["g010_row_col_px"].value))
    assert radius == pytest.approx(radius_px, abs=0.01)


def test_entry_without_axes_is_refused(scan):
    """A file of weights has no lattice; the error says which entry to take."""
    with pytest.raises(ValueError, match="'ca-ds1' has no origin.*'ds1'"):
        expected_lattice(load_manifest()["ca-ds1"], scan)
