"""Choose the channel that shows domains without knowing them: the one that looks most like two plateaus."""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy.ndimage import binary_opening, gaussian_filter

from .scores import otsu_threshold

REACH_NM = 11.0  # a wall in a foil of 60 nm, inclined by 5 to 11 degrees, is 5 to 12 nm wide


def bimodality(image: np.ndarray) -> float:
    """
    Share of a map's variance that lies between the two classes of Otsu's threshold.

    Two plateaus give 1, a Gaussian 0.64, but a steady ramp, which has no domains at all, still 0.75: not enough alone.
    """
    image = np.asarray(image, float)
    if not np.ptp(image) > 0:
        return 0.0
    return _between(image, image > otsu_threshold(image))


def sharpness(image: np.ndarray, reach: int = 3) -> float:
    """
    How much of the way between its two classes a map covers where it passes from one to the other.

    The median, over all places where neighbours belong to different classes, of the rise between places ``reach`` positions
    before and behind, in units of the difference of the class means. A wall gives 1, a ramp across the field some per cent.

    Parameters
    ----------
    image
        Map, shape ``(scan_y, scan_x)``; it is smoothed over one position first.
    reach
        In positions; half the apparent width of a wall at least.
    """
    classes = _classes(image)
    return 0.0 if classes is None else _sharpness(*classes, reach)


def plateau_score(image: np.ndarray, step_nm: float = float("nan")) -> float:
    """
    Bimodality times sharpness times breadth, between 0 and 1: how much a map looks like two plateaus with an abrupt edge.

    The two classes are those of the smoothed map, the variance that of the map itself, so that noise scores nothing. The
    breadth is that of the smaller class, so that a map of walls, which has abrupt edges too, scores nothing either.

    It says nothing about what the plateaus are: a step of the thickness scores as a wall does.

    Parameters
    ----------
    image
        Map, shape ``(scan_y, scan_x)``.
    step_nm
        Distance of the positions; unknown, the edge is looked for within three positions.
    """
    reach, classes = max(2, round(REACH_NM / step_nm)) if step_nm > 0 else 3, _classes(image)
    if classes is None:
        return 0.0
    smooth, upper = classes
    sharp = float(np.clip(_sharpness(smooth, upper, reach), 0, 1))
    return _between(np.asarray(image, float), upper) * sharp * _breadth(upper, reach)


def breadth(image: np.ndarray, reach: int = 3) -> float:
    """
    Share of a map's smaller class that lies in parts wider than 2 · ``reach`` + 1 positions: 1 for domains, 0 for walls.

    Parameters
    ----------
    image
        Map, shape ``(scan_y, scan_x)``; it is smoothed over one position first. Beyond its border it goes on as it ends there.
    reach
        In positions.
    """
    classes = _classes(image)
    return 0.0 if classes is None else _breadth(classes[1], reach)


def choose_channel(maps: xr.DataArray) -> tuple[int, float]:
    """
    The channel to take for the domains, by the plateau rule, and its score.

    A method that orders its channels itself, such as step components, says so in the attribute ``chosen``, and is obeyed.

    Parameters
    ----------
    maps
        (channel, scan_y, scan_x).

    Returns
    -------
    channel, score
        Index of the channel and its :func:`plateau_score`.

    Raises
    ------
    ValueError
        If every channel is constant: a dead embedding.
    """
    step_nm = scan_step_nm(maps)
    scores = [plateau_score(image, step_nm) for image in maps.values]
    if not any(np.ptp(image) > 0 for image in maps.values):
        raise ValueError(f"all {len(maps)} channels of {maps.name!r} are constant: the embedding is dead; train with a smaller L1 "
                         "weight")
    chosen = int(maps.attrs.get("chosen", np.argmax(scores)))
    return chosen, scores[chosen]


def scan_step_nm(maps: xr.DataArray) -> float:
    """Distance of neighbouring positions along scan_x in nm; nan where the coordinates do not tell."""
    axis = maps.coords.get("scan_x")
    return float("nan") if axis is None or axis.size < 2 else abs(float(axis[1] - axis[0]))


def _classes(image: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """The map smoothed over one position, and where that lies above Otsu's threshold; None for a constant map."""
    smooth = gaussian_filter(np.asarray(image, float), 1.0)
    return (smooth, smooth > otsu_threshold(smooth)) if np.ptp(smooth) > 0 else None


def _between(image: np.ndarray, upper: np.ndarray) -> float:
    """Share of a map's variance that lies between two classes."""
    share = upper.mean()
    return float(share * (1 - share) * _separation(image, upper) ** 2 / image.var())


def _sharpness(smooth: np.ndarray, upper: np.ndarray, reach: int) -> float:
    """See :func:`sharpness`; of a smoothed map and its classes."""
    rises = [_rises(np.moveaxis(smooth, axis, 0), np.moveaxis(upper, axis, 0), reach) for axis in (0, 1)]
    rises = np.concatenate(rises)
    return float(np.median(rises) / _separation(smooth, upper)) if rises.size else 0.0


def _breadth(upper: np.ndarray, reach: int) -> float:
    """See :func:`breadth`; of the classes of a smoothed map."""
    smaller = np.pad(upper if upper.mean() <= 0.5 else ~upper, 2 * reach, mode="edge")
    disc = np.hypot(*np.mgrid[-reach : reach + 1, -reach : reach + 1]) <= reach
    inner = (slice(2 * reach, -2 * reach),) * 2
    return float(binary_opening(smaller, disc)[inner].sum() / smaller[inner].sum())


def _separation(image: np.ndarray, upper: np.ndarray) -> float:
    """Difference of the class means."""
    return image[upper].mean() - image[~upper].mean()


def _rises(image: np.ndarray, upper: np.ndarray, reach: int) -> np.ndarray:
    """Rise towards the upper class across every boundary along the first axis, over 2 · reach − 1 positions."""
    width = 2 * reach - 1
    if len(image) <= width:
        return np.zeros(0)
    turn = np.diff(upper.astype(int), axis=0)[reach - 1 : len(image) - reach]
    return ((image[width:] - image[:-width]) * turn)[turn != 0]
