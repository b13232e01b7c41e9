"""The library: intensities of all reflections of a crystal over thickness and two tilts, as a cubic B-spline.

Only +P is computed. -P follows from inversion, I(-P; G; tilt) = I(+P; -G; -tilt), and negative tilts along b* from the
mirror plane that holds the beam and c, where there is one, I(0kl; tilt_b) = I(0-kl; -tilt_b). Both hold exactly for the slices
used here. Any crystal in an orthogonal cell has a library; that of ErMnO3 is the default. Reflections are numbered 0kl as the
crystal says.

Accuracy, for ErMnO3. Against a full run (six slices, finer grid, no damping), averaged over a disc of 1.24 mrad, the relative L2
error of the multislice behind the library over all reflections is 0.04 % at 25 nm, 0.15 % at 50 nm, 0.3 % at 75 nm and 0.8 % at
100 nm at the worst of three tilts. A single plane wave sees lines of the first Laue ring that the library smooths, half a per
cent at 50 nm and 1.3 % at 100 nm. The structure model is less certain than either.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, replace

import numpy as np
import scipy.fft
from numba import njit

from figures_pkg.crystal.structure import Crystal, ermno3, structure
from figures_pkg.crystal.zone import has_mirror_along_beam
from figures_pkg.data.units import wavelength_angstrom
from figures_pkg.workspace import stored_arrays

from .multislice import Stack, centred_in_slices, crystal_stack, damp_beams, propagate, slice_index, sliced


@dataclass(frozen=True)
class LibrarySettings:
    """What a library covers and how finely; thicknesses count whole periods along the beam, 0.6112 nm for ErMnO3 along [100].

    The defaults suit ErMnO3. :meth:`covering` chooses the ranges, and for another crystal also grid, slices and damping.
    """

    energy_kev: float = 200.0
    g_max_inv_angstrom: float = 1.5  #: beyond it no reflection holds more than 2e-4 of the beam at 50 nm and more
    tilt_b_max_mrad: float = 10.0  #: both tilts run from -max to +max
    tilt_c_max_mrad: float = 10.0
    tilt_step_mrad: float = 0.5
    first_period: int = 15
    last_period: int = 165
    period_step: int = 2  #: nodes of thickness cost memory only, all come from one run
    gpts: tuple = (128, 128)  #: of the orthogonal cell, beams to 5.6 1/angstrom; powers of two, whose transforms cost less than those of (88, 96)
    slices: int = 6  #: per period: 6 is converged, 4 merges neighbouring layers of Mn and O, 2 all of them
    damping_from_inv_angstrom: float = 3.2  #: between the zone's own beams and the ring, see `damp_beams`
    damping_nm: float = 15.0  #: mean free path: lines 0.3 mrad wide; less loses more of the ring, more leaves more between the nodes of tilt
    scattering_factors: str = "lobato"  #: or "kirkland" for a library that differs in its model

    @property
    def periods(self) -> np.ndarray:
        """Thickness nodes in periods."""
        return np.arange(self.first_period, self.last_period + 1, self.period_step)

    @property
    def tilt_b_mrad(self) -> np.ndarray:
        """Tilt nodes along b*, symmetric about zero."""
        count = round(self.tilt_b_max_mrad / self.tilt_step_mrad)
        return self.tilt_step_mrad * np.arange(-count, count + 1)

    @property
    def tilt_c_mrad(self) -> np.ndarray:
        """Tilt nodes along c, symmetric about zero."""
        count = round(self.tilt_c_max_mrad / self.tilt_step_mrad)
        return self.tilt_step_mrad * np.arange(-count, count + 1)

    @classmethod
    def covering(cls, thickness_nm, tilt_b_mrad, tilt_c_mrad, crystal: Crystal | None = None, **settings) -> "LibrarySettings":
        """Settings of a library that covers the given values, with a node of thickness to spare on either side.

        A spline is less exact in its first and last interval, and a further node costs next to nothing in thickness, unlike in tilt.

        Parameters
        ----------
        thickness_nm, tilt_b_mrad, tilt_c_mrad : array-like
            Any values to be covered, for instance the two ends of a range; tilts with the radius of a disc added.
        crystal : Crystal, optional
            Another crystal than ErMnO3, for which `settings` may hold the arguments of :meth:`suiting` beside any other field.
        """
        grid = cls(**settings) if crystal is None else cls.suiting(crystal, **settings)
        if not (np.min(thickness_nm) > 0 and grid.tilt_step_mrad > 0):
            raise ValueError(f"thickness_nm {thickness_nm} and tilt_step_mrad {grid.tilt_step_mrad}: both must be positive")
        period_nm = structure()["a_angstrom"] / 10 if crystal is None else crystal.period_nm
        first = max(int(np.min(thickness_nm) / period_nm) - grid.period_step, 1)
        steps = max(int(np.ceil((np.max(thickness_nm) / period_nm - first) / grid.period_step)) + 1, 3)
        ranges: dict[str, float] = {"first_period": first, "last_period": first + steps * grid.period_step}
        for name, tilt in (("tilt_b_max_mrad", tilt_b_mrad), ("tilt_c_max_mrad", tilt_c_mrad)):
            ranges[name] = grid.tilt_step_mrad * max(int(np.ceil(np.abs(tilt).max() / grid.tilt_step_mrad)), 2)
        return cls(**asdict(grid) | ranges)

    @classmethod
    def suiting(cls, crystal: Crystal, k_max_inv_angstrom: float = 4.2, thickest_slice_angstrom: float = 2.5,
                thickness_step_nm: float = 2.0, **settings) -> "LibrarySettings":
        """Grid, slices, damping and step of thickness that suit a crystal; `settings` are any other fields.

        Beams up to `k_max_inv_angstrom` take part; those from nine tenths of the first Laue ring on are damped within 5 nm. Steps of 2.4 nm keep
        errors below half a per cent.
        """
        energy, g_max = (settings.get(name, getattr(cls, name)) for name in ("energy_kev", "g_max_inv_angstrom"))
        if g_max > 0.6 * k_max_inv_angstrom:
            raise ValueError(f"g_max is {g_max:g} 1/Å; reflections need beams to nearly twice as far, raise k_max from {k_max_inv_angstrom:g}")
        # The first Laue ring is where the Ewald sphere meets the layer 1/period above the zero layer.
        wave_number, height = 1 / wavelength_angstrom(energy), 1 / crystal.cell_angstrom[0]
        suited = {
            "gpts": tuple(scipy.fft.next_fast_len(int(n)) for n in np.ceil(2 * k_max_inv_angstrom * crystal.cell_angstrom[1:])),
            "slices": sliced(crystal, thickest_slice_angstrom)[1],
            "period_step": max(int(thickness_step_nm / crystal.period_nm), 1),
            "damping_from_inv_angstrom": max(0.9 * float(np.sqrt(2 * wave_number * height - height**2)), g_max),
            "damping_nm": 5.0,
        }
        return cls(**suited | settings)

    def fingerprint(self, crystal: Crystal | None = None) -> str:
        """Hash of settings and crystal. Scans that were simulated from a library note it, so it must not change for the same ones."""
        fields = asdict(self)
        if self.scattering_factors == "lobato":  # there was no choice when the first scans were made
            del fields["scattering_factors"]
        content = [2, fields, structure()]
        if crystal is not None:
            arrays = (crystal.positions_angstrom, crystal.u_iso, crystal.cell_angstrom)
            content += [list(crystal.symbols), *(array.round(9).tolist() for array in arrays)]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def reflections(crystal: Crystal, g_max_inv_angstrom: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Reflections 0 k l of a crystal up to `g_max_inv_angstrom`, (n, 3), sorted by k then l, and their components along b* and c, 1/Å."""
    stars = np.divide(crystal.orders_per_index, crystal.cell_angstrom[1:])
    last = [int(g_max_inv_angstrom / star / step) * step for star, step in zip(stars, crystal.index_steps)]
    axes = (np.arange(-end, end + 1, step) for end, step in zip(last, crystal.index_steps))
    k, l = (grid.ravel() for grid in np.meshgrid(*axes, indexing="ij"))
    inside = np.hypot(k * stars[0], l * stars[1]) <= g_max_inv_angstrom
    hkl = np.stack([np.zeros_like(k), k, l], axis=1)[inside]
    return hkl, hkl[:, 1] * stars[0], hkl[:, 2] * stars[1]


@dataclass(frozen=True)
class Library:
    """Intensities of +P over tilt and thickness."""

    hkl: np.ndarray  #: (n, 3) int, reflections 0 k l; for ErMnO3 with l even
    g_b: np.ndarray  #: (n,) components along b* and c, 1/angstrom
    g_c: np.ndarray
    thickness_nm: np.ndarray  #: uniform grids
    tilt_b_mrad: np.ndarray
    tilt_c_mrad: np.ndarray
    coefficients: np.ndarray  #: (n_tilt_b + 2, n_tilt_c + 2, n_thickness + 2, n) float32, cubic B-splines of fractions of the incident beam
    energy_kev: float
    fingerprint: str = ""  #: of the settings and the structure it was computed from

    def intensities(self, polarization, thickness_nm, tilt_b_mrad, tilt_c_mrad) -> np.ndarray:
        """Interpolated intensities of all reflections, float32, shape (..., n).

        Polarization (+1 or -1), thickness and tilts broadcast to a common shape (...,); a point outside the grids raises a `ValueError`.
        """
        sign, thickness, tilt_b, tilt_c = np.broadcast_arrays(polarization, thickness_nm, tilt_b_mrad, tilt_c_mrad)
        if not np.all(np.abs(sign) == 1):
            raise ValueError(f"polarization is +1 or -1, got {np.unique(sign)}")
        values = {"tilt_b_mrad": sign * tilt_b, "tilt_c_mrad": sign * tilt_c, "thickness_nm": thickness}
        points = np.stack([_grid_coordinate(name, getattr(self, name), value) for name, value in values.items()], axis=-1).reshape(-1, 3)
        result = np.empty((len(points), len(self.hkl)), np.float32)
        evaluate_many(self.coefficients, points, result)
        minus = sign.ravel() < 0
        if minus.any():
            result[minus] = result[minus][:, minus_p_index(self)]
        return result.reshape(*sign.shape, -1)

    def only(self, index) -> "Library":
        """The library with some of its reflections, the opposite of each among them."""
        parts = {name: getattr(self, name)[index] for name in ("hkl", "g_b", "g_c")}
        return replace(self, **parts, coefficients=np.ascontiguousarray(self.coefficients[..., index]))


def _grid_coordinate(name, grid, value):
    """Values counted in nodes of a grid, refused outside it."""
    value = np.asarray(value, float)
    margin = 1e-6 * (grid[1] - grid[0])
    if value.size and not (grid[0] - margin <= value.min() and value.max() <= grid[-1] + margin):
        raise ValueError(f"{name} from {value.min():.4g} to {value.max():.4g} leaves the library, which covers {grid[0]:.4g} to {grid[-1]:.4g}; "
                         "build one with wider LibrarySettings")
    return (value - grid[0]) / (grid[1] - grid[0])


def minus_p_index(library: Library) -> np.ndarray:
    """Permutation p with I(-P; tilt)[i] = I(+P; -tilt)[p[i]], which sends each reflection to its opposite, shape (n,)."""
    return permutation(library.hkl, (1, -1, -1))


def permutation(hkl: np.ndarray, signs: tuple) -> np.ndarray:
    """Where in `hkl` each reflection lies whose indices are multiplied by `signs`, shape (n,)."""
    rows = rows_of(hkl)
    return np.array([rows[tuple(row)] for row in (hkl * signs).tolist()])


def rows_of(hkl: np.ndarray) -> dict[tuple[int, int, int], int]:
    """Row of each reflection (h, k, l) in a list of reflections, shape (n, 3)."""
    return {tuple(row): index for index, row in enumerate(np.asarray(hkl).tolist())}


def build_library(settings=LibrarySettings(), threads: int | None = None, progress: bool = True, crystal: Crystal | None = None) -> Library:
    """Simulate a library: multislice at every tilt and thickness node, then B-spline coefficients.

    Parameters
    ----------
    settings
        What it covers, and how finely.
    threads, progress
        All cores of this process by default; and whether to show a progress bar on stderr.
    crystal
        Another +P than ``ermno3(+1)``, such as ``zone_crystal(...).crystal``; its inversion partner is then -P.
    """
    fingerprint = settings.fingerprint(crystal)
    if crystal is None:
        crystal = ermno3(+1)
        slice_index(crystal, settings.slices)  # refuses slices that cut through a layer
    hkl, g_b, g_c = reflections(crystal, settings.g_max_inv_angstrom)
    periods, tilt_b, tilt_c = settings.periods, settings.tilt_b_mrad, settings.tilt_c_mrad
    mirrored = has_mirror_along_beam(crystal)
    simulated = tilt_b[len(tilt_b) // 2 :] if mirrored else tilt_b
    tilts = np.stack(np.meshgrid(simulated, tilt_c, indexing="ij"), axis=-1).reshape(-1, 2)
    orders = hkl[:, 1:] * crystal.orders_per_index
    samples = propagate(library_stack(settings, crystal), tilts, periods.tolist(), orders, threads, progress)
    samples = samples.reshape(len(simulated), len(tilt_c), len(periods), len(hkl))
    coefficients = _mirrored_coefficients(samples, permutation(hkl, (1, -1, 1))) if mirrored else spline_coefficients(samples)
    return Library(hkl, g_b, g_c, periods * crystal.cell_angstrom[0] / 10, tilt_b, tilt_c, coefficients, settings.energy_kev, fingerprint)


def library_stack(settings: LibrarySettings, crystal: Crystal) -> Stack:
    """The slices that a library of these settings is simulated with."""
    crystal = centred_in_slices(crystal, settings.slices)
    stack = crystal_stack(crystal, settings.gpts, settings.slices, settings.energy_kev, settings.scattering_factors)
    return damp_beams(stack, settings.damping_from_inv_angstrom, settings.damping_nm)


def _mirrored_coefficients(samples, mirror):
    """Spline coefficients over the whole range of tilt_b from samples at tilt_b >= 0, shape (n_half, ...)."""
    partial = spline_coefficients(samples, axes=(1, 2))
    zero = len(samples) - 1
    matrix = coefficient_matrix(2 * zero + 1).astype(np.float32)
    result = np.empty((len(matrix), *partial.shape[1:]), np.float32)
    for tilt_c in range(partial.shape[1]):  # in pieces, to keep temporary arrays small
        piece = partial[:, tilt_c]
        result[:, tilt_c] = np.tensordot(matrix[:, zero:], piece, axes=1)
        result[:, tilt_c] += np.tensordot(matrix[:, zero - 1 :: -1], piece[1:, ..., mirror], axes=1)
    return result


def load_or_build(path, settings=LibrarySettings(), threads: int | None = None, progress: bool = True, crystal: Crystal | None = None) -> Library:
    """Load the library stored at `path`, or build and store it when it is missing or the settings, the crystal or the code behind it have changed.

    Processes that ask for the same path wait for one another.
    """
    stored = stored_arrays(path, build_library, settings.fingerprint(crystal), lambda: vars(build_library(settings, threads, progress, crystal)))
    return Library(**stored | {"energy_kev": float(stored["energy_kev"]), "fingerprint": str(stored["fingerprint"])})


# Cubic B-splines on uniform grids. Grid coordinates count nodes from zero: ``u = (x - x[0]) / (x[1] - x[0])``. A spline over ``n`` nodes has
# ``n + 2`` coefficients, one ghost on either side, so that it reaches its first and its last node without a mirror or a periodic continuation
# that the intensities do not have.


def coefficient_matrix(nodes):
    """Matrix (nodes + 2, nodes) that turns samples at four or more nodes of a uniform grid into cubic B-spline coefficients, "not a knot" at the ends."""
    if nodes < 4:
        raise ValueError(f"a cubic spline needs at least 4 nodes along each axis, got {nodes}; widen the range or shorten steps")
    system = np.zeros((nodes + 2, nodes + 2))
    for row in range(nodes):
        system[row, row : row + 3] = (1 / 6, 4 / 6, 1 / 6)
    system[nodes, :5] = system[nodes + 1, -5:] = (1, -4, 6, -4, 1)
    return np.linalg.inv(system)[:, :nodes]


def spline_coefficients(samples, axes=(0, 1, 2)):
    """Cubic B-spline coefficients of samples on a uniform grid, along `axes`, each of which grows by two; the dtype stays."""
    coefficients = samples
    for axis in axes:
        matrix = coefficient_matrix(coefficients.shape[axis]).astype(coefficients.dtype)
        coefficients = np.moveaxis(np.tensordot(matrix, coefficients, axes=(1, axis)), 0, axis)
    return np.ascontiguousarray(coefficients)


@njit(nogil=True, cache=True)
def cubic_weights(u, nodes, weights):
    """Write the four weights at grid coordinate `u` (clipped to the grid) and return the index of the first of them."""
    u = min(max(u, 0.0), nodes - 1.0)
    start = min(int(u), nodes - 2)
    x = u - start
    y = 1.0 - x
    weights[0] = y * y * y / 6
    weights[1] = (4 - 6 * x * x + 3 * x * x * x) / 6
    weights[2] = (4 - 6 * y * y + 3 * y * y * y) / 6
    weights[3] = x * x * x / 6
    return start


@njit(nogil=True, cache=True)
def evaluate_spline(coefficients, ub, uc, ut, out):
    """Evaluate all reflections at one point (grid coordinates, clipped to the grid) into `out`, shape (n,); GIL released.

    The coefficients are those of a `Library`. The spline may undershoot zero, by up to 0.002 of the incident beam at 100 nm.
    """
    wb, wc, wt = np.empty(4, np.float32), np.empty(4, np.float32), np.empty(4, np.float32)
    b0 = cubic_weights(ub, coefficients.shape[0] - 2, wb)
    c0 = cubic_weights(uc, coefficients.shape[1] - 2, wc)
    t0 = cubic_weights(ut, coefficients.shape[2] - 2, wt)
    out[:] = 0
    for i in range(4):
        for j in range(4):
            w = wb[i] * wc[j]
            block = coefficients[b0 + i, c0 + j]
            for r in range(out.shape[0]):
                out[r] += w * (wt[0] * block[t0, r] + wt[1] * block[t0 + 1, r] + wt[2] * block[t0 + 2, r] + wt[3] * block[t0 + 3, r])


@njit(nogil=True, cache=True)
def evaluate_many(coefficients, points, out):
    """Evaluate at grid coordinates `points`, shape (m, 3), into `out`, shape (m, n)."""
    for m in range(points.shape[0]):
        evaluate_spline(coefficients, points[m, 0], points[m, 1], points[m, 2], out[m])
