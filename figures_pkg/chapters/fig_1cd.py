"""What the chapter on Fig. 1c,d alone needs."""

import numpy as np

from figures_pkg.evaluate.scores import region_values


def contrast_to_noise(image: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
    """
    Contrast between two regions in units of the scatter inside them.

    The scatter holds everything that varies inside a region: counting noise, but bend and thickness too. So it says
    how well the eye, or a threshold, can tell the regions apart, not how significant the difference of means is.

    Parameters
    ----------
    image
        Any map, shape ``(scan_y, scan_x)``.
    first, second
        Boolean maps of the same shape.

    Returns
    -------
    float
        ``(mean(first) - mean(second)) / sqrt((var(first) + var(second)) / 2)``; positive where the first is brighter.

    Examples
    --------
    >>> image = np.array([[1.0, 3.0, 6.0, 8.0]])
    >>> left = np.array([[True, True, False, False]])
    >>> contrast_to_noise(image, ~left, left)
    5.0
    """
    a, b = region_values(image, first, second)
    return float((a.mean() - b.mean()) / np.sqrt((a.var() + b.var()) / 2))
