"""Thermal diffuse scattering over the whole pattern, from frozen phonons in a supercell, for several beam directions at once.

Every atom is displaced on its own (Loane, Xu and Silcox, Acta Cryst. A47, 267 (1991)), so that light falls between the reflections
and, on its way out, is diffracted once more: Kikuchi lines and bands come by themselves. What costs is the drawing of slabs of
displaced atoms. So a pool of displaced layers is drawn, and each layer of a few slabs takes one of them at random, moved by
a random number of cells; then another pool. Atoms move independently, without the streaks that correlated phonons make.
"""

from dataclasses import dataclass

import numpy as np
import pyfftw
from tqdm import tqdm

from figures_pkg.twin.diffraction.multislice import slice_index
from figures_pkg.twin.diffraction.potential import electron_constants, frequencies, scattering_factor

SLICES = 2  # per period; the second is the first moved by half a cell along b*, so one pool serves both


@dataclass(frozen=True)
class PhononSettings:
    """
    What `diffuse_beams` computes, and how finely.

    Attributes
    ----------
    tilts_mrad
        Beam directions (b, c), each a tuple.
    periods
        Thicknesses, increasing.
    supercell
        Cells along b* and along c.
    gpts
        Grid of one cell; beams up to two thirds of its reach take part, 2.5 1/Å by default.
    pool, slabs_each, pools
        How many displaced layers are drawn at a time, how many slabs are made of them, and how often.
    reach_inv_angstrom
        Beams up to here along either axis are returned.
    energy_kev
    seed
    """

    tilts_mrad: tuple = ((0.0, 0.0),)
    periods: tuple = (92,)
    supercell: int = 4
    gpts: tuple = (80, 90)
    pool: int = 48
    slabs_each: int = 4
    pools: int = 2
    reach_inv_angstrom: float = 1.4
    energy_kev: float = 200.0
    seed: int = 0


def diffuse_beams(crystal, settings: PhononSettings = PhononSettings(), progress: bool = False):
    """
    Intensities of the beams between the reflections.

    Parameters
    ----------
    crystal : Crystal
        ErMnO3 along [100]; its cell must be centred by half a period along the beam and half an edge along b*.
    settings : PhononSettings
    progress : bool
        Whether to show a progress bar on stderr.

    Returns
    -------
    intensities : float32 array, shape (directions, periods, 2 n_b + 1, 2 n_c + 1)
        Fractions of the incident beam, from minus to plus the reach; where a reflection sits, the mean of the four beams beside it.
        Their noise is that of speckle: each beam's relative error is one over the root of the number of slabs.
    g_b, g_c : arrays, shape (2 n_b + 1,) and (2 n_c + 1,)
        In 1/Å.
    """
    rng = np.random.default_rng(settings.seed)
    cell = settings.supercell * crystal.cell_angstrom[1:]
    job = _Slab(settings, cell, crystal.cell_angstrom[0] / SLICES)
    total = np.zeros((len(settings.tilts_mrad), len(settings.periods), *job.wave.shape), np.float32)
    for _ in tqdm(range(settings.pools), desc="frozen phonons", unit="pool", disable=not progress):
        layers = displaced_layers(crystal, settings, rng)
        for _ in range(settings.slabs_each):
            job.add(layers, rng, total)
    return _between_reflections(total / (settings.pools * settings.slabs_each), settings, cell)


def displaced_layers(crystal, settings: PhononSettings, rng: np.random.Generator) -> np.ndarray:
    """Transmission of layers half a period thick, each with displacements of its own, complex64, shape (pool, b, c)."""
    gpts, cell = tuple(settings.supercell * n for n in settings.gpts), settings.supercell * crystal.cell_angstrom[1:]
    kb, kc = frequencies(gpts, cell)
    k2, (_, sigma) = kb**2 + kc**2, electron_constants(settings.energy_kev)
    aperture = k2 <= _band_limit(gpts, cell) ** 2
    kinds = [(scattering_factor(symbol, k2) / np.prod(cell), *atoms) for symbol, *atoms in _first_layer(crystal, settings.supercell)]
    layers = np.empty((settings.pool, *gpts), np.complex64)
    for layer in layers:
        potential = sum(factor * _phases(places + rng.normal(size=places.shape) * spread, kb, kc) for factor, places, spread in kinds)
        transmission = np.exp(1j * sigma * np.prod(gpts) * np.fft.ifft2(potential).real)
        layer[:] = np.fft.ifft2(np.fft.fft2(transmission) * aperture)
    return layers


def _band_limit(gpts, cell):
    """Two thirds of the reach of a grid, 1/Å; products of two waves within it do not fold back into it."""
    return 2 / 3 * min(n / length / 2 for n, length in zip(gpts, cell))


def _first_layer(crystal, supercell):
    """Element, places (n, 2) and root mean square displacements (n, 1) of the atoms of the first half period, Å."""
    inside, cell = slice_index(crystal, SLICES) == 0, crystal.cell_angstrom[1:]
    moves = np.stack(np.meshgrid(*[np.arange(supercell)] * 2, indexing="ij"), axis=-1).reshape(-1, 1, 2) * cell
    symbols = np.array(crystal.symbols)
    for symbol in sorted(set(crystal.symbols)):
        chosen = inside & (symbols == symbol)
        places = (crystal.positions_angstrom[chosen, 1:] + moves).reshape(-1, 2)
        yield symbol, places, np.tile(np.sqrt(crystal.u_iso[chosen]), len(moves))[:, None]


def _phases(places, kb, kc):
    """Sum over atoms of their phases, one product of matrices, shape (b, c)."""
    b, c = places.T.astype(np.float32)
    return np.exp(-2j * np.pi * kb.astype(np.float32) * b) @ np.exp(-2j * np.pi * kc.T.astype(np.float32) * c).T


class _Slab:
    """Buffers, propagators and plans for one slab after another."""

    def __init__(self, settings, cell, thickness_angstrom):
        self.settings, shape = settings, tuple(settings.supercell * n for n in settings.gpts)
        kb, kc = frequencies(shape, cell)
        wavelength, tilts = electron_constants(settings.energy_kev)[0], np.array(settings.tilts_mrad, float)
        along = sum(2e-3 / wavelength * tilt[:, None, None] * k for tilt, k in zip(tilts.T, (kb, kc)))
        phase = np.pi * wavelength * thickness_angstrom * (kb**2 + kc**2 + along)
        aperture = kb**2 + kc**2 <= _band_limit(shape, cell) ** 2
        self.propagators = (np.exp(-1j * phase) * aperture / np.prod(shape)).astype(np.complex64)
        self.wave = pyfftw.empty_aligned(shape, "complex64")
        self.forward, self.backward = (pyfftw.FFTW(self.wave, self.wave, axes=(0, 1), direction=direction, flags=("FFTW_ESTIMATE",), threads=1)
                                       for direction in ("FFTW_FORWARD", "FFTW_BACKWARD"))

    def add(self, layers, rng, total):
        """Add the intensities of all beams behind one slab to `total` (directions, periods, b, c)."""
        order = self._draw(rng)
        for direction, propagator in enumerate(self.propagators):
            self.wave[:] = 1
            for depth, (number, shift) in enumerate(order, 1):
                self.wave *= np.roll(layers[number], shift, axis=(0, 1))
                self.forward.execute()
                self.wave *= propagator
                if depth % SLICES == 0 and depth // SLICES in self.settings.periods:
                    total[direction, self.settings.periods.index(depth // SLICES)] += self.wave.real**2 + self.wave.imag**2
                self.backward.execute()

    def _draw(self, rng):
        """A layer of the pool and its shift in pixels for every slice of a slab."""
        count = SLICES * self.settings.periods[-1]
        cells = rng.integers(self.settings.supercell, size=(count, 2)) * np.array(self.settings.gpts)
        cells[1::SLICES, 0] += self.settings.gpts[0] // 2
        return list(zip(rng.integers(self.settings.pool, size=count).tolist(), map(tuple, cells.tolist())))


def _between_reflections(total, settings, cell):
    """The beams up to the reach in rising order, reflections replaced by their neighbours; and both axes."""
    n, axes = settings.supercell, (-2, -1)
    around = sum(np.roll(total, shift, axis) for shift in (1, -1) for axis in axes) / 4
    total[..., ::n, ::n] = around[..., ::n, ::n]
    halves = [int(settings.reach_inv_angstrom * length) for length in cell]
    rows = [np.arange(-half, half + 1) for half in halves]
    return total[..., rows[0][:, None], rows[1]].astype(np.float32), *(row / length for row, length in zip(rows, cell))
