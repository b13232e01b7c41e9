"""Discs of a convergent beam: the library averaged over a cone of tilts, since a point of a disc belongs to a plane wave of its own direction.

Where discs overlap, a detector counts the incoherent sum of all that cover it, and functions here warn.
"""

import warnings

import numpy as np

from figures_pkg.data.units import wavelength_angstrom

from .library import Library, spline_coefficients

DISC_POINTS = 9  # across a disc, at least: 69 points, right to 2e-4 of the beam at 1.3 mrad
POINT_SPACING_MRAD = 0.3  # at most, so larger discs take more points


def disc_kernel(radius_px: float) -> np.ndarray:
    """Equal weights over a disc, for averages over a pattern: an odd and square array that sums to one."""
    line = np.arange(-np.ceil(radius_px), np.ceil(radius_px) + 1)
    disc = (np.hypot(line[:, None], line) <= radius_px).astype(float)
    return disc / disc.sum()


def overlap_mrad(library: Library) -> float:
    """Half angle from which discs of neighbouring reflections touch: half the smallest spacing of the library's reflections."""
    g = np.stack([library.g_b, library.g_c], axis=1)
    apart = np.linalg.norm(g - g[np.abs(g).sum(axis=1).argmin()], axis=1)
    return float(500 * np.sort(apart)[1] * wavelength_angstrom(library.energy_kev))


def warn_of_overlap(library: Library, convergence_mrad: float) -> None:
    """Warn when discs of this half angle overlap, and refuse one that is not positive."""
    if not convergence_mrad > 0:
        raise ValueError(f"convergence_mrad is {convergence_mrad}; expected a positive half angle, e.g. 0.64 for a probe of 2 nm")
    limit = overlap_mrad(library)
    if convergence_mrad > limit:
        warnings.warn(f"discs of {convergence_mrad:g} mrad overlap: they touch from a convergence of {limit:.2f} mrad (half angle, "
                      f"{library.energy_kev:g} kV); beyond it intensities of single reflections cannot be read from a pattern", stacklevel=3)


def cone_tilts(convergence_mrad: float, across: int | None = None) -> np.ndarray:
    """Tilts (n, 2) in mrad on a square grid inside a cone, `across` over the diameter (nine or more by default); their mean square is the cone's."""
    across = across or max(DISC_POINTS, int(np.ceil(2 * convergence_mrad / POINT_SPACING_MRAD)))
    line = (np.arange(across) + 0.5) / across * 2 * convergence_mrad - convergence_mrad
    points = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1)
    points = points[np.hypot(points[..., 0], points[..., 1]) <= convergence_mrad]
    return points * convergence_mrad / np.sqrt(2 * (points**2).sum(axis=1).mean())


def disc_means(library: Library, polarization, thickness_nm, tilt_b_mrad, tilt_c_mrad, convergence_mrad: float) -> np.ndarray:
    """Intensities of all reflections averaged over the beam's cone, which is what a detector on the whole disc counts.

    Parameters
    ----------
    library
        Must reach a disc's radius beyond the tilts.
    polarization, thickness_nm, tilt_b_mrad, tilt_c_mrad
        Broadcast to a common shape (...,). Fractions of the incident beam, in the order of ``library.hkl``, come in the shape (..., n).
    convergence_mrad
        Half angle of the cone; a warning names the angle from which discs overlap.
    """
    warn_of_overlap(library, convergence_mrad)
    tilts = cone_tilts(convergence_mrad)
    total = sum(library.intensities(polarization, thickness_nm, tilt_b_mrad + b, tilt_c_mrad + c) for b, c in tilts)
    return np.asarray(total / np.float64(len(tilts)))


def average_over_cone(coefficients: np.ndarray, reach: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Average spline coefficients over discs in their first two axes; on them the mean is a convolution with a small kernel.

    Parameters
    ----------
    coefficients
        Of two tilts and anything else, float32, shape (n_b + 2, n_c + 2, ...).
    reach
        Radius of a disc in nodes of either tilt, shape (2,); fewer than four nodes that keep their disc inside are refused.

    Returns
    -------
    coefficients, lost
        Of the means, on the nodes whose discs stay inside, (m_b + 2, m_c + 2, ...); and the nodes that either tilt has lost at each end, (2,).
    """
    lost, rings, angles = lost_nodes(reach), 12, 48
    radius, angle = np.sqrt((np.arange(rings) + 0.5) / rings), 2 * np.pi * (np.arange(angles) + 0.5) / angles
    splines = []  # cubic B-splines around the middle of a disc, at points all over it
    for wave, nodes in zip((np.cos, np.sin), reach):
        half = int(np.ceil(nodes + 2)) - 1
        x = np.abs((np.outer(radius, wave(angle)).ravel() * nodes)[:, None] - np.arange(-half, half + 1))
        splines.append(np.where(x < 1, 2 / 3 - x**2 + x**3 / 2, np.clip(2 - x, 0, None) ** 3 / 6))
    kernel = np.einsum("pi,pj->ij", *splines) / (rings * angles)
    left = np.array(coefficients.shape[:2]) - 2 - 2 * lost
    if left.min() < 4:
        raise ValueError(f"discs that reach over {reach.max():.1f} nodes leave {left.tolist()} tilts of the library, four are needed; build one "
                         "that reaches further, over wider tilts")
    means = np.zeros((*left, *coefficients.shape[2:]), np.float32)
    for (i, j), weight in np.ndenumerate(kernel.astype(np.float32)):
        if weight > 0:
            means += weight * coefficients[i : i + left[0], j : j + left[1]]
    return spline_coefficients(means, axes=(0, 1)), lost


def lost_nodes(reach: np.ndarray) -> np.ndarray:
    """Nodes at either end of both tilts whose discs, of a radius of `reach` nodes, leave the grid."""
    return np.ceil(np.asarray(reach) + 2).astype(int) - 2
