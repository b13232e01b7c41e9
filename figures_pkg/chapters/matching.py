"""What the chapter on matching alone needs.

Thickness and tilts from the disc sums of one mean pattern, such as those read from a published picture.
"""

import numpy as np
import xarray as xr

from figures_pkg.diffraction.library import Library
from figures_pkg.matching.disc_library import CoarseGrid, average_over_discs
from figures_pkg.matching.fit import COLUMNS, refine_all
from figures_pkg.matching.matcher import FITTED

ERROR = 0.3  # of a disc, as a share: a picture's colours, the logarithm's bias, bend and both domains averaged


def match_mean(sums: dict[tuple[int, int], float], library: Library, convergence_mrad: float, error: float = ERROR) -> xr.Dataset:
    """
    Match one pattern whose discs are known to a share of their counts only.

    Parameters
    ----------
    sums
        Counts above the background by (k, l); the direct beam is left out.
    library
        As simulated.
    convergence_mrad
        Half angle of the beam's cone.
    error
        Of each disc, as a share; weak discs are not known better than a tenth of the median.

    Returns
    -------
    xarray.Dataset
        On ``start``, the local minima that fits were begun from: ``thickness_nm``, ``tilt_b_mrad``, ``tilt_c_mrad`` with their
        ``_error``, ``polarization`` and ``chi2`` per degree of freedom, best first. Several starts end in the same place.

    Raises
    ------
    ValueError
        With fewer than eight discs that the library holds.
    """
    averaged = average_over_discs(library, convergence_mrad)
    rows = {(int(k), int(l)): (g_b, g_c) for (_, k, l), g_b, g_c in zip(library.hkl, library.g_b, library.g_c)}
    known = {index: sums[index] for index in sums if index in rows and index != (0, 0)}
    places = [np.linalg.norm(averaged.g - rows[index], axis=1) for index in known]
    found = [(place.argmin(), value) for place, value in zip(places, known.values()) if place.min() < 1e-6]
    if len(found) < 8:
        raise ValueError(f"{len(found)} of the {len(sums)} discs are in the library, eight are needed; give (k, l) of 0kl with even l")
    index, data = (np.array(column) for column in zip(*found))
    chosen, data = averaged.only(index), np.asarray(data, float)[None]
    variance = (error * data) ** 2 + (0.1 * error * np.median(data)) ** 2
    starts = CoarseGrid.of(chosen).starts(data, 1 / variance, count=6)
    fits = [_refined(chosen, data, variance, starts[:, :, [number]]) for number in range(starts.shape[2])]
    table = {name: ("start", np.array([fit[name] for fit in fits])) for name in fits[0]}
    return xr.Dataset(table).sortby("chi2")


def _refined(library, data, variance, start):
    """The better polarization from one start each, as numbers with their errors."""
    results = np.empty((1, 2, COLUMNS))
    refine_all(library.coefficients, data, 1 / variance, variance, np.eye(data.shape[1]), start, results)
    better = int(results[0, :, 4].argmin())
    best, chi2 = results[0, better], results[0, better, 4] / (data.shape[1] - 4)
    values, errors = library.start + library.step * best[:3], library.step * np.sqrt(best[6:9] * max(chi2, 1))
    numbers = dict(zip(FITTED, values)) | {f"{name}_error": error for name, error in zip(FITTED, errors)}
    return numbers | {"polarization": 1 - 2 * better, "chi2": float(chi2), "at_edge": bool(best[5])}


def over_pieces(values: xr.DataArray, patterns: xr.Dataset, near_nm: float = 4.0) -> np.ndarray:
    """Mean of a map (scan_y, scan_x) over the patterns of each piece that lie near its fitted line, shape (piece,)."""
    near = np.abs(patterns.line_nm.values) < near_nm
    owner, count = patterns.piece.values[near].astype(int), int(np.nanmax(patterns.piece.values)) + 1
    return np.bincount(owner, np.asarray(values)[near], count) / np.bincount(owner, minlength=count)
