"""Depth stacks: a column of crystal whose upper part is one domain and whose lower part the other, the wall between.

Under an inclined wall the beam meets one domain first and then the other. The two scatter coherently, and the pattern is
none that a sum of the patterns of +P and -P reaches. Where the wall is slanted enough that one probe sees it over many
nanometres of depth, each column under the probe can be taken by itself. Through the wall the phase changes over
``half width / tan(inclination)`` of depth.
"""

from functools import lru_cache

import numpy as np
import scipy.fft

from figures_pkg.crystal.structure import structure
from figures_pkg.data.units import wavelength_angstrom
from figures_pkg.twin.specimen.landau import wall_phase_deg
from figures_pkg.twin.walls.modes import phase_modes
from figures_pkg.twin.walls.scattering import free_propagator
from figures_pkg.twin.walls.supercell import POINTS_B, POINTS_C, slice_transmission

PHASE_STEP_DEG = 2.5  # the slices of a wall are taken from a table of phases this far apart
REACH = 3.0  # half widths beyond which a column has the phase of its domain (3 degrees are left)
BATCH = 8


@lru_cache(maxsize=128)
def domain_slice(phase_deg: float):
    """Transmission, grid and cell (angstrom) of one period at one phase; the glide plane halves c in projection."""
    modes = phase_modes()
    gpts, cell = (POINTS_B, POINTS_C // 2), (float(modes.cell_angstrom[0]), float(modes.cell_angstrom[1] / 2))
    layer = (np.mod(modes.middle[:, 1], modes.cell_angstrom[1]) + 0.1) % modes.cell_angstrom[1] < cell[1]
    keep = np.flatnonzero(layer)
    places = modes.displacements(phase_deg)[keep]
    return slice_transmission([modes.symbols[i] for i in keep], places, modes.u_iso[keep], gpts, cell), gpts, cell


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
    beams = (np.mod(hkl[:, 1], gpts[0]), np.mod(hkl[:, 2] // 2, gpts[1]))
    tilts = np.atleast_2d(np.asarray(tilts_mrad, float))
    result = np.empty((len(tilts), len(periods), len(index), len(hkl)), np.float32)
    for first in range(0, len(tilts), BATCH):
        part = slice(first, first + BATCH)
        propagator = free_propagator(gpts, cell, tilts[part], structure()["a_angstrom"], wavelength_angstrom(200.0))
        _propagate(slices, index, start, propagator, periods, beams, result[part])
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


def _propagate(slices, index, start, propagator, periods, beams, result) -> None:
    """Propagate a batch of tilts through all columns; columns still in the upper domain share one wave, the last."""
    columns, last = len(index), len(index) - 1
    waves = np.ones((columns, *propagator.shape), np.complex64)
    rows, norm = {period: row for row, period in enumerate(periods)}, propagator.shape[-1] * propagator.shape[-2]
    for period in range(max(rows)):
        waves[start == period] = waves[last]
        active = np.append(np.flatnonzero(start[:last] <= period), last)
        current = waves[active] * slices[index[active, period]][:, None]
        current = scipy.fft.fft2(current, overwrite_x=True)
        current *= propagator
        if period + 1 in rows:
            amplitude = current[..., beams[0], beams[1]] / norm  # (active, m, n)
            values = np.broadcast_to(np.abs(amplitude[-1]) ** 2, (columns, *amplitude.shape[1:])).copy()
            values[active] = np.abs(amplitude) ** 2
            result[:, rows[period + 1]] = values.transpose(1, 0, 2)
        waves[active] = scipy.fft.ifft2(current, overwrite_x=True)
