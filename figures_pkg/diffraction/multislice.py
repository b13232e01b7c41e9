"""The multislice: projected potentials, thermally averaged slices, and one loop that carries waves of any kind through them.

Atoms are placed by exact Fourier phases; bilinear weights on the grid, as are common, blur the potential by an amount that depends on the position
inside a pixel. Scattering factors come from abTEM, which is imported only where one is needed: its import takes seconds.

Thermal average. With independent vibrations the coherent wave sees the mean transmission <exp(i sigma V)>, a product over
atoms of exp(i sigma v_a) smeared by that atom's Gaussian. Its modulus is below one: what is missing went into thermal
diffuse scattering. A Debye-Waller factor on the potential alone would keep that intensity in the Bragg beams.

The crystal is periodic, so the transmission stays periodic whatever the beam's direction: the tilt enters the propagator
only, as exp(-i pi lambda dz (k^2 + 2 k.K)) with K = tilt / lambda (Cowley and Moodie, Acta Cryst. 10, 609 (1957)).

Sign of the tilt. A positive tilt_c means a beam whose wave vector has a positive component along c (equally, a crystal
turned the other way). A negative tilt_c then brings the reflections with l > 0 towards the Bragg condition. A pixel at
an angle alpha from the centre of a disc belongs to the plane wave tilted by alpha more, so that one table of tilts holds
the discs of every convergence.
"""

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from itertools import chain, repeat
from queue import SimpleQueue

import numpy as np
import pyfftw
import scipy.fft
from tqdm import tqdm

from figures_pkg.crystal.structure import Crystal
from figures_pkg.data.units import interaction_constant, wavelength_angstrom
from figures_pkg.workspace import available_cores

FINE_INV_ANGSTROM = 60.0  # of one atom at rest: the cusp of exp(i sigma v_a) converges slowly (30 leaves 3e-3 at 100 nm)
OVERSAMPLING = 2  # the product over atoms is formed on a grid this much finer, then cropped in Fourier space
BORDER = 0.1  # of a slice; atoms should stay this far from its ends, so that both variants are cut alike
BATCH = 4  # tilts per transform; their waves and propagators stay in a core's cache


@cache
def _lobato_parameters(symbol):
    from abtem.core.constants import kappa
    from abtem.parametrizations import LobatoParametrization

    heights, widths = np.array(LobatoParametrization().parameters[symbol])
    return heights / kappa, widths


def scattering_factor(symbol, k2, table="lobato"):
    """Fourier transform of one atom's potential, in V angstrom^3, at squared frequencies `k2` in 1/angstrom^2.

    Tables: "lobato", Lobato and Van Dyck, Acta Cryst. A70, 636 (2014), eq. 16, times h^2 / (2 pi m e); or "kirkland", Advanced Computing in
    Electron Microscopy, for comparison.
    """
    if table == "kirkland":
        from abtem.parametrizations import KirklandParametrization

        return np.asarray(KirklandParametrization().projected_scattering_factor(symbol)(k2))
    if table != "lobato":
        raise ValueError(f"there is no table {table!r} of scattering factors; choose 'lobato' or 'kirkland'")
    terms = zip(*_lobato_parameters(symbol), strict=True)
    return sum(height * (2 + width * k2) / (1 + width * k2) ** 2 for height, width in terms)


def frequencies(gpts, cell_angstrom):
    """Spatial frequencies of a periodic grid, 1/angstrom: two arrays that broadcast to `gpts`."""
    kb, kc = (np.fft.fftfreq(n, length / n) for n, length in zip(gpts, cell_angstrom, strict=True))
    return kb[:, None], kc[None, :]


def largest_circle(gpts, cell_angstrom):
    """Which frequencies of a grid lie inside the largest circle on it, shape `gpts`."""
    kb, kc = frequencies(gpts, cell_angstrom)
    return kb**2 + kc**2 < min(n / length for n, length in zip(gpts, cell_angstrom, strict=True)) ** 2 / 4


def atom_potential(symbol, gpts, cell_angstrom, u_iso=0.0, table="lobato"):
    """Fourier coefficients of one projected atom at the origin, in V angstrom (smeared by `u_iso` if given)."""
    kb, kc = frequencies(gpts, cell_angstrom)
    k2 = kb**2 + kc**2
    return scattering_factor(symbol, k2, table) / np.prod(cell_angstrom) * np.exp(-2 * np.pi**2 * u_iso * k2)


def place(coefficients, positions_angstrom, cell_angstrom):
    """Fourier coefficients of copies of one object at `positions_angstrom`, shape (n, 2), by exact phases."""
    kb, kc = frequencies(coefficients.shape, cell_angstrom)
    b, c = positions_angstrom.T
    phases = np.exp(-2j * np.pi * kb * b).T[:, :, None] * np.exp(-2j * np.pi * kc.T * c).T[:, None, :]
    return coefficients * phases.sum(axis=0)


def projected_potential(columns, gpts):
    """Static projected potential with Debye-Waller factors, without absorption, in V angstrom.

    `columns` are symbols, places (n, 2) in angstrom, u_iso (n,) in squared angstrom and the cell's edges along b* and c.
    """
    symbols, positions, u_iso, cell = columns
    total = np.zeros(gpts, complex)
    for (symbol, u), where in kinds_of(symbols, u_iso).items():
        total += place(atom_potential(symbol, gpts, cell, u), positions[where], cell)
    return np.prod(gpts) * np.fft.ifft2(total).real


def log_transmission(columns, gpts, energy_kev, table="lobato"):
    """Logarithm of the thermally averaged transmission <exp(i sigma V)>: real part <= 0 (thermal losses), imaginary part sigma V.

    It is additive over atoms. `columns` are as in `projected_potential`, `gpts` the points of an oversampled grid.
    """
    symbols, positions, u_iso, cell = columns
    total = np.zeros(gpts, complex)
    kb, kc = frequencies(gpts, cell)
    for (symbol, u), where in kinds_of(symbols, u_iso).items():
        at_rest = _atom_transmission(symbol, tuple(gpts), tuple(cell), energy_kev, table)
        smeared = at_rest * np.exp(-2 * np.pi**2 * u * (kb**2 + kc**2))
        for position in positions[where]:
            total += np.log(1 + np.prod(gpts) * np.fft.ifft2(place(smeared, position[None], cell)))
    return total


def kinds_of(symbols, u_iso) -> dict[tuple[str, float], list[int]]:
    """Indices of the atoms that share element and displacement."""
    kinds = defaultdict(list)
    for index, (symbol, u) in enumerate(zip(symbols, u_iso, strict=True)):
        kinds[symbol, float(u)].append(index)
    return kinds


def _atom_transmission(symbol, gpts, cell, energy_kev, table):
    """Fourier coefficients of exp(i sigma v_a) - 1 for one atom at rest, from a fine grid, cropped to `gpts`."""
    wanted = [max(n, int(np.ceil(2 * FINE_INV_ANGSTROM * length))) for n, length in zip(gpts, cell, strict=True)]
    fine = tuple(map(scipy.fft.next_fast_len, wanted))
    return fourier_crop(_fine_atom_transmission(symbol, fine, cell, energy_kev, table), gpts)


@lru_cache(maxsize=4)
def _fine_atom_transmission(symbol, gpts, cell, energy_kev, table):
    """The same on the fine grid, which most `gpts` share."""
    potential = np.prod(gpts) * scipy.fft.ifft2(atom_potential(symbol, gpts, cell, table=table)).real
    return scipy.fft.fft2(np.expm1(1j * interaction_constant(energy_kev) * potential)) / np.prod(gpts)


def fourier_crop(coefficients, gpts):
    """Keep the Fourier coefficients of the lowest frequencies, as many as a coarser grid of `gpts` holds."""
    for axis, n in enumerate(gpts):
        coefficients = np.take(coefficients, np.fft.fftfreq(n, 1 / n).astype(int), axis=axis)
    return coefficients


@dataclass(frozen=True)
class Stack:
    """One period of the crystal as equal slices, ready for the multislice."""

    transmission: np.ndarray  #: (n_slices, n_b, n_c) complex64
    cell_angstrom: tuple  #: edges along b* and c
    slice_angstrom: float  #: thickness of one slice
    attenuation: np.ndarray  #: (n_b, n_c) factor of each beam's amplitude per slice: 1 for beams that travel freely, 0 for those that are cut
    wavelength_angstrom: float


def crystal_stack(crystal, gpts, slices, energy_kev=200.0, table="lobato"):
    """Cut one period along the beam into equal slices of thermally averaged transmission, on `gpts` points along b* and c.

    Slices are centred on atomic layers, otherwise the two polarizations would not be each other's exact image; an atom at the border of two
    slices raises a `ValueError`. ErMnO3 along [100] has six layers: 6 slices are converged, 4 and 2 merge neighbours symmetrically. The table is
    that of :func:`scattering_factor`.
    """
    cell, layers, fine = tuple(crystal.cell_angstrom[1:]), slice_index(crystal, slices), tuple(OVERSAMPLING * n for n in gpts)
    transmission = np.empty((slices, *gpts), complex)
    for layer in range(slices):
        inside = np.flatnonzero(layers == layer)
        columns = ([crystal.symbols[atom] for atom in inside], crystal.positions_angstrom[inside, 1:], crystal.u_iso[inside], cell)
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

    As few slices as are thin enough and keep atoms off their ends are taken, up to twice as many.
    """
    least = int(np.ceil(crystal.cell_angstrom[0] / thickest_angstrom))
    counts, depth = np.arange(least, 2 * least + 1), crystal.positions_angstrom[:, 0] / crystal.cell_angstrom[0]
    clear = np.array([np.abs((depth * n) % 1 - 0.5).min() for n in counts])
    good = np.flatnonzero(clear >= BORDER)
    slices = int(counts[good[0] if len(good) else clear.argmax()])
    return centred_in_slices(crystal, slices), slices


def centred_in_slices(crystal: Crystal, slices: int) -> Crystal:
    """The crystal with each atom in the middle of the slice that holds it, which changes no projection."""
    period, depth = crystal.cell_angstrom[0], crystal.positions_angstrom[:, 0]
    middle = np.floor(depth / period * slices + 0.5) % slices * period / slices
    return replace(crystal, positions_angstrom=np.column_stack([middle, crystal.positions_angstrom[:, 1:]]))


def make_stack(transmission, cell_angstrom, slice_angstrom, energy_kev=200.0, aperture=None):
    """Band-limit given transmission functions, shape (n_slices, n_b, n_c), into a `Stack`.

    Without `aperture`, beams inside the largest circle on the grid are kept. Slices at rest need a smaller one, by the customary third against
    aliasing; thermally averaged ones have next to nothing in the outer third.
    """
    if aperture is None:
        aperture = largest_circle(transmission.shape[1:], cell_angstrom)
    limited = np.fft.ifft2(np.fft.fft2(transmission) * aperture).astype(np.complex64)
    return Stack(limited, tuple(cell_angstrom), float(slice_angstrom), aperture.astype(float), wavelength_angstrom(energy_kev))


def damp_beams(stack, beyond_inv_angstrom, mean_free_path_nm):
    """Let the beams beyond a frequency, which draw thin lines in tilt, lose intensity as exp(-depth / mean free path); that keeps the lines' mean."""
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
    """The loop of the multislice for a fixed number of waves on one grid.

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
        """Carry the waves through one transmission (n_b, n_c) or (waves, n_b, n_c) after another.

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
    stack
        Slices of one period.
    tilts_mrad
        Beam tilts along b* and along c, shape (m, 2); sign: see the module.
    exit_periods
        Thicknesses in whole periods, increasing, shape (t,).
    reflections
        Orders along b* and c of the stack's cell, shape (n, 2); for the orthogonal cell of ErMnO3 2k and l.

    Returns
    -------
    float32 array, shape (m, t, n)
        Fractions of the incident beam.
    """
    threads = threads or available_cores()
    tilts = np.atleast_2d(np.asarray(tilts_mrad, float))
    gpts, slices = stack.attenuation.shape, len(stack.transmission)
    result, together = np.empty((len(tilts), len(exit_periods), len(reflections)), np.float32), min(BATCH, len(tilts))
    rows, loops = {slices * period: row for row, period in enumerate(exit_periods)}, SimpleQueue()
    for _ in range(threads):
        loops.put(Multislice((together, *gpts)))

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
        list(tqdm(pool.map(_work, starts), total=len(starts), desc="multislice", unit="batch", disable=not progress))
    return result
