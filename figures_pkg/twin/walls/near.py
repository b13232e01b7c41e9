"""What the renderer asks of the walls: the difference that a wall makes to the discs of one position.

Inclined walls take depth stacks, upright ones (below `UPRIGHT_DEG`) supercells. Tables are computed when the first position
needs them. Where several walls are near, as at the core of a vortex, only the nearest counts (`figures_pkg.twin.walls.core`
counts such positions).
"""

from dataclasses import dataclass, field
from threading import RLock

import numpy as np

from figures_pkg.diffraction.library import Library
from figures_pkg.twin.presets import Preset
from figures_pkg.twin.specimen.domains import FWHM_PER_SIGMA
from figures_pkg.crystal.structure import structure
from figures_pkg.twin.walls.folding import add_layers, cubic_shares, depth_weights, lagrange_weights, linear_weights
from figures_pkg.twin.walls.profile import default_profile
from figures_pkg.twin.walls.tables import DEPTH_STEP, G_MAX_INV_ANGSTROM, OFFSETS_NM
from figures_pkg.twin.walls.tables import EdgeSettings, StackSettings, build_edge, build_stacks

COLUMNS = ("wall_distance_nm", "wall_inclination_deg", "wall_charge", "wall_step", "wall_normal_b")
UPRIGHT_DEG = 1.0  # a foil of 60 nm then shows 1 nm of the wall, half a probe
HALF_DEPTHS = np.array([1.0, 2.0, 4.0, 8.0])  # periods, for which stacks are computed; the nearest is taken


def reach_nm(thickness_nm, inclination_deg: float, sigma_nm: float, structure=(1.0, 1.0, 0.0)):
    """
    Distance from the middle of a wall beyond which its pattern is that of the domains.

    Parameters
    ----------
    thickness_nm : float or array
    inclination_deg : float
    sigma_nm : float
        Standard deviation of the probe.
    structure : tuple of float
        Width factor, screening (nm) and strain, as `default_profile` takes them.

    Returns
    -------
    float or array
        In nm, in the plane of the foil.
    """
    if abs(inclination_deg) < UPRIGHT_DEG:
        return np.full(np.shape(thickness_nm), OFFSETS_NM[-1])
    shown = np.asarray(thickness_nm) / 2 * np.tan(np.radians(abs(inclination_deg)))
    return 3 * default_profile(0.0, 1, *structure).half_width_nm * 2 + shown + 4 * sigma_nm


@dataclass
class WallPatterns:
    """Differences that walls make, for one preset and library.

    Attributes
    ----------
    preset : Preset
    library : Library
        Its tilt grid and reflections are kept.
    threads : int
        For the tables.
    """

    preset: Preset
    library: Library
    threads: int = 1
    _lock: RLock = field(default_factory=RLock, repr=False)

    def __post_init__(self):
        library = self.library
        self.where = np.flatnonzero(np.hypot(library.g_b, library.g_c) <= G_MAX_INV_ANGSTROM)
        self.hkl = tuple(map(tuple, library.hkl[self.where].tolist()))
        self.period_nm = structure()["a_angstrom"] / 10
        self.sigma_nm = self.preset.beam.probe_fwhm_nm / FWHM_PER_SIGMA
        self.tilt_step = float(library.tilt_b_mrad[1] - library.tilt_b_mrad[0])
        assumed = self.preset.wall_structure
        self.structure = (assumed.width_factor, assumed.screening_nm, assumed.strain) if assumed else (1.0, 1.0, 0.0)
        self.tilts = tuple(self._tilt_range(axis) for axis in ("b", "c"))
        self.periods = self._periods()

    def touches(self, thickness_nm: float, wall) -> bool:
        """Whether a position is near enough to a wall to notice; `wall` has the columns `COLUMNS`."""
        return bool(abs(wall[0]) < reach_nm(thickness_nm, wall[1], self.sigma_nm, self.structure))

    def add(self, state, wall, first_b: int, first_c: int, patch) -> None:
        """Add what the wall makes different to spline coefficients in the two tilts.

        Parameters
        ----------
        state : array
            Thickness (nm) and tilts (mrad) in places 1 to 3, as in the renderer.
        wall : array
            Columns `COLUMNS`.
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
        half_depth = default_profile(charge, 1, *self.structure).half_width_nm / slope / self.period_nm
        half_depth = float(HALF_DEPTHS[np.abs(np.log(HALF_DEPTHS / half_depth)).argmin()])
        table = self.stacks(top, int(step), half_depth)
        depth = (state[1] / 2 + top * distance / slope) / self.period_nm
        spread = self.sigma_nm / slope / self.period_nm
        weights = depth_weights(depth, spread, table.first_depth, DEPTH_STEP, len(table.coefficients))
        first, step_t, count = self.periods
        place = min(max((state[1] / self.period_nm - first) / step_t, 0.0), count - 1 - 1e-6)
        starts = [round((ends[0] - grid[0]) / self.tilt_step) for ends, grid in zip(self.tilts, self._grids())]
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
                total += np.float32(share) * self._read_edge(self.edge(kind, int(step)), name, kind == "charged", state, distance)
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

    def stacks(self, top: int, step: int, half_depth: float):
        """The table of depth stacks of one sequence of domains."""
        first, step_t, count = self.periods
        ends = {"first_period": first, "last_period": first + step_t * (count - 1), "period_step": step_t}
        settings = StackSettings(
            top, step, half_depth, **ends, tilt_b=self.tilts[0], tilt_c=self.tilts[1], hkl=self.hkl, tilt_step_mrad=self.tilt_step
        )
        with self._lock:
            return build_stacks(settings, self.threads)

    def edge(self, kind: str, step: int):
        """The table of upright walls of one kind."""
        with self._lock:
            return build_edge(self.edge_settings(kind, step), self.threads)

    def edge_settings(self, kind: str, step: int, bend_mrad: float | None = None) -> EdgeSettings:
        """What a table of upright walls must cover for this preset; `bend_mrad` of 0 leaves the mean orientation alone."""
        specimen, beam = self.preset.specimen, self.preset.beam
        bend = specimen.bend_mrad if bend_mrad is None else bend_mrad
        ends = np.array([-1, -1 / 3, 1 / 3, 1]) * max(specimen.wedge_nm / 2, 3.0)
        periods = tuple(np.rint((specimen.thickness_nm + ends) / self.period_nm).astype(int).tolist())
        tilt = (specimen.tilt_b_mrad, specimen.tilt_c_mrad)
        return EdgeSettings(kind, step, tilt, bend, beam.convergence_mrad, beam.probe_fwhm_nm, periods, self.hkl, *self.structure)

    def _grids(self):
        return self.library.tilt_b_mrad, self.library.tilt_c_mrad

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

