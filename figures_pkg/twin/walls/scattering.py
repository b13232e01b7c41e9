"""Scattering matrix of a wall supercell, and from it the discs of a probe at any distance from the wall.

A focused probe is a sum of plane waves whose components along the wall's normal lie on the reciprocal grid of the
supercell, 0.14 mrad apart for 18 nm. Each wave is propagated once. For a probe at x0 the amplitudes of waves with index m
meet with phases exp(-2 pi i m x0 / L), so one set of waves serves every position, and every bend that lies on the grid.
Along the wall the crystal is periodic, waves of different tilt do not meet, and a few lines across the disc suffice.

Intensities are sums over discs, as fractions of the incident beam. What a wall scatters between the discs (odd l, streaks)
is left out, as in the library.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import scipy.fft
from tqdm import tqdm

from figures_pkg.crystal.structure import structure
from figures_pkg.data.units import wavelength_angstrom
from figures_pkg.diffraction.potential import frequencies
from figures_pkg.twin.walls.supercell import Supercell

BATCH = 4
LINES = 5  # across a disc, along the wall


@dataclass(frozen=True)
class Cone:
    """Plane waves of a focused probe, for a few orientations of the specimen around a mean.

    Attributes
    ----------
    convergence_mrad : float
    normal_mrad : array, shape (m,)
        Tilts along the wall's normal: the reciprocal grid of the supercell, shifted to the mean tilt.
    along_mrad : array, shape (a,)
        Lines along the wall.
    normal_nodes, along_nodes : int array
        Index of the middle of the disc of each orientation, in the two arrays (in half steps for `along_nodes`).
    """

    convergence_mrad: float
    normal_mrad: np.ndarray
    along_mrad: np.ndarray
    normal_nodes: np.ndarray
    along_nodes: np.ndarray

    @classmethod
    def around(cls, tilt_mrad, bend_mrad: float, convergence_mrad: float, step_mrad: float) -> "Cone":
        """Waves for tilts (normal, along) within ``bend_mrad / 2`` of a mean; no bend needs one orientation."""
        radius = int(convergence_mrad / step_mrad)
        reach, spacing = int(np.ceil(bend_mrad / 2 / step_mrad)), 2 * convergence_mrad / LINES
        rows = int(np.ceil(bend_mrad / 2 / spacing))
        normal = tilt_mrad[0] + step_mrad * np.arange(-reach - radius, reach + radius + 1)
        along = tilt_mrad[1] + spacing * (np.arange(LINES + 2 * rows) - (LINES - 1) / 2 - rows)
        middle, start = reach + radius, (LINES - 1) // 2
        return cls(convergence_mrad, normal, along, _nodes(middle, reach), _nodes(start + rows, rows))

    def weights(self, normal: int, along: int) -> np.ndarray:
        """Amplitude (a, m) of each wave in the cone of one orientation; squares sum to one."""
        off_n = self.normal_mrad - self.normal_mrad[self.normal_nodes[normal]]
        off_a = self.along_mrad - self.along_mrad[self.along_nodes[along]]
        inside = off_n**2 + off_a[:, None] ** 2 <= self.convergence_mrad**2
        return inside / np.sqrt(inside.sum())

    @property
    def normal_tilts_mrad(self) -> np.ndarray:
        """Orientations along the normal."""
        return self.normal_mrad[self.normal_nodes]

    @property
    def along_tilts_mrad(self) -> np.ndarray:
        """Orientations along the wall."""
        return self.along_mrad[self.along_nodes]


def _nodes(middle: int, reach: int) -> np.ndarray:
    return np.unique([middle - reach, middle, middle + reach])


def probe_discs(cell: Supercell, cone: Cone, periods, hkl, places_nm, threads: int = 1, progress: bool = False) -> np.ndarray:
    """Disc intensities of a probe at places along the normal of the walls of a supercell.

    Parameters
    ----------
    cell : Supercell
    cone : Cone
        Its steps along the normal must be wavelength / length of the cell, see `cone_step_mrad`.
    periods : sequence of int, shape (t,)
        Thicknesses in periods of 0.611 nm, increasing. An inclined wall has its stated place at half the last of them.
    hkl : int array, shape (n, 3)
        Reflections 0 k l of the library.
    places_nm : array, shape (x,)
        Along the normal, from the origin of the cell.

    Returns
    -------
    intensities : float32 array, shape (normal tilts, along tilts, t, x, n)
    """
    slices = _slices(cell, max(periods))
    places_nm = np.asarray(places_nm, float)
    shape = (len(cone.normal_nodes), len(cone.along_nodes), len(periods), len(places_nm), len(hkl))
    result = np.zeros(shape, np.float32)
    with ThreadPoolExecutor(threads) as pool:
        lines = pool.map(lambda a: (a, _line(cell, cone, a, slices, periods, hkl)), range(len(cone.along_mrad)))
        for line, amplitudes in tqdm(lines, total=len(cone.along_mrad), desc=f"{cell.kind} wall", disable=not progress):
            _gather(result, cell, cone, line, amplitudes, places_nm)
    return result


def cone_step_mrad(cell: Supercell, energy_kev: float = 200.0) -> float:
    """Spacing of the plane waves that a supercell lets meet: wavelength over length."""
    return wavelength_angstrom(energy_kev) / (10 * cell.length_nm) * 1e3


def bulk_discs(cone: Cone, polarization: int, axis: int, periods, hkl) -> np.ndarray:
    """Disc intensities of a domain with the same slices and waves, shape (normal tilts, along tilts, t, n).

    Parameters
    ----------
    axis : int
        Direction of the cone's normal, 0 for b* and 1 for c.
    """
    cell = _domain(polarization)
    tilts = np.stack(np.meshgrid(cone.along_mrad, cone.normal_mrad, indexing="ij")[:: -1 if axis == 0 else 1], -1).reshape(-1, 2)
    beams = _beam_index(cell[1], hkl, (1, 2))
    parts = np.array_split(tilts, -(-len(tilts) // 32))
    waves = np.concatenate([_exit_waves([cell[0]], cell[1:], part, periods) for part in parts])
    intensity = np.abs(waves[:, :, beams[0], beams[1]]) ** 2
    intensity = intensity.reshape(len(cone.along_mrad), len(cone.normal_mrad), len(periods), len(hkl))
    nodes = [[cone.weights(i, j) ** 2 for j in range(len(cone.along_nodes))] for i in range(len(cone.normal_nodes))]
    return np.einsum("ijam,amtn->ijtn", np.array(nodes), intensity)


def _domain(polarization: int):
    """Transmission, grid and cell of a domain in the cell that its projection repeats."""
    from figures_pkg.twin.walls.stacks import domain_slice

    return domain_slice(0.0 if polarization > 0 else 60.0)


def _slices(cell: Supercell, periods: int) -> list[np.ndarray]:
    """Transmission of every period; one for all where the wall is upright."""
    if cell.inclination_deg == 0:
        return [cell.transmission()]
    return [cell.transmission(shift) for shift in cell.shifts_nm(periods)]


def _beam_index(gpts, hkl, repeats) -> tuple[np.ndarray, np.ndarray]:
    """Where the reflections lie in a transform of a cell of ``repeats`` (b*, c) half cells; (1, 2) means half along c."""
    k, l = hkl[:, 1], hkl[:, 2]
    return np.mod(k * repeats[0], gpts[0]), np.mod(l * repeats[1] if repeats[1] != 2 else l // 2, gpts[1])


def _line(cell: Supercell, cone: Cone, line: int, slices, periods, hkl) -> np.ndarray:
    """Amplitudes (m, t, n, m') that wave m sends into place m' of each disc, for one tilt along the wall."""
    axis, count = cell.axis, len(cone.normal_mrad)
    tilts = np.empty((count, 2))
    tilts[:, axis], tilts[:, 1 - axis] = cone.normal_mrad, cone.along_mrad[line]
    order = hkl[:, 1] * cell.repeats if axis == 0 else hkl[:, 2] * cell.repeats
    across = hkl[:, 2] // 2 if axis == 0 else hkl[:, 1]
    away = np.arange(count)[None, :] - np.arange(count)[:, None]  # (m, m')
    amplitudes = np.empty((count, len(periods), len(hkl), count), np.complex64)
    for start in range(0, count, BATCH):
        batch = slice(start, start + BATCH)
        waves = _exit_waves(slices, (cell.gpts, cell.cell_angstrom), tilts[batch], periods)
        for index, wave in enumerate(waves, start):
            beams = (order[:, None] + away[index]) % cell.gpts[axis]
            fixed = np.broadcast_to((across % cell.gpts[1 - axis])[:, None], beams.shape)
            amplitudes[index] = wave[:, beams, fixed] if axis == 0 else wave[:, fixed, beams]
    return amplitudes


def _exit_waves(slices, grid, tilts_mrad, periods) -> np.ndarray:
    """Fourier coefficients (waves, t, n_b, n_c) of plane waves behind the given numbers of periods."""
    gpts, cell = grid
    wavelength, slice_angstrom = wavelength_angstrom(200.0), structure()["a_angstrom"]
    propagator = free_propagator(gpts, cell, tilts_mrad, slice_angstrom, wavelength)
    waves = np.ones((len(tilts_mrad), *gpts), np.complex64)
    out = np.empty((len(tilts_mrad), len(periods), *gpts), np.complex64)
    rows = {period: row for row, period in enumerate(periods)}
    for period in range(1, max(rows) + 1):
        waves *= slices[(period - 1) % len(slices)]
        waves = scipy.fft.fft2(waves, overwrite_x=True)
        waves *= propagator
        if period in rows:
            out[:, rows[period]] = waves / np.prod(gpts)
        waves = scipy.fft.ifft2(waves, overwrite_x=True)
    return out


def free_propagator(gpts, cell_angstrom, tilts_mrad, slice_angstrom, wavelength) -> np.ndarray:
    """Propagation over one slice for each tilt, shape (waves, n_b, n_c), zero outside the largest circle on the grid."""
    kb, kc = frequencies(gpts, cell_angstrom)
    tilt_b, tilt_c = (1e-3 / wavelength * np.asarray(tilts_mrad)).T[:, :, None, None]
    phase = wavelength * slice_angstrom * (kb**2 + kc**2 + 2 * (kb * tilt_b + kc * tilt_c))
    inside = kb**2 + kc**2 < min(n / length for n, length in zip(gpts, cell_angstrom)) ** 2 / 4
    return (np.exp(-1j * np.pi * phase) * inside).astype(np.complex64)


def _gather(result, cell: Supercell, cone: Cone, line: int, amplitudes, places_nm) -> None:
    """Add one line of each disc, for every orientation and place."""
    index = np.arange(len(cone.normal_mrad))
    phases = np.exp(-2j * np.pi * index[:, None] * places_nm / cell.length_nm).astype(np.complex64)
    for i in range(result.shape[0]):
        for j in range(result.shape[1]):
            weight = cone.weights(i, j)[line].astype(np.float32)
            inside = np.flatnonzero(weight)
            if inside.size:
                weighted = phases[inside] * weight[inside, None]  # (m, x)
                waves = np.tensordot(weighted, amplitudes[inside][..., inside], axes=(0, 0))  # (x, t, n, m')
                result[i, j] += (waves.real**2 + waves.imag**2).sum(axis=-1).transpose(1, 0, 2)
