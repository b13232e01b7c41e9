"""Potentials against abTEM and quadrature, and the thermal average against a direct one."""

import numpy as np
import pytest
from abtem.core.energy import energy2sigma, energy2wavelength
from abtem.parametrizations import LobatoParametrization
from scipy.ndimage import gaussian_filter

from figures_pkg.crystal.structure import ermno3
from figures_pkg.data.units import interaction_constant, wavelength_angstrom
from figures_pkg.diffraction.potential import fourier_crop, log_transmission, projected_potential, scattering_factor

pytestmark = pytest.mark.physics

CELL = np.array([5.0, 6.0])


@pytest.mark.parametrize("symbol", ["Er", "Mn", "O"])
def test_scattering_factors_are_abtems(symbol):
    """Our formula on abTEM's parameters is abTEM's projected scattering factor, to its single precision."""
    k2 = np.linspace(0, 100, 50)
    np.testing.assert_allclose(scattering_factor(symbol, k2), LobatoParametrization().projected_scattering_factor(symbol)(k2), rtol=2e-5)


def test_constants_at_200_kv():
    """Wavelength and interaction constant are abTEM's, 2.508 pm and 7.288e-4 rad / (V angstrom)."""
    ours = wavelength_angstrom(200), interaction_constant(200)
    assert ours == pytest.approx((energy2wavelength(200e3), energy2sigma(200e3)), rel=1e-8)  # its CODATA is older
    assert ours == pytest.approx((0.025079, 7.2884e-4), rel=1e-4)


def test_mean_potential_is_the_forward_scattering():
    """The mean of the projected potential is the sum of f(0) over the area of the cell."""
    columns = (["Er", "O"], np.array([[0.3, 0.4], [2.2, 3.1]]), np.array([0.0044, 0.006]), CELL)
    forward = sum(scattering_factor(symbol, 0.0) for symbol in ("Er", "O"))
    assert projected_potential(columns, (40, 48)).mean() == pytest.approx(forward / CELL.prod(), rel=1e-9)


def test_atoms_are_placed_exactly():
    """One moved by three pixels gives the rolled array; one between pixels has the same Fourier moduli, which bilinear placement does not have."""
    here, pixels, between = (projected_potential((["Er"], np.array([place]), np.array([0.005]), CELL), (50, 60))
                             for place in ((0, 0), 3 * CELL / (50, 60), (0.0437, 0.0306)))  # fmt: skip
    np.testing.assert_allclose(np.roll(here, (3, 3), (0, 1)), pixels, atol=1e-9 * here.max())
    spectra = [np.abs(np.fft.fft2(potential))[:25, :30] for potential in (here, between)]
    np.testing.assert_allclose(*spectra, atol=1e-9 * spectra[0].max())


@pytest.mark.parametrize("symbol", ["Er", "O"])
def test_thermal_average_equals_a_direct_one(symbol):
    """A rigid atom's exp(i sigma v), averaged over displacements in real space on a finer grid, is our transmission."""
    u_iso, pixel_angstrom = 0.0044, 1 / 240
    at_rest = ([symbol], np.array([[2.0, 2.5]]), np.array([0.0]), CELL)
    phase = np.exp(1j * interaction_constant(200) * projected_potential(at_rest, (1200, 1440)))
    direct = gaussian_filter(phase, np.sqrt(u_iso) / pixel_angstrom, mode="wrap", truncate=6)
    ours = np.exp(log_transmission((*at_rest[:2], np.array([u_iso]), CELL), (150, 180), 200))
    assert np.abs(ours - direct[::8, ::8]).max() < 5e-4
    assert np.abs(direct).min() < 0.999  # so that there is something to agree about


def test_projection_of_the_crystal_absorbs_and_repeats():
    """The averaged transmission is nowhere above one and well below it on the Er columns. The glide plane normal to the beam halves c."""
    crystal = ermno3()
    columns = (crystal.symbols[:30], crystal.positions_angstrom[:30, 1:], crystal.u_iso[:30], crystal.cell_angstrom[1:] / (2, 1))
    logarithm = log_transmission(columns, (96, 208), 200)
    for values in (projected_potential(columns, (96, 208)), logarithm):
        np.testing.assert_allclose(values[:, :104], values[:, 104:], atol=1e-8 * np.abs(values).max())
    modulus = np.exp(logarithm.real)
    assert modulus.max() < 1 + 1e-6 and modulus.min() < 0.9


def test_fourier_crop_keeps_low_frequencies():
    """Cropping the spectrum of a smooth function and going back samples the same function on a coarser grid."""
    fine, coarse = (np.exp(np.cos(2 * np.pi * np.arange(n) / n))[:, None] * np.ones(m) for n, m in ((64, 8), (32, 4)))
    cropped = np.fft.ifft2(fourier_crop(np.fft.fft2(fine), coarse.shape)) * coarse.size / fine.size
    np.testing.assert_allclose(cropped, coarse, atol=1e-12)
