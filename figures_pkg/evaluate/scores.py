"""Scores of a map against known domains and walls, and how much of it is polarization, bend or thickness."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations_with_replacement, permutations

import numpy as np
import pandas as pd
import xarray as xr
from scipy.ndimage import binary_erosion, distance_transform_edt, gaussian_gradient_magnitude, label
from scipy.optimize import linear_sum_assignment
from scipy.stats import rankdata

CLEAR_NM = 2.5  # beyond the width over which an inclined wall is seen


def area_under_curve(image: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
    """
    Probability that a position of the first region is brighter than one of the second (area under the ROC curve).

    A half means that the map says nothing about the regions, 1 that a threshold separates them without error, 0 the
    same with the brighter and the darker exchanged. Ties count half. The regions are boolean maps of the shape of the image, each with
    at least one position; others are a ValueError.
    """
    image, first, second = np.asarray(image, float), np.asarray(first, bool), np.asarray(second, bool)
    if not image.shape == first.shape == second.shape:
        raise ValueError(f"the map has shape {image.shape}, the regions {first.shape} and {second.shape}; give equal shapes")
    if not first.any() or not second.any():
        raise ValueError(f"the regions hold {first.sum()} and {second.sum()} positions; each needs at least one")
    a, b = image[first], image[second]
    ranks = rankdata(np.concatenate([a, b]))[: a.size]
    return float((ranks.sum() - a.size * (a.size + 1) / 2) / (a.size * b.size))


def otsu_threshold(values: np.ndarray) -> float:
    """
    Threshold that splits the finite values of an array into the two classes with the largest variance between them.

    Values that are all the same have one class only: then the threshold is that value, and none lies above it.
    After N. Otsu, IEEE Transactions on Systems, Man, and Cybernetics 9, 62 (1979), doi 10.1109/TSMC.1979.4310076.
    """
    counts, edges = np.histogram(values[np.isfinite(values)], bins=256)
    centres = (edges[1:] + edges[:-1]) / 2
    below = np.cumsum(counts)[:-1].astype(float)
    above = counts.sum() - below
    moment = np.cumsum(counts * centres)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (moment[:-1] / below - (moment[-1] - moment[:-1]) / above) ** 2
    if np.isnan(between).all():
        return float(np.nanmax(values))
    return float(edges[1 + np.nanargmax(between)])


def step_nm(scan: xr.DataArray | xr.Dataset) -> float:
    """Distance of neighbouring positions along a row of a scan, its truth or a map, in nm."""
    return abs(float(scan.scan_x[1] - scan.scan_x[0]))


def interior(truth: xr.Dataset) -> np.ndarray:
    """+1 and −1 in domains, 0 within 2.5 nm of the strip in which the beam crosses a wall, int (scan_y, scan_x)."""
    clear = np.abs(truth.wall_distance_nm) > truth.wall_width_nm / 2 + CLEAR_NM
    return truth.domain.where(clear, 0).values.astype(int)


def wall_zones(truth: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Positions within one probe step of a wall's middle, and those clear of walls by one more step than the interior; booleans (scan_y, scan_x)."""
    step, distance = step_nm(truth), np.abs(truth.wall_distance_nm.values)
    return distance <= step, distance > truth.wall_width_nm.values / 2 + CLEAR_NM + step


def folded(auc: float) -> float:
    """AUC of a channel whose sign means nothing: the larger of AUC and 1 − AUC."""
    return max(auc, 1 - auc)


def folded_auc(image: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
    """Folded AUC, or nan where one of the regions is empty."""
    return folded(area_under_curve(image, first, second)) if first.any() and second.any() else float("nan")


def compared_regions(truth: xr.Dataset) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Name of a score -> the two regions whose positions it compares: booleans (scan_y, scan_x), see the functions of these names."""
    domain, zones, kind = interior(truth), wall_zones(truth), truth.wall_type.values
    charges = zones[0] & (kind > 0), zones[0] & (kind < 0)
    return {"domain_auc": (domain > 0, domain < 0), "wall_auc": zones, "charge_auc": charges}


def domain_auc(image: np.ndarray, truth: xr.Dataset) -> float:
    """Folded AUC of +P against −P in the interior; nan without two domains."""
    domain = interior(truth)
    return folded_auc(image, domain > 0, domain < 0)


def wall_auc(image: np.ndarray, truth: xr.Dataset) -> float:
    """Folded AUC of positions within one probe step of a wall against those far from walls; nan without a wall."""
    return folded_auc(image, *wall_zones(truth))


def boundary(image: np.ndarray) -> np.ndarray:
    """A wall map from a domain map: the size of its gradient, smoothed over one position."""
    return gaussian_gradient_magnitude(np.asarray(image, float), 1.0)


def domain_scores(image: np.ndarray, truth: xr.Dataset) -> dict[str, float]:
    """
    How well one channel shows the domains, and what else is in it.

    ``domain_auc``; ``abs_r``, the size of Pearson's r with ±1 in the interior; ``error``, the share of the interior on the wrong
    side of Otsu's threshold, the better of both namings; all nan without two domains. ``leak_bend`` and ``leak_thickness``: the share of
    the channel's variance that the field explains beyond the domains (semi-partial R²), when the interior is fitted with the domain
    alone, then also with both tilts, their squares and product, or with the thickness and its square. A perfect domain channel has none; in
    a scan without domains it is all that the field explains. What domains and field share is not counted.
    """
    domain = interior(truth)
    inside = domain != 0
    scores = {"domain_auc": domain_auc(image, truth), "abs_r": np.nan, "error": np.nan}
    if (domain > 0).any() and (domain < 0).any():
        wrong = np.mean((image[inside] > otsu_threshold(image)) != (domain[inside] > 0))
        r = np.corrcoef(image[inside], domain[inside])[0, 1] if np.ptp(image[inside]) > 0 else 0.0
        scores |= {"abs_r": abs(float(r)), "error": float(min(wrong, 1 - wrong))}
    fields = [truth[name].values[inside] for name in ("tilt_b_mrad", "tilt_c_mrad", "thickness_nm")]
    fields = [field.astype(float) - np.mean(field) for field in fields]
    b, c, thickness = (field / (field.std() or 1.0) for field in fields)
    values = np.asarray(image, float)[inside]
    known = [np.ones(values.size), domain[inside]]
    alone = _r_squared(values, known)
    columns = {"leak_bend": [b, c, b * b, b * c, c * c], "leak_thickness": [thickness, thickness**2]}
    return scores | {name: _r_squared(values, known + more) - alone for name, more in columns.items()}


def domain_regions(image: np.ndarray) -> np.ndarray:
    """Label the six largest connected regions above or below Otsu's threshold 0, 1, … by size; −1 elsewhere."""
    upper = np.asarray(image) > otsu_threshold(image)
    regions, total = np.full(upper.shape, -1), 0
    for inside in (upper, ~upper):
        # The domains around a vortex core touch there, so regions are found without their rim, which then goes to the nearest of its class.
        found, n = label(binary_erosion(inside, border_value=1))
        if n:
            nearest = distance_transform_edt(found == 0, return_distances=False, return_indices=True)
            regions[inside] = found[tuple(nearest)][inside] - 1 + total
        total += n
    names, sizes = np.unique(regions[regions >= 0], return_counts=True)
    labels = np.full(regions.shape, -1)
    for number, name in enumerate(names[np.argsort(-sizes, kind="stable")][:6]):
        labels[regions == name] = number
    return labels


def confusion(labels: np.ndarray, truth: xr.Dataset) -> tuple[pd.DataFrame, float]:
    """
    Confusion matrix of regions against the true domain states, regions named such that most positions agree; and the share that does.

    Labels are integers from :func:`domain_regions`. The matrix counts positions of the interior by true state (rows, 0 to 5 around a vortex)
    and state given (columns, −1 for regions without a partner).
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


def _r_squared(values: np.ndarray, columns: list[np.ndarray]) -> float:
    """Share of the variance of a map that a linear model of flat columns explains; 0 for a constant map."""
    if not np.ptp(values) > 0:
        return 0.0
    design = np.stack(columns, axis=-1)
    residual = values.ravel() - design @ np.linalg.lstsq(design, values.ravel())[0]
    return float(1 - residual.var() / values.var())


@dataclass(frozen=True)
class Split:
    """A step between two domains, +P minus −P in the units of the map, on a smooth background, with its standard error."""

    step: float
    error: float
    background: np.ndarray  # (scan_y, scan_x), the smooth part without the step


def domain_split(image: np.ndarray, domain: np.ndarray, order: int = 2, block: int = 8) -> Split:
    """
    Step of a map (scan_y, scan_x) between +P and −P where bend and thickness are taken as a smooth polynomial in position.

    Fits ``image = polynomial(y, x) + step / 2 · domain`` by least squares over all positions with a domain, +1 or −1; 0 leaves out the
    wall. Neighbours are not independent, so the standard error comes from leaving out square blocks in turn (jackknife). What the
    polynomial of this total order cannot follow and happens to change across the wall is counted as step.
    """
    y, x = (c / max(n - 1, 1) * 2 - 1 for c, n in zip(np.indices(image.shape), image.shape))
    smooth = [y**i * x**j for i in range(order + 1) for j in range(order + 1 - i)]
    columns = np.stack([domain / 2, *smooth], axis=-1).reshape(image.size, -1)
    used = (domain != 0).ravel()
    block_row, block_col = np.indices(image.shape) // block
    labels = (block_row * (image.shape[1] // block + 1) + block_col).ravel()
    fit = np.linalg.lstsq(columns[used], image.ravel()[used])[0]
    parts = [used & (labels != b) for b in np.unique(labels[used])]
    left_out = [np.linalg.lstsq(columns[part], image.ravel()[part])[0][0] for part in parts]
    n = len(left_out)
    error = np.sqrt((n - 1) / n * np.sum((np.array(left_out) - np.mean(left_out)) ** 2))
    return Split(float(fit[0]), float(error), (columns[:, 1:] @ fit[1:]).reshape(image.shape))


def effect_at_equal(image: np.ndarray, cause: np.ndarray, others: list[np.ndarray]) -> float:
    """
    What a unit of one cause adds to a map where all other causes are equal.

    Fits ``image = effect · cause + polynomial(others)`` of the third order to values at the same positions, in any shape; with half the
    polarization as the cause, the effect is the step from −P to +P.
    """
    scaled = [(other - other.mean()) / other.std() for other in others]
    terms = [combination for order in range(4) for combination in combinations_with_replacement(scaled, order)]
    smooth = [np.prod(term, axis=0) if term else np.ones(image.shape) for term in terms]
    columns = np.stack([cause, *smooth], axis=-1).reshape(image.size, -1)
    return float(np.linalg.lstsq(columns, image.ravel())[0][0])


def variance_shares(image: np.ndarray, causes: dict[str, list[np.ndarray]]) -> dict[str, float]:
    """
    Share of a map's variance that each known cause explains, averaged over the order in which causes are added.

    Each cause is a group of maps, e.g. ``{"polarization": [P], "bend": [tilt_b, tilt_c, tilt_c**2]}``, and its share the mean gain in R² of a
    linear model over all orders (Shapley value, or LMG measure; U. Grömping, The American Statistician 61, 139 (2007), doi
    10.1198/000313007X188252). ``"rest"`` is what no cause explains: noise and what is not linear in the maps. All shares sum to 1.
    """
    explained, shares, orders = {(): 0.0}, dict.fromkeys(causes, 0.0), list(permutations(causes))
    for order in orders:
        for k, name in enumerate(order):
            with_it, before = tuple(sorted(order[: k + 1])), tuple(sorted(order[:k]))
            if with_it not in explained:
                explained[with_it] = _r_squared(image, [np.ones(image.size), *(m.ravel() for n in with_it for m in causes[n])])
            shares[name] += explained[with_it] - explained[before]
    shares = {name: value / len(orders) for name, value in shares.items()}
    return shares | {"rest": 1 - sum(shares.values())}
