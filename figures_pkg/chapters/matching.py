"""What the chapter on matching alone needs: the fit of one published pattern, whose discs are known by their sums alone."""

import numpy as np
import pandas as pd

from figures_pkg.diffraction.library import Library
from figures_pkg.matching.disc_library import average_over_discs, coarse_starts
from figures_pkg.matching.fit import COLUMNS, refine_all


def match_mean(sums: dict[tuple[int, int], float], library: Library, convergence_mrad: float, error: float = 0.3, count: int = 6) -> pd.DataFrame:
    """
    Match one pattern whose discs, counts by (k, l), are known to a share ``error``; the direct beam is left out.

    A row for each of ``count`` starts of the fit, best first: tilts in mrad and thickness in nm, their errors, ``polarization`` (+1 or −1), ``chi2``
    per degree of freedom, and ``at_edge`` of the library.
    """
    averaged = average_over_discs(library, convergence_mrad)
    places = {(int(k), int(l)): (g_b, g_c) for (_, k, l), g_b, g_c in zip(library.hkl, library.g_b, library.g_c)}
    away = {index: np.linalg.norm(averaged.g - places[index], axis=1) for index in sums if index in places and index != (0, 0)}
    known = [index for index in away if away[index].min() < 1e-6]
    chosen, discs = averaged.only(np.array([away[index].argmin() for index in known])), np.array([[sums[index] for index in known]], float)
    variance = (error * discs) ** 2 + (0.1 * error * np.median(discs)) ** 2  # no weak disc is known better than a tenth of the median
    starts = coarse_starts(chosen.at_nodes(), discs, 1 / variance, count=count)
    alike = [np.repeat(each, count, axis=0) for each in (discs, 1 / variance, variance)]  # the same pattern from each start
    results = np.empty((count, 2, COLUMNS))
    refine_all(chosen.coefficients, *alike, np.eye(len(known)), np.ascontiguousarray(starts.transpose(2, 1, 0, 3)), results)
    fits, fitted = [], ("tilt_b_mrad", "tilt_c_mrad", "thickness_nm")
    for result in results:
        polarization = int(result[:, 4].argmin())
        best, chi2 = result[polarization], result[polarization, 4] / (len(known) - 4)
        values, errors = chosen.start + chosen.step * best[:3], chosen.step * np.sqrt(best[6:9] * max(chi2, 1))
        fit = dict(zip(fitted, values)) | {f"{name}_error": value for name, value in zip(fitted, errors)}
        fits.append(fit | {"polarization": 1 - 2 * polarization, "chi2": float(chi2), "at_edge": bool(best[5])})
    return pd.DataFrame(fits).sort_values("chi2", kind="stable")
