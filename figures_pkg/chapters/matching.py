"""What the chapter on matching alone needs."""

import numpy as np
import xarray as xr

from figures_pkg.diffraction.library import Library
from figures_pkg.matching.disc_library import average_over_discs, coarse_starts
from figures_pkg.matching.fit import COLUMNS, refine_all
from figures_pkg.matching.matcher import FITTED

ERROR = 0.3  # of a disc, as a share: a picture's colours, the logarithm's bias, bend and both domains averaged


def match_mean(sums: dict[tuple[int, int], float], library: Library, convergence_mrad: float, error: float = ERROR) -> xr.Dataset:
    """
    Match one pattern whose discs, counts by (k, l), are known to a share of their counts only; the direct beam is left out.

    Such are the discs of a published picture; ``error`` is that share, and weak discs are not known better than a tenth of the median. Returns
    thickness (nm), tilts (mrad), their errors, polarization and chi² per degree of freedom on ``start``, best first; several starts may end in one
    place.
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
    starts = coarse_starts(chosen.at_nodes(), data, 1 / variance, count=6)
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
