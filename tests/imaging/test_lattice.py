"""The lattice of discs: as the manifest expects it, and refined where the discs lie."""

import numpy as np
import pytest
import xarray as xr

from figures_pkg.data import load_manifest
from figures_pkg.imaging import Lattice, expected_lattice, refine_lattice

pytestmark = pytest.mark.physics

TRUE = Lattice((124.0, 128.6), (-17.41, -5.89), (-6.74, 18.88))


@pytest.fixture(scope="module")
def axes_only():
    """What is asked of a scan: its beam energy and its pixel."""
    return xr.DataArray(np.zeros((2, 2)), {"det_x": [0.0, 0.009555]}, ("det_y", "det_x"), attrs={"beam_energy_kev": 200.0})


@pytest.mark.parametrize("name, radius_px", [("ds1", 5.17), ("ds2", 3.17)])
def test_lattice_and_radius_are_those_of_the_manifest(axes_only, name, radius_px):
    """Centre and vectors are the manifest's; the radius is angle / wavelength (0.02508 Angstrom) / pixel."""
    entry = load_manifest()[name]
    lattice, radius = expected_lattice(entry, axes_only)
    np.testing.assert_allclose(lattice.centre, entry.axes["origin_row_col_px"].value)
    np.testing.assert_allclose(lattice.position(0, 2), np.add(lattice.centre, entry.axes["g002_row_col_px"].value))
    np.testing.assert_allclose(lattice.position(1, 0), np.add(lattice.centre, entry.axes["g010_row_col_px"].value))
    assert radius == pytest.approx(radius_px, abs=0.01)


def test_entry_without_axes_is_refused(axes_only):
    """A file of weights has no lattice; the error says which entry to take."""
    with pytest.raises(ValueError, match="'ca-ds1' has no origin.*'ds1'"):
        expected_lattice(load_manifest()["ca-ds1"], axes_only)


def discs(lattice, radius=5.0, shape=(256, 256)):
    """A pattern with soft discs of falling intensity on a sloping background."""
    y, x = np.indices(shape)
    pattern = 20 - 0.03 * y + 0.01 * x
    for k, l in lattice.reflections(shape, 0):
        row, col = lattice.position(k, l)
        height = 200 * np.exp(-(((row - 124) ** 2 + (col - 128) ** 2) / 80**2)) * (1 + 0.5 * np.sin(3 * k + l))
        pattern = pattern + height / (1 + np.exp((np.hypot(y - row, x - col) - radius) / 0.5))
    return pattern


def test_refines_a_poor_guess():
    """From three pixels and 2 % off the fit comes back to 0.05 px."""
    guess = Lattice((126.0, 126.8), (-17.8, -5.7), (-6.5, 19.2))
    found = refine_lattice(discs(TRUE), guess, 5.0)
    assert np.allclose(found.centre, TRUE.centre, atol=0.1)
    assert np.allclose([found.g002, found.g010], [TRUE.g002, TRUE.g010], atol=0.05)


def test_binning_keeps_the_places():
    """Joining 2 x 2 pixels moves the lattice as ``scaled`` says."""
    binned = discs(TRUE).reshape(128, 2, 128, 2).mean(axis=(1, 3))
    found = refine_lattice(binned, TRUE.scaled(2), 2.5)
    assert np.allclose(found.centre, TRUE.scaled(2).centre, atol=0.15)


def test_an_empty_pattern_is_refused():
    with pytest.raises(ValueError, match="only 0 discs"):
        refine_lattice(np.ones((256, 256)), TRUE, 5.0)
