"""What the chapter on the data alone needs."""

from importlib.resources import files

import numpy as np


def ring_means(image: np.ndarray, centre_row_col: tuple[float, float], edges_px: np.ndarray) -> np.ndarray:
    """Mean of an image in rings ``edges[i] <= radius < edges[i + 1]`` (px) around a point (row, col), shape (n,); nan for a ring without pixels."""
    rows, cols = np.indices(image.shape)
    radius = np.hypot(rows - centre_row_col[0], cols - centre_row_col[1]).ravel()
    sums = np.histogram(radius, edges_px, weights=np.asarray(image, float).ravel())[0]
    counts = np.histogram(radius, edges_px)[0]
    return np.divide(sums, counts, out=np.full(len(counts), np.nan), where=counts > 0)


def ring_counts() -> tuple[np.ndarray, np.ndarray]:
    """
    Radii (n + 1,) in pixels of the 256-pixel frame and ring means (n,) of the published scan-mean log pattern of ds1, as counts.

    The values are averages of ``exp(mean log(1 + counts)) - 1`` over rings around the direct beam. They lie below mean counts (Jensen's inequality),
    so compare them with the same quantity of another scan only.
    """
    path = files("figures_pkg.chapters") / "published" / "ds1_rings.csv"
    inner, outer, counts = np.loadtxt(path.open(encoding="utf-8"), delimiter=",", comments=["#", "inner"], unpack=True)
    return np.append(inner, outer[-1]), counts
