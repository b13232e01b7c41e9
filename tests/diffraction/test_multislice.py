"""Physics of the multislice: symmetry, extinction, conservation, kinematic limit, potentials and thermal averages."""

import numpy as np
import pytest
from abtem.core.energy import energy2sigma, energy2wavelength
from abtem.parametrizations import LobatoParametrization
from scipy.ndimage import gaussian_filter

from figures_pkg.crystal.structure import ermno3
from figures_pkg.data.units import interaction_constant, wavelength_angstrom
from figures_pkg.diffraction import crystal_stack, damp_beams, propagate
from figures_pkg.diffraction.multislice import log_transmission, make_stack, projected_potential, scattering_factor, slice_index

pytestmark = pytest.mark.physics

GPTS = (72, 80)
CELL = np.array([5.0, 6.0])
ORDERS = np.array([(2 * k, l) for k in range(-3, 4) for l in range(-8, 9, 2)])  # of the orthogonal cell
TILTS = np.array([(0.0, 0.0), (1.0, -3.5), (-2.2, 0.7), (4.0, 6.0)])
PERIODS = [33, 82, 123]  # 20, 50 and 75 nm


@pytest.fixture(scope="module")
def plus():
    """Four thermally averaged slices of +P, with the ring damped as in the library."""
    return damp_beams(crystal_stack(ermno3(+1), GPTS, 4), 3.2, 5.0)


def test_symmetries_of_the_two_polarizations(plus):
    """-P(G, -tilt) = +P(-G, tilt); I(k, l; tilt_b, tilt_c) = I(-k, l; -tilt_b, tilt_c); the glide plane extinguishes 0kl with odd l at every tilt."""
    minus = damp_beams(crystal_stack(ermno3(-1), GPTS, 4), 3.2, 5.0)
    both = propagate(plus, TILTS, PERIODS, np.concatenate([ORDERS, -ORDERS]))
    ours, opposite = np.split(both, 2, axis=-1)
    assert np.abs(propagate(minus, -TILTS, PERIODS, ORDERS) - opposite).max() < 1e-4 * ours.max()
    assert np.abs(propagate(plus, TILTS * (-1, 1), PERIODS, ORDERS * (-1, 1)) - ours).max() < 2e-5
    up, down = np.split(propagate(plus, TILTS[:1], PERIODS, np.array([(0, l) for l in (2, 4, 6, -2, -4, -6)]))[0], 2, axis=1)
    assert np.abs((up - down) / (up + down)).max() > 0.1  # so that there is something to test
    odd = np.array([(2 * k, l) for k in range(-2, 3) for l in range(-7, 8, 2)])
    assert propagate(plus, TILTS, PERIODS, odd).max() < 1e-5


def test_intensity_is_conserved_without_absorption_and_lost_to_vibrations(plus):
    """A pure phase without a cut of beams keeps the sum over all beams; with thermal averages the Bragg beams lose more than half by 75 nm."""
    crystal = ermno3()
    cell, layers = crystal.cell_angstrom[1:], slice_index(crystal, 2)
    halves = [(np.array(crystal.symbols)[half], crystal.positions_angstrom[half, 1:], crystal.u_iso[half], cell) for half in (layers == 0, layers == 1)]
    phases = np.exp(1j * interaction_constant(200) * np.array([projected_potential(columns, (96, 104)) for columns in halves]))
    stack = make_stack(phases, cell, crystal.cell_angstrom[0] / 2, 200, np.ones((96, 104), bool))
    every = np.array(np.unravel_index(np.arange(96 * 104), (96, 104))).T
    total = propagate(stack, TILTS[2:], PERIODS, every).sum(axis=-1, dtype=float)
    np.testing.assert_allclose(total, 1, atol=1e-4)
    every = np.array(np.unravel_index(np.arange(plus.attenuation.size), plus.attenuation.shape)).T
    total = propagate(plus, TILTS[:1], [1, *PERIODS], every)[0].sum(axis=-1)
    assert 0.98 < total[0] < 1 and (np.diff(total) < 0).all() and 0.3 < total[-1] < 0.5


def test_kinematic_limit_and_sign_of_the_tilt():
    """A weak sinusoidal grating diffracts as sinc^2 of the excitation error: negative tilt_c excites +l."""
    cell, strength, dz, periods = (4.0, 5.0), 1e-4, 10.0, 200
    grating = np.ones((16, 1)) * np.cos(2 * np.pi * np.arange(20) / 20)
    stack = make_stack(1 + 1j * strength * grating[None], cell, dz)
    tilts = np.array([(0.0, 0.0), (0.0, -2.5), (0.0, 2.5), (3.0, -4.0)])
    intensities = propagate(stack, tilts, [periods], np.array([(0, 1), (0, -1)]))[:, 0]
    wavelength = wavelength_angstrom(200)
    for order, column in ((1, 0), (-1, 1)):
        g = order / cell[1]
        excitation = -(wavelength * g**2 / 2 + g * tilts[:, 1] * 1e-3)
        step = np.pi * excitation * dz
        expected = (strength / 2 * np.sin(step * periods) / np.where(step == 0, 1, np.sin(step))) ** 2
        np.testing.assert_allclose(intensities[:, column], expected, rtol=2e-3, atol=1e-10)
    assert intensities[1, 0] > 10 * intensities[1, 1]


def test_threads_and_batches_change_nothing(plus):
    tilts = np.stack([np.linspace(-3, 3, 7), np.linspace(2, -1, 7)], axis=1)
    together = propagate(plus, tilts, [5, 9], ORDERS, threads=1)
    one_by_one = np.concatenate([propagate(plus, tilt[None], [5, 9], ORDERS, threads=2) for tilt in tilts])
    np.testing.assert_allclose(together, one_by_one, atol=1e-6)
    with pytest.raises(ValueError, match="3 slices per period"):
        crystal_stack(ermno3(), GPTS, 3)


def test_scattering_factors_and_constants_are_abtems_and_atoms_are_placed_exactly():
    """An atom between pixels has the Fourier moduli of one on a pixel, which bilinear placement does not have."""
    k2 = np.linspace(0, 100, 50)
    for symbol in ("Er", "Mn", "O"):
        np.testing.assert_allclose(scattering_factor(symbol, k2), LobatoParametrization().projected_scattering_factor(symbol)(k2), rtol=2e-5)
    for kev, tabulated in ((100, (0.037014, 9.2440e-4)), (200, (0.025079, 7.2884e-4)), (300, (0.019687, 6.5262e-4))):
        ours = wavelength_angstrom(kev), interaction_constant(kev)
        assert ours == pytest.approx((energy2wavelength(1e3 * kev), energy2sigma(1e3 * kev)), rel=1e-8)  # its CODATA is older
        assert ours == pytest.approx(tabulated, rel=3e-5)
    columns = (["Er", "O"], np.array([[0.3, 0.4], [2.2, 3.1]]), np.array([0.0044, 0.006]), CELL)
    forward = sum(scattering_factor(symbol, 0.0) for symbol in ("Er", "O"))
    assert projected_potential(columns, (40, 48)).mean() == pytest.approx(forward / CELL.prod(), rel=1e-9)
    here, pixels, between = (projected_potential((["Er"], np.array([place]), np.array([0.005]), CELL), (50, 60))
                             for place in ((0, 0), 3 * CELL / (50, 60), (0.0437, 0.0306)))  # fmt: skip
    np.testing.assert_allclose(np.roll(here, (3, 3), (0, 1)), pixels, atol=1e-9 * here.max())
    spectra = [np.abs(np.fft.fft2(potential))[:25, :30] for potential in (here, between)]
    np.testing.assert_allclose(*spectra, atol=1e-9 * spectra[0].max())


def test_thermal_average_equals_a_direct_one():
    """A rigid atom's exp(i sigma v), averaged over displacements in real space on a finer grid, is our transmission."""
    u_iso, pixel_angstrom = 0.0044, 1 / 240
    at_rest = (["Er"], np.array([[2.0, 2.5]]), np.array([0.0]), CELL)
    phase = np.exp(1j * interaction_constant(200) * projected_potential(at_rest, (1200, 1440)))
    direct = gaussian_filter(phase, np.sqrt(u_iso) / pixel_angstrom, mode="wrap", truncate=6)
    ours = np.exp(log_transmission((*at_rest[:2], np.array([u_iso]), CELL), (150, 180), 200))
    assert np.abs(ours - direct[::8, ::8]).max() < 5e-4
    assert np.abs(direct).min() < 0.999  # so that there is something to agree about
