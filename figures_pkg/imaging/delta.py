"""Where two patterns differ: maps of the difference between two domains, Δ(+P, −P), under three definitions.

The paper calls Δ(+P, −P) "normalized cross-correlation" (Fig. 4c,d) and gives no formula; its map is bright where the
patterns differ. The cross-correlation coefficient of two patterns at no shift is one number, Pearson's r, and falls as they
differ. The one definition that is a map, rests on r and grows with the difference is the share of each pixel in 1 − r,
which is called "pearson" here and taken as the paper's. The two others stand beside it to show what depends on the choice.

All three are unchanged when both patterns are exchanged. "pearson" and "window" do not change when a pattern is multiplied
or offset; "ratio" is formed after both patterns are scaled to one sum.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr
from scipy.ndimage import gaussian_filter, median_filter, shift

DEFINITIONS = ("pearson", "window", "ratio")


def difference_maps(a, b, *, sigma_px=4.0, floor=1e-3, where=None):
    """
    Maps of the difference between two patterns under all three definitions.

    Parameters
    ----------
    a, b
        Patterns of one shape, in counts or fractions of the beam, aligned with each other.
    sigma_px
        Width of the window of "window": a disc radius or a little less.
    floor
        Smallest intensity that counts, as a share of the mean of a pattern: it enters "window" (squared) and "ratio", and
        takes them to zero where both patterns are empty.
    where
        Boolean mask of the pixels that take part in "pearson"; by default all.

    Returns
    -------
    dict of str to array
        "pearson", "window" and "ratio", of the shape and type (array or DataArray) of `a`.
    """
    return {
        "pearson": pearson_map(a, b, where),
        "window": window_map(a, b, sigma_px, floor),
        "ratio": ratio_map(a, b, floor),
    }


def pearson_map(a, b, where=None):
    """
    Share of each pixel in 1 − r, with Pearson's r of the two patterns ("D3", the paper-equivalent).

    With z the pattern less its mean, divided by its standard deviation (over the N pixels that take part),

        delta(q) = (z_a(q) − z_b(q))² / (2 N),   sum over q of delta(q) = 1 − r,

    since the sums of z_a² and z_b² are N and that of z_a z_b is N r. The square makes bright discs count most.

    Parameters
    ----------
    a, b
        Patterns of one shape.
    where
        Boolean mask of the pixels that take part; others are zero in the map.

    Returns
    -------
    array of the shape and type of `a`
        Not negative; its sum is 1 − r, from 0 (equal up to scale and offset) to 2 (opposite).

    Raises
    ------
    ValueError
        For different shapes, no pixels, values that are not finite, or a pattern that is constant.

    Examples
    --------
    >>> a, b = np.array([[1.0, 2.0, 3.0, 6.0]]), np.array([[1.0, 3.0, 2.0, 6.0]])
    >>> float(pearson_map(a, b).sum().round(6)) == round(1 - float(np.corrcoef(a, b)[0, 1]), 6)
    True
    """
    first, second = _checked(a, b)
    chosen = np.ones(first.shape, bool) if where is None else np.asarray(where, bool)
    if chosen.shape != first.shape or not chosen.any():
        raise ValueError(f"where has shape {chosen.shape} and {chosen.sum()} pixels; expected {first.shape} and at least two")
    delta = np.zeros(first.shape)
    delta[chosen] = (_standardised(first[chosen]) - _standardised(second[chosen])) ** 2 / (2 * chosen.sum())
    return _like(a, delta, "share in 1 - r")


def window_map(a, b, sigma_px, floor=1e-3):
    """
    One minus the correlation coefficient inside a Gaussian window around each pixel ("D1").

        delta(q) = 1 − (cov_w(a, b) + e²) / sqrt((var_w(a) + e²) (var_w(b) + e²)),   e = floor (patterns in units of their mean),

    with cov_w and var_w formed with the window's weights around q. It sees a change of shape, such as a disc whose filling
    moves from one side to the other, and is blind to a change of the strength of a disc. The small e² takes it to zero where
    neither pattern varies; where noise is larger than e, it is 1, because noise is not correlated.

    Parameters
    ----------
    a, b
        Patterns of one shape.
    sigma_px
        Standard deviation of the window.
    floor
        See :func:`difference_maps`.

    Returns
    -------
    array of the shape and type of `a`
        From 0 to 2.
    """
    if not sigma_px > 0:
        raise ValueError(f"sigma_px is {sigma_px}; a window needs a positive width, for instance a disc radius")
    first, second = (pattern / pattern.mean() for pattern in _checked(a, b))

    def around(values):
        return gaussian_filter(values, sigma_px)

    mean_a, mean_b = around(first), around(second)
    spread_a = np.maximum(around(first**2) - mean_a**2, 0) + floor**2
    spread_b = np.maximum(around(second**2) - mean_b**2, 0) + floor**2
    delta = 1 - (around(first * second) - mean_a * mean_b + floor**2) / np.sqrt(spread_a * spread_b)
    return _like(a, np.clip(delta, 0, 2), "1 - windowed r")


def ratio_map(a, b, floor=1e-3):
    """
    Relative difference of the two patterns scaled to one mean ("D2").

        delta(q) = |a − b| / (a + b + e),   e = floor (patterns in units of their mean).

    A faint reflection that doubles counts as much as a bright one that does; with noise, empty pixels count too, which a
    larger `floor` prevents.

    Parameters
    ----------
    a, b
        Patterns of one shape, not negative.
    floor
        See :func:`difference_maps`.

    Returns
    -------
    array of the shape and type of `a`
        From 0 to below 1.
    """
    first, second = (pattern / pattern.mean() for pattern in _checked(a, b))
    if min(first.min(), second.min()) < 0:
        raise ValueError(f"a pattern holds {min(first.min(), second.min()):.3g} times its mean; counts are not negative")
    return _like(a, np.abs(first - second) / (first + second + floor), "|a - b| / (a + b)")


def move_onto(pattern, centre, target):
    """
    Move a mean pattern by a fraction of a pixel, so that two averages can be compared.

    Pixels without any count, which are dead, take the median of their neighbours first; they would travel otherwise.

    Parameters
    ----------
    pattern
        Mean counts, shape (h, w).
    centre, target
        (row, col) of the direct beam in the pattern, and where it should be; from
        :func:`figures_pkg.imaging.refine_lattice`, which goes by the rims of the discs and not by their filling.

    Returns
    -------
    array of the shape and type of `pattern`
        Not negative; cubic interpolation.
    """
    values = np.asarray(pattern, float)
    values = np.where(values > 0, values, median_filter(values, 3))
    moved = np.maximum(shift(values, np.subtract(target, centre), order=3, mode="nearest"), 0)
    return _like(pattern, moved, "mean counts")


def rank_reflections(delta, positions: Mapping[str, tuple[float, float]], radius_px: float, mean: bool = False) -> pd.DataFrame:
    """
    Sum a map over the disc of each reflection and rank them.

    Parameters
    ----------
    delta
        One of the maps, shape (h, w).
    positions
        Name -> (row, col) in px; discs that hang over the rim of the map are left out.
    radius_px
        Radius of the discs; a pixel belongs to a disc when its centre does.
    mean
        Mean over the disc instead of the sum; for "window" and "ratio", whose values are not shares of a whole.

    Returns
    -------
    pandas.DataFrame
        Index ``reflection``, strongest first, with ``value``, ``share`` (of the sum of the column) and ``rank`` from 1.

    Raises
    ------
    ValueError
        If no disc lies inside the map.
    """
    values = np.asarray(delta, float)
    rows, cols = np.indices(values.shape)
    found = {}
    for name, (row, col) in positions.items():
        if radius_px <= row <= values.shape[0] - 1 - radius_px and radius_px <= col <= values.shape[1] - 1 - radius_px:
            inside = values[(rows - row) ** 2 + (cols - col) ** 2 <= radius_px**2]
            found[name] = inside.mean() if mean else inside.sum()
    if not found:
        raise ValueError(f"none of {len(positions)} discs of radius {radius_px:.3g} px lies inside the map of shape {values.shape}")
    table = pd.DataFrame({"value": pd.Series(found, dtype=float)}).sort_values("value", ascending=False, kind="stable")
    table["share"] = table.value / table.value.sum() if table.value.sum() > 0 else 0.0
    table["rank"] = np.arange(1, len(table) + 1)
    return table.rename_axis("reflection")


def _checked(a, b):
    """Both patterns as double-precision arrays, refused when they cannot be compared."""
    first, second = np.asarray(a, float), np.asarray(b, float)
    if first.shape != second.shape or first.ndim != 2:
        raise ValueError(f"patterns have shapes {first.shape} and {second.shape}; expected two 2D patterns of one shape")
    for pattern in (first, second):
        if not np.isfinite(pattern).all():
            raise ValueError("a pattern holds nan or infinite values; mask or fill them first")
        if not pattern.mean() > 0:
            raise ValueError(f"a pattern has the mean {pattern.mean():.3g}; expected counts or intensities with a positive mean")
    return first, second


def _standardised(values):
    """Values less their mean, in units of their standard deviation."""
    spread = values.std()
    if not spread > 1e-12 * np.abs(values).max():
        raise ValueError("a pattern is constant, so it correlates with nothing; was the mask or the group empty?")
    return (values - values.mean()) / spread


def _like(pattern, values, name):
    """Values with the coordinates of a pattern, if it has any."""
    return pattern.copy(data=values).rename(name) if isinstance(pattern, xr.DataArray) else values
