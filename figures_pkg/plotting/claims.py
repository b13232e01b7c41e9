"""Measured values of claims beside what they have to be."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection

from .style import MINUS_P

RANGE = (-10.0, 10.0)  # as far as an open limit is drawn


def claim_dots(ax: Axes, place: float, values: Sequence[float], low: float, high: float,
               meets: Callable[[float], bool]) -> PathCollection:
    """
    Draw one row: the range that holds, the spread of the values and their middle.

    Parameters
    ----------
    ax
        Where to draw.
    place
        Height of the row.
    values
        At least one.
    low, high
        Bounds of the range that holds; infinite where there is none.
    meets
        Says of a value whether it holds.

    Returns
    -------
    PathCollection
        The dot of the middle value, filled where all values hold.
    """
    left, right = np.clip([low, high], *RANGE)
    ax.fill_betweenx([place - 0.32, place + 0.32], left, right, color="0.92", lw=0, zorder=0)
    for bound in np.array([low, high])[np.isfinite([low, high])]:
        ax.plot([bound, bound], [place - 0.32, place + 0.32], color="0.25", lw=1.4)
    ax.plot([min(values), max(values)], [place, place], color=MINUS_P, lw=1.2)
    face = MINUS_P if all(map(meets, values)) else "white"
    return ax.scatter([np.median(values)], [place], s=34, facecolor=face, edgecolor=MINUS_P, lw=1.3, zorder=3)
