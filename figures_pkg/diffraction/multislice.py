"""The multislice: one loop for waves of any kind, and plane waves through a periodic crystal at all thicknesses in one run.

The crystal is periodic, so the transmission stays periodic whatever the beam's direction: the tilt enters the propagator
only, as exp(-i pi lambda dz (k^2 + 2 k.K)) with K = tilt / lambda (Cowley and Moodie, Acta Cryst. 10, 609 (1957)).

Sign of the tilt. A positive tilt_c means a beam whose wave vector has a positive component along c (equally, a crystal
turned the other way). A negative tilt_c then brings the reflections with l > 0 towards the Bragg condition. A pixel at
an angle alpha from the centre of a disc belongs to the plane wave tilted by alpha more, so that one table of tilts holds
the discs of every convergence.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain, repeat
from queue import SimpleQueue

import numpy as np
import pyfftw
from tqdm import tqdm

from figures_pkg.crystal.structure import Crystal
from figures_pkg.data.units import wavelength_angstrom
from figures_pkg.workspace import available_cores

from .potential import fourier_crop, frequencies, largest_circle, log_transmission

OVERSAMPLING = 2  # the product over atoms is formed on a grid this much finer, then cropped in Fourier space
BORDER = 0.1  # of a slice; atoms should stay this far from its ends, so that both variants are cut alike
BATCH = 4  # tilts per transform; their waves and propagators stay in a core's cache


@dataclass(frozen=True)
class Stack:
    """One period of the crystal as equal slices, ready for the multislice."""

    transmission: np.ndarray  #: (n_slices, n_b, n_c) complex64
    cell_angstrom: tuple  #: edges along b* and c
    slice_angstrom: float  #: thickness of one slice
    attenuation: np.ndarray  #: (n_b, n_c) factor of each beam's amplitude per slice: 1 for beams that travel freely, 0 for those that are cut
    wavelength_angstrom: float


def crystal_stack(crystal, gpts, slices, energy_kev=200.0, table="lobato"):
    """Cut one period along the beam into equal slices of thermally averaged transmission.

    Slices are centred on atomic layers, otherwise the two polarizations would not be each other's exact image; an atom at the border of two
    slices raises a `ValueError`.

    Parameters
    ----------
    crystal : Crystal
    gpts : tuple of int
        Grid points along b* and c of the orthogonal cell.
    slices : int
        Slices per period. ErMnO3 along [100] has six layers: 6 is converged, 4 and 2 merge neighbours symmetrically.
    energy_kev : float
    table : str
        Of scattering factors, as for :func:`~figures_pkg.diffraction.potential.scattering_factor`.
    """
    cell = tuple(crystal.cell_angstrom[1:])
    layers = slice_index(crystal, slices)
    fine = tuple(OVERSAMPLING * n for n in gpts)
    transmission = np.empty((slices, *gpts), complex)
    for layer in range(slices):
        inside = np.flatnonzero(layers == layer)
        symbols = [crystal.symbols[atom] for atom in inside]
        columns = (symbols, crystal.positions_angstrom[inside, 1:], crystal.u_iso[inside], cell)
        values = np.exp(log_transmission(columns, fine, energy_kev, table))
        transmission[layer] = np.fft.ifft2(fourier_crop(np.fft.fft2(values), gpts)) * (np.prod(gpts) / values.size)
    return make_stack(transmission, cell, crystal.cell_angstrom[0] / slices, energy_kev)


def slice_index(crystal, slices):
    """Slice of each atom; slice s is centred at s / slices of the period along the beam."""
    depth = crystal.positions_angstrom[:, 0] / crystal.cell_angstrom[0] * slices
    border = np.abs(depth - np.floor(depth) - 0.5).min()
    if slices > 1 and border < 0.05:
        raise ValueError(f"{slices} slices per period put an atom on the border of two slices; use 1, 2, 4, 6 or 12 for ErMnO3 along [100]")
    return np.floor(depth + 0.5).astype(int) % slices


def sliced(crystal: Crystal, thickest_angstrom: float = 2.5) -> tuple[Crystal, int]:
    """Choose equal slices for any crystal, put each atom into the middle of its own, and say how many there are.

    A slice holds the projection of its atoms, so moving them along the beam inside it changes nothing. As few slices as are
    thin enough and keep atoms off their ends are taken, up to twice as many.
    """
    period, depth = crystal.cell_angstrom[0], crystal.positions_angstrom[:, 0]
    least = int(np.ceil(period / thickest_angstrom))
    counts = np.arange(least, 2 * least + 1)
    clear = np.array([np.abs((depth / period * n) % 1 - 0.5).min() for n in counts])
    good = np.flatnonzero(clear >= BORDER)
    slices = int(counts[good[0] if len(good) else clear.argmax()])
    return centred_in_slices(crystal, slices), slices


def centred_in_slices(crystal: Crystal, slices: int) -> Crystal:
    """The crystal with each atom in the middle of the slice that holds it."""
    period, depth = crystal.cell_angstrom[0], crystal.positions_angstrom[:, 0]
    middle = np.floor(depth / period * slices + 0.5) % slices * period / slices
    return replace(crystal, positions_angstrom=np.column_stack([middle, crystal.positions_angstrom[:, 1:]]))


def make_stack(transmission, cell_angstrom, slice_angstrom, energy_kev=200.0, aperture=None):
    """Band-limit given transmission functions, shape (n_slices, n_b, n_c), into a `Stack`.

    Without `aperture`, beams inside the largest circle on the grid are kept. The customary margin of a third against
    aliasing is not needed for thermally averaged slices, which have next to nothing in the outer third; give a smaller
    aperture for slices at rest.
    """
    if aperture is None:
        aperture = largest_circle(transmission.shape[1:], cell_angstrom)
    limited = np.fft.ifft2(np.fft.fft2(transmission) * aperture).astype(np.complex64)
    return Stack(limited, tuple(cell_angstrom), float(slice_angstrom), aperture.astype(float), wavelength_angstrom(energy_kev))


def damp_beams(stack, beyond_inv_angstrom, mean_free_path_nm):
    """Let the beams beyond a spatial frequency lose intensity as exp(-depth / mean free path).

    Waves that the first Laue ring (g = 3.6 1/angstrom) takes from the zone draw lines in tilt of width 1 / (g t), 0.3 mrad
    at 100 nm, which neither a disc of 1 mrad nor a bent crystal resolves. Damping the ring's beams widens these lines and
    leaves their mean, the loss to the ring, in place.
    """
    kb, kc = frequencies(stack.attenuation.shape, stack.cell_angstrom)
    per_slice = np.exp(-stack.slice_angstrom / (20 * mean_free_path_nm))
    factor = np.where(np.hypot(kb, kc) > beyond_inv_angstrom, per_slice, 1.0)
    return replace(stack, attenuation=stack.attenuation * factor)


def free_propagator(gpts, cell_angstrom, slice_angstrom, wavelength, tilts_mrad):
    """Propagation over one slice for waves of given tilts, shape (waves, n_b, n_c)."""
    kb, kc = frequencies(gpts, cell_angstrom)
    tilt_b, tilt_c = (1e-3 / wavelength * np.asarray(tilts_mrad, float)).T[:, :, None, None]
    phase = wavelength * slice_angstrom * (kb**2 + kc**2 + 2 * (kb * tilt_b + kc * tilt_c))
    return np.exp(-1j * np.pi * phase)


class Multislice:
    """The loop of the multislice for a fixed number of waves on one grid: plane waves, or probes, or both.

    Fill `waves`, complex64 of the given shape (waves, n_b, n_c) in real space (1 for plane waves, any wave function for a probe), then iterate
    over :meth:`through`. Plans are estimated, so that they are the same in every run.
    """

    def __init__(self, shape):
        self.waves = pyfftw.empty_aligned(shape, "complex64")
        self._forward, self._backward = (
            pyfftw.FFTW(self.waves, self.waves, axes=(1, 2), direction=direction, flags=("FFTW_ESTIMATE",), threads=1)
            for direction in ("FFTW_FORWARD", "FFTW_BACKWARD")
        )

    def through(self, slices, propagator):
        """Carry the waves through slices, transmissions of shape (n_b, n_c) or (waves, n_b, n_c) that may differ from slice to slice.

        `propagator` is that of `free_propagator` over the number of grid points, times an aperture or an attenuation. Yields the number of slices
        behind the waves and the amplitudes of all beams there, 1 for a plane wave that holds everything; the next slice overwrites them.
        """
        for passed, transmission in enumerate(slices, 1):
            self.waves *= transmission
            self._forward.execute()
            self.waves *= propagator
            yield passed, self.waves
            self._backward.execute()


def propagate(stack, tilts_mrad, exit_periods, reflections, threads=None, progress=False):
    """Intensities of chosen reflections for plane waves of given tilts, at several thicknesses.

    Parameters
    ----------
    stack : Stack
    tilts_mrad : array, shape (m, 2)
        Beam tilt along b* and along c (sign: see the module).
    exit_periods : sequence of int, shape (t,)
        Thicknesses, in whole periods, increasing.
    reflections : int array, shape (n, 2)
        Orders along b* and c of the stack's cell (for the orthogonal cell of ErMnO3: 2k and l).
    threads, progress
        All cores by default; and whether to show a progress bar on stderr.

    Returns
    -------
    intensities : float32 array, shape (m, t, n)
        Fractions of the incident beam.
    """
    threads = threads or available_cores()
    tilts = np.atleast_2d(np.asarray(tilts_mrad, float))
    gpts, slices = stack.attenuation.shape, len(stack.transmission)
    result = np.empty((len(tilts), len(exit_periods), len(reflections)), np.float32)
    rows = {slices * period: row for row, period in enumerate(exit_periods)}
    loops = SimpleQueue()
    for _ in range(threads):
        loops.put(Multislice((BATCH, *gpts)))

    def _work(start):
        batch, loop = tilts[start : start + BATCH], loops.get()
        propagator = np.zeros(loop.waves.shape, "complex64")
        free = free_propagator(gpts, stack.cell_angstrom, stack.slice_angstrom, stack.wavelength_angstrom, batch)
        propagator[: len(batch)] = free / np.prod(gpts) * stack.attenuation
        loop.waves[:] = 1
        try:
            for passed, waves in loop.through(chain.from_iterable(repeat(stack.transmission, max(exit_periods))), propagator):
                if passed in rows:
                    beams = waves[: len(batch), reflections[:, 0], reflections[:, 1]]
                    result[start : start + len(batch), rows[passed]] = beams.real**2 + beams.imag**2
        finally:
            loops.put(loop)

    starts = range(0, len(tilts), BATCH)
    with ThreadPoolExecutor(threads) as pool:
        for _ in tqdm(pool.map(_work, starts), total=len(starts), desc="multislice", unit="batch", disable=not progress):
            pass
    return result
