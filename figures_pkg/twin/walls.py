"""What walls add to the mixture of the two domains: tables, and the difference that the renderer takes from them.

Inclined walls take depth stacks, upright ones (below `UPRIGHT_DEG`) supercells. Both tables hold differences, computed with the
same slices on either side: the pattern with the wall, less the patterns of +P and -P in the shares that the geometry gives
them. In a stack the polar mode follows the phase: an inclined wall knows its variant and which domain the beam meets first, but no
sign of charge; an upright one does, by the screening of its polar mode. Tables are computed when the first position needs them.
Where several walls are near, as at the core of a vortex, only the nearest counts. For matching, depth stacks averaged over discs give
the patterns of a probe as it moves across an inclined wall.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass, field
from functools import lru_cache
from threading import RLock

import numpy as np
from numba import njit

from figures_pkg.crystal.structure import ermno3, structure
from figures_pkg.diffraction.discs import average_over_cone, lost_nodes
from figures_pkg.diffraction.library import Library, evaluate_spline, spline_coefficients
from figures_pkg.twin.domains import FWHM_PER_SIGMA, default_profile, normal_antiderivative, polarization_weight
from figures_pkg.twin.presets import Preset, WallStructure
from figures_pkg.twin.wall_scattering import REACH, Cone, Supercell, bulk_discs, cone_step_mrad, probe_discs, stack_intensities

G_MAX_INV_ANGSTROM = 1.0  # reflections beyond it hold a hundredth of a wall's difference
DEPTH_STEP = 6  # periods between the depths of a stack, 3.7 nm
CELL_NM = 18.0  # shortest supercell: its two walls are 9 nm apart
OFFSETS_NM = np.arange(-4.0, 4.01, 0.25)  # from an upright wall, positive in +P
UPRIGHT_DEG = 1.0  # a foil of 60 nm then shows 1 nm of the wall, half a probe
HALF_DEPTHS = np.array([1.0, 2.0, 4.0, 8.0])  # periods, for which stacks are computed; the nearest is taken
SMALLEST_SHARE = 1e-4  # of a layer that is added
HALF_DEPTH = 2.0  # periods: half width of a wall along the beam in `Columns`; 0.2 nm of wall at 9 degrees
PERIOD_STEP = 3  # between the thicknesses of stacks


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
def build_stacks(top: int, step: int, half_depth: float, first: int, last: int, tilt_b, tilt_c, hkl: tuple, tilt_step: float,
                 threads: int = 1) -> tuple[np.ndarray, float]:  # fmt: skip
    """Compute depth stacks, less the two domains in the shares of a sharp wall; the last few are kept in memory.

    Returns splines (z, n_b + 2, n_c + 2, n_t + 2, n) over tilts (low, high) in mrad and thickness in periods, and the first depth in periods.
    """
    periods = np.arange(first, last + 1, PERIOD_STEP)
    tilt_b, tilt_c = (low + tilt_step * np.arange(round((high - low) / tilt_step) + 1) for low, high in (tilt_b, tilt_c))
    before = int(np.ceil(REACH * half_depth / DEPTH_STEP)) + 1  # from where the wall is about to enter the foil to where it has left it
    after = int(np.ceil((last + REACH * half_depth) / DEPTH_STEP)) + 1
    depths = DEPTH_STEP * np.arange(-before, after + 1).astype(float)
    tilts = np.stack(np.meshgrid(tilt_b, tilt_c, indexing="ij"), axis=-1).reshape(-1, 2)
    parts, share = np.array_split(tilts, -(-len(tilts) // 8)), np.clip(depths / periods[:, None], 0, 1)[..., None].astype(np.float32)
    with ThreadPoolExecutor(threads) as pool:  # of arrays (m, t, z + 2, n)
        stacks = pool.map(lambda part: stack_intensities(top, step, depths, periods.tolist(), part, np.array(hkl), half_depth), parts)
        differences = np.concatenate([part[:, :, 1:-1] - share * part[:, :, -1:] - (1 - share) * part[:, :, :1] for part in stacks])
    samples = differences.reshape(len(tilt_b), len(tilt_c), len(periods), len(depths), len(hkl))
    return np.ascontiguousarray(np.moveaxis(spline_coefficients(samples), 3, 0), np.float32), float(depths[0])


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
    """Shares of a Gaussian on the nodes of a uniform grid, as linear interpolation would collect them, (count,); what lies beyond the ends is lost."""
    nodes = (first + step * np.arange(-1, count + 1) - depth) / spread
    return np.diff(normal_antiderivative(nodes), 2) * spread / step


def lagrange_weights(nodes, value: float) -> np.ndarray:
    """Weights of a polynomial through all nodes (four at most make sense), at a value held within their range."""
    nodes, own = np.asarray(nodes, float), np.eye(len(nodes), dtype=bool)
    value = min(max(value, nodes[0]), nodes[-1])
    return (np.where(own, 1.0, value - nodes) / np.where(own, 1.0, nodes[:, None] - nodes)).prod(axis=1)


def cubic_shares(x: float) -> np.ndarray:
    """Values of the four cubic B-splines that reach the interval, at `x` in [0, 1] within it."""
    y = 1 - x
    return np.array([y**3, 4 - 6 * x**2 + 3 * x**3, 4 - 6 * y**2 + 3 * y**3, x**3]) / 6


@njit(nogil=True, cache=True, fastmath=True)
def add_layers(coefficients, weights, thickness_weights, first_t, first_b, first_c, where, patch):
    """Add weighted layers (z,) of a stack, over four thicknesses from `first_t` on, to reflections `where` of a patch whose first node may be negative."""
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
    """Distance (nm, in the plane of the foil) beyond which a wall does not show; `sigma_nm` is the probe's standard deviation."""
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
        specimen = self.preset.specimen
        first = max(int((specimen.thickness_nm - specimen.wedge_nm / 2 - 0.5) / self.period_nm), 1)
        last = (specimen.thickness_nm + specimen.wedge_nm / 2 + 0.5) / self.period_nm
        self.periods = first, max(int(np.ceil((last - first) / PERIOD_STEP)) + 1, 4)  # the first thickness, and the number of nodes

    def touches(self, thickness_nm: float, wall) -> bool:
        """Whether a position is near enough to a wall, of the columns `WALL_COLUMNS`, to notice."""
        return bool(abs(wall[0]) < reach_nm(thickness_nm, wall[1], self.sigma_nm, self.structure.width_factor))

    def add(self, state, wall, first_b: int, first_c: int, patch) -> None:
        """Add what the wall makes different to a patch (nodes_b, nodes_c, n) of the library's coefficients in the two tilts from the first ones on."""
        if abs(wall[1]) < UPRIGHT_DEG:
            patch[..., self.where] += self._upright(state, wall)
        else:
            self._inclined(state, wall, first_b, first_c, patch)

    def _inclined(self, state, wall, first_b, first_c, patch) -> None:
        distance, inclination, charge, step, _ = wall
        slope, top = np.tan(np.radians(abs(inclination))), 1 if inclination > 0 else -1
        half_depth = default_profile(charge, 1, self.structure.width_factor).half_width_nm / slope / self.period_nm
        half_depth = float(HALF_DEPTHS[np.abs(np.log(HALF_DEPTHS / half_depth)).argmin()])
        first, count = self.periods
        with self._lock:
            last = first + PERIOD_STEP * (count - 1)
            coefficients, first_depth = build_stacks(top, int(step), half_depth, first, last, *self.tilts, self.hkl, self.tilt_step)
        depth = (state[1] / 2 + top * distance / slope) / self.period_nm
        spread = self.sigma_nm / slope / self.period_nm
        weights = depth_weights(depth, spread, first_depth, DEPTH_STEP, len(coefficients))
        place = min(max((state[1] / self.period_nm - first) / PERIOD_STEP, 0.0), count - 1 - 1e-6)
        grids = (self.library.tilt_b_mrad, self.library.tilt_c_mrad)
        starts = [round((ends[0] - grid[0]) / self.tilt_step) for ends, grid in zip(self.tilts, grids)]
        thickness = cubic_shares(place - int(place))
        add_layers(coefficients, weights, thickness, int(place), first_b - starts[0], first_c - starts[1], self.where, patch)

    def _upright(self, state, wall) -> np.ndarray:
        """Difference of disc means, shape (m,), blended between charged and neutral by the square of the charge."""
        distance, _, charge, step, normal_b = wall
        charged = min(charge**2, 1.0)
        total = np.zeros(len(self.where), np.float32)
        kinds = ("charged", charged, "HH" if charge > 0 else "TT"), ("neutral", 1 - charged, "neutral+" if normal_b > 0 else "neutral-")
        for kind, share, name in kinds:
            if share > 0.01:
                with self._lock:
                    table = build_edge(self.edge_settings(kind, int(step)))
                normal, along = (state[3], state[2]) if kind == "charged" else (state[2], state[3])
                smooth = ((table.normal_mrad, normal), (table.along_mrad, along), (table.thickness_nm, state[1]))
                near = np.maximum(0.0, 1 - np.abs(OFFSETS_NM - distance) / (OFFSETS_NM[1] - OFFSETS_NM[0]))  # linear between places
                weights = [*(lagrange_weights(nodes, value) for nodes, value in smooth), near]
                difference = np.einsum("i,j,t,x,ijtxn->n", *weights, table.difference[table.names.index(name)], optimize=True)
                total += np.float32(share) * difference.astype(np.float32)
        return total

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


@dataclass(frozen=True)
class Columns:
    """What a column with a wall in it adds to the mixture of its two domains, averaged over discs."""

    coefficients: np.ndarray  # (2, n_b + 2, n_c + 2, n_t + 2, z, n) float32, cubic B-splines: +P above -P, then -P above +P; z depths of the wall
    start: np.ndarray  # (3,) first node of tilt b, tilt c (mrad) and thickness (nm)
    step: np.ndarray
    first_depth: float  # of the wall's middle below the upper surface, in periods, at the first of the z nodes

    def at(self, point: np.ndarray) -> np.ndarray:
        """The differences at one state (tilt b, tilt c, thickness), shape (2, z, n); a state outside is taken at the edge."""
        orders, *_, depths, discs = self.coefficients.shape
        last = np.array(self.coefficients.shape[1:4]) - 3.0
        place = np.clip((point - self.start) / self.step, 0, last - 1e-6)
        values = np.empty((orders, depths * discs), np.float32)
        for order in range(orders):
            evaluate_spline(self.coefficients[order].reshape(*self.coefficients.shape[1:4], -1), *place, values[order])
        return values.reshape(orders, depths, discs).astype(float)


def build_columns(g: np.ndarray, low: np.ndarray, high: np.ndarray, convergence_mrad: float, turn: int = 1, threads: int = 1,
                  half_depth: float = HALF_DEPTH) -> Columns:
    """Simulate depth stacks of ErMnO3 for the states between `low` and `high`: tilt b, tilt c (mrad) and thickness (nm), shape (3,).

    (g_b, g_c) of the discs, 1/Å, shape (n, 2), are those of ErMnO3 along [100], or a `ValueError` says so. The turn of the phase from +P to -P in
    units of 60 degrees, 1 or -1, is the mirror variant of the wall; `half_depth` is half its width along the beam, in periods.
    """
    period_nm, tilt_step = structure()["a_angstrom"] / 10, 0.5
    reach = np.full(2, convergence_mrad / tilt_step)
    ends = []  # on multiples of the step, so that four nodes, and the range, are left when discs lose some at both ends
    for axis, lost in enumerate(lost_nodes(reach)):
        start, stop = np.floor(low[axis] / tilt_step), np.ceil(high[axis] / tilt_step)
        ends.append((float((start - lost) * tilt_step), float((max(stop, start + 3) + lost) * tilt_step)))
    first = max(int(low[2] / period_nm), 1)
    last = first + PERIOD_STEP * max(int(np.ceil((high[2] / period_nm - first) / PERIOD_STEP)), 3)
    cell = ermno3().cell_angstrom
    k, l = g[:, 0] * cell[1] / 2, g[:, 1] * cell[2]
    whole = np.rint(np.stack([np.zeros_like(k), k, l], axis=1)).astype(int)
    if np.abs(np.stack([k, l], axis=1) - whole[:, 1:]).max() > 0.01 or (whole[:, 2] % 2).any():
        raise ValueError("the discs are not those of ErMnO3 along [100]; columns with a wall are known for this crystal only")
    hkl, coefficients = tuple(map(tuple, whole.tolist())), []
    for top in (1, -1):
        stacks, first_depth = build_stacks(top, turn, half_depth, first, last, *ends, hkl, tilt_step, threads)
        means, lost = average_over_cone(np.moveaxis(stacks, 0, 3), reach)
        coefficients.append(means)
    start = np.array([ends[0][0] + lost[0] * tilt_step, ends[1][0] + lost[1] * tilt_step, first * period_nm])
    return Columns(np.stack(coefficients), start, np.array([tilt_step, tilt_step, PERIOD_STEP * period_nm]), first_depth)


def across_wall(plus, minus, distance_nm, thickness_nm, probe_fwhm_nm: float, slope: float = 0.0, differences=None, first_depth: float = 0.0) -> np.ndarray:
    """Discs of probes at several distances from a wall, fractions of the incident beam, shape (x, n).

    Parameters
    ----------
    plus, minus, distance_nm, thickness_nm
        Discs of the two domains at each probe, (x, n); distances (x,) from the middle of the wall at mid thickness, positive in +P; and of the foil.
    slope
        Tangent of the wall's angle against the beam: positive where the beam meets +P first, negative where it meets -P first,
        zero for an upright wall, whose patterns are mixtures of both domains.
    differences, first_depth
        From :meth:`Columns.at` for the order that `slope` says, shape (x, z, n), and of the columns; not needed at zero slope.
    """
    distance, thickness, steep = np.asarray(distance_nm, float), np.asarray(thickness_nm, float), abs(slope)
    share = (1 + polarization_weight(distance, thickness * steep, probe_fwhm_nm))[:, None] / 2
    mixture = share * plus + (1 - share) * minus
    if slope == 0:
        return mixture
    period_nm = structure()["a_angstrom"] / 10
    depth = (thickness / 2 + distance / slope) / period_nm
    spread = probe_fwhm_nm / FWHM_PER_SIGMA / steep / period_nm
    shares = depth_weights(depth[:, None], spread, first_depth, DEPTH_STEP, differences.shape[1])
    return mixture + np.einsum("xz,xzn->xn", shares, differences)
