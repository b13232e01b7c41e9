"""Scattering by walls: probes on supercells of upright walls, and depth stacks for inclined ones. One slice for each period.

**Supercells.** A focused probe is a sum of plane waves whose components along the wall's normal lie on the reciprocal grid of
the supercell, 0.14 mrad apart for 18 nm. Each wave is propagated once. For a probe at x0 the amplitudes of waves with index m
meet with phases exp(-2 pi i m x0 / L), so one set of waves serves every position, and every bend that lies on the grid.
Along the wall the crystal is periodic, waves of different tilt do not meet, and a few lines across the disc suffice.

**Depth stacks.** Under an inclined wall the beam meets one domain first and then the other. The two scatter coherently, and the
pattern is none that a sum of the patterns of +P and -P reaches. Where the wall is slanted enough that one probe sees it over
many nanometres of depth, each column under the probe can be taken by itself. Through the wall the phase changes over
``half width / tan(inclination)`` of depth.

Intensities are sums over discs, as fractions of the incident beam. What a wall scatters between the discs (odd l, streaks)
is left out, as in the library.
"""

from dataclasses import dataclass
from itertools import cycle, islice

import numpy as np
import scipy.fft

from figures_pkg.crystal.structure import structure
from figures_pkg.data.units import wavelength_angstrom
from figures_pkg.diffraction.potential import frequencies
from figures_pkg.twin.domains import wall_phase_deg
from figures_pkg.twin.wall_atoms import ENERGY_KEV, Supercell, domain_slice

BATCH, STACK_BATCH = 4, 8  # tilts that are propagated together, through a supercell and through a stack
LINES = 5  # across a disc, along the wall
PHASE_STEP_DEG = 2.5  # the slices of a wall are taken from a table of phases this far apart
REACH = 3.0  # half widths beyond which a column has the phase of its domain (3 degrees are left)


@dataclass(frozen=True)
class Cone:
    """Plane waves of a focused probe, for a few orientations of the specimen around a mean."""

    convergence_mrad: float
    normal_mrad: np.ndarray  # (m,) tilts along the wall's normal: the reciprocal grid of the supercell, shifted to the mean tilt
    along_mrad: np.ndarray  # (a,) lines along the wall
    normal_nodes: np.ndarray  # index of the middle of the disc of each orientation in `normal_mrad`
    along_nodes: np.ndarray  # and in `along_mrad`

    @classmethod
    def around(cls, tilt_mrad, bend_mrad: float, convergence_mrad: float, step_mrad: float) -> "Cone":
        """Waves for tilts (normal, along) within ``bend_mrad / 2`` of a mean; no bend needs one orientation."""
        radius = int(convergence_mrad / step_mrad)
        reach, spacing = int(np.ceil(bend_mrad / 2 / step_mrad)), 2 * convergence_mrad / LINES
        rows = int(np.ceil(bend_mrad / 2 / spacing))
        normal = tilt_mrad[0] + step_mrad * np.arange(-reach - radius, reach + radius + 1)
        along = tilt_mrad[1] + spacing * (np.arange(LINES + 2 * rows) - (LINES - 1) / 2 - rows)
        middles = ((reach + radius, reach), ((LINES - 1) // 2 + rows, rows))
        return cls(convergence_mrad, normal, along, *(np.unique([at - aside, at, at + aside]) for at, aside in middles))

    def weights(self, normal: int, along: int) -> np.ndarray:
        """Amplitude (a, m) of each wave in the cone of one orientation; squares sum to one."""
        off_n = self.normal_mrad - self.normal_mrad[self.normal_nodes[normal]]
        off_a = self.along_mrad - self.along_mrad[self.along_nodes[along]]
        inside = off_n**2 + off_a[:, None] ** 2 <= self.convergence_mrad**2
        return inside / np.sqrt(inside.sum())


def probe_discs(cell: Supercell, cone: Cone, periods, hkl, places_nm) -> np.ndarray:
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
    slices, places_nm = cell.slices(max(periods)), np.asarray(places_nm, float)
    result = np.zeros((len(cone.normal_nodes), len(cone.along_nodes), len(periods), len(places_nm), len(hkl)), np.float32)
    for line in range(len(cone.along_mrad)):
        _gather(result, cell, cone, line, _line(cell, cone, line, slices, periods, hkl), places_nm)
    return result


def cone_step_mrad(cell: Supercell) -> float:
    """Spacing of the plane waves that a supercell lets meet: wavelength over length."""
    return wavelength_angstrom(ENERGY_KEV) / (10 * cell.length_nm) * 1e3


def bulk_discs(cone: Cone, polarization: int, axis: int, periods, hkl) -> np.ndarray:
    """Disc intensities of a domain with the same slices and waves, float32, shape (normal tilts, along tilts, t, n).

    Parameters
    ----------
    axis : int
        Direction of the cone's normal, 0 for b* and 1 for c.
    """
    transmission, *grid = domain_slice(0.0 if polarization > 0 else 60.0)
    tilts = np.stack(np.meshgrid(cone.along_mrad, cone.normal_mrad, indexing="ij")[:: -1 if axis == 0 else 1], -1)
    batches = np.array_split(tilts.reshape(-1, 2), -(-tilts.size // 64))
    rows, cols = _half_cell_beams(grid[0], hkl)
    waves = np.concatenate([_exit_waves([transmission], grid, batch, periods)[:, :, rows, cols] for batch in batches])
    intensity = (np.abs(waves) ** 2).reshape(*tilts.shape[:2], *waves.shape[1:])
    nodes = [[cone.weights(i, j) ** 2 for j in range(len(cone.along_nodes))] for i in range(len(cone.normal_nodes))]
    return np.einsum("ijam,amtn->ijtn", np.array(nodes), intensity).astype(np.float32)


def _half_cell_beams(gpts, hkl) -> tuple[np.ndarray, np.ndarray]:
    """Where the reflections lie in a transform of the cell that is halved along c."""
    return np.mod(hkl[:, 1], gpts[0]), np.mod(hkl[:, 2] // 2, gpts[1])


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
    """Amplitudes (waves, t, n_b, n_c) of all beams of plane waves behind the given numbers of periods."""
    propagator, rows = _propagator(*grid, tilts_mrad), {period: row for row, period in enumerate(periods)}
    out = np.empty((len(tilts_mrad), len(periods), *grid[0]), np.complex64)
    for period, coefficients in _through(np.ones(propagator.shape, np.complex64), islice(cycle(slices), max(periods)), propagator):
        if period in rows:
            out[:, rows[period]] = coefficients / np.prod(grid[0])
    return out


def _through(waves, slices, propagator):
    """Fourier coefficients, not normalised, of waves behind each slice in turn; `waves` are those in front of the next one.

    As `figures_pkg.diffraction.multislice.Multislice`, with the transforms of scipy: those of FFTW differ in the last bits, enough
    to change a few counts of a scan.
    """
    for passed, transmission in enumerate(slices, 1):
        coefficients = scipy.fft.fft2(waves * transmission, overwrite_x=True)
        coefficients *= propagator
        yield passed, coefficients
        waves[:] = scipy.fft.ifft2(coefficients, overwrite_x=True)


def _propagator(gpts, cell_angstrom, tilts_mrad) -> np.ndarray:
    """Propagation over one period for each tilt, shape (waves, n_b, n_c), zero outside the largest circle on the grid."""
    wavelength, slice_angstrom = wavelength_angstrom(ENERGY_KEV), structure()["a_angstrom"]
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


def stack_intensities(top: int, step: int, depths, periods, tilts_mrad, hkl, half_depth_periods: float) -> np.ndarray:
    """Intensities behind columns with a wall at several depths.

    Parameters
    ----------
    top : int
        Domain that the beam meets first, +1 or -1.
    step : int
        Turn of the phase out of the +P domain, 1 or -1 times 60 degrees.
    depths : array, shape (z,)
        Of the middle of the wall below the upper surface, in periods, increasing; may lie outside the foil.
    periods : sequence of int, shape (t,)
        Thicknesses in periods, increasing.
    tilts_mrad : array, shape (m, 2)
        Beam tilt along b* and c, sign as in `figures_pkg.diffraction.multislice`.
    hkl : int array, shape (n, 3)
    half_depth_periods : float
        Half width of the wall along the beam, in periods.

    Returns
    -------
    intensities : float32 array, shape (m, t, z + 2, n)
        First the lower domain alone, last the upper domain alone, as fractions of the incident beam.
    """
    if top not in (1, -1) or step not in (1, -1):
        raise ValueError(f"top is +1 or -1 and step +1 or -1, got {top} and {step}")
    slices, index, start = _schedule(top, step, np.asarray(depths, float), max(periods), half_depth_periods)
    _, gpts, cell = domain_slice(0.0)
    beams = _half_cell_beams(gpts, hkl)
    tilts = np.atleast_2d(np.asarray(tilts_mrad, float))
    result = np.empty((len(tilts), len(periods), len(index), len(hkl)), np.float32)
    for first in range(0, len(tilts), STACK_BATCH):
        part = slice(first, first + STACK_BATCH)
        _through_columns(slices, index, start, _propagator(gpts, cell, tilts[part]), periods, beams, result[part])
    return result


def _schedule(top, step, depths, periods, half_depth):
    """Slices by phase, the number of the slice in each column and period, and when each column leaves the upper domain."""
    lower, upper = (60.0 * step, 0.0) if top > 0 else (0.0, 60.0 * step)
    count = round(60 / PHASE_STEP_DEG)
    slices = np.stack([domain_slice(float(phase))[0] for phase in upper + (lower - upper) * np.arange(count + 1) / count])
    below = (np.arange(periods) + 0.5) - depths[:, None]  # (z, periods) below the middle of the wall
    share = wall_phase_deg(below, half_depth) / 60
    share = np.where(np.abs(below) > REACH * half_depth, below > 0, share)
    index = np.vstack([np.full(periods, count), np.rint(share * count).astype(int), np.zeros(periods, int)])
    start = np.where((index > 0).any(axis=1), (index > 0).argmax(axis=1), periods)
    return slices, index, start


def _through_columns(slices, index, start, propagator, periods, beams, result) -> None:
    """Propagate a batch of tilts through each column. All begin as the last, the upper domain, whose waves are noted."""
    last, deepest, rows = len(index) - 1, max(periods), {period: row for row, period in enumerate(periods)}
    waves, upper = np.ones(propagator.shape, np.complex64), np.empty((deepest, *propagator.shape), np.complex64)
    norm = propagator.shape[1] * propagator.shape[2]

    def column_slices(column, first):
        for period in range(first, deepest):
            if column == last:
                upper[period] = waves
            yield slices[index[column, period]]

    for column in range(last, -1, -1):
        first = 0 if column == last else start[column]
        result[:, :, column] = result[:, :, last]
        if column < last:
            waves[:] = upper[min(first, deepest - 1)]
        for passed, coefficients in _through(waves, column_slices(column, first), propagator):
            if first + passed in rows:
                result[:, rows[first + passed], column] = np.abs(coefficients[:, beams[0], beams[1]] / norm) ** 2
