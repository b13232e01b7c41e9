"""Where two patterns differ: the share of each pixel in 1 − r, and which reflections lead in it.

The paper calls Δ(+P, −P) "normalized cross-correlation" (Fig. 4c,d) and gives no formula; its map is bright where the
patterns differ. The cross-correlation coefficient of two patterns at no shift is one number, Pearson's r, and falls as they
differ. The one definition that is a map, rests on r and grows with the difference is the share of each pixel in 1 − r.
It is taken as the paper's here; :func:`figures_pkg.chapters.fig_4.difference_maps` compares it with two others. It does not
change when both patterns are exchanged, nor when one of them is multiplied or offset.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr
from scipy.ndimage import median_filter, shift

from .lattice import Lattice, refine_lattice
from .one_pass import summarise


def pearson_map(a, b):
    """Share of each pixel in 1 − r, with Pearson's r of the two patterns ("D3", the paper-equivalent).

    With z the pattern less its mean, divided by its standard deviation over the N pixels,

        delta(q) = (z_a(q) − z_b(q))² / (2 N),   sum over q of delta(q) = 1 − r,

    since the sums of z_a² and z_b² are N and that of z_a z_b is N r. The square makes bright discs count most. The map has the shape and type
    of `a`; its sum is from 0 (equal up to scale and offset) to 2 (opposite). Different shapes, values that are not finite, or a constant
    pattern are a ValueError.
    """
    first, second = comparable(a, b)
    delta = (_standardised(first) - _standardised(second)) ** 2 / (2 * first.size)
    return like(a, delta, "share in 1 - r")


def move_onto(pattern, centre, target):
    """A mean pattern moved by cubic interpolation so that its direct beam lies at ``target`` (row, col); dead pixels are filled first."""
    values = np.asarray(pattern, float)
    values = np.where(values > 0, values, median_filter(values, 3))
    moved = np.maximum(shift(values, np.subtract(target, centre), order=3, mode="nearest"), 0)
    return like(pattern, moved, "mean counts")


def rank_reflections(delta, positions: Mapping[str, tuple[float, float]], radius_px: float, mean: bool = False) -> pd.DataFrame:
    """Sum (or average) a map over the discs at ``positions`` (row, col) by name that lie inside: a table of value, share of the sum and rank."""
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


def comparable(a, b) -> tuple[np.ndarray, np.ndarray]:
    """Both patterns as double-precision arrays; refused when their shapes differ, or one is empty or not finite."""
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
    spread = values.std()
    if not spread > 1e-12 * np.abs(values).max():
        raise ValueError("a pattern is constant, so it correlates with nothing; was the mask or the group empty?")
    return (values - values.mean()) / spread


def like(pattern, values: np.ndarray, name: str):
    """Values with the coordinates of a pattern, if it has any, under a name."""
    return pattern.copy(data=values).rename(name) if isinstance(pattern, xr.DataArray) else values


def aligned_means(scan: xr.DataArray, groups: dict[str, np.ndarray], guess: Lattice, radius_px: float):
    """Mean patterns of groups of positions, boolean maps by name, moved so that all lattices lie on that of the first, against the descan error.

    The lattices before the move, fitted from a guess with the radius of a disc, are returned too, both by name.
    """
    means = summarise(scan, com=False, mean=False, groups=groups).group_mean_pattern
    patterns = {name: means.sel(group=name) for name in groups}
    lattices = {name: refine_lattice(pattern.values, guess, radius_px) for name, pattern in patterns.items()}
    onto = lattices[next(iter(groups))].centre
    return {name: move_onto(pattern, lattices[name].centre, onto) for name, pattern in patterns.items()}, lattices


def reflection_table(delta, lattice: Lattice, radius_px: float, mean: bool = False) -> pd.DataFrame:
    """The reflections 0kl with |k| up to 4 and |l| up to 8, ranked by the sum of a map of differences over their discs, or its mean; named "00-4" and so on."""
    inside = lattice.reflections(delta.shape, 1.5 * radius_px, orders=4)
    places = {f"0{k}{l}": tuple(lattice.position(k, l)) for k, l in inside}
    return rank_reflections(delta, places, 1.1 * radius_px, mean=mean)


def pair_ratio(table: pd.DataFrame) -> float:
    """004 and its opposite together, over 002 and its opposite, of a table of :func:`reflection_table`."""
    two, four = (table.value[[f"00{order}", f"00-{order}"]].sum() for order in (2, 4))
    return float(four / two)
