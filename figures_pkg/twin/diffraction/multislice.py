"""Batched plane-wave multislice through a periodic crystal, all thicknesses in one run.

The crystal is periodic, so the transmission stays periodic whatever the beam's direction: the tilt enters the propagator
only, as exp(-i pi lambda dz (k^2 + 2 k.K)) with K = tilt / lambda (Cowley and Moodie, Acta Cryst. 10, 609 (1957)).

Sign of the tilt. A positive tilt_c means a beam whose wave vector has a positive component along c (equally, a crystal
turned the other way). A negative tilt_c then brings the reflections with l > 0 towards the Bragg condition. A pixel at
an angle alpha from the centre of a disc belongs to the plane wave tilted by alpha more, so that one table of tilts holds
the discs of every convergence.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from queue import SimpleQueue

import numpy as np
import pyfftw
from tqdm import tqdm

from figures_pkg.workspace import available_cores
from figures_pkg.twin.diffraction.potential import electron_constants, fourier_crop, frequencies, log_transmission

OVERSAMPLING = 2  # the product over atoms is formed on a grid this much finer, then cropped in Fourier space
BATCH = 4  # tilts per transform; their waves and propagators stay in a core's cache


@dataclass(frozen=True)
class Stack:
    """One period of the crystal as equal slices, ready for the multislice.

    Attributes
    ----------
    transmission : complex64 array, shape (n_slices, n_b, n_c)
    cell_angstrom : tuple of float
        Edges along b* and c.
    slice_angstrom : float
        Thickness of one slice.
    attenuation : array, shape (n_b, n_c)
        Factor of each beam's amplitude per slice: 1 for beams that are propagated freely, 0 for those that are cut.
    wavelength_angstrom : float
    """

    transmission: np.ndarray
    cell_angstrom: tuple
    slice_angstrom: float
    attenuation: np.ndarray
    wavelength_angstrom: float


def crystal_stack(crystal, gpts, slices, energy_kev=200.0):
    """Cut one period along the beam into equal slices of thermally averaged transmission.

    Slices are centred on atomic layers, otherwise the two polarizations would not be each other's exact image.

    Parameters
    ----------
    crystal : Crystal
    gpts : tuple of int
        Grid points along b* and c of the orthogonal cell.
    slices : int
        Slices per period. ErMnO3 along [100] has six layers: 6 is converged, 4 and 2 merge neighbours symmetrically.
    energy_kev : float

    Returns
    -------
    stack : Stack

    Raises
    ------
    ValueError
        If an atom sits at the border of two slices.
    """
    cell = tuple(crystal.cell_angstrom[1:])
    layers = slice_index(crystal, slices)
    fine = tuple(OVERSAMPLING * n for n in gpts)
    transmission = np.empty((slices, *gpts), complex)
    for layer in range(slices):
        inside = np.flatnonzero(layers == layer)
        symbols = [crystal.symbols[atom] for atom in inside]
        columns = (symbols, crystal.positions_angstrom[inside, 1:], crystal.u_iso[inside], cell)
        transmission[layer] = _resample(np.exp(log_transmission(columns, fine, energy_kev)), gpts)
    return make_stack(transmission, cell, crystal.cell_angstrom[0] / slices, energy_kev)


def slice_index(crystal, slices):
    """Slice of each atom; slice s is centred at s / slices of the period along the beam."""
    depth = crystal.positions_angstrom[:, 0] / crystal.cell_angstrom[0] * slices
    border = np.abs(depth - np.floor(depth) - 0.5).min()
    if slices > 1 and border < 0.05:
        raise ValueError(
            f"{slices} slices per period put an atom on the border of two slices; use 1, 2, 4, 6 or 12 for ErMnO3 along [100]"
        )
    return np.floor(depth + 0.5).astype(int) % slices


def make_stack(transmission, cell_angstrom, slice_angstrom, energy_kev=200.0, aperture=None):
    """Band-limit given transmission functions, shape (n_slices, n_b, n_c), into a `Stack`.

    Without `aperture`, beams inside the largest circle on the grid are kept. The customary margin of a third against
    aliasing is not needed for thermally averaged slices, which have next to nothing in the outer third; give a smaller
    aperture for slices at rest.
    """
    gpts = transmission.shape[1:]
    if aperture is None:
        kb, kc = frequencies(gpts, cell_angstrom)
        aperture = kb**2 + kc**2 < min(n / length for n, length in zip(gpts, cell_angstrom, strict=True)) ** 2 / 4
    limited = np.fft.ifft2(np.fft.fft2(transmission) * aperture).astype(np.complex64)
    return Stack(limited, tuple(cell_angstrom), float(slice_angstrom), aperture.astype(float), electron_constants(energy_kev)[0])


def damp_beams(stack, beyond_inv_angstrom, mean_free_path_nm):
    """Let the beams beyond a spatial frequency lose intensity as exp(-depth / mean free path).

    Waves that the first Laue ring (g = 3.6 1/angstrom) takes from the zone draw lines in tilt of width 1 / (g t), 0.3 mrad
    at 100 nm, which neither a disc of 1 mrad nor a bent crystal resolves. Damping the ring's beams widens these lines and
    leaves their mean, the loss to the ring, in place.

    Parameters
    ----------
    stack : Stack
    beyond_inv_angstrom : float
        Beams with a larger spatial frequency are damped.
    mean_free_path_nm : float
        Of the intensity.

    Returns
    -------
    damped : Stack
    """
    kb, kc = frequencies(stack.attenuation.shape, stack.cell_angstrom)
    per_slice = np.exp(-stack.slice_angstrom / (20 * mean_free_path_nm))
    factor = np.where(np.hypot(kb, kc) > beyond_inv_angstrom, per_slice, 1.0)
    return replace(stack, attenuation=stack.attenuation * factor)


def _resample(values, gpts):
    return np.fft.ifft2(fourier_crop(np.fft.fft2(values), gpts)) * (np.prod(gpts) / values.size)


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
    threads : int, optional
        All cores of this process by default.
    progress : bool
        Whether to show a progress bar on stderr.

    Returns
    -------
    intensities : float32 array, shape (m, t, n)
        Fractions of the incident beam.
    """
    threads = threads or available_cores()
    tilts = np.atleast_2d(np.asarray(tilts_mrad, float))
    result = np.empty((len(tilts), len(exit_periods), len(reflections)), np.float32)
    workers = SimpleQueue()
    for _ in range(threads):
        workers.put(_Worker(stack))

    def work(start):
        worker = workers.get()
        batch = slice(start, start + BATCH)
        try:
            worker.run(tilts[batch], exit_periods, reflections, result[batch])
        finally:
            workers.put(worker)

    starts = range(0, len(tilts), BATCH)
    with ThreadPoolExecutor(threads) as pool:
        for _ in tqdm(pool.map(work, starts), total=len(starts), desc="multislice", unit="batch", disable=not progress):
            pass
    return result


class _Worker:
    """Buffers and FFT plans of one thread; estimated plans are the same in every run, measured ones are not."""

    def __init__(self, stack):
        self.stack = stack
        self.waves = pyfftw.empty_aligned((BATCH, *stack.attenuation.shape), "complex64")
        self.forward, self.backward = (
            pyfftw.FFTW(self.waves, self.waves, axes=(1, 2), direction=direction, flags=("FFTW_ESTIMATE",), threads=1)
            for direction in ("FFTW_FORWARD", "FFTW_BACKWARD")
        )

    def run(self, tilts_mrad, exit_periods, reflections, result):
        """Propagate up to `BATCH` tilts and write their intensities into `result`."""
        count = len(tilts_mrad)
        propagator = np.zeros_like(self.waves)
        propagator[:count] = self._propagator(tilts_mrad)
        rows = {period: row for row, period in enumerate(exit_periods)}
        last = len(self.stack.transmission) - 1
        self.waves[:] = 1
        for period in range(1, max(rows) + 1):
            for index, transmission in enumerate(self.stack.transmission):
                self.waves *= transmission
                self.forward.execute()
                self.waves *= propagator
                if index == last and period in rows:
                    beams = self.waves[:count, reflections[:, 0], reflections[:, 1]]
                    result[:, rows[period]] = beams.real**2 + beams.imag**2
                self.backward.execute()

    def _propagator(self, tilts_mrad):
        """Free-space propagation over one slice, with attenuation and the scale of the inverse transform."""
        stack = self.stack
        kb, kc = frequencies(stack.attenuation.shape, stack.cell_angstrom)
        tilt_b, tilt_c = (1e-3 / stack.wavelength_angstrom * tilts_mrad).T[:, :, None, None]
        phase = stack.wavelength_angstrom * stack.slice_angstrom * (kb**2 + kc**2 + 2 * (kb * tilt_b + kc * tilt_c))
        return np.exp(-1j * np.pi * phase) * stack.attenuation / stack.attenuation.size
