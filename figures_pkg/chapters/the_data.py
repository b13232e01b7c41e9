"""What the chapter on the data alone needs."""

from importlib.resources import files

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from figures_pkg.plotting.maps import outline


def mark_box(ax: Axes, pattern: xr.DataArray, rows: tuple[int, int], cols: tuple[int, int], name: str, colour: str) -> Rectangle:
    """Draw a half-open box of detector pixels on a pattern and write its name above it."""
    (x0, dx), (y0, dy) = ((float(axis[0]), float(axis[1] - axis[0])) for axis in (pattern.det_x.values, pattern.det_y.values))
    corner = (x0 + (cols[0] - 0.5) * dx, y0 + (rows[0] - 0.5) * dy)
    box = ax.add_patch(Rectangle(corner, (cols[1] - cols[0]) * dx, (rows[1] - rows[0]) * dy, fill=False, color=colour, lw=1.5))
    text = ax.annotate(name, corner, (0, 3), textcoords="offset points", color=colour, fontsize=8)
    text.set_path_effects([outline()])
    return box


def ring_means(image: np.ndarray, centre_row_col: tuple[float, float], edges_px: np.ndarray) -> np.ndarray:
    """
    Mean of an image in rings around a point.

    Parameters
    ----------
    image
        Shape ``(det_y, det_x)``.
    centre_row_col
        Centre in pixels, rows downward.
    edges_px
        Growing radii in pixels; ring ``i`` holds pixels with ``edges[i] <= radius < edges[i + 1]``.

    Returns
    -------
    numpy.ndarray
        Shape ``(len(edges_px) - 1,)``; nan for a ring without pixels.

    Examples
    --------
    >>> ring_means(np.full((9, 9), 2.0), (4, 4), np.array([0, 2, 4]))
    array([2., 2.])
    """
    rows, cols = np.indices(image.shape)
    radius = np.hypot(rows - centre_row_col[0], cols - centre_row_col[1]).ravel()
    sums = np.histogram(radius, edges_px, weights=np.asarray(image, float).ravel())[0]
    counts = np.histogram(radius, edges_px)[0]
    return np.divide(sums, counts, out=np.full(len(counts), np.nan), where=counts > 0)


def ring_counts(dataset: str) -> tuple[np.ndarray, np.ndarray]:
    """
    Ring means of a published scan-mean log pattern, as geometric-type counts.

    The values are averages of ``exp(mean log(1 + counts)) - 1`` over rings around the direct beam. They lie below mean
    counts (Jensen's inequality), so compare them with the same quantity of another scan only.

    Parameters
    ----------
    dataset
        ``"ds1"``.

    Returns
    -------
    edges_px : numpy.ndarray
        Radii between the rings in pixels of the 256-pixel frame, shape ``(n + 1,)``.
    counts : numpy.ndarray
        Shape ``(n,)``.
    """
    if dataset != "ds1":
        raise ValueError(f"no published rings of {dataset!r}; there are those of ds1")
    path = files("figures_pkg.chapters") / "published" / "ds1_rings.csv"
    inner, outer, counts = np.loadtxt(path.open(encoding="utf-8"), delimiter=",", comments=["#", "inner"], unpack=True)
    return np.append(inner, outer[-1]), counts
