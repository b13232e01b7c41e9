"""What walls add to the mixture of the two domains: tables, and the difference that the renderer takes from them.

Inclined walls take depth stacks, upright ones (below `UPRIGHT_DEG`) supercells. Both tables hold differences, computed with the
same slices on either side: the pattern with the wall, less the patterns of +P and -P in the shares that the geometry gives
them. Away from the wall the difference ends and the library alone speaks. Tables are computed when the first position needs
them. Where several walls are near, as at the core of a vortex, only the nearest counts.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass, field
from functools import lru_cache
from threading import RLock

import numpy as np
from numba import njit

from figures_pkg.crystal.structure import structure
from figures_pkg.diffraction.library import Library
from figures_pkg.diffraction.spline import spline_coefficients
from figures_pkg.twin.domains import FWHM_PER_SIGMA, default_profile, normal_antiderivative, polarization_weight
from figures_pkg.twin.presets import Preset, WallStructure
from figures_pkg.twin.wall_atoms import Supercell
from figures_pkg.twin.wall_scattering import REACH, Cone, bulk_discs, cone_step_mrad, probe_discs, stack_intensities

G_MAX_INV_ANGSTROM = 1.0  # reflections beyond it hold a hundredth of a wall's difference
DEPTH_STEP = 6  # periods between the depths of a stack, 3.7 nm
CELL_NM = 18.0  # shortest supercell: its two walls are 9 nm apart
OFFSETS_NM = np.arange(-4.0, 4.01, 0.25)  # from an upright wall, positive in +P
UPRIGHT_DEG = 1.0  # a foil of 60 nm then shows 1 nm of the wall, half a probe
HALF_DEPTHS = np.array([1.0, 2.0, 4.0, 8.0])  # periods, for which stacks are computed; the nearest is taken
SMALLEST_SHARE = 1e-4  # of a layer that is added


@dataclass(frozen=True)
class StackSettings:
    """What a table of depth stacks covers."""

    top: int  # domain met first, see `stack_intensities`
    step: int  # turn of the phase out of +P
    half_depth: float  # half width of the wall along the beam, in periods
    first_period: int  # thicknesses, four at least
    last_period: int
    tilt_b: tuple[float, float]  # first and last in mrad, on multiples of the step; four nodes at least
    tilt_c: tuple[float, float]
    hkl: tuple  # of (h, k, l)
    period_step: int = 3
    tilt_step_mrad: float = 0.5


@dataclass(frozen=True)
class EdgeSettings:
    """What a table of an upright wall covers: a kind of supercell, around one orientation and thickness."""

    kind: str  # "charged" holds HH and TT, "neutral" the walls whose normal out of +P points along +b* and -b*
    step: int  # turn of the phase out of +P
    tilt_mrad: tuple[float, float]  # mean along b* and c
    bend_mrad: float  # tilts within half of it are covered
    convergence_mrad: float
    probe_fwhm_nm: float  # for the shares of the mixture that is taken off
    periods: tuple[int, ...]  # four thicknesses
    hkl: tuple  # of (h, k, l)
    width_factor: float = 1.0  # of the wall's profile, see `default_profile`
    screening_nm: float = 1.0
    strain: float = 0.0


@dataclass(frozen=True)
class StackTable:
    """Differences over depth (linear), tilts and thickness (cubic B-splines), shape (z, n_b + 2, n_c + 2, n_t + 2, n)."""

    coefficients: np.ndarray
    first_depth: float  # periods, of the first node; nodes are DEPTH_STEP apart


@dataclass(frozen=True)
class EdgeTable:
    """Differences of disc means over distance and orientation, and the patterns themselves, as fractions of the incident beam."""

    names: tuple  # (w,) HH and TT, or neutral+ and neutral-
    normal_mrad: np.ndarray  # orientations along the normal
    along_mrad: np.ndarray  # and along the wall
    thickness_nm: np.ndarray  # (t,)
    intensities: np.ndarray  # (w, normal, along, t, x, n) float32, over `OFFSETS_NM`
    plus: np.ndarray  # (normal, along, t, n) float32, of a domain with the same slices
    minus: np.ndarray
    difference: np.ndarray  # of the shape of `intensities`


@lru_cache(maxsize=16)
def build_stacks(settings: StackSettings, threads: int = 1) -> StackTable:
    """Compute a table of depth stacks; the last few are kept in memory."""
    periods = np.arange(settings.first_period, settings.last_period + 1, settings.period_step)
    step = settings.tilt_step_mrad
    tilt_b, tilt_c = (low + step * np.arange(round((high - low) / step) + 1) for low, high in (settings.tilt_b, settings.tilt_c))
    depths = _depths(settings)
    tilts = np.stack(np.meshgrid(tilt_b, tilt_c, indexing="ij"), axis=-1).reshape(-1, 2)
    hkl, parts = np.array(settings.hkl), np.array_split(tilts, -(-len(tilts) // 8))
    how = (settings.top, settings.step, depths, periods.tolist())
    with ThreadPoolExecutor(threads) as pool:
        stacks = pool.map(lambda part: stack_intensities(*how, part, hkl, settings.half_depth), parts)
        differences = np.concatenate([_less_the_mixture(part, depths, periods) for part in stacks])
    samples = differences.reshape(len(tilt_b), len(tilt_c), len(periods), len(depths), len(hkl))
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
def build_edge(settings: EdgeSettings) -> EdgeTable:
    """Compute a table of upright walls; the last few are kept in memory."""
    axis = 1 if settings.kind == "charged" else 0
    profile = default_profile(float(axis), settings.step, settings.width_factor, settings.screening_nm, settings.strain)
    cell = Supercell(settings.kind, int(np.ceil(CELL_NM / Supercell(settings.kind, 4).length_nm * 4)), profile)
    tilt = (settings.tilt_mrad[axis], settings.tilt_mrad[1 - axis])
    cone = Cone.around(tilt, settings.bend_mrad, settings.convergence_mrad, cone_step_mrad(cell))
    walls, hkl = cell.walls_nm(), np.array(settings.hkl)
    places = np.concatenate([place + side * OFFSETS_NM for place, side in walls.values()])
    discs = probe_discs(cell, cone, settings.periods, hkl, places)
    discs = np.moveaxis(discs.reshape(*discs.shape[:3], len(walls), len(OFFSETS_NM), len(hkl)), 3, 0)
    plus, minus = (bulk_discs(cone, sign, axis, settings.periods, hkl) for sign in (1, -1))
    share = ((1 + polarization_weight(OFFSETS_NM, 0.0, settings.probe_fwhm_nm)) / 2).astype(np.float32)[:, None]
    difference = discs - share * plus[:, :, :, None] - (1 - share) * minus[:, :, :, None]
    thickness = np.array(settings.periods) * structure()["a_angstrom"] / 10
    orientations = cone.normal_mrad[cone.normal_nodes], cone.along_mrad[cone.along_nodes]
    return EdgeTable(tuple(walls), *orientations, thickness, discs, plus, minus, difference)


def depth_weights(depth, spread: float, first: float, step: float, count: int) -> np.ndarray:
    """Shares of a Gaussian on the nodes of a uniform grid, as linear interpolation between nodes would collect them.

    Parameters
    ----------
    depth : float
        Middle of the Gaussian.
    spread : float
        Its standard deviation, positive, in the unit of `depth`.
    first, step, count : float, float, int
        The grid. What lies beyond its ends is lost, so the sum is one or less.

    Returns
    -------
    weights : array, shape (count,)
    """
    nodes = (first + step * np.arange(-1, count + 1) - depth) / spread
    return np.diff(normal_antiderivative(nodes), 2) * spread / step


def lagrange_weights(nodes, value: float) -> np.ndarray:
    """Weights of a polynomial through all nodes (four at most make sense), at a value held within their range."""
    nodes = np.asarray(nodes, float)
    value = min(max(value, nodes[0]), nodes[-1])
    away = np.where(np.eye(len(nodes), dtype=bool), 1.0, nodes[:, None] - nodes)
    factors = np.where(np.eye(len(nodes), dtype=bool), 1.0, value - nodes)
    return (factors / away).prod(axis=1)


def linear_weights(nodes, value: float) -> np.ndarray:
    """Weights of linear interpolation on a uniform grid; zero for all nodes outside it."""
    return np.maximum(0.0, 1 - np.abs(np.asarray(nodes) - value) / (nodes[1] - nodes[0]))


def cubic_shares(x: float) -> np.ndarray:
    """Values of the four cubic B-splines that reach the interval, at `x` in [0, 1] within it."""
    y = 1 - x
    return np.array([y**3, 4 - 6 * x**2 + 3 * x**3, 4 - 6 * y**2 + 3 * y**3, x**3]) / 6


@njit(nogil=True, cache=True, fastmath=True)
def add_layers(coefficients, weights, thickness_weights, first_t, first_b, first_c, where, patch):
    """Add weighted layers of spline coefficients, contracted over thickness, to the reflections `where` of a patch.

    Parameters
    ----------
    coefficients : (z, n_b + 2, n_c + 2, n_t + 2, m) float32
    weights : (z,) float
    thickness_weights : (4,) float
        Of the coefficients from `first_t` on.
    first_b, first_c : int
        Index in `coefficients` of the first node of the patch; may be negative.
    where : (m,) int
        Which reflections of the patch they belong to.
    patch : (nodes_b, nodes_c, n) float32
        Added to, where the two overlap.
    """
    for z in range(coefficients.shape[0]):
        if abs(weights[z]) < SMALLEST_SHARE:
            continue
        for i in range(max(0, -first_b), min(patch.shape[0], coefficients.shape[1] - first_b)):
            for j in range(max(0, -first_c), min(patch.shape[1], coefficients.shape[2] - first_c)):
                for t in range(4):
                    share = np.float32(weights[z] * thickness_weights[t])
                    values = coefficients[z, first_b + i, first_c + j, first_t + t]
                    for r in range(where.shape[0]):
                        patch[i, j, where[r]] += share * values[r]


def reach_nm(thickness_nm, inclination_deg: float, sigma_nm: float, width_factor: float = 1.0):
    """
    Distance from the middle of a wall beyond which its pattern is that of the domains.

    Parameters
    ----------
    thickness_nm : float or array
    inclination_deg : float
    sigma_nm : float
        Standard deviation of the probe.
    width_factor : float
        Of the wall, as `default_profile` takes it.

    Returns
    -------
    float or array
        In nm, in the plane of the foil.
    """
    if abs(inclination_deg) < UPRIGHT_DEG:
        return np.full(np.shape(thickness_nm), OFFSETS_NM[-1])
    shown = np.asarray(thickness_nm) / 2 * np.tan(np.radians(abs(inclination_deg)))
    return 3 * default_profile(0.0, 1, width_factor).half_width_nm * 2 + shown + 4 * sigma_nm


@dataclass
class WallPatterns:
    """Differences that walls make, for one preset and the tilt grid and reflections of a library."""

    preset: Preset
    library: Library
    _lock: RLock = field(default_factory=RLock, repr=False)

    def __post_init__(self):
        library = self.library
        self.where = np.flatnonzero(np.hypot(library.g_b, library.g_c) <= G_MAX_INV_ANGSTROM)
        self.hkl = tuple(map(tuple, library.hkl[self.where].tolist()))
        self.period_nm = structure()["a_angstrom"] / 10
        self.sigma_nm = self.preset.beam.probe_fwhm_nm / FWHM_PER_SIGMA
        self.tilt_step = float(library.tilt_b_mrad[1] - library.tilt_b_mrad[0])
        self.structure = self.preset.wall_structure or WallStructure()
        self.tilts = tuple(self._tilt_range(axis) for axis in ("b", "c"))
        self.periods = self._periods()

    def touches(self, thickness_nm: float, wall) -> bool:
        """Whether a position is near enough to a wall to notice; `wall` has the columns `figures_pkg.twin.domains.WALL_COLUMNS`."""
        return bool(abs(wall[0]) < reach_nm(thickness_nm, wall[1], self.sigma_nm, self.structure.width_factor))

    def add(self, state, wall, first_b: int, first_c: int, patch) -> None:
        """Add what the wall makes different to spline coefficients in the two tilts.

        Parameters
        ----------
        state : array
            Thickness (nm) and tilts (mrad) in places 1 to 3, as in the renderer.
        wall : array
            Columns `figures_pkg.twin.domains.WALL_COLUMNS`.
        first_b, first_c : int
            First coefficient of the library that `patch` holds.
        patch : (nodes_b, nodes_c, n) float32
            At the thickness of the state, all reflections of the library.
        """
        if abs(wall[1]) < UPRIGHT_DEG:
            patch[..., self.where] += self._upright(state, wall)
        else:
            self._inclined(state, wall, first_b, first_c, patch)

    def _inclined(self, state, wall, first_b, first_c, patch) -> None:
        distance, inclination, charge, step, _ = wall
        slope, top = np.tan(np.radians(abs(inclination))), 1 if inclination > 0 else -1
        half_depth = default_profile(charge, 1, self.structure.width_factor).half_width_nm / slope / self.period_nm
        half_depth = float(HALF_DEPTHS[np.abs(np.log(HALF_DEPTHS / half_depth)).argmin()])
        first, step_t, count = self.periods
        settings = StackSettings(top, int(step), half_depth, first, first + step_t * (count - 1), *self.tilts, self.hkl, step_t, self.tilt_step)
        with self._lock:
            table = build_stacks(settings)
        depth = (state[1] / 2 + top * distance / slope) / self.period_nm
        spread = self.sigma_nm / slope / self.period_nm
        weights = depth_weights(depth, spread, table.first_depth, DEPTH_STEP, len(table.coefficients))
        place = min(max((state[1] / self.period_nm - first) / step_t, 0.0), count - 1 - 1e-6)
        grids = (self.library.tilt_b_mrad, self.library.tilt_c_mrad)
        starts = [round((ends[0] - grid[0]) / self.tilt_step) for ends, grid in zip(self.tilts, grids)]
        thickness = cubic_shares(place - int(place))
        add_layers(table.coefficients, weights, thickness, int(place), first_b - starts[0], first_c - starts[1], self.where, patch)

    def _upright(self, state, wall) -> np.ndarray:
        """Difference of disc means, shape (m,), blended between charged and neutral by the square of the charge."""
        distance, _, charge, step, normal_b = wall
        charged = min(charge**2, 1.0)
        total = np.zeros(len(self.where), np.float32)
        for kind, share, name in (
            ("charged", charged, "HH" if charge > 0 else "TT"),
            ("neutral", 1 - charged, "neutral+" if normal_b > 0 else "neutral-"),
        ):
            if share > 0.01:
                with self._lock:
                    table = build_edge(self.edge_settings(kind, int(step)))
                total += np.float32(share) * self._read_edge(table, name, kind == "charged", state, distance)
        return total

    def _read_edge(self, table, name: str, along_c: bool, state, distance) -> np.ndarray:
        tilt_normal, tilt_along = (state[3], state[2]) if along_c else (state[2], state[3])
        weights = (
            lagrange_weights(table.normal_mrad, tilt_normal),
            lagrange_weights(table.along_mrad, tilt_along),
            lagrange_weights(table.thickness_nm, state[1]),
            linear_weights(OFFSETS_NM, distance),
        )
        return np.einsum("i,j,t,x,ijtxn->n", *weights, table.difference[table.names.index(name)], optimize=True).astype(np.float32)

    def edge_settings(self, kind: str, step: int, bend_mrad: float | None = None) -> EdgeSettings:
        """What a table of upright walls must cover for this preset; `bend_mrad` of 0 leaves the mean orientation alone."""
        specimen, beam = self.preset.specimen, self.preset.beam
        bend = specimen.bend_mrad if bend_mrad is None else bend_mrad
        ends = np.array([-1, -1 / 3, 1 / 3, 1]) * max(specimen.wedge_nm / 2, 3.0)
        periods = tuple(np.rint((specimen.thickness_nm + ends) / self.period_nm).astype(int).tolist())
        tilt = (specimen.tilt_b_mrad, specimen.tilt_c_mrad)
        return EdgeSettings(kind, step, tilt, bend, beam.convergence_mrad, beam.probe_fwhm_nm, periods, self.hkl, *astuple(self.structure))

    def _tilt_range(self, axis: str) -> tuple[float, float]:
        """Nodes of the library's tilt grid around the tilts of the specimen, with bend and disc, six at least."""
        specimen, grid = self.preset.specimen, getattr(self.library, f"tilt_{axis}_mrad")
        middle, reach = getattr(specimen, f"tilt_{axis}_mrad"), specimen.bend_mrad / 2 + self.preset.beam.convergence_mrad
        first = int(np.floor((middle - reach - grid[0]) / self.tilt_step + 1e-6)) - 1
        last = int(np.ceil((middle + reach - grid[0]) / self.tilt_step - 1e-6)) + 1
        first, last = np.clip([first, last], 0, len(grid) - 1)
        return float(grid[first]), float(grid[last])

    def _periods(self) -> tuple[int, int, int]:
        """First thickness in periods, step and number of nodes, four at least."""
        specimen, step = self.preset.specimen, 3
        first = max(int((specimen.thickness_nm - specimen.wedge_nm / 2 - 0.5) / self.period_nm), 1)
        last = (specimen.thickness_nm + specimen.wedge_nm / 2 + 0.5) / self.period_nm
        return first, step, max(int(np.ceil((last - first) / step)) + 1, 4)
