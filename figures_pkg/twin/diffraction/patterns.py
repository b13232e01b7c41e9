"""Noise-free patterns of a perfect crystal from the library: single patterns on the detector of a preset, and whole discs.

A point of a disc belongs to a plane wave of its own direction, so whatever holds for discs is an average of the library over
a cone of tilts. While discs lie apart, that average is what a detector as large as the disc counts. Where they overlap, a
detector counts the incoherent sum of all discs that cover it (averaged over the place of the probe), and averages over single
discs are no longer measurable by themselves; functions here then warn.
"""

import warnings
from dataclasses import replace

import numpy as np
import xarray as xr

from figures_pkg.data.axes import DETECTOR_DIMS
from figures_pkg.twin.diffraction.library import Library
from figures_pkg.twin.diffraction.potential import electron_constants
from figures_pkg.twin.diffraction.spline import coefficient_matrix, cubic_weights
from figures_pkg.twin.presets import Preset
from figures_pkg.twin.render import Renderer

DISC_POINTS = 9  # across a disc, at least: 69 points, right to 2e-4 of the beam at 1.3 mrad
POINT_SPACING_MRAD = 0.3  # at most, so larger discs take more points
KERNEL_SPACING_MRAD = 0.1  # of the points behind `disc_library`


def disc_pattern(library: Library, preset: Preset, polarization: float, thickness_nm: float, tilt_mrad=(0.0, 0.0)) -> xr.DataArray:
    """
    The convergent-beam pattern of one state: discs without background, blur, noise and dead pixels.

    Parameters
    ----------
    library
        Must hold the thickness, and the tilts with the radius of a disc added.
    preset
        Gives lattice on the detector, scale and convergence; its specimen and detector do not matter.
    polarization
        +1, -1, or the weight of +P less that of -P.
    thickness_nm, tilt_mrad
        State of the specimen; tilts along b* and c (sign as in :mod:`figures_pkg.twin.diffraction.multislice`).

    Returns
    -------
    xarray.DataArray
        Fraction of the incident beam per pixel, dimensions ``(det_y, det_x)`` in 1/Å, zero at the direct beam, rows
        growing downward as in the preset. Where discs overlap their intensities are added.

    Warns
    -----
    UserWarning
        When the discs overlap, with the angle from which they do.
    """
    values = disc_patterns(library, preset, [[polarization, thickness_nm, *tilt_mrad]])[0]
    axes = {}
    for dim, length, origin in zip(DETECTOR_DIMS, values.shape, preset.pattern.origin_row_col, strict=True):
        axes[dim] = (dim, (np.arange(length) - origin) * preset.pattern.scale_inv_angstrom, {"units": "1/angstrom"})
    return xr.DataArray(values, axes, DETECTOR_DIMS, "intensity", {"source": "twin", "units": "1 / pixel"})


def disc_patterns(library: Library, preset: Preset, states) -> np.ndarray:
    """
    Patterns of many states as plain arrays; see :func:`disc_pattern`.

    Parameters
    ----------
    library, preset
        As in :func:`disc_pattern`.
    states
        Rows of polarization, thickness (nm), tilt along b* and tilt along c (mrad), shape (n, 4).

    Returns
    -------
    array, shape (n, det_y, det_x)
        Fractions of the incident beam per pixel, float32.
    """
    states = np.asarray(states, float)
    warn_of_overlap(library, preset.beam.convergence_mrad)
    first = {"thickness_nm": states[0, 1], "tilt_b_mrad": states[0, 2], "tilt_c_mrad": states[0, 3]}
    detector = replace(preset.detector, psf_sigma_px=0.0, dead_pixels=(), bragg_share=1.0)
    plain = replace(preset, specimen=replace(preset.specimen, **first), detector=detector)
    renderer = Renderer(plain, library)
    padded = np.concatenate([states, np.zeros((len(states), 2))], axis=1)
    return renderer.expected(padded) / np.float32(renderer.optics.bragg_counts)


def overlap_mrad(library: Library) -> float:
    """Half angle from which discs of neighbouring reflections touch: half the smallest spacing of the library's reflections."""
    g = np.stack([library.g_b, library.g_c], axis=1)
    apart = np.linalg.norm(g - g[np.abs(g).sum(axis=1).argmin()], axis=1)
    return float(500 * np.sort(apart)[1] * electron_constants(library.energy_kev)[0])


def warn_of_overlap(library: Library, convergence_mrad: float) -> None:
    """Warn when discs of this half angle overlap, and refuse one that is not positive."""
    if not convergence_mrad > 0:
        raise ValueError(f"convergence_mrad is {convergence_mrad}; expected a positive half angle, e.g. 0.64 for a probe of 2 nm")
    limit = overlap_mrad(library)
    if convergence_mrad > limit:
        warnings.warn(
            f"discs of {convergence_mrad:g} mrad overlap: they touch from a convergence of {limit:.2f} mrad (half angle, "
            f"{library.energy_kev:g} kV); beyond it intensities of single reflections cannot be read from a pattern",
            stacklevel=3,
        )


def cone_tilts(convergence_mrad: float, across: int | None = None) -> np.ndarray:
    """Evenly spread tilts inside a cone about zero, `across` of them over it (at least nine by default), shape (n, 2) in mrad."""
    return _round_grid(convergence_mrad, across or max(DISC_POINTS, int(np.ceil(2 * convergence_mrad / POINT_SPACING_MRAD))))


def _round_grid(radius, across):
    """Points of a square grid, `across` of them over the diameter, that lie in a circle; their mean square is the circle's."""
    line = (np.arange(across) + 0.5) / across * 2 * radius - radius
    points = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)
    points = points[np.hypot(*points.T) <= radius]
    return points * radius / np.sqrt(2 * (points**2).sum(axis=1).mean())


def disc_means(library: Library, polarization, thickness_nm, tilt_b_mrad, tilt_c_mrad, convergence_mrad: float) -> np.ndarray:
    """
    Intensities of all reflections averaged over the beam's cone, which is what a detector on the whole disc counts.

    Parameters
    ----------
    library
        Must reach a disc's radius beyond the tilts.
    polarization, thickness_nm, tilt_b_mrad, tilt_c_mrad
        Broadcast to a common shape (...,).
    convergence_mrad
        Half angle of the cone.

    Returns
    -------
    array, shape (..., n)
        Fractions of the incident beam, in the order of ``library.hkl``.

    Warns
    -----
    UserWarning
        When the discs overlap, with the angle from which they do.
    """
    warn_of_overlap(library, convergence_mrad)
    tilts = cone_tilts(convergence_mrad)
    total = sum(library.intensities(polarization, thickness_nm, tilt_b_mrad + b, tilt_c_mrad + c) for b, c in tilts)
    return total / np.float64(len(tilts))


def disc_library(library: Library, convergence_mrad: float) -> Library:
    """
    A library whose intensities are already averaged over the beam's cone, for sweeps over many states.

    The average is exact at the nodes of tilt, where it is a weighted sum of spline coefficients, and interpolated between.

    Parameters
    ----------
    library
        Of plane waves, with the same step along both tilts.
    convergence_mrad
        Half angle of the cone.

    Returns
    -------
    Library
        Covers tilts less the half angle, rounded up to a whole step.

    Raises
    ------
    ValueError
        When fewer than four nodes of a tilt are left, or for a half angle that is not positive.
    """
    warn_of_overlap(library, convergence_mrad)
    step = library.tilt_b_mrad[1] - library.tilt_b_mrad[0]
    weights = _cone_weights(convergence_mrad, step).astype(np.float32)
    lost = len(weights) // 2 - 1
    grids = {name: getattr(library, name)[lost:-lost] for name in ("tilt_b_mrad", "tilt_c_mrad")}
    nodes = [len(grid) for grid in grids.values()]
    if min(nodes) < 4:
        raise ValueError(f"discs of {convergence_mrad:g} mrad leave {min(nodes)} nodes; build a library that reaches further")
    samples = np.zeros((*nodes, *library.coefficients.shape[2:]), np.float32)
    for (i, j), weight in np.ndenumerate(weights):
        if weight:
            samples += weight * library.coefficients[i : i + nodes[0], j : j + nodes[1]]
    matrices = [coefficient_matrix(count).astype(np.float32) for count in nodes]
    coefficients = np.einsum("ib,jc,bctn->ijtn", *matrices, samples, optimize=True)
    mark = f"{library.fingerprint}, discs of {convergence_mrad:g} mrad"
    return replace(library, **grids, coefficients=np.ascontiguousarray(coefficients), fingerprint=mark)


def _cone_weights(convergence_mrad, step_mrad):
    """Weights of the spline coefficients around a node in the average over a cone about it, shape (2 r + 1, 2 r + 1)."""
    across = max(DISC_POINTS, int(np.ceil(2 * convergence_mrad / KERNEL_SPACING_MRAD)))
    points = _round_grid(convergence_mrad / step_mrad, across)
    reach = int(np.ceil(convergence_mrad / step_mrad)) + 1
    total, along = np.zeros((2 * reach + 1,) * 2), np.empty((2, 4))
    for point in points + reach - 1:
        start = [cubic_weights(u, 2 * reach - 1, w) for u, w in zip(point, along)]
        total[start[0] : start[0] + 4, start[1] : start[1] + 4] += np.outer(*along)
    return total / len(points)
