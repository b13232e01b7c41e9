"""What the chapter on Fig. 2 alone needs."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection


def com_cloud(ax: Axes, com_y: np.ndarray, com_x: np.ndarray, colours, *, size: float = 3.0) -> PathCollection:
    """Draw the centre of mass (1/Å) of every pattern as a point in reciprocal space; y grows downward as on the detector."""
    points = ax.scatter(np.ravel(com_x), np.ravel(com_y), c=colours, s=size, lw=0, alpha=0.6, rasterized=True)
    reach = 1.1 * np.nanmax(np.abs([com_y, com_x]))
    ax.set(aspect="equal", xlim=(-reach, reach), ylim=(reach, -reach))
    ax.axhline(0, color="0.8", lw=0.8, zorder=0)
    ax.axvline(0, color="0.8", lw=0.8, zorder=0)
    ax.set(xlabel="COM along detector x (1/Å)", ylabel="COM along detector y (1/Å)")
    return points


def density(com_y: np.ndarray, com_x: np.ndarray, bins: int = 60) -> np.ndarray:
    """Number of points in the cell of a grid of ``bins`` × ``bins`` that each point lies in, shape (n_points,), to colour a crowded cloud by."""
    y, x = np.ravel(com_y), np.ravel(com_x)
    counts, y_edges, x_edges = np.histogram2d(y, x, bins=bins)
    row = np.clip(np.searchsorted(y_edges, y, side="right") - 1, 0, bins - 1)
    col = np.clip(np.searchsorted(x_edges, x, side="right") - 1, 0, bins - 1)
    return counts[row, col]


def draw_axis(ax: Axes, direction_yx: tuple[float, float], name: str = "c") -> None:
    """Draw a crystal axis as an arrow through the origin of a cloud; its direction on the detector is (y, x), y downward, of any length."""
    y, x = np.array(direction_yx) / np.hypot(*direction_yx) * 0.92 * abs(ax.get_xlim()[1])
    ax.annotate("", (x, y), (-x, -y), arrowprops={"arrowstyle": "->", "color": "0.25", "lw": 1})
    ax.annotate(name, (x, y), (6, 0), textcoords="offset points", color="0.25", fontsize=11, style="italic", va="center")
