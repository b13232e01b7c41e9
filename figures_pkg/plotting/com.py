"""Clouds of centres of mass in reciprocal space."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection

from .maps import NEITHER, domain_pair


def com_cloud(ax: Axes, com_y: np.ndarray, com_x: np.ndarray, colours, *, size: float = 3.0) -> PathCollection:
    """
    Draw the centre of mass of every pattern as a point in reciprocal space; y grows downward as on the detector.

    Parameters
    ----------
    ax
        Where to draw.
    com_y, com_x
        Centres of mass in 1/Å, any equal shapes.
    colours
        One colour, or one value or colour a point.
    """
    points = ax.scatter(np.ravel(com_x), np.ravel(com_y), c=colours, s=size, lw=0, alpha=0.6, rasterized=True)
    reach = 1.1 * np.nanmax(np.abs([com_y, com_x]))
    ax.set(aspect="equal", xlim=(-reach, reach), ylim=(reach, -reach))
    ax.axhline(0, color="0.8", lw=0.8, zorder=0)
    ax.axvline(0, color="0.8", lw=0.8, zorder=0)
    ax.set(xlabel="COM along detector x (1/Å)", ylabel="COM along detector y (1/Å)")
    return points


def density(com_y: np.ndarray, com_x: np.ndarray, bins: int = 60) -> np.ndarray:
    """
    Number of points in the cell of a grid that each point lies in, to colour a crowded cloud by.

    Parameters
    ----------
    com_y, com_x
        Coordinates, any equal shapes.
    bins
        Cells along each axis.

    Returns
    -------
    numpy.ndarray
        Counts, shape ``(n_points,)``.
    """
    y, x = np.ravel(com_y), np.ravel(com_x)
    counts, y_edges, x_edges = np.histogram2d(y, x, bins=bins)
    row = np.clip(np.searchsorted(y_edges, y, side="right") - 1, 0, bins - 1)
    col = np.clip(np.searchsorted(x_edges, x, side="right") - 1, 0, bins - 1)
    return counts[row, col]


def domain_colours(domain: np.ndarray, sign_known: bool = True) -> np.ndarray:
    """
    Colours of points by their domain, shape ``(n_points,)``.

    Parameters
    ----------
    domain
        +1, −1, or 0 for neither, any shape; neither is grey.
    sign_known
        Whether +1 is +P, which is red, and −1 is −P, which is blue; else the two are violet and green.
    """
    (plus, minus), domain = domain_pair(sign_known), np.ravel(domain)
    return np.where(domain > 0, plus, np.where(domain < 0, minus, NEITHER))


def draw_axis(ax: Axes, direction_yx: tuple[float, float], name: str = "c") -> None:
    """
    Draw a crystal axis as an arrow through the origin across the cloud.

    Parameters
    ----------
    ax
        Axes with a drawn cloud.
    direction_yx
        Direction on the detector, (y, x) with y downward; the length does not matter.
    name
        What to write at the arrow's head.
    """
    y, x = np.array(direction_yx) / np.hypot(*direction_yx) * 0.92 * abs(ax.get_xlim()[1])
    ax.annotate("", (x, y), (-x, -y), arrowprops={"arrowstyle": "->", "color": "0.25", "lw": 1})
    ax.annotate(name, (x, y), (6, 0), textcoords="offset points", color="0.25", fontsize=11, style="italic", va="center")
