"""What a reflection depends on: rows of displaced atoms, maps of differences, curves over thickness, maps over two states."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.image import AxesImage

from .style import HIGHLIGHT, WALL

ORDERS = {2: "#7a4fa3", 4: "#d1730a"}  # 002 and 004; red and blue are left to ±P
ATOM = "#2a9d6f"


def atom_row(ax: Axes, places: np.ndarray, displacements: np.ndarray, colour: str) -> None:
    """
    Draw a row of atoms displaced from a dashed line, with arrows.

    Parameters
    ----------
    ax
        Where to draw.
    places, displacements
        Along and across the row, in Å, shape (n,); enlarge the displacements before.
    colour
        Of the arrows.
    """
    for x, y in zip(places, displacements, strict=True):
        arrow = {"arrowstyle": "-|>", "color": colour, "lw": 2, "shrinkA": 0, "shrinkB": 4}
        ax.annotate("", (x, y), (x, 0), arrowprops=arrow)
        ax.plot(x, y, "o", color=ATOM, ms=9, mec="0.2")
    ax.axhline(0, color="0.6", ls="--", lw=1)
    margin = 0.4 * np.abs(displacements).max()
    ax.set(ylim=(displacements.min() - margin, displacements.max() + margin), xticks=[], yticks=[])
    ax.margins(x=0.1)


def difference_map(ax: Axes, delta: xr.DataArray, reach: float = 0.75, relative: bool = False) -> AxesImage:
    """
    Draw the middle of a map of differences, from 0 to 1.

    Parameters
    ----------
    ax
        Where to draw; row 0 is at the top.
    delta
        Shape ``(det_y, det_x)`` with coordinates in 1/Å.
    reach
        How far from the direct beam, in 1/Å.
    relative
        Whether to divide by the largest value shown.
    """
    near = delta.sel(det_y=slice(-reach, reach), det_x=slice(-reach, reach))
    values = near.values / (near.values.max() if relative else 1.0)
    edges = (float(near.det_x[0]), float(near.det_x[-1]), float(near.det_y[-1]), float(near.det_y[0]))
    drawn = ax.imshow(values, cmap="inferno", vmin=0, vmax=1, extent=edges)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    return drawn


def asymmetry_curves(ax: Axes, thickness_nm: np.ndarray, asymmetry: dict[int, np.ndarray], leads: np.ndarray, marked_nm: float) -> None:
    """
    Draw asymmetries of 00l over thickness.

    Parameters
    ----------
    ax
        Where to draw.
    thickness_nm
        Shape (n,).
    asymmetry
        Order l -> values (n,), between -1 and 1.
    leads
        Where 004 changes more than 002 between the domains; shown in grey.
    marked_nm
        A thickness to mark with a dotted line.
    """
    ax.fill_between(thickness_nm, -1, 1, where=leads, color="0.88", lw=0, step="mid", label="004 changes more than 002")
    for order, values in asymmetry.items():
        ax.plot(thickness_nm, values, color=ORDERS.get(order, WALL), label=f"A(00{order})")
    ax.axhline(0, color="0.4", lw=0.8)
    ax.axvline(marked_nm, color="0.2", ls=":", lw=1.2)
    ax.set(ylabel="asymmetry", ylim=(-1, 1), xlim=(thickness_nm[0], thickness_nm[-1]))


def state_map(ax: Axes, thickness_nm: np.ndarray, tilt_mrad: np.ndarray, values: np.ndarray, limit: float, cmap="RdBu_r", marks=()) -> QuadMesh:
    """
    Draw a quantity over thickness and tilt, with a colour bar below and marked states.

    Parameters
    ----------
    ax
        Where to draw.
    thickness_nm, tilt_mrad
        Shapes (n,) and (m,).
    values
        Shape (m, n).
    limit
        The colours run from ``-limit`` to ``limit``.
    cmap
        A diverging colour map.
    marks
        Pairs (thickness, tilt), drawn as a circle, a diamond and a square in this order.
    """
    drawn = ax.pcolormesh(thickness_nm, tilt_mrad, values, cmap=cmap, vmin=-limit, vmax=limit, shading="nearest", rasterized=True)
    ax.figure.colorbar(drawn, ax=ax, location="bottom", aspect=16)
    for marker, (thickness, tilt) in zip("oDs", marks):
        ax.plot(thickness, tilt, marker, mfc=HIGHLIGHT, mec="black", ms=7, mew=1.3)
    ax.set(xlabel="thickness (nm)")
    return drawn
