"""The library: intensities of all reflections of ErMnO3 over thickness and two tilts, as a cubic B-spline.

Only +P is computed. -P follows from inversion, I(-P; G; tilt) = I(+P; -G; -tilt), and negative tilts along b* from the
mirror plane that holds the beam and c, I(0kl; tilt_b) = I(0-kl; -tilt_b). Both hold exactly for the slices used here.

Accuracy. Against a full run (six slices, finer grid, no damping), averaged over a disc of 1.24 mrad, the relative L2 error
of the multislice behind the library over all reflections is 0.04 % at 25 nm, 0.15 % at 50 nm, 0.3 % at 75 nm and 0.8 % at
100 nm at the worst of three tilts. A single plane wave sees lines of the first Laue ring that the library smooths, half a per
cent at 50 nm and 1.3 % at 100 nm. The structure model is less certain than either.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock

from figures_pkg.workspace import replacing
from figures_pkg.twin.structure.crystal import ermno3
from figures_pkg.twin.diffraction.library_settings import LibrarySettings, reflections
from figures_pkg.twin.diffraction.multislice import crystal_stack, damp_beams, propagate
from figures_pkg.twin.diffraction.spline import coefficient_matrix, evaluate_many, spline_coefficients

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Library:
    """Intensities of +P over tilt and thickness.

    Attributes
    ----------
    hkl : int array, shape (n, 3)
        Reflections 0 k l with l even; h = 0.
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

    def intensities(self, polarization, thickness_nm, tilt_b_mrad, tilt_c_mrad):
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

    def grid_coordinates(self, thickness_nm, tilt_b_mrad, tilt_c_mrad):
        """Grid coordinates (ub, uc, ut) of physical points, shape (..., 3); raises outside the library."""
        pairs = {
            "tilt_b_mrad": (self.tilt_b_mrad, tilt_b_mrad),
            "tilt_c_mrad": (self.tilt_c_mrad, tilt_c_mrad),
            "thickness_nm": (self.thickness_nm, thickness_nm),
        }
        return np.stack([_grid_coordinate(name, *pair) for name, pair in pairs.items()], axis=-1)

    def save(self, path):
        """Write the library to `path` (.npz), through a temporary file that is renamed."""
        path = Path(path)
        with replacing(path) as temporary, open(temporary, "wb") as file:
            np.savez(file, **vars(self))

    @classmethod
    def load(cls, path):
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


def minus_p_index(library):
    """Permutation p with I(-P; tilt)[i] = I(+P; -tilt)[p[i]], which sends each reflection to its opposite, shape (n,)."""
    return _permutation(library.hkl, (1, -1, -1))


def _permutation(hkl, signs):
    order = {tuple(row): index for index, row in enumerate(hkl.tolist())}
    return np.array([order[tuple(row)] for row in (hkl * signs).tolist()])


def build_library(settings=LibrarySettings(), threads=None, progress=True, crystal=None):
    """Simulate a library: multislice at every tilt and thickness node, then B-spline coefficients.

    Parameters
    ----------
    settings : LibrarySettings
    threads : int, optional
        All cores of this process by default.
    progress : bool
        Whether to show a progress bar on stderr.
    crystal : Crystal, optional
        Another +P than ``ermno3(+1)``, with the same cell and symmetry: other vibrations or displacements. Its library has no
        fingerprint, so that `load_or_build` never takes it for the usual one.

    Returns
    -------
    library : Library
    """
    fingerprint = settings.fingerprint() if crystal is None else ""
    crystal = crystal or ermno3(+1)
    hkl, g_b, g_c = reflections(crystal.cell_angstrom, settings.g_max_inv_angstrom)
    periods, tilt_b, tilt_c = settings.periods, settings.tilt_b_mrad, settings.tilt_c_mrad
    half = tilt_b[len(tilt_b) // 2 :]
    tilts = np.stack(np.meshgrid(half, tilt_c, indexing="ij"), axis=-1).reshape(-1, 2)
    samples = propagate(library_stack(settings, crystal), tilts, periods.tolist(), hkl[:, 1:] * (2, 1), threads, progress)
    samples = samples.reshape(len(half), len(tilt_c), len(periods), len(hkl))
    coefficients = _mirrored_coefficients(samples, _permutation(hkl, (1, -1, 1)))
    thickness_nm = periods * crystal.cell_angstrom[0] / 10
    return Library(hkl, g_b, g_c, thickness_nm, tilt_b, tilt_c, coefficients, settings.energy_kev, fingerprint)


def library_stack(settings, crystal):
    """The slices that a library of these settings is simulated with."""
    stack = crystal_stack(crystal, settings.gpts, settings.slices, settings.energy_kev)
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


def load_or_build(path, settings=LibrarySettings(), threads=None, progress=True):
    """Load the library stored at `path`, or build and store it when it is missing or has other settings.

    Processes that ask for the same path wait for one another.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        if path.exists():
            library = Library.load(path)
            if library.fingerprint == settings.fingerprint():
                return library
            logger.info("%s was built with other settings or another version; building it anew", path)
        library = build_library(settings, threads, progress)
        library.save(path)
    return library
