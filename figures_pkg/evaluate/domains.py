"""Which positions belong to which domain, and the asymmetry that tells them apart in a flat crystal."""

import numpy as np
import xarray as xr


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


def known_domains(known: xr.Dataset, clear_nm: float = 20.0) -> np.ndarray:
    """
    Domains of a scan, with the surroundings of the walls left out.

    An inclined wall lets the beam cross both domains; 20 nm are more than any wall of the presets is wide.

    Parameters
    ----------
    known
        A truth, from :func:`figures_pkg.twin.read_truth`, or what matching found, from :func:`figures_pkg.evaluate.known.known_maps`.
    clear_nm
        Positions nearer to a wall than this belong to no domain.

    Returns
    -------
    int array, shape ``(scan_y, scan_x)``
        +1 in +P, -1 in -P, 0 near a wall and where the domain is not known. With an unknown sign +1 is one domain, -1 the other.
    """
    return known.domain.where(abs(known.wall_distance_nm) > clear_nm, 0).values.astype(int)
