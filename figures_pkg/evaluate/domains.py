"""Which positions belong to which domain: from the truth, or from the data alone."""

import numpy as np
import xarray as xr
from scipy.ndimage import gaussian_filter

from .scores import otsu_threshold


def asymmetry(up: np.ndarray, down: np.ndarray) -> np.ndarray:
    """
    Difference of two opposite reflections over their sum, ``(up - down) / (up + down)``.

    In a flat crystal without tilt it changes sign with the polarization. A tilt along c shifts it, and which domain has the
    larger value depends on the thickness.

    Parameters
    ----------
    up, down
        Counts under 00l and under its opposite, any one shape; whole numbers of any type are safe.

    Returns
    -------
    array of the shape of `up`
        From -1 to 1; 0 where neither holds a count.

    Examples
    --------
    >>> asymmetry(np.array([3, 0], np.uint16), np.array([1, 0], np.uint16))
    array([0.5, 0. ])
    """
    up, down = np.asarray(up, float), np.asarray(down, float)
    total = up + down
    return np.divide(up - down, total, out=np.zeros(np.broadcast(up, down).shape), where=total != 0)


def two_domains(image: np.ndarray, sigma_positions: float = 2.0) -> np.ndarray:
    """
    Two domains from a map alone: smoothed, then split at the threshold with the largest variance between the classes.

    A split is always found, whether there are domains or not, and a gradient from bend or thickness is as good as a wall. That
    the upper class is +P is a convention here: which sign a map has for +P depends on thickness and tilt.

    Parameters
    ----------
    image
        A map that tells the domains apart, e.g. the :func:`asymmetry` of 004, shape ``(scan_y, scan_x)``.
    sigma_positions
        Standard deviation of the Gaussian that smooths the map.

    Returns
    -------
    int array of the shape of `image`
        +1 above the threshold, -1 below.

    Raises
    ------
    ValueError
        If the map is constant or holds nan, so that there is nothing to split.
    """
    smooth = gaussian_filter(np.asarray(image, float), sigma_positions)
    if not np.ptp(smooth) > 0:
        raise ValueError(f"the map of shape {smooth.shape} is constant or holds nan; give one with finite values that vary")
    return np.where(smooth > otsu_threshold(smooth), 1, -1)


def known_domains(truth: xr.Dataset, clear_nm: float = 20.0) -> np.ndarray:
    """
    Domains of a simulated scan, with the surroundings of the walls left out.

    An inclined wall lets the beam cross both domains; 20 nm are more than any wall of the presets is wide.

    Parameters
    ----------
    truth
        From :func:`figures_pkg.twin.read_truth`.
    clear_nm
        Positions nearer to a wall than this belong to no domain.

    Returns
    -------
    int array, shape ``(scan_y, scan_x)``
        +1 in +P, -1 in -P, 0 near a wall.
    """
    return truth.domain.where(abs(truth.wall_distance_nm) > clear_nm, 0).values.astype(int)
