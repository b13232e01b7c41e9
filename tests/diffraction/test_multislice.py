"""Physics of the multislice: symmetry, extinction, conservation, kinematic limit, and agreement with abTEM."""

import abtem
import numpy as np
import pytest

from figures_pkg.crystal.structure import ermno3
from figures_pkg.data.units import interaction_constant, wavelength_angstrom
from figures_pkg.diffraction.multislice import Stack, crystal_stack, damp_beams, make_stack, propagate, slice_index
from figures_pkg.diffraction.potential import frequencies, projected_potential

pytestmark = pytest.mark.physics

GPTS = (72, 80)
ORDERS = np.array([(2 * k, l) for k in range(-3, 4) for l in range(-8, 9, 2)])  # of the orthogonal cell
TILTS = np.array([(0.0, 0.0), (1.0, -3.5), (-2.2, 0.7), (4.0, 6.0)])
PERIODS = [33, 82, 123]  # 20, 50 and 75 nm


@pytest.fixture(scope="module")
def plus() -> Stack:
    """Four thermally averaged slices of +P, with the ring damped as in the library."""
    return damp_beams(crystal_stack(ermno3(+1), GPTS, 4), 3.2, 5.0)


@pytest.fixture(scope="module")
def at_rest():
    """Two slices of a pure phase, without absorption and without any cut of beams, and the potentials behind them."""
    crystal = ermno3()
    cell, layers = crystal.cell_angstrom[1:], slice_index(crystal, 2)
    potentials = []
    for layer in range(2):
        inside = np.flatnonzero(layers == layer)
        symbols = [crystal.symbols[atom] for atom in inside]
        columns = (symbols, crystal.positions_angstrom[inside, 1:], crystal.u_iso[inside], cell)
        potentials.append(projected_potential(columns, (96, 104)))
    return np.array(potentials), cell, crystal.cell_angstrom[0] / 2


def phase_stack(potentials, cell, slice_angstrom, aperture):
    """Slices exp(i sigma V) with a given band limit."""
    return make_stack(np.exp(1j * interaction_constant(200) * potentials), cell, slice_angstrom, 200, aperture)


def test_symmetries_of_the_two_polarizations(plus):
    """-P(G, -tilt) = +P(-G, tilt), and a mirror plane holds beam and c: I(k, l; tilt_b, tilt_c) = I(-k, l; -tilt_b, tilt_c). On the zone axis 00l
    and 00-l differ by more than a tenth somewhere, so that there is something to test."""
    minus = damp_beams(crystal_stack(ermno3(-1), GPTS, 4), 3.2, 5.0)
    both = propagate(plus, TILTS, PERIODS, np.concatenate([ORDERS, -ORDERS]))
    ours, opposite = np.split(both, 2, axis=-1)
    assert np.abs(propagate(minus, -TILTS, PERIODS, ORDERS) - opposite).max() < 1e-4 * ours.max()
    assert np.abs(propagate(plus, TILTS * (-1, 1), PERIODS, ORDERS * (-1, 1)) - ours).max() < 2e-5
    assert np.abs(asymmetry(plus, PERIODS)).max() > 0.1


def test_odd_l_is_extinct(plus):
    """The glide plane normal to the beam extinguishes 0kl with odd l, and with it 00l; tilts do not revive it."""
    odd = np.array([(2 * k, l) for k in range(-2, 3) for l in range(-7, 8, 2)])
    assert propagate(plus, TILTS, PERIODS, odd).max() < 1e-5


def asymmetry(stack, periods, orders=(2, 4, 6)):
    """A(00l) = (I - I') / (I + I') of l against -l on the zone axis, shape (periods, orders)."""
    pairs = np.array([[(0, order), (0, -order)] for order in orders]).reshape(-1, 2)
    intensities = propagate(stack, TILTS[:1], periods, pairs)[0].astype(float)
    return (intensities[:, ::2] - intensities[:, 1::2]) / (intensities[:, ::2] + intensities[:, 1::2])


def test_asymmetry_vanishes_with_thickness():
    """Without absorption A(00l) is proportional to the thickness of a very thin crystal, and so goes to zero with it."""
    crystal, parts = ermno3(), 64
    depth, cell = crystal.cell_angstrom[0], crystal.cell_angstrom[1:]
    potential = projected_potential((crystal.symbols, crystal.positions_angstrom[:, 1:], crystal.u_iso, cell), GPTS)
    thin = phase_stack(potential[None] / parts, cell, depth / parts, np.ones(GPTS, bool))
    values = asymmetry(thin, [1, 2, 4, 8])
    assert (np.abs(values[0]) < 0.01).all() and (np.abs(values[0]) > 1e-4).all()
    np.testing.assert_allclose(values[1:] / values[:-1], 2, rtol=0.1)


def test_absorption_leaves_a_small_asymmetry_at_zero_thickness(plus):
    """Thermal losses break Friedel's law at first order: extrapolated to no thickness, A(002) and A(004) stay below 0.02."""
    one, two = asymmetry(plus, [1, 2], (2, 4))
    assert (np.abs(2 * one - two) < 0.02).all() and (np.abs(one) < 0.05).all()


def test_intensity_is_conserved_without_absorption(at_rest):
    """A pure phase without a cut of beams keeps the sum over all beams at one through 75 nm, at every tilt."""
    potentials, cell, slice_angstrom = at_rest
    stack = phase_stack(potentials, cell, slice_angstrom, np.ones(potentials.shape[1:], bool))
    every = np.array(np.unravel_index(np.arange(potentials[0].size), potentials[0].shape)).T
    total = propagate(stack, TILTS[2:], PERIODS, every).sum(axis=-1, dtype=float)
    np.testing.assert_allclose(total, 1, atol=1e-4)


def test_vibrations_lose_intensity_monotonically(plus):
    """With thermal averages the Bragg beams lose intensity with thickness: less than half is left at 75 nm."""
    every = np.array(np.unravel_index(np.arange(plus.attenuation.size), plus.attenuation.shape)).T
    total = propagate(plus, TILTS[:1], [1, *PERIODS], every)[0].sum(axis=-1)
    assert 0.98 < total[0] < 1 and (np.diff(total) < 0).all() and 0.3 < total[-1] < 0.5


@pytest.mark.parametrize("tilt", [(0.0, 0.0), (3.0, -4.0)])
def test_abtem_agrees_on_the_same_slices(at_rest, tilt):
    """abTEM's multislice through the same potentials with the same band limit gives the same intensities to 1e-4."""
    potentials, cell, slice_angstrom = at_rest
    periods, gpts = 40, potentials.shape[1:]
    kb, kc = frequencies(gpts, cell)
    aperture = np.hypot(kb, kc) < 2 / 3 / max(cell / gpts) / 2
    ours = propagate(phase_stack(potentials, cell, slice_angstrom, aperture), [tilt], [periods], ORDERS)[0, 0]
    with abtem.config.set({"antialias.taper": 0.0, "antialias.cutoff": 2 / 3, "local_diagnostics.progress_bar": False}):
        repeated = np.tile(potentials, (periods, 1, 1)).astype(np.float32)
        slab = abtem.PotentialArray(repeated, slice_thickness=slice_angstrom, sampling=tuple(cell / gpts))
        wave = abtem.PlaneWave(energy=200e3, normalize=True, tilt=tilt).multislice(slab, lazy=False)
    amplitudes = np.fft.fft2(wave.array)  # normalized to one in reciprocal space
    theirs = np.abs(amplitudes[ORDERS[:, 0], ORDERS[:, 1]]) ** 2
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
    assert theirs.max() > 0.05


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


def test_slices_must_not_cut_through_a_layer():
    """Three slices per period would put Mn on a border and break the symmetry between +P and -P; the error says so."""
    with pytest.raises(ValueError, match="3 slices per period"):
        crystal_stack(ermno3(), GPTS, 3)


def test_threads_and_batches_change_nothing(plus):
    """Seven tilts on one thread equal the same tilts one by one on two."""
    tilts = np.stack([np.linspace(-3, 3, 7), np.linspace(2, -1, 7)], axis=1)
    together = propagate(plus, tilts, [5, 9], ORDERS, threads=1)
    one_by_one = np.concatenate([propagate(plus, tilt[None], [5, 9], ORDERS, threads=2) for tilt in tilts])
    np.testing.assert_allclose(together, one_by_one, atol=1e-6)
