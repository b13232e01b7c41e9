"""What the chapter on the data alone needs."""

from importlib.resources import files

import numpy as np


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
