"""Tables of what walls add to the mixture of the two domains: depth stacks for inclined walls, supercells for upright ones.

Both hold differences, computed with the same slices on either side: the pattern with the wall, less the patterns of +P and
-P in the shares that the geometry gives them. Away from the wall the difference ends and the library alone speaks.
"""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from filelock import FileLock
from tqdm import tqdm

from figures_pkg.workspace import replacing
from figures_pkg.crystal.structure import structure
from figures_pkg.diffraction.spline import spline_coefficients
from figures_pkg.twin.specimen.domains import polarization_weight
from figures_pkg.twin.walls.profile import HALF_WIDTH_AB_NM, default_profile
from figures_pkg.twin.walls.scattering import Cone, bulk_discs, cone_step_mrad, probe_discs
from figures_pkg.twin.walls.stacks import REACH, stack_intensities
from figures_pkg.twin.walls.supercell import Supercell

VERSION = 1  # raise it when the same settings give other numbers
G_MAX_INV_ANGSTROM = 1.0  # reflections beyond it hold a hundredth of a wall's difference
DEPTH_STEP = 6  # periods between the depths of a stack, 3.7 nm
CELL_NM = 18.0  # shortest supercell: its two walls are 9 nm apart
OFFSETS_NM = np.arange(-4.0, 4.01, 0.25)  # from an upright wall, positive in +P


@dataclass(frozen=True)
class StackSettings:
    """What a table of depth stacks covers.

    Attributes
    ----------
    top, step : int
        Domain met first, and turn of the phase out of +P; see `stack_intensities`.
    half_depth : float
        Half width of the wall along the beam, in periods.
    first_period, last_period, period_step : int
        Thicknesses; four at least.
    tilt_b, tilt_c : tuple of float
        First and last tilt in mrad, on multiples of `tilt_step_mrad`; four nodes at least.
    tilt_step_mrad : float
    hkl : tuple of (h, k, l)
    """

    top: int
    step: int
    half_depth: float
    first_period: int
    last_period: int
    tilt_b: tuple[float, float]
    tilt_c: tuple[float, float]
    hkl: tuple
    period_step: int = 3
    tilt_step_mrad: float = 0.5


@dataclass(frozen=True)
class EdgeSettings:
    """What a table of an upright wall covers: a kind of supercell, around one orientation and thickness.

    Attributes
    ----------
    kind : str
        "charged" holds HH and TT, "neutral" the walls whose normal out of +P points along +b* and -b*.
    step : int
    tilt_mrad : tuple of float
        Mean tilt along b* and c.
    bend_mrad : float
        Tilts within half of it are covered.
    convergence_mrad, probe_fwhm_nm : float
        Cone of the probe; width for the shares of the mixture that is taken off.
    periods : tuple of int
        Four thicknesses.
    hkl : tuple of (h, k, l)
    width_factor, screening_nm, strain : float
        Of the wall's profile, see `default_profile`.
    """

    kind: str
    step: int
    tilt_mrad: tuple[float, float]
    bend_mrad: float
    convergence_mrad: float
    probe_fwhm_nm: float
    periods: tuple[int, ...]
    hkl: tuple
    width_factor: float = 1.0
    screening_nm: float = 1.0
    strain: float = 0.0


@dataclass(frozen=True)
class StackTable:
    """Differences over depth (linear), tilts and thickness (cubic B-splines), shape (z, n_b + 2, n_c + 2, n_t + 2, n)."""

    coefficients: np.ndarray
    first_depth: float  # periods, of the first node; nodes are DEPTH_STEP apart


@dataclass(frozen=True)
class EdgeTable:
    """Differences of disc means over distance and orientation, and the patterns themselves.

    Attributes
    ----------
    names : tuple of str, length w
        Walls: HH and TT, or neutral+ and neutral-.
    normal_mrad, along_mrad : array
        Orientations along the normal and along the wall.
    thickness_nm : array, shape (t,)
    intensities : float32 array, shape (w, normal, along, t, x, n)
        Fractions of the incident beam, over `OFFSETS_NM`.
    plus, minus : float32 array, shape (normal, along, t, n)
        Of the domains, with the same slices.
    difference : float32 array, shape of `intensities`
    """

    names: tuple
    normal_mrad: np.ndarray
    along_mrad: np.ndarray
    thickness_nm: np.ndarray
    intensities: np.ndarray
    plus: np.ndarray
    minus: np.ndarray
    difference: np.ndarray


@lru_cache(maxsize=16)
def build_stacks(settings: StackSettings, threads: int = 1, progress: bool = False) -> StackTable:
    """Compute a table of depth stacks; the last few are kept in memory."""
    periods = np.arange(settings.first_period, settings.last_period + 1, settings.period_step)
    tilt_b, tilt_c = (_grid(*ends, settings.tilt_step_mrad) for ends in (settings.tilt_b, settings.tilt_c))
    depths = _depths(settings)
    tilts = np.stack(np.meshgrid(tilt_b, tilt_c, indexing="ij"), axis=-1).reshape(-1, 2)
    hkl, parts = np.array(settings.hkl), np.array_split(tilts, -(-len(tilts) // 8))

    def work(part):
        stacks = stack_intensities(settings.top, settings.step, depths, periods.tolist(), part, hkl, settings.half_depth)
        return _less_the_mixture(stacks, depths, periods)

    with ThreadPoolExecutor(threads) as pool:
        done = list(tqdm(pool.map(work, parts), total=len(parts), desc="depth stacks", unit="batch", disable=not progress))
    samples = np.concatenate(done).reshape(len(tilt_b), len(tilt_c), len(periods), len(depths), len(hkl))
    coefficients = np.moveaxis(spline_coefficients(samples), 3, 0)
    return StackTable(np.ascontiguousarray(coefficients, np.float32), float(depths[0]))


def _depths(settings: StackSettings) -> np.ndarray:
    """Depths of the wall in periods, from where it is about to enter the foil to where it has left it."""
    before = int(np.ceil(REACH * settings.half_depth / DEPTH_STEP)) + 1
    after = int(np.ceil((settings.last_period + REACH * settings.half_depth) / DEPTH_STEP)) + 1
    return DEPTH_STEP * np.arange(-before, after + 1).astype(float)


def _less_the_mixture(stacks, depths, periods) -> np.ndarray:
    """Take from each stack its two domains in the shares of a sharp wall, shape (m, t, z, n)."""
    lower, upper = stacks[:, :, :1], stacks[:, :, -1:]
    share = np.clip(depths / periods[:, None], 0, 1)[..., None].astype(np.float32)
    return stacks[:, :, 1:-1] - share * upper - (1 - share) * lower


@lru_cache(maxsize=8)
def build_edge(settings: EdgeSettings, threads: int = 1, progress: bool = False) -> EdgeTable:
    """Compute a table of upright walls; the last few are kept in memory."""
    axis = 1 if settings.kind == "charged" else 0
    profile = default_profile(float(axis), settings.step, settings.width_factor, settings.screening_nm, settings.strain)
    cell = Supercell(settings.kind, int(np.ceil(CELL_NM / Supercell(settings.kind, 4).length_nm * 4)), profile)
    tilt = (settings.tilt_mrad[axis], settings.tilt_mrad[1 - axis])
    cone = Cone.around(tilt, settings.bend_mrad, settings.convergence_mrad, cone_step_mrad(cell))
    walls, hkl = cell.walls_nm(), np.array(settings.hkl)
    places = np.concatenate([place + side * OFFSETS_NM for place, side in walls.values()])
    discs = probe_discs(cell, cone, settings.periods, hkl, places, threads, progress)
    discs = np.moveaxis(discs.reshape(*discs.shape[:3], len(walls), len(OFFSETS_NM), len(hkl)), 3, 0)
    plus, minus = (bulk_discs(cone, sign, axis, settings.periods, hkl).astype(np.float32) for sign in (1, -1))
    share = ((1 + polarization_weight(OFFSETS_NM, 0.0, settings.probe_fwhm_nm)) / 2).astype(np.float32)[:, None]
    difference = discs - share * plus[:, :, :, None] - (1 - share) * minus[:, :, :, None]
    thickness = np.array(settings.periods) * structure()["a_angstrom"] / 10
    return EdgeTable(tuple(walls), cone.normal_tilts_mrad, cone.along_tilts_mrad, thickness, discs, plus, minus, difference)


def load_or_build(path, settings: StackSettings | EdgeSettings, threads: int = 1, progress: bool = False):
    """Load the table stored at `path` (.npz), or build and store it when it is missing or has other settings.

    Written to a temporary name and renamed; processes that ask for the same path wait for one another.
    """
    path, kind = Path(path), StackTable if isinstance(settings, StackSettings) else EdgeTable
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        if path.exists():
            with np.load(path) as stored:
                if str(stored["fingerprint"]) == fingerprint(settings):
                    return _restored(kind, stored)
        table = (build_stacks if kind is StackTable else build_edge)(settings, threads, progress)
        with replacing(path) as temporary, open(temporary, "wb") as file:
            np.savez(file, fingerprint=fingerprint(settings), **vars(table))
    return table


def _restored(kind, stored):
    fields = {name: stored[name] for name in kind.__dataclass_fields__}
    if kind is EdgeTable:
        return EdgeTable(**fields | {"names": tuple(map(str, fields["names"]))})
    return StackTable(fields["coefficients"], float(fields["first_depth"]))


def fingerprint(settings) -> str:
    """Hash of everything that determines the numbers in a table."""
    assumed = [VERSION, asdict(settings), asdict(default_profile(1.0)), HALF_WIDTH_AB_NM, structure(), OFFSETS_NM.tolist()]
    return hashlib.sha256(json.dumps(assumed, sort_keys=True).encode()).hexdigest()[:16]


def _grid(first: float, last: float, step: float) -> np.ndarray:
    return first + step * np.arange(round((last - first) / step) + 1)
