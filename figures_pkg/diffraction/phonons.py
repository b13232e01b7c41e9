"""Thermal diffuse scattering over the whole pattern, from frozen phonons in a supercell, and as a background on a detector.

Every atom is displaced on its own (Loane, Xu and Silcox, Acta Cryst. A47, 267 (1991)), so that light falls between the reflections
and, on its way out, is diffracted once more: Kikuchi lines and bands come by themselves, without the streaks of correlated phonons.
Drawing displaced atoms is dear, so each layer of a few slabs takes one of a pool at random, moved by a random number of cells.

A background without visible grain takes minutes, so it is a file of the package, made by :func:`make_table`: ErMnO3 of 52 to 60 nm along [100],
for beams along the axis and tilted by up to 1.1 mrad. Around the zone axis all these give the same background within the grain: one picture,
which moves with the crystal.
"""

from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
from scipy.ndimage import convolve, map_coordinates, shift
from tqdm import tqdm

from figures_pkg.crystal.structure import ermno3
from figures_pkg.data.units import disc_radius, interaction_constant, wavelength_angstrom
from figures_pkg.workspace import replacing

from .discs import disc_kernel
from .multislice import Multislice, free_propagator, frequencies, scattering_factor, slice_index

SLICES = 2  # per period; the second is the first moved by half a cell along b*, so one pool serves both


@dataclass(frozen=True)
class PhononSettings:
    """What `diffuse_beams` computes, and how finely."""

    tilts_mrad: tuple = ((0.0, 0.0),)  # beam directions (b, c), each a tuple
    periods: tuple = (92,)  # thicknesses, increasing
    supercell: int = 4  # cells along b* and along c
    gpts: tuple = (80, 90)  # grid of one cell; beams up to two thirds of its reach take part, 2.5 1/Å
    pool: int = 48  # displaced layers drawn at a time,
    slabs_each: int = 4  # slabs made of them,
    pools: int = 2  # and how often
    reach_inv_angstrom: float = 1.4  # beams up to here along either axis are returned
    energy_kev: float = 200.0
    seed: int = 0


def diffuse_beams(crystal, settings: PhononSettings = PhononSettings(), progress: bool = False):
    """Intensities of the beams between the reflections, as fractions of the incident beam, and their g_b and g_c in 1/Å.

    Float32 (directions, periods, 2 n_b + 1, 2 n_c + 1), where a reflection sits the mean of the four beams beside it. Each beam's relative error is
    one over the root of the number of slabs. The crystal is centred by half a period along the beam and half an edge along b*.
    """
    rng = np.random.default_rng(settings.seed)
    gpts, cell = tuple(settings.supercell * n for n in settings.gpts), settings.supercell * crystal.cell_angstrom[1:]
    wavelength = wavelength_angstrom(settings.energy_kev)
    free = free_propagator(gpts, cell, crystal.cell_angstrom[0] / SLICES, wavelength, settings.tilts_mrad)
    loop, propagator = Multislice(free.shape), (free / np.prod(gpts) * _aperture(gpts, cell)).astype(np.complex64)
    rows = {SLICES * period: row for row, period in enumerate(settings.periods)}
    total = np.zeros((len(settings.tilts_mrad), len(settings.periods), *gpts), np.float32)
    for _ in tqdm(range(settings.pools), desc="frozen phonons", unit="pool", disable=not progress):
        layers = displaced_layers(crystal, settings, rng)
        for _ in range(settings.slabs_each):
            loop.waves[:] = 1
            count = SLICES * settings.periods[-1]  # layers of the pool, each moved by a random number of cells
            cells = rng.integers(settings.supercell, size=(count, 2)) * np.array(settings.gpts)
            cells[1::SLICES, 0] += settings.gpts[0] // 2
            numbers = rng.integers(settings.pool, size=count).tolist()
            slab = (np.roll(layers[number], tuple(moved), axis=(0, 1)) for number, moved in zip(numbers, cells.tolist()))
            for passed, waves in loop.through(slab, propagator):
                if passed in rows:
                    total[:, rows[passed]] += waves.real**2 + waves.imag**2
    total /= settings.pools * settings.slabs_each
    around, n = sum(np.roll(total, shift, axis) for shift in (1, -1) for axis in (-2, -1)) / 4, settings.supercell
    total[..., ::n, ::n] = around[..., ::n, ::n]
    halves = [int(settings.reach_inv_angstrom * length) for length in cell]
    rising = [np.arange(-half, half + 1) for half in halves]
    return total[..., rising[0][:, None], rising[1]].astype(np.float32), *(orders / length for orders, length in zip(rising, cell))


def displaced_layers(crystal, settings: PhononSettings, rng: np.random.Generator) -> np.ndarray:
    """Transmission of layers half a period thick, each with displacements of its own, complex64, shape (pool, b, c)."""
    gpts, cell = tuple(settings.supercell * n for n in settings.gpts), settings.supercell * crystal.cell_angstrom[1:]
    kb, kc = frequencies(gpts, cell)
    k2, sigma, aperture = kb**2 + kc**2, interaction_constant(settings.energy_kev), _aperture(gpts, cell)
    moves = np.stack(np.meshgrid(*[np.arange(settings.supercell)] * 2, indexing="ij"), axis=-1).reshape(-1, 1, 2) * crystal.cell_angstrom[1:]
    first_layer, kinds = slice_index(crystal, SLICES) == 0, []
    for symbol in sorted(set(crystal.symbols)):
        atoms = first_layer & (np.array(crystal.symbols) == symbol)
        places, spread = (crystal.positions_angstrom[atoms, 1:] + moves).reshape(-1, 2), np.sqrt(np.tile(crystal.u_iso[atoms], len(moves)))
        kinds.append((scattering_factor(symbol, k2) / np.prod(cell), places, spread[:, None]))
    layers = np.empty((settings.pool, *gpts), np.complex64)
    for layer in layers:
        potential = 0
        for factor, places, spread in kinds:
            b, c = (places + rng.normal(size=places.shape) * spread).T.astype(np.float32)
            phases = np.exp(-2j * np.pi * kb.astype(np.float32) * b) @ np.exp(-2j * np.pi * kc.T.astype(np.float32) * c).T
            potential = potential + factor * phases
        transmission = np.exp(1j * sigma * np.prod(gpts) * np.fft.ifft2(potential).real)
        layer[:] = np.fft.ifft2(np.fft.fft2(transmission) * aperture)
    return layers


def _aperture(gpts, cell):
    """Beams within two thirds of the reach of a grid; products of two waves within it do not fold back into it."""
    kb, kc = frequencies(gpts, cell)
    return kb**2 + kc**2 <= (2 / 3 * min(n / length / 2 for n, length in zip(gpts, cell))) ** 2


SETTINGS = PhononSettings(tilts_mrad=tuple((b, c) for b in (0.0, 0.8) for c in (-0.8, 0.0, 0.8)), periods=(85, 92, 98), pools=15)
MARGIN_PX = 12  # around the frame, for shifts


def make_table(path: str | Path, settings: PhononSettings = SETTINGS, progress: bool = True) -> None:
    """Compute the file that comes with the package, in 255 steps, about four minutes of a processor; see :func:`read_table`."""
    beams, g_b, g_c = diffuse_beams(ermno3(+1), settings, progress)
    picture = around_zone_axis(beams, g_b, g_c, settings)
    with replacing(Path(path)) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, picture=np.round(255 * picture / picture.max()).astype(np.uint8), largest=picture.max(), g_b=g_b, g_c=g_c)


def around_zone_axis(beams: np.ndarray, g_b: np.ndarray, g_c: np.ndarray, settings: PhononSettings) -> np.ndarray:
    """Average over all directions and thicknesses of what :func:`diffuse_beams` gave, each moved back by its tilt."""
    step = 1e-3 / wavelength_angstrom(settings.energy_kev) / np.array([g_b[1] - g_b[0], g_c[1] - g_c[0]])
    moved = [shift(each.mean(axis=0), step * tilt, order=1, mode="nearest") for each, tilt in zip(beams, np.array(settings.tilts_mrad))]
    picture = np.mean(moved, axis=0)
    return (picture + picture[::-1]) / 2  # the mirror plane holds the beam and c


def read_table() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The packaged background of +P: fractions of the incident beam in each beam of a supercell of 4 by 4 cells, (n_b, n_c), and g_b, g_c in 1/Å."""
    with as_file(files(__package__) / "phonon_background.npz") as path, np.load(path) as stored:
        return stored["picture"] * (stored["largest"] / 255), stored["g_b"], stored["g_c"]


@dataclass(frozen=True)
class PhononBackground:
    """The background of both domains on the pixels of a detector, around the zone axis."""

    frames: dict[int, np.ndarray]  # of +P and -P (keys 1 and -1), fractions of the beam per pixel, shape (det_y + margins, det_x + margins)
    middle: np.ndarray  # pixel (row, col) on which the zone axis lies in them
    shape: tuple[int, int]  # of the detector

    @classmethod
    def of(cls, geometry, convergence_mrad: float, energy_kev: float = 200.0) -> "PhononBackground":
        """Lay the packaged table on a detector (a `PatternGeometry` of the twin) and average it over the directions of the beam's cone."""
        picture, g_b, g_c = read_table()
        per_pixel = picture / (abs(np.linalg.det(geometry.matrix)) * (g_b[1] - g_b[0]) * (g_c[1] - g_c[0]))
        disc = disc_kernel(disc_radius(convergence_mrad, energy_kev) * geometry.px_per_inv_angstrom)
        middle = geometry.origin + MARGIN_PX
        away = np.indices(np.add(geometry.shape, 2 * MARGIN_PX)) - middle[:, None, None]
        from_zone = np.einsum("gp,pyx->gyx", np.linalg.inv(geometry.matrix), away)
        frames = {}
        for sign in (1, -1):  # -P is +P turned by half a turn
            at = [(sign * g - axis[0]) / (axis[1] - axis[0]) for g, axis in zip(from_zone, (g_b, g_c))]
            frames[sign] = convolve(map_coordinates(per_pixel, at, order=1, mode="nearest"), disc, mode="nearest")
        return cls(frames, middle, tuple(geometry.shape))

    def at(self, polarization: float, zone_px: np.ndarray) -> np.ndarray:
        """Fractions of the beam per pixel (det_y, det_x) where the zone axis lies at (row, col) of the detector."""
        frame = self.frames[1 if polarization > 0 else -1]
        return shift(frame, zone_px - self.middle, order=1, mode="nearest")[: self.shape[0], : self.shape[1]]
