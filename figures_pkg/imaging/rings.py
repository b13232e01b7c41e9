"""Means over rings around the direct beam."""

import numpy as np


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
