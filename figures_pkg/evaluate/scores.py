"""Scores of a map against known or assumed domains: contrast-to-noise, area under the curve, threshold."""

import numpy as np
from scipy.stats import rankdata


def contrast_to_noise(image: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
    """
    Contrast between two regions in units of the scatter inside them.

    The scatter holds everything that varies inside a region: counting noise, but bend and thickness too. So it says
    how well the eye, or a threshold, can tell the regions apart, not how significant the difference of means is.

    Parameters
    ----------
    image
        Any map, shape ``(scan_y, scan_x)``.
    first, second
        Boolean maps of the same shape.

    Returns
    -------
    float
        ``(mean(first) - mean(second)) / sqrt((var(first) + var(second)) / 2)``; positive where the first is brighter.

    Examples
    --------
    >>> image = np.array([[1.0, 3.0, 6.0, 8.0]])
    >>> left = np.array([[True, True, False, False]])
    >>> contrast_to_noise(image, ~left, left)
    5.0
    """
    a, b = _regions(image, first, second)
    return float((a.mean() - b.mean()) / np.sqrt((a.var() + b.var()) / 2))


def area_under_curve(image: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
    """
    Probability that a position of the first region is brighter than one of the second (area under the ROC curve).

    A half means that the map says nothing about the regions, 1 that a threshold separates them without error, 0 the
    same with the brighter and the darker exchanged. Ties count half.

    Parameters
    ----------
    image
        Any map, shape ``(scan_y, scan_x)``.
    first, second
        Boolean maps of the same shape.

    Examples
    --------
    >>> area_under_curve(np.array([1.0, 2.0, 3.0]), np.array([False, True, True]), np.array([True, False, False]))
    1.0
    """
    a, b = _regions(image, first, second)
    ranks = rankdata(np.concatenate([a, b]))[: a.size]
    return float((ranks.sum() - a.size * (a.size + 1) / 2) / (a.size * b.size))


def otsu_threshold(values: np.ndarray, bins: int = 256) -> float:
    """
    Threshold that splits values into the two classes with the largest variance between them.

    Values that are all the same have one class only: then the threshold is that value, and none lies above it.

    Parameters
    ----------
    values
        Any array; its finite values are used.
    bins
        Number of bins of the histogram.

    References
    ----------
    N. Otsu, IEEE Transactions on Systems, Man, and Cybernetics 9, 62 (1979), doi 10.1109/TSMC.1979.4310076.
    """
    counts, edges = np.histogram(values[np.isfinite(values)], bins=bins)
    centres = (edges[1:] + edges[:-1]) / 2
    below = np.cumsum(counts)[:-1].astype(float)
    above = counts.sum() - below
    moment = np.cumsum(counts * centres)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (moment[:-1] / below - (moment[-1] - moment[:-1]) / above) ** 2
    if np.isnan(between).all():
        return float(np.nanmax(values))
    return float(edges[1 + np.nanargmax(between)])


def _regions(image: np.ndarray, first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values of a map in two regions; both must hold positions."""
    image, first, second = np.asarray(image, float), np.asarray(first, bool), np.asarray(second, bool)
    if not image.shape == first.shape == second.shape:
        raise ValueError(f"the map has shape {image.shape}, the regions {first.shape} and {second.shape}; give equal shapes")
    if not first.any() or not second.any():
        raise ValueError(f"the regions hold {first.sum()} and {second.sum()} positions; each needs at least one")
    return image[first], image[second]
