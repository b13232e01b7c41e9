"""Where a map of polarization changes sign: its walls, cut into straight pieces with the positions around them."""

from dataclasses import dataclass

import numpy as np
import xarray as xr
from contourpy import contour_generator
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

SMOOTH = 1.0  # positions over which the polarization is smoothed before its zero line is drawn
POINT_NM = 1.0  # between the points of a line


@dataclass(frozen=True)
class Piece:
    """
    A straight piece of a wall.

    Attributes
    ----------
    centre_nm
        (y, x), shape (2,).
    normal
        Unit vector (y, x) into the +P domain, shape (2,).
    wall
        Which wall it belongs to, from 0.
    index
        (row, column) of the positions that lie nearer to it than to another piece, shape (p, 2).
    distance_nm
        Of these from the piece's line, positive in +P, shape (p,).
    along_nm
        Of these along the line from its centre, shape (p,).
    along
        Unit vector (y, x) of the line, shape (2,).
    """

    centre_nm: np.ndarray
    normal: np.ndarray
    wall: int
    index: np.ndarray
    distance_nm: np.ndarray
    along_nm: np.ndarray
    along: np.ndarray


def find_pieces(maps: xr.Dataset, length_nm: float = 30.0, reach_nm: float = 14.0) -> list[Piece]:
    """
    The walls in a map of polarization.

    Parameters
    ----------
    maps
        From :func:`figures_pkg.matching.match`: ``polarization`` on coordinates in nm.
    length_nm
        Of a piece, roughly; shorter lines are taken for single wrong positions and dropped.
    reach_nm
        Positions up to here from a line belong to it.

    Returns
    -------
    list of Piece
        In the order of the lines; empty where there is one domain only.
    """
    y, x = maps.scan_y.values, maps.scan_x.values
    smooth = gaussian_filter(maps.polarization.values.astype(float), SMOOTH, mode="nearest")
    lines = [line[:, ::-1] for line in contour_generator(x, y, smooth).lines(0.0)]
    cut = [(wall, points) for wall, line in enumerate(_long(lines, length_nm)) for points in _cut(line, length_nm)]
    if not cut:
        return []
    owner = np.repeat(np.arange(len(cut)), [len(points) for _, points in cut])
    places = np.stack(np.meshgrid(y, x, indexing="ij"), axis=-1).reshape(-1, 2)
    away, nearest = cKDTree(np.concatenate([points for _, points in cut])).query(places)
    owner = np.where(away <= reach_nm, owner[nearest], -1)
    pieces = [_piece(*each, places, np.flatnonzero(owner == number), smooth) for number, each in enumerate(cut)]
    return [piece for piece in pieces if len(piece.index) >= 8]


def wall_distance(maps: xr.Dataset, pieces: list[Piece]) -> np.ndarray:
    """Distance (nm) of every position from the nearest piece's line, shape (scan_y, scan_x); infinite beyond their reach."""
    distance = np.full(maps.polarization.shape, np.inf)
    for piece in pieces:
        distance[tuple(piece.index.T)] = np.abs(piece.distance_nm)
    return distance


def _long(lines, length_nm):
    return [line for line in lines if _arc(line)[-1] >= length_nm]


def _arc(line):
    """Length of a line from its start to each of its points."""
    return np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])


def _cut(line, length_nm):
    """Points of the equal parts of a line, about `length_nm` long, evenly spaced."""
    arc = _arc(line)
    parts = max(int(round(arc[-1] / length_nm)), 1)
    at = np.linspace(0, arc[-1], max(int(arc[-1] / POINT_NM), 2 * parts))
    points = np.stack([np.interp(at, arc, column) for column in line.T], axis=1)
    return np.array_split(points, parts)


def _piece(wall, points, places, mine, smooth):
    """The line through some points and what lies around it; its normal points to where the polarization is larger."""
    centre = points.mean(axis=0)
    along = np.linalg.svd(points - centre, full_matrices=False)[2][0]
    normal = np.array([-along[1], along[0]])
    away = places[mine] - centre
    distance = away @ normal
    shape = smooth.shape
    if len(mine) and np.dot(distance, smooth.ravel()[mine]) < 0:
        normal, distance = -normal, -distance
    return Piece(centre, normal, wall, np.stack(np.unravel_index(mine, shape), axis=1), distance, away @ along, along)
