"""Walls of a vortex as thin lines, coloured by the charge that they carry."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D

HEAD_TO_HEAD = "#d95f02"  # away from the red and blue of ±P
TAIL_TO_TAIL = "#6a3d9a"
NEUTRAL = "#8c8c8c"
KINDS = {1: (HEAD_TO_HEAD, "head-to-head"), -1: (TAIL_TO_TAIL, "tail-to-tail"), 0: (NEUTRAL, "neutral")}


def wall_lines(ax: Axes, polarization: xr.DataArray, kind: xr.DataArray, width: float = 1.2) -> LineCollection:
    """
    Draw where the polarization changes its sign, coloured by the kind of wall.

    Parameters
    ----------
    ax
        Axes with a drawn map over the same scan, in nm.
    polarization
        From −1 to 1, shape ``(scan_y, scan_x)`` with coordinates in nm.
    kind
        Of the wall nearest to each position: +1 head-to-head, −1 tail-to-tail, 0 neutral; the same shape.
    width
        Of the lines, in points.

    Returns
    -------
    LineCollection
        One short line for each step of the contour at zero; empty where there is no wall.
    """
    limits = ax.get_xlim(), ax.get_ylim()
    contours = ax.contour(polarization.scan_x, polarization.scan_y, polarization.values, [0.0])
    courses = [course for course in contours.allsegs[0] if len(course) > 1]
    contours.remove()
    steps = np.concatenate([np.stack([c[:-1], c[1:]], axis=1) for c in courses]) if courses else np.zeros((0, 2, 2))
    x, y = (xr.DataArray(values, dims="step") for values in steps.mean(axis=1).T)
    kinds = kind.sel(scan_x=x, scan_y=y, method="nearest").values.astype(int) if len(steps) else []
    lines = ax.add_collection(LineCollection(steps, colors=[KINDS[k][0] for k in kinds], lw=width, capstyle="round"))
    ax.set(xlim=limits[0], ylim=limits[1])
    return lines


def wall_legend(ax: Axes, kind: xr.DataArray, names: dict[int, str] | None = None, **kwargs):
    """Name the colours of the walls that occur in ``kind``; ``names`` by kind, where they are not head-to-head, tail-to-tail and neutral."""
    here = [each for each in KINDS if (kind.values == each).any()]
    handles = [Line2D([], [], color=KINDS[each][0], lw=2, label=(names or {}).get(each, KINDS[each][1])) for each in here]
    return ax.legend(handles=handles, **({"fontsize": 8, "loc": "upper center", "bbox_to_anchor": (0.5, 0.0)} | kwargs))
