"""How right a match is: what a library gets wrong, and values against the truth of a simulated scan."""

from collections.abc import Mapping

import numpy as np
import xarray as xr

from .fit import predict
from .matcher import FITTED, Matcher


def predicted_discs(maps: xr.Dataset, matcher: Matcher) -> np.ndarray:
    """Counts of the discs as the fits predict them, float32, shape (positions, n)."""
    library = matcher.library
    points = np.stack([maps[name].values.ravel() for name in FITTED], axis=1)
    places = np.clip((points - library.start) / library.step, 0, library.nodes - 1.0)
    out, one = np.empty((len(points), len(library.g)), np.float32), np.empty((4, len(library.g)), np.float32)
    for row, place, sign in zip(out, places, maps.polarization.values.ravel()):
        predict(library.coefficients[0 if sign > 0 else 1], place, one)
        row[:] = one[0]
    return out * maps.scale.values.reshape(-1, 1)


def disc_residuals(maps: xr.Dataset, matcher: Matcher, where: np.ndarray | None = None) -> xr.Dataset:
    """
    How far each disc lies off its prediction on average, and how much of that no counting noise explains.

    χ² compares single patterns with their noise, which hides a small error of the model. Averaged over the positions of a scan the noise falls and
    the error stays, as long as the specimen does not change so much that it averages out too. What the fit can bend into another thickness or tilt
    does not show here either.

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
        ``misfit``: their root mean square, weighted by the square of the counts, noise taken off: what ``systematic`` should be for this scan.
    """
    chosen = np.ones(maps.chi2.shape, bool) if where is None else where
    discs = maps.sizes["disc"]
    seen, variance = (maps[name].values.reshape(-1, discs)[chosen.ravel()].astype(float) for name in ("discs", "discs_variance"))
    predicted = predicted_discs(maps, matcher)[chosen.ravel()].astype(float)
    off, expected, noise = seen.sum(axis=0) - predicted.sum(axis=0), predicted.sum(axis=0), variance.sum(axis=0)
    misfit = np.sqrt(max(np.sum(off**2 - noise), 0) / np.sum(expected**2))
    shares = {"share": ("disc", off / np.maximum(expected, 1)), "share_error": ("disc", np.sqrt(noise) / np.maximum(expected, 1))}
    return xr.Dataset(shares, {name: maps[name] for name in ("g_b", "g_c")}, {"misfit": float(misfit)})


def match_scores(found: Mapping, truth: Mapping, inside: np.ndarray) -> dict[str, float]:
    """
    How right a match is where the truth is known.

    Parameters
    ----------
    found
        Maps of :func:`figures_pkg.matching.match`, or what :meth:`figures_pkg.matching.Matcher.fit` returns.
    truth
        ``domain`` (+1 or -1) and the fitted quantities, arrays of the same shape.
    inside
        Boolean, which positions count: those far from walls; at least one.

    Returns
    -------
    dict
        ``wrong`` (share with the wrong polarization), for each quantity its bias, root mean square error and the share within one standard
        deviation (0.68 if errors are right), the median of ``chi2``, the share ``poor``, and the least absolute ``log_likelihood_ratio``.
    """
    if not inside.any():
        raise ValueError("no position lies inside; choose a mask that holds at least one")
    scores = {"wrong": float(np.mean(_inside(found, "polarization", inside) != _inside(truth, "domain", inside)))}
    for name in FITTED:
        off = _inside(found, name, inside) - _inside(truth, name, inside)
        within = np.abs(off) < _inside(found, f"{name}_error", inside)
        scores |= {f"{name} bias": float(off.mean()), f"{name} rms": float(np.sqrt((off**2).mean())), f"{name} within": float(within.mean())}
    scores |= {"chi2": float(np.median(_inside(found, "chi2", inside))), "poor": float(_inside(found, "poor_fit", inside).mean())}
    return scores | {"log_likelihood_ratio": float(np.abs(_inside(found, "log_likelihood_ratio", inside)).min())}


def _inside(values, name, inside):
    """Values of one map at the positions that count, as floats."""
    return np.asarray(values[name], float)[inside]
