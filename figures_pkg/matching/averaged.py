"""The library as discs show it: averaged over the convergence of the beam, for both polarizations.

A point of a disc away from its middle by an angle belongs to a plane wave tilted by it, so the mean over a disc is the mean of the
library over a round patch of tilts. On spline coefficients this mean is a convolution with a small kernel.
"""

from dataclasses import dataclass

import numpy as np

from figures_pkg.twin.diffraction.library import Library, minus_p_index
from figures_pkg.twin.diffraction.spline import coefficient_matrix

WEAKEST = 1e-4  # of the incident beam; a reflection that never gets brighter, a forbidden one for instance, is left out


@dataclass(frozen=True)
class DiscLibrary:
    """
    Mean intensities of discs over two tilts and thickness, as cubic B-splines.

    Attributes
    ----------
    coefficients
        float32, shape (2, n_b + 2, n_c + 2, n_t + 2, n): +P, then -P.
    start, step
        First node and distance of nodes of tilt b, tilt c (mrad) and thickness (nm), shape (3,).
    g
        (g_b, g_c) in 1/Å, shape (n, 2).
    """

    coefficients: np.ndarray
    start: np.ndarray
    step: np.ndarray
    g: np.ndarray

    @property
    def nodes(self) -> np.ndarray:
        """Number of nodes along tilt b, tilt c and thickness."""
        return np.array(self.coefficients.shape[1:4]) - 2

    @property
    def stop(self) -> np.ndarray:
        """Last node of tilt b, tilt c (mrad) and thickness (nm)."""
        return self.start + self.step * (self.nodes - 1)

    def only(self, index: np.ndarray) -> "DiscLibrary":
        """The same with some of the reflections."""
        return DiscLibrary(np.ascontiguousarray(self.coefficients[..., index]), self.start, self.step, self.g[index])

    def at_nodes(self) -> np.ndarray:
        """Intensities at all nodes, float32, shape (2, n_b, n_c, n_t, n)."""
        values = self.coefficients
        for axis in (1, 2, 3):
            low, middle, high = (np.moveaxis(values, axis, 0)[shift : values.shape[axis] - 2 + shift] for shift in range(3))
            values = np.moveaxis((low + 4 * middle + high) / np.float32(6), 0, axis)
        return values


def average_over_discs(library: Library, convergence_mrad: float, largest_g: float = np.inf) -> DiscLibrary:
    """
    Average a library over the convergence of the beam; reflections below 1e-4 of the beam everywhere are left out.

    Parameters
    ----------
    library
        Of +P; -P follows by inversion. Its tilts must lie symmetrically about zero.
    convergence_mrad
        Half angle of the beam's cone.
    largest_g
        Reflections up to here, 1/Å.

    Raises
    ------
    ValueError
        When the disc needs more tilts than the library holds.
    """
    tilts = (library.tilt_b_mrad, library.tilt_c_mrad)
    steps = np.array([grid[1] - grid[0] for grid in tilts])
    samples, lost = disc_means(library.coefficients, convergence_mrad / steps)
    both = np.stack([samples, samples[::-1, ::-1][..., minus_p_index(library)]])
    visible = library.coefficients.max(axis=(0, 1, 2)) > WEAKEST
    kept = visible & (np.hypot(library.g_b, library.g_c) <= largest_g)
    thickness = library.thickness_nm
    start = np.array([tilts[0][lost[0]], tilts[1][lost[1]], thickness[0]])
    g = np.stack([library.g_b, library.g_c], axis=1)
    return DiscLibrary(np.ascontiguousarray(both[..., kept]), start, np.array([*steps, thickness[1] - thickness[0]]), g[kept])


def disc_means(coefficients: np.ndarray, reach: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """
    Average spline coefficients over discs in their first two axes.

    Parameters
    ----------
    coefficients
        Of two tilts and anything else, float32, shape (n_b + 2, n_c + 2, ...).
    reach
        Radius of a disc in nodes of either tilt, shape (2,).

    Returns
    -------
    coefficients : float32 array, shape (m_b + 2, m_c + 2, ...)
        Of the means, on the nodes whose discs stay inside.
    lost : array of int, shape (2,)
        Nodes that either tilt has lost at each end.

    Raises
    ------
    ValueError
        When fewer than four nodes of a tilt are left.
    """
    kernel = _kernel(reach)
    lost = lost_nodes(reach)
    left = np.array(coefficients.shape[:2]) - 2 - 2 * lost
    if left.min() < 4:
        raise ValueError(f"discs that reach over {reach.max():.1f} nodes leave {left.tolist()} tilts of the library, four are needed; build one "
                         "over wider tilts")
    means = _filtered(coefficients, kernel)
    for axis in (0, 1):
        matrix = coefficient_matrix(means.shape[axis]).astype(np.float32)
        means = np.moveaxis(np.tensordot(matrix, means, axes=(1, axis)), 0, axis)
    return means, lost


def lost_nodes(reach: np.ndarray) -> np.ndarray:
    """Nodes at either end of both tilts whose discs, of a radius of `reach` nodes, leave the grid; shape (2,)."""
    return np.ceil(np.asarray(reach) + 2).astype(int) - 2


def _kernel(reach, rings=12, angles=48):
    """Mean over a disc of radius `reach` (in nodes) of the cubic B-splines around its middle, shape (odd, odd)."""
    radius = np.sqrt((np.arange(rings) + 0.5) / rings)
    angle = 2 * np.pi * (np.arange(angles) + 0.5) / angles
    points = [np.outer(radius, wave(angle)).ravel() * r for wave, r in zip((np.cos, np.sin), reach)]
    halves = [int(np.ceil(r + 2)) - 1 for r in reach]
    along = [_spline(point[:, None] - np.arange(-half, half + 1)) for point, half in zip(points, halves)]
    return np.einsum("pi,pj->ij", *along) / (rings * angles)


def _spline(x):
    """The cubic B-spline around zero."""
    x = np.abs(x)
    return np.where(x < 1, 2 / 3 - x**2 + x**3 / 2, np.clip(2 - x, 0, None) ** 3 / 6)


def _filtered(coefficients, kernel):
    """Mean over discs at all nodes whose discs stay inside, from coefficients (n_b + 2, n_c + 2, ...)."""
    size = [length - k + 1 for length, k in zip(coefficients.shape, kernel.shape)]
    result = np.zeros((*size, *coefficients.shape[2:]), np.float32)
    for (i, j), weight in np.ndenumerate(kernel.astype(np.float32)):
        if weight > 0:
            result += weight * coefficients[i : i + size[0], j : j + size[1]]
    return result
