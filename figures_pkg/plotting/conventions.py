"""Frames of reference drawn onto maps and patterns: which way the axes of an array run, and where the crystal's axes point."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.image import AxesImage

from .maps import outline
from .style import HIGHLIGHT


def array_axes(ax: Axes, down: str, right: str, colour: str = "0.25") -> None:
    """
    Arrows outside the upper left corner of a picture that say how its two array axes run.

    Parameters
    ----------
    ax
        Axes with a picture whose row 0 is at the top.
    down, right
        Names of the first (rows) and the second (columns) axis of the array.
    colour
        Of arrows and names.
    """
    arrow = {"arrowstyle": "-|>", "color": colour, "lw": 1.2, "shrinkA": 0, "shrinkB": 0}
    style = {"xycoords": "axes fraction", "textcoords": "axes fraction", "arrowprops": arrow}
    ax.annotate("", (0.34, 1.05), (-0.05, 1.05), **style)
    ax.annotate("", (-0.05, 0.66), (-0.05, 1.05), **style)
    ax.text(0.36, 1.05, right, transform=ax.transAxes, color=colour, fontsize=8, va="center")
    ax.text(-0.05, 0.64, down, transform=ax.transAxes, color=colour, fontsize=8, ha="center", va="top", rotation=90)


def crystal_axes(ax: Axes, g002, g010, length: float, colour: str = HIGHLIGHT) -> None:
    """
    Arrows from the direct beam of a pattern along +c and +b*.

    Parameters
    ----------
    ax
        Axes with a pattern, zero at the direct beam.
    g002, g010
        Directions (row, col), rows downward, of any length.
    length
        Of the arrows, in the unit of the axes.
    colour
        Of arrows and names.
    """
    for name, direction in (("+c", g002), ("+b*", g010)):
        row, col = np.array(direction) / np.hypot(*direction) * length
        ax.annotate("", (col, row), (0, 0), arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 1.6})
        text = ax.annotate(name, (1.12 * col, 1.12 * row), color=colour, fontsize=10, ha="center", va="center")
        text.set_path_effects([outline()])


def plain_picture(ax: Axes, image, title: str, cmap: str = "viridis") -> AxesImage:
    """
    A small array as it is stored, row 0 at the top, without ticks and bars.

    Parameters
    ----------
    ax
        Where to draw.
    image
        Two-dimensional array or DataArray.
    title
        Above the picture.
    cmap
        A matplotlib colour map.
    """
    values = image.values if isinstance(image, xr.DataArray) else np.asarray(image)
    drawn = ax.imshow(values, cmap=cmap)
    ax.set(xticks=[], yticks=[], title=title)
    ax.spines[:].set_visible(False)
    return drawn


def draw_walls(ax: Axes, truth: xr.Dataset, c_axis_yx, length_nm: float = 40.0) -> None:
    """
    Arrows along the polarization, on both sides of each wall, and the kind of the wall above them.

    Parameters
    ----------
    ax
        Axes with a map over the scan.
    truth
        Maps ``domain`` and ``wall_type`` on (scan_y, scan_x), coordinates in nm; walls that cross the middle row are marked.
    c_axis_yx
        Direction of +c on the scan (y, x), y downward.
    length_nm
        Of an arrow.
    """
    middle = truth.isel(scan_y=truth.sizes["scan_y"] // 2)
    y, x, domain = float(middle.scan_y), middle.scan_x.values, middle.domain.values
    along = length_nm * np.array(c_axis_yx) / np.hypot(*c_axis_yx)
    for wall in np.flatnonzero(np.diff(domain)):
        kind = {1: "HH", -1: "TT", 0: "neutral"}[int(middle.wall_type[wall])]
        text = ax.annotate(kind, (x[wall], y - 0.8 * length_nm), color="white", ha="center", weight="bold")
        text.set_path_effects([outline()])
        for side in (-1, 1):
            place = np.array([y, x[wall] + side * 0.85 * length_nm])
            half = along / 2 * domain[wall + (side > 0)]
            style = {"arrowstyle": "-|>", "color": "white", "lw": 2, "mutation_scale": 14}
            ax.annotate("", (place + half)[::-1], (place - half)[::-1], arrowprops=style)
