"""Scores of channels against the truth of a simulated scan: domains, walls, their charge, and what leaks in."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from scipy.ndimage import binary_erosion, distance_transform_edt, gaussian_gradient_magnitude, label
from scipy.optimize import linear_sum_assignment

from .scores import area_under_curve, otsu_threshold

CLEAR_NM = 2.5  # beyond the width over which an inclined wall is seen


def interior(truth: xr.Dataset) -> np.ndarray:
    """+1 and −1 in domains, 0 within 2.5 nm of the strip in which the beam crosses a wall, int (scan_y, scan_x)."""
    clear = np.abs(truth.wall_distance_nm) > truth.wall_width_nm / 2 + CLEAR_NM
    return truth.domain.where(clear, 0).values.astype(int)


def wall_zones(truth: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """
    Positions within one probe step of a wall's middle, and positions clear of walls by one more step than the interior.

    Returns
    -------
    near, far
        Booleans (scan_y, scan_x); what lies between belongs to neither.
    """
    step_nm = abs(float(truth.scan_x[1] - truth.scan_x[0]))
    distance = np.abs(truth.wall_distance_nm.values)
    return distance <= step_nm, distance > truth.wall_width_nm.values / 2 + CLEAR_NM + step_nm


def folded(auc: float) -> float:
    """AUC of a channel whose sign means nothing: the larger of AUC and 1 − AUC."""
    return max(auc, 1 - auc)


def domain_auc(image: np.ndarray, truth: xr.Dataset) -> float:
    """Folded AUC of +P against −P in the interior; nan without two domains."""
    domain = interior(truth)
    return _auc(image, domain > 0, domain < 0)


def wall_auc(image: np.ndarray, truth: xr.Dataset) -> float:
    """Folded AUC of positions within one probe step of a wall against those far from walls; nan without a wall."""
    return _auc(image, *wall_zones(truth))


def charge_auc(image: np.ndarray, truth: xr.Dataset) -> float:
    """Folded AUC of head-to-head against tail-to-tail walls, within one probe step of them; nan unless both are there."""
    near, _ = wall_zones(truth)
    kind = truth.wall_type.values
    return _auc(image, near & (kind > 0), near & (kind < 0))


def boundary(image: np.ndarray, sigma: float = 1.0) -> np.ndarray:
    """A wall map from a domain map: the size of its gradient, smoothed over ``sigma`` positions."""
    return gaussian_gradient_magnitude(np.asarray(image, float), sigma)


def domain_scores(image: np.ndarray, truth: xr.Dataset) -> dict[str, float]:
    """
    How well one channel shows the domains, and what else is in it.

    Returns
    -------
    dict
        ``domain_auc``; ``abs_r``, the size of Pearson's r with ±1 in the interior; ``error``, the share of the interior on the wrong
        side of Otsu's threshold, the better of both namings; ``leak_bend`` and ``leak_thickness``, see :func:`leakage`.
        The first three are nan without two domains.
    """
    domain = interior(truth)
    inside = domain != 0
    scores = {"domain_auc": domain_auc(image, truth), "abs_r": np.nan, "error": np.nan}
    if (domain > 0).any() and (domain < 0).any():
        wrong = np.mean((image[inside] > otsu_threshold(image)) != (domain[inside] > 0))
        r = np.corrcoef(image[inside], domain[inside])[0, 1] if np.ptp(image[inside]) > 0 else 0.0
        scores |= {"abs_r": abs(float(r)), "error": float(min(wrong, 1 - wrong))}
    return scores | {f"leak_{name}": value for name, value in leakage(image, truth).items()}


def leakage(image: np.ndarray, truth: xr.Dataset) -> dict[str, float]:
    """
    Share of a channel's variance that bend, or thickness, explains beyond the domains (semi-partial R²).

    The interior is fitted with the domain alone, then with both tilts and their squares and product, or with the thickness
    and its square, beside it; the gain in R² is the leak. A perfect domain channel has none; in a scan without domains it
    is all that the field explains. Where a field changes as the domains do, what they share is not counted.
    """
    domain = interior(truth)
    inside = domain != 0
    b, c, thickness = (_standard(truth[name].values[inside]) for name in ("tilt_b_mrad", "tilt_c_mrad", "thickness_nm"))
    values = np.asarray(image, float)[inside]
    known = [np.ones(values.size), domain[inside]]
    alone = _r_squared(values, known)
    fields = {"bend": [b, c, b * b, b * c, c * c], "thickness": [thickness, thickness**2]}
    return {name: _r_squared(values, known + columns) - alone for name, columns in fields.items()}


def domain_regions(image: np.ndarray, count: int = 6) -> np.ndarray:
    """
    Label the largest connected regions above or below Otsu's threshold 0, 1, … by size; −1 elsewhere.

    The domains around a vortex core touch there, and a position too many would join two of them. So regions are found with
    their rim of one position taken off, and every position of the rim then goes to the nearest region of its class.
    """
    upper = np.asarray(image) > otsu_threshold(image)
    regions, total = np.full(upper.shape, -1), 0
    for inside in (upper, ~upper):
        found, n = label(binary_erosion(inside, border_value=1))
        if n:
            nearest = distance_transform_edt(found == 0, return_distances=False, return_indices=True)
            regions[inside] = found[tuple(nearest)][inside] - 1 + total
        total += n
    names, sizes = np.unique(regions[regions >= 0], return_counts=True)
    labels = np.full(regions.shape, -1)
    for number, name in enumerate(names[np.argsort(-sizes, kind="stable")][:count]):
        labels[regions == name] = number
    return labels


def confusion(labels: np.ndarray, truth: xr.Dataset) -> tuple[pd.DataFrame, float]:
    """
    Confusion matrix of regions against the true domain states, regions named such that most positions agree.

    Parameters
    ----------
    labels
        Integer map, e.g. from :func:`domain_regions`; −1 is no region.
    truth
        With ``domain_state`` (0 to 5) around a vortex.

    Returns
    -------
    matrix, accuracy
        Positions of the interior by true state (rows) and state given (columns, −1 for regions without a partner), and the
        share on the diagonal.
    """
    inside = interior(truth) != 0
    given, true = np.asarray(labels)[inside], truth.domain_state.values[inside].astype(int)
    counts = pd.crosstab(true, given)
    named = counts.drop(columns=-1, errors="ignore")
    rows, columns = linear_sum_assignment(-named.values)
    names = {named.columns[j]: named.index[i] for i, j in zip(rows, columns)}
    states = pd.Series(given).map(names).fillna(-1).astype(int)
    matrix = pd.crosstab(pd.Series(true, name="state"), states.rename("given"))
    return matrix, float(np.mean(states.values == true))


def _auc(image: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
    """Folded AUC, or nan where one of the regions is empty."""
    if not (first.any() and second.any()):
        return float("nan")
    return folded(area_under_curve(image, first, second))


def _standard(values: np.ndarray) -> np.ndarray:
    """Mean 0 and variance 1; a constant becomes 0."""
    values = np.asarray(values, float) - np.mean(values)
    return values / (values.std() or 1.0)


def _r_squared(values: np.ndarray, columns: list[np.ndarray]) -> float:
    """Share of the variance that the columns explain; 0 for constant values."""
    if not np.ptp(values) > 0:
        return 0.0
    design = np.stack(columns, axis=-1)
    residual = values - design @ np.linalg.lstsq(design, values, rcond=None)[0]
    return float(1 - residual.var() / values.var())
