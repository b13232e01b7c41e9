"""Matched values against the truth of a simulated scan, and the same patterns at a lower dose."""

from collections.abc import Mapping

import numpy as np

FITTED = ("thickness_nm", "tilt_b_mrad", "tilt_c_mrad")


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
        Boolean, which positions count: those far from walls.

    Returns
    -------
    dict
        ``wrong`` (share with the wrong polarization), for each quantity its bias, root mean square error and the share within one
        standard deviation (0.68 if errors are right), the median of ``chi2``, the share of fits marked ``poor``, and the least
        absolute ``log_likelihood_ratio``.

    Raises
    ------
    ValueError
        When no position counts.
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


def thinned(counts: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Counts of the same patterns at a lower dose: each count is kept with probability `share`, so Poisson counts stay Poisson."""
    if not 0 < share <= 1:
        raise ValueError(f"share is {share}; expected more than 0 and at most 1")
    return rng.binomial(counts, share).astype(counts.dtype)


def _inside(values, name, inside):
    """Values of one map at the positions that count, as floats."""
    return np.asarray(values[name], float)[inside]
