"""What a library gets wrong, averaged over a scan: noise averages out, a wrong model does not."""

import numpy as np
import xarray as xr
from numba import njit

from .fit import predict
from .matcher import Matcher


@njit(nogil=True, cache=False)
def _predicted(coefficients, states, places, out):
    model = np.empty((4, out.shape[1]), np.float32)
    for p in range(len(places)):
        predict(coefficients[states[p]], places[p], model)
        out[p] = model[0]


def predicted_discs(maps: xr.Dataset, matcher: Matcher) -> np.ndarray:
    """Counts of the discs as the fits predict them, float32, shape (positions, n)."""
    library = matcher.library
    points = np.stack([maps[name].values.ravel() for name in ("tilt_b_mrad", "tilt_c_mrad", "thickness_nm")], axis=1)
    places = np.clip((points - library.start) / library.step, 0, library.nodes - 1.0)
    out = np.empty((len(points), len(library.g)), np.float32)
    _predicted(library.coefficients, (1 - maps.polarization.values.ravel().astype(int)) // 2, places, out)
    return out * maps.scale.values.reshape(-1, 1)


def disc_residuals(maps: xr.Dataset, matcher: Matcher, where: np.ndarray | None = None) -> xr.Dataset:
    """
    How far each disc lies off its prediction on average, and how much of that no counting noise explains.

    χ² compares single patterns with their noise, which hides a small error of the model. Averaged over the positions of a scan the noise
    falls and the error stays, as long as the specimen does not change so much that it averages out too. What the fit can bend
    into another thickness or tilt does not show here either.

    Parameters
    ----------
    maps, matcher
        From :func:`figures_pkg.matching.match` with ``discs=True``, and what it was called with.
    where
        Which positions count, boolean (scan_y, scan_x); walls should be left out. All by default.

    Returns
    -------
    xarray.Dataset
        On (disc,): ``share``, observed less predicted counts over the predicted ones, with ``share_error`` from counting. Attribute
        ``misfit``: root mean square of the shares, weighted by the square of the counts, noise taken off: what the
        floor of the weights should be for this scan.
    """
    chosen = np.ones(maps.chi2.shape, bool) if where is None else where
    discs = maps.sizes["disc"]
    seen, variance = (maps[name].values.reshape(-1, discs)[chosen.ravel()].astype(float) for name in ("discs", "discs_variance"))
    predicted = predicted_discs(maps, matcher)[chosen.ravel()].astype(float)
    off, expected, noise = seen.sum(axis=0) - predicted.sum(axis=0), predicted.sum(axis=0), variance.sum(axis=0)
    misfit = np.sqrt(max(np.sum(off**2 - noise), 0) / np.sum(expected**2))
    shares = {"share": ("disc", off / np.maximum(expected, 1)), "share_error": ("disc", np.sqrt(noise) / np.maximum(expected, 1))}
    return xr.Dataset(shares, {name: maps[name] for name in ("g_b", "g_c")}, {"misfit": float(misfit)})
