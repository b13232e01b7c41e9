"""How sharp and how steady a step is along the walls of a simulated scan."""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy.ndimage import map_coordinates
from scipy.optimize import curve_fit
from scipy.special import erf

from .wall_contrast import wall_normals

TEN_TO_NINETY = 2.5631  # width from 10 to 90 % of an error function, in standard deviations


class TooCoarse(ValueError):
    """The positions lie too far apart for the width that is asked for."""


def edge_width_nm(image: np.ndarray, distance_nm: np.ndarray, needed_nm: float, reach_nm: float = 40.0) -> float:
    """
    Width of a step across a wall, from 10 to 90 %, by a fit of an error function.

    A wall that runs askew over the grid of positions is met at all distances, so widths below a step can be measured.

    Parameters
    ----------
    image
        Map of the domains (scan_y, scan_x).
    distance_nm
        Signed distance of each position from the wall.
    needed_nm
        Width that must be told: near the wall, the distances that occur must not lie further apart.
    reach_nm
        Positions this far from the wall take part.

    Raises
    ------
    TooCoarse
        If the distances that occur lie further apart than ``needed_nm``.
    """
    near = np.abs(distance_nm) <= reach_nm
    x, y = distance_nm[near].astype(float), image[near].astype(float)
    gap = np.diff(np.sort(x[np.abs(x) <= reach_nm / 4])).max(initial=0.0)
    if not 0 < gap <= needed_nm:
        raise TooCoarse(f"distances from the wall lie up to {gap:.1f} nm apart; {needed_nm:g} nm cannot be told")
    start = (y[x < 0].mean(), y[x > 0].mean(), 0.0, reach_nm / 8)
    _, _, _, deviation = curve_fit(_edge, x, y, start)[0]
    return float(TEN_TO_NINETY * abs(deviation))


def step_sign_share(image: np.ndarray, truth: xr.Dataset, reach_nm: float, where: np.ndarray | None = None) -> float:
    """
    Share of the places on walls at which an image steps the way that most of them do, from −P to +P.

    1: every place shows the same step; a half: what is seen has nothing to do with the domains.

    Parameters
    ----------
    image
        Map (scan_y, scan_x).
    truth
        With ``wall_distance_nm``.
    reach_nm
        How far on both sides of the wall the image is looked at.
    where
        Boolean map: both sides must lie here.

    Raises
    ------
    ValueError
        If no wall has both of its sides in the field.
    """
    distance = truth.wall_distance_nm.values.astype(float)
    step = abs(float(truth.scan_x[1] - truth.scan_x[0]))
    rows, cols = np.nonzero(np.abs(distance) <= step / 2)
    normal = wall_normals(distance, step)[:, rows, cols]
    sides = [np.stack([rows, cols]) + sign * normal * reach_nm / step for sign in (1, -1)]
    limit = np.array(distance.shape)[:, None] - 1
    kept = np.logical_and.reduce([((side >= 0) & (side <= limit)).all(axis=0) for side in sides])
    if where is not None:
        kept &= np.logical_and.reduce([where[tuple(np.clip(np.rint(side), 0, limit).astype(int))] for side in sides])
    if not kept.any():
        raise ValueError(f"no place on a wall has both sides, {reach_nm:g} nm away, in the field; choose a smaller reach")
    ahead, behind = (map_coordinates(np.asarray(image, float), side[:, kept], order=1) for side in sides)
    share = float(np.mean(ahead > behind))
    return max(share, 1 - share)


def sign_changes(image: np.ndarray, centre_row_col: tuple[float, float], radius: float, points: int = 360) -> int:
    """
    How often a map changes its sign on a circle, as two plateaus around a vortex core do from wall to wall.

    Short excursions, less than a twenty-fourth of the circle, do not count: they are noise.

    Parameters
    ----------
    image
        Map whose zero parts both kinds of domain (scan_y, scan_x).
    centre_row_col, radius
        In positions.
    points
        On the circle.
    """
    angle = np.linspace(0, 2 * np.pi, points, endpoint=False)
    places = np.reshape(centre_row_col, (2, 1)) + radius * np.stack([np.sin(angle), np.cos(angle)])
    values = map_coordinates(np.asarray(image, float), places, order=1, mode="nearest")
    window = np.ones(points // 24) / (points // 24)
    smooth = np.convolve(np.concatenate([np.sign(values)] * 3), window, mode="same")[points : 2 * points]
    sign = np.where(smooth >= 0, 1, -1)
    return int(np.count_nonzero(sign != np.roll(sign, 1)))


def _edge(x, low, high, centre, deviation):
    """An error function from low to high."""
    return low + (high - low) / 2 * (1 + erf((x - centre) / (np.sqrt(2) * deviation)))
