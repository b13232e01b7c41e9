"""abTEM's own multislice, through its public interface, as the second engine of `simulate`.

Three kinds of specimen take `tilt_mrad` along b* and c, `periods` (t,), thicknesses in whole periods, increasing, and `reflections` (n, 2), orders
of the orthogonal cell along b* and c. They give intensities (t, n) as fractions of the incident beam, and the sum over all beams of the grid (t,).
Where `tilts_mrad` are many, (m, 2), they go through together and both results have an axis (m,) in front.

abTEM forms transmission and band limit of a slice anew each time a wave meets it, which costs more than to carry the wave on. In a crystal the same
slices come again in every period, so `crystal_waves` forms each once and then takes abTEM's own steps. The result is that of abTEM's loop but for the
last bits of single precision, which FFTW's measured plans change from run to run anyway.

abTEM's own potential places atoms by bilinear weights on the grid. On the grids used here that changes intensities by up to
0.007 of the incident beam against exact phases, halved on a grid twice as fine.
"""

import abtem
import ase
import numpy as np
from abtem.antialias import AntialiasAperture
from abtem.multislice import FresnelPropagator, conventional_multislice_step

from figures_pkg.data.units import interaction_constant

QUIET = {"local_diagnostics.progress_bar": False}
SHARP = {"antialias.taper": 0.0, "antialias.cutoff": 1.0}  # the circle that `make_stack` keeps


def through_slices(stack, energy_kev, tilts_mrad, periods, reflections):
    """Intensities behind the slices of a `Stack` (thermally averaged, with the default aperture, not damped), propagated by abTEM; of many tilts."""
    potential = complex_potential(stack, energy_kev)
    sampling = tuple(length / n for length, n in zip(stack.cell_angstrom, potential.shape[1:], strict=True))
    unit = abtem.PotentialArray(potential, slice_thickness=stack.slice_angstrom, sampling=sampling)
    with abtem.config.set(SHARP | QUIET):
        waves = crystal_waves(_plane_wave(energy_kev, np.asarray(tilts_mrad, float), unit), unit, periods)
    return _read(np.moveaxis(waves, 0, 1), reflections)


def complex_potential(stack, energy_kev):
    """Thermally averaged slices as -i ln(t) / sigma in V angstrom, shape (n_slices, n_b, n_c); absorption is imaginary."""
    return (-1j / interaction_constant(energy_kev) * np.log(stack.transmission)).astype(np.complex64)


def at_rest(crystal, gpts, slices, energy_kev, tilt_mrad, periods, reflections):
    """Intensities behind atoms at rest in abTEM's own potential."""
    atoms = _atoms(crystal, slices)
    with abtem.config.set(QUIET):
        unit = abtem.Potential(atoms, gpts=gpts, slice_thickness=atoms.cell[2, 2] / slices).build(lazy=False)
        return _read(crystal_waves(_plane_wave(energy_kev, tilt_mrad, unit), unit, periods), reflections)


def frozen_phonons(crystal, gpts, slices, energy_kev, tilt_mrad, periods, reflections, configurations, seed):
    """Coherent intensities from two or more frozen-phonon configurations, their standard errors (t, n), and the sum over all beams, diffuse ones too.

    Every atom along the beam moves on its own, normal to the beam, so that none changes its slice (Loane, Xu and Silcox, Acta Cryst. A47, 267
    (1991)); the lateral cell is one orthogonal cell, whose images move together.
    """
    exits, waves = tuple(slices * period - 1 for period in periods), []
    for child in np.random.SeedSequence(seed).generate_state(configurations):
        slab = displaced_slab(crystal, (1, 1, max(periods)), gpts, slices, int(child), exits)
        waves.append(exit_waves(slab, energy_kev, tilt_mrad).reshape(len(periods), *gpts))
    beams = np.array(waves)[..., reflections[:, 0], reflections[:, 1]]
    kept = (np.abs(waves) ** 2).sum(axis=(-2, -1)).mean(axis=0)
    return *coherent_intensity(beams), kept


def displaced_slab(crystal, repeats, gpts, slices, seed, exit_planes=None):
    """One configuration of frozen phonons: cells repeated along b*, c and the beam, every atom displaced across the beam on its own."""
    sigmas = np.sqrt(np.tile(crystal.u_iso, np.prod(repeats)))
    phonons = abtem.FrozenPhonons(_atoms(crystal, slices) * repeats, 1, sigmas=sigmas, directions="xy", seed=seed)
    return abtem.Potential(phonons, gpts=gpts, slice_thickness=crystal.cell_angstrom[0] / slices, exit_planes=exit_planes)


def coherent_intensity(amplitudes):
    """Unbiased square of the mean of complex amplitudes over their first axis, the configurations, and its standard error (jackknife).

    The square of the mean is too large by the diffuse part, the mean over all pairs is not; weak reflections may come out slightly negative. The
    error is right for strong beams and too large by up to a half for those below the noise.
    """
    count = len(amplitudes)
    total, squares = amplitudes.sum(axis=0), (np.abs(amplitudes) ** 2).sum(axis=0)
    value = (np.abs(total) ** 2 - squares) / (count * (count - 1))
    if count < 3:
        return value, np.full(value.shape, np.nan)
    without = (np.abs(total - amplitudes) ** 2 - squares + np.abs(amplitudes) ** 2) / ((count - 1) * (count - 2))
    return value, np.sqrt((count - 1) * without.var(axis=0))


def beam_along_z(crystal):
    """The orthogonal cell as `ase.Atoms` with the axes of abTEM: b*, c, beam."""
    order = [1, 2, 0]
    return ase.Atoms(crystal.symbols, positions=crystal.positions_angstrom[:, order], cell=crystal.cell_angstrom[order], pbc=True)


def _atoms(crystal, slices):
    """The cell for abTEM, moved by half a slice, so that slices are centred on the atomic layers."""
    atoms = beam_along_z(crystal)
    atoms.positions[:, 2] += atoms.cell[2, 2] / slices / 2
    atoms.wrap()
    return atoms


def crystal_waves(waves, unit, periods):
    """Fourier coefficients, (t, ..., n_b, n_c), of abTEM's waves behind the asked numbers of repeats of a built potential."""
    aperture, propagator, found = AntialiasAperture(), FresnelPropagator(), []
    slices = [aperture.bandlimit(each.transmission_function(waves.energy)) for each in unit.generate_slices()]
    for period in range(1, max(periods) + 1):
        for each in slices:
            waves = conventional_multislice_step(waves, each, propagator, aperture)
        if period in periods:
            found.append(np.fft.fft2(waves.array))
    return np.array(found)


def exit_waves(potential, energy_kev, tilt_mrad=(0.0, 0.0)):
    """Fourier coefficients of the exit waves of a plane wave; a beam that holds everything is 1."""
    with abtem.config.set(QUIET):
        return np.fft.fft2(_plane_wave(energy_kev, tilt_mrad, potential).multislice(potential).array)


def _plane_wave(energy_kev, tilt_mrad, potential):
    """A plane wave of one tilt (a pair), or waves of an array of tilts (m, 2), on the grid of a potential."""
    wave = abtem.PlaneWave(energy=energy_kev * 1e3, normalize=True, tilt=tilt_mrad, extent=potential.extent, gpts=potential.gpts)
    return wave.build(lazy=False)


def _read(beams, reflections):
    intensities = np.abs(beams) ** 2
    return intensities[..., reflections[:, 0], reflections[:, 1]], intensities.sum(axis=(-2, -1))
