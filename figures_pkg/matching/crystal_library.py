"""The library of a crystal other than ErMnO3: intensities over thickness and two tilts, as the twin's own library holds them.

The result is a :class:`figures_pkg.twin.Library`, so whatever takes that of ErMnO3 takes this one: the renderer of the twin, the
average over discs, the matching. Its reflections are numbered 0kl in the orthogonal cell of the zone axis; `miller_indices`
turns them into those of the crystal's own cell.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, replace

import numpy as np
import scipy.fft

from figures_pkg.twin.diffraction.library import Library
from figures_pkg.twin.diffraction.multislice import crystal_stack, damp_beams, propagate
from figures_pkg.twin.diffraction.potential import electron_constants
from figures_pkg.twin.diffraction.spline import spline_coefficients
from figures_pkg.twin.structure.crystal import Crystal

from .crystal import ZoneCrystal

BORDER = 0.1  # of a slice; atoms should stay this far from its ends, so that both variants are cut alike


@dataclass(frozen=True)
class CrystalSettings:
    """
    What a library covers, and how finely.

    Attributes
    ----------
    thickness_nm
        Least and largest thickness; nodes lie on whole periods, at most `thickness_step_nm` apart.
    tilt_b_mrad, tilt_c_mrad
        Largest tilts with the radius of a disc added; both run from -max to +max.
    tilt_step_mrad, thickness_step_nm
        At most 0.5 mrad and 2.4 nm for errors below half a per cent (see the twin's library).
    g_max_inv_angstrom
        Reflections up to here.
    k_max_inv_angstrom
        Beams up to here take part; what a slice scatters further is lost.
    energy_kev
    damping_nm
        Mean free path of beams from nine tenths of the first Laue ring on, where they take part (see `damp_beams`).
    thickest_slice_angstrom
        Of the multislice.
    """

    thickness_nm: tuple[float, float] = (10.0, 80.0)
    tilt_b_mrad: float = 8.0
    tilt_c_mrad: float = 8.0
    tilt_step_mrad: float = 0.5
    thickness_step_nm: float = 2.0
    g_max_inv_angstrom: float = 1.5
    k_max_inv_angstrom: float = 4.2
    energy_kev: float = 200.0
    damping_nm: float = 5.0
    thickest_slice_angstrom: float = 2.5


def crystal_library(
    zone: ZoneCrystal, settings: CrystalSettings = CrystalSettings(), threads: int | None = None, progress: bool = False
) -> Library:
    """
    Simulate the library of a crystal along its zone axis.

    Polarization +1 is the structure of the file, -1 its inversion partner; where `zone.distinct` is false both are the same.

    Parameters
    ----------
    zone
        From :func:`figures_pkg.matching.crystal.zone_crystal`.
    settings
        Range and accuracy.
    threads
        All cores of this process by default.
    progress
        Whether to show a progress bar on stderr.

    Returns
    -------
    Library

    Raises
    ------
    ValueError
        For a range of thickness or tilt with fewer than four nodes, or a g_max beyond the beams that are kept.
    """
    periods = _period_nodes(zone, settings)
    tilts = [_tilt_nodes(settings, edge) for edge in (settings.tilt_b_mrad, settings.tilt_c_mrad)]
    if settings.g_max_inv_angstrom > 0.6 * settings.k_max_inv_angstrom:
        raise ValueError(
            f"g_max is {settings.g_max_inv_angstrom:g} 1/Å; reflections need beams to nearly twice as far, raise k_max from "
            f"{settings.k_max_inv_angstrom:g}"
        )
    orders, g_b, g_c = _reflections(zone.crystal.cell_angstrom, settings.g_max_inv_angstrom)
    grid = np.stack(np.meshgrid(*tilts, indexing="ij"), axis=-1).reshape(-1, 2)
    samples = propagate(_stack(zone, settings), grid, periods.tolist(), orders[:, 1:], threads, progress)
    samples = samples.reshape(len(tilts[0]), len(tilts[1]), len(periods), len(orders))
    thickness = periods * zone.crystal.cell_angstrom[0] / 10
    coefficients, mark = spline_coefficients(samples), _fingerprint(zone, settings)
    return Library(orders, g_b, g_c, thickness, *tilts, coefficients, settings.energy_kev, mark)


def miller_indices(zone: ZoneCrystal, hkl: np.ndarray) -> np.ndarray:
    """
    Reflections of the orthogonal cell in the indices of the crystal's own cell.

    Parameters
    ----------
    zone
        The zone axis of the library.
    hkl
        Rows 0 k l as in ``library.hkl``, shape (n, 3).

    Returns
    -------
    array of int, shape (n, 3)
        Rows h k l. Those that the centring of the lattice forbids are no whole numbers and become zero, as does 000 itself.
    """
    edges = np.array([zone.uvw, zone.b_uvw, zone.c_uvw], float)
    own = np.asarray(hkl) @ np.linalg.inv(edges).T
    whole = np.abs(own - np.round(own)).max(axis=1) < 1e-6
    return np.where(whole[:, None], np.round(own), 0).astype(int)


def sliced(crystal: Crystal, thickest_angstrom: float = 2.5) -> tuple[Crystal, int]:
    """
    Choose equal slices, and put each atom into the middle of its own.

    A slice holds the projection of its atoms, so moving them along the beam inside it changes nothing. As few slices as are
    thin enough and keep atoms off their ends are taken, up to twice as many.

    Parameters
    ----------
    crystal
        Of an orthogonal cell.
    thickest_angstrom
        Thickest slice.

    Returns
    -------
    crystal : Crystal
    slices : int
    """
    period, depth = crystal.cell_angstrom[0], crystal.positions_angstrom[:, 0]
    least = int(np.ceil(period / thickest_angstrom))
    counts = np.arange(least, 2 * least + 1)
    clear = [np.abs((depth / period * n) % 1 - 0.5).min() for n in counts]
    good = np.flatnonzero(np.array(clear) >= BORDER)
    slices = int(counts[good[0] if len(good) else np.argmax(clear)])
    middle = np.floor(depth / period * slices + 0.5) % slices * period / slices
    return replace(crystal, positions_angstrom=np.column_stack([middle, crystal.positions_angstrom[:, 1:]])), slices


def laue_ring_inv_angstrom(period_angstrom: float, energy_kev: float) -> float:
    """Radius of the first Laue ring, 1/Å: where the Ewald sphere meets the layer 1/period above the zero layer."""
    wave_number, height = 1 / electron_constants(energy_kev)[0], 1 / period_angstrom
    return float(np.sqrt(2 * wave_number * height - height**2))


def _stack(zone, settings):
    """The slices of one period, with the beams of the Laue ring damped where they take part."""
    crystal, slices = sliced(zone.crystal, settings.thickest_slice_angstrom)
    wanted = np.ceil(2 * settings.k_max_inv_angstrom * crystal.cell_angstrom[1:]).astype(int)
    gpts = tuple(scipy.fft.next_fast_len(int(n)) for n in wanted)
    stack = crystal_stack(crystal, gpts, slices, settings.energy_kev)
    ring = laue_ring_inv_angstrom(crystal.cell_angstrom[0], settings.energy_kev)
    return damp_beams(stack, max(0.9 * ring, settings.g_max_inv_angstrom), settings.damping_nm)


def _period_nodes(zone, settings):
    """Thicknesses in whole periods, evenly spaced, that cover the range."""
    low, high = settings.thickness_nm
    period = zone.crystal.cell_angstrom[0] / 10
    if not 0 < low < high:
        raise ValueError(f"thickness_nm is {settings.thickness_nm}; expected a least and a larger largest thickness")
    step = max(int(settings.thickness_step_nm / period), 1)
    first = max(int(low / period), 1)
    nodes = max(int(np.ceil((high / period - first) / step)), 3) + 1
    return first + step * np.arange(nodes)


def _tilt_nodes(settings, edge):
    """Tilts from -edge to edge, rounded up to whole steps; at least five."""
    if not (edge > 0 and settings.tilt_step_mrad > 0):
        raise ValueError(f"tilts to {edge} mrad in steps of {settings.tilt_step_mrad} mrad make no grid; both must be positive")
    count = max(int(np.ceil(edge / settings.tilt_step_mrad - 1e-9)), 2)
    return settings.tilt_step_mrad * np.arange(-count, count + 1)


def _reflections(cell, g_max):
    """Orders 0 k l of the orthogonal cell up to g_max, and their components along b and c."""
    last = [int(g_max * edge) for edge in cell[1:]]
    k, l = (grid.ravel() for grid in np.meshgrid(*(np.arange(-n, n + 1) for n in last), indexing="ij"))
    g_b, g_c = k / cell[1], l / cell[2]
    inside = np.hypot(g_b, g_c) <= g_max
    return np.stack([np.zeros_like(k), k, l], axis=1)[inside], g_b[inside], g_c[inside]


def _fingerprint(zone, settings):
    """Hash of the crystal and the settings."""
    crystal = zone.crystal
    numbers = [array.round(9).tolist() for array in (crystal.positions_angstrom, crystal.u_iso, crystal.cell_angstrom)]
    text = json.dumps([asdict(settings), crystal.symbols, *numbers])
    return hashlib.sha256(text.encode()).hexdigest()[:16]
