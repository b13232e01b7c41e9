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
import logging
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import scipy.fft
from filelock import FileLock

from figures_pkg.crystal.structure import Crystal, ermno3, structure
from figures_pkg.crystal.zone import has_mirror_along_beam
from figures_pkg.data.units import wavelength_angstrom
from figures_pkg.workspace import replacing

from .multislice import Stack, centred_in_slices, crystal_stack, damp_beams, propagate, slice_index, sliced
from .spline import coefficient_matrix, evaluate_many, spline_coefficients

VERSION = 2  # raise it when the same settings give other numbers

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LibrarySettings:
    """
    What a library covers and how finely; thicknesses count whole periods along the beam, 0.6112 nm for ErMnO3 along [100].

    The defaults suit ErMnO3. :meth:`covering` chooses the ranges, and for another crystal also grid, slices and damping.

    Attributes
    ----------
    energy_kev : float
    g_max_inv_angstrom : float
        Reflections up to here.
    tilt_b_max_mrad, tilt_c_max_mrad, tilt_step_mrad : float
        Both tilts run from -max to +max.
    first_period, last_period, period_step : int
        Thicknesses.
    gpts : tuple of int
        Grid of the orthogonal cell, along b* and c.
    slices : int
        Slices per period: 6 is converged, 4 merges neighbouring layers of Mn and O, 2 all of them.
    damping_from_inv_angstrom, damping_nm : float
        Beams beyond this frequency are damped with this mean free path (see `damp_beams`).
    scattering_factors : str
        "lobato", or "kirkland" for a library that differs in its model.
    """

    energy_kev: float = 200.0
    g_max_inv_angstrom: float = 1.5  # beyond it no reflection holds more than 2e-4 of the beam at 50 nm and more
    tilt_b_max_mrad: float = 10.0
    tilt_c_max_mrad: float = 10.0
    tilt_step_mrad: float = 0.5
    first_period: int = 15
    last_period: int = 165
    period_step: int = 2  # nodes of thickness cost memory only, all come from one run
    gpts: tuple = (128, 128)  # keeps beams to 5.6 1/angstrom; powers of two, whose transforms cost less than those of (88, 96)
    slices: int = 6
    damping_from_inv_angstrom: float = 3.2  # between the zone's own beams and the ring
    damping_nm: float = 15.0  # lines 0.3 mrad wide: less loses more of the ring, more leaves more between the nodes of tilt
    scattering_factors: str = "lobato"

    @property
    def periods(self) -> np.ndarray:
        """Thickness nodes in periods."""
        return np.arange(self.first_period, self.last_period + 1, self.period_step)

    @property
    def tilt_b_mrad(self) -> np.ndarray:
        """Tilt nodes along b*, symmetric about zero."""
        return _symmetric_grid(self.tilt_b_max_mrad, self.tilt_step_mrad)

    @property
    def tilt_c_mrad(self) -> np.ndarray:
        """Tilt nodes along c, symmetric about zero."""
        return _symmetric_grid(self.tilt_c_max_mrad, self.tilt_step_mrad)

    @classmethod
    def covering(cls, thickness_nm, tilt_b_mrad, tilt_c_mrad, crystal: Crystal | None = None, **settings) -> "LibrarySettings":
        """Settings of a library that covers the given values, with a node of thickness to spare on either side.

        A spline is less exact in its first and last interval; a further node of thickness costs next to nothing, one of
        tilt would, so tilts end at the first node that covers them.

        Parameters
        ----------
        thickness_nm, tilt_b_mrad, tilt_c_mrad : array-like
            Any values to be covered, for instance the two ends of a range; tilts with the radius of a disc added.
        crystal : Crystal, optional
            Another crystal than ErMnO3; see :meth:`suiting`.
        **settings
            Any other field; with a crystal also the arguments of :meth:`suiting`.

        Raises
        ------
        ValueError
            For a thickness or a step that is not positive.
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
        """Grid, slices, damping and step of thickness that suit a crystal.

        Parameters
        ----------
        crystal : Crystal
            Of an orthogonal cell.
        k_max_inv_angstrom : float
            Beams up to here take part; what a slice scatters further is lost.
        thickest_slice_angstrom, thickness_step_nm : float
            Slices and steps are no larger than these; 2.4 nm keep errors below half a per cent.
        **settings
            Any other field. By default beams from nine tenths of the first Laue ring on are damped within 5 nm.

        Raises
        ------
        ValueError
            For a g_max beyond 0.6 of the beams that are kept.
        """
        energy, g_max = (settings.get(name, getattr(cls, name)) for name in ("energy_kev", "g_max_inv_angstrom"))
        if g_max > 0.6 * k_max_inv_angstrom:
            raise ValueError(f"g_max is {g_max:g} 1/Å; reflections need beams to nearly twice as far, raise k_max from {k_max_inv_angstrom:g}")
        needed = np.ceil(2 * k_max_inv_angstrom * crystal.cell_angstrom[1:]).astype(int)
        suited = {
            "gpts": tuple(scipy.fft.next_fast_len(int(n)) for n in needed),
            "slices": sliced(crystal, thickest_slice_angstrom)[1],
            "period_step": max(int(thickness_step_nm / crystal.period_nm), 1),
            "damping_from_inv_angstrom": max(0.9 * laue_ring_inv_angstrom(crystal.cell_angstrom[0], energy), g_max),
            "damping_nm": 5.0,
        }
        return cls(**suited | settings)

    def fingerprint(self, crystal: Crystal | None = None) -> str:
        """Hash of everything that determines the numbers in a library."""
        fields = asdict(self)
        if self.scattering_factors == "lobato":  # libraries were stored before there was a choice
            del fields["scattering_factors"]
        content = [VERSION, fields, structure()]
        if crystal is not None:
            content += [list(crystal.symbols)]
            content += [array.round(9).tolist() for array in (crystal.positions_angstrom, crystal.u_iso, crystal.cell_angstrom)]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


SMALL = LibrarySettings(tilt_b_max_mrad=5.0, tilt_c_max_mrad=7.0, last_period=117, slices=2)
"""A library in a few seconds: 9 to 72 nm, |tilt_b| <= 5 and |tilt_c| <= 7 mrad, two slices per period."""


def _symmetric_grid(edge, step):
    count = round(edge / step)
    return step * np.arange(-count, count + 1)


def laue_ring_inv_angstrom(period_angstrom: float, energy_kev: float) -> float:
    """Radius of the first Laue ring, 1/Å: where the Ewald sphere meets the layer 1/period above the zero layer."""
    wave_number, height = 1 / wavelength_angstrom(energy_kev), 1 / period_angstrom
    return float(np.sqrt(2 * wave_number * height - height**2))


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
    """Intensities of +P over tilt and thickness.

    Attributes
    ----------
    hkl : int array, shape (n, 3)
        Reflections 0 k l; for ErMnO3 with l even.
    g_b, g_c : array, shape (n,)
        Components along b* and c, 1/angstrom.
    thickness_nm, tilt_b_mrad, tilt_c_mrad : array
        Uniform grids.
    coefficients : float32 array, shape (n_tilt_b + 2, n_tilt_c + 2, n_thickness + 2, n)
        Cubic B-spline coefficients (see `spline`) of intensities as fractions of the incident beam.
    energy_kev : float
    fingerprint : str
        Of the settings and the structure it was computed from.
    """

    hkl: np.ndarray
    g_b: np.ndarray
    g_c: np.ndarray
    thickness_nm: np.ndarray
    tilt_b_mrad: np.ndarray
    tilt_c_mrad: np.ndarray
    coefficients: np.ndarray
    energy_kev: float
    fingerprint: str = ""

    def intensities(self, polarization, thickness_nm, tilt_b_mrad, tilt_c_mrad) -> np.ndarray:
        """Interpolated intensities of all reflections.

        Parameters
        ----------
        polarization : int or array
            +1 or -1.
        thickness_nm, tilt_b_mrad, tilt_c_mrad : float or array
            Inside the grids; all four broadcast to a common shape (...,).

        Returns
        -------
        intensities : float32 array, shape (..., n)

        Raises
        ------
        ValueError
            If a point lies outside the library or a polarization is not +1 or -1.
        """
        sign, thickness, tilt_b, tilt_c = np.broadcast_arrays(polarization, thickness_nm, tilt_b_mrad, tilt_c_mrad)
        if not np.all(np.abs(sign) == 1):
            raise ValueError(f"polarization is +1 or -1, got {np.unique(sign)}")
        points = self.grid_coordinates(thickness, sign * tilt_b, sign * tilt_c).reshape(-1, 3)
        result = np.empty((len(points), len(self.hkl)), np.float32)
        evaluate_many(self.coefficients, points, result)
        minus = sign.ravel() < 0
        result[minus] = result[minus][:, minus_p_index(self)]
        return result.reshape(*sign.shape, -1)

    def grid_coordinates(self, thickness_nm, tilt_b_mrad, tilt_c_mrad) -> np.ndarray:
        """Grid coordinates (ub, uc, ut) of physical points, shape (..., 3); raises outside the library."""
        values = {"tilt_b_mrad": tilt_b_mrad, "tilt_c_mrad": tilt_c_mrad, "thickness_nm": thickness_nm}
        return np.stack([_grid_coordinate(name, getattr(self, name), value) for name, value in values.items()], axis=-1)

    def save(self, path) -> None:
        """Write the library to `path` (.npz), through a temporary file that is renamed."""
        with replacing(Path(path)) as temporary, open(temporary, "wb") as file:
            np.savez(file, **vars(self))

    @classmethod
    def load(cls, path) -> "Library":
        """Read a library that `save` wrote."""
        with np.load(path) as stored:
            fields = {name: stored[name] for name in cls.__dataclass_fields__}
        return cls(**fields | {"energy_kev": float(fields["energy_kev"]), "fingerprint": str(fields["fingerprint"])})


def _grid_coordinate(name, grid, value):
    value = np.asarray(value, float)
    margin = 1e-6 * (grid[1] - grid[0])
    if value.size and not (grid[0] - margin <= value.min() and value.max() <= grid[-1] + margin):
        raise ValueError(
            f"{name} from {value.min():.4g} to {value.max():.4g} leaves the library, which covers {grid[0]:.4g} to "
            f"{grid[-1]:.4g}; build one with wider LibrarySettings"
        )
    return (value - grid[0]) / (grid[1] - grid[0])


def minus_p_index(library: Library) -> np.ndarray:
    """Permutation p with I(-P; tilt)[i] = I(+P; -tilt)[p[i]], which sends each reflection to its opposite, shape (n,)."""
    return permutation(library.hkl, (1, -1, -1))


def permutation(hkl: np.ndarray, signs: tuple) -> np.ndarray:
    """Where in `hkl` each reflection lies whose indices are multiplied by `signs`, shape (n,)."""
    order = {tuple(row): index for index, row in enumerate(hkl.tolist())}
    return np.array([order[tuple(row)] for row in (hkl * signs).tolist()])


def build_library(settings=LibrarySettings(), threads: int | None = None, progress: bool = True, crystal: Crystal | None = None) -> Library:
    """Simulate a library: multislice at every tilt and thickness node, then B-spline coefficients.

    Parameters
    ----------
    settings : LibrarySettings
    threads : int, optional
        All cores of this process by default.
    progress : bool
        Whether to show a progress bar on stderr.
    crystal : Crystal, optional
        Another +P than ``ermno3(+1)``: with other vibrations or displacements, or another crystal along a zone axis
        (``zone_crystal(...).crystal``). Its inversion partner is then -P.

    Returns
    -------
    library : Library
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
    """Load the library stored at `path`, or build and store it when it is missing or has other settings or another crystal.

    Processes that ask for the same path wait for one another.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        if path.exists():
            library = Library.load(path)
            if library.fingerprint == settings.fingerprint(crystal):
                return library
            logger.info("%s was built with other settings or another version; building it anew", path)
        library = build_library(settings, threads, progress, crystal)
        library.save(path)
    return library
