"""Geometry of a crystal before it is drawn: views, layers, displacements from them, and bipyramids."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Scene:
    """
    What is drawn of a crystal: the atoms of one cell and on its border, and whole bipyramids.

    Attributes
    ----------
    index : numpy.ndarray
        Shape ``(m,)``, which atom of the cell each drawn atom repeats.
    places : numpy.ndarray
        Shape ``(m, 3)`` in Å.
    symbols : numpy.ndarray
        Shape ``(m,)``.
    corners : numpy.ndarray
        Shape ``(p, 5, 3)`` in Å: upper apex, lower apex, and the three of the base of each bipyramid.
    """

    index: np.ndarray
    places: np.ndarray
    symbols: np.ndarray
    corners: np.ndarray


def scene(positions: np.ndarray, symbols, cell) -> Scene:
    """
    Gather what is drawn of a cell: its atoms, their repeats on its border, and every corner of its bipyramids.

    Parameters
    ----------
    positions
        Shape ``(n, 3)`` in an orthogonal cell, in Å.
    symbols
        Element of each atom, length n.
    cell
        Edges of the cell in Å.
    """
    positions, symbols = np.asarray(positions, float), np.asarray(symbols)
    index, places = fill_box(positions, cell)
    centres, corner_index, corners = bipyramids(positions, symbols, cell)
    repeat, moved = fill_box(positions[centres], cell)
    corners = corners[repeat] + (moved - positions[centres][repeat])[:, None]
    places = np.concatenate([places, corners.reshape(-1, 3)])
    index = np.concatenate([index, corner_index[repeat].ravel()])
    once = np.unique(np.round(places, 4), axis=0, return_index=True)[1]
    return Scene(index[once], places[once], symbols[index[once]], corners)


def project(positions: np.ndarray, towards=(1.0, 0.0, 0.0), up=(0.0, 0.0, 1.0)) -> np.ndarray:
    """
    Coordinates as a viewer sees them: to the right, up, and towards the viewer.

    The viewer stands far out along ``towards`` and looks back at the origin. The three directions on the page form a
    right-handed system, so a left-handed screw stays left-handed. With positions along (a, b*, c) the default is the
    view "along [100]": a points at the viewer, b* to the right, c up.

    Parameters
    ----------
    positions
        Shape ``(..., 3)``, in a right-handed orthogonal system.
    towards
        Direction from the crystal to the viewer; its length does not matter.
    up
        Direction drawn upward; only its part across the line of sight counts.

    Returns
    -------
    numpy.ndarray
        The shape of ``positions``, last axis (right, up, towards the viewer), in the unit of ``positions``.
    """
    towards = np.asarray(towards, float) / np.linalg.norm(towards)
    right = np.cross(up, towards)
    length = np.linalg.norm(right)
    if length < 1e-9:
        raise ValueError(f"up={tuple(up)} lies along the line of sight {tuple(towards)}; choose another direction for up")
    right /= length
    return np.asarray(positions, float) @ np.stack([right, np.cross(towards, right), towards], axis=1)


def layer_displacements(heights: np.ndarray, period: float, gap: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """
    Sort heights into layers and say how far each atom lies from the mean of its layer.

    Parameters
    ----------
    heights
        Shape ``(n,)``, of the atoms of one element along the stacking direction, in Å; the stack repeats.
    period
        Length after which the stack repeats, in Å.
    gap
        Atoms whose heights are less than this apart belong to one layer, in Å.

    Returns
    -------
    means : numpy.ndarray
        Shape ``(n,)``, height of the layer of each atom, from 0 up to ``period``.
    displacements : numpy.ndarray
        Shape ``(n,)``, positive upward; they add up to zero in every layer.

    Raises
    ------
    ValueError
        If no gap is wide enough to tell layers apart.
    """
    heights = np.asarray(heights, float) % period
    order = np.argsort(heights)
    gaps = np.diff(heights[order], prepend=heights[order[-1]] - period)
    first = int(np.argmax(gaps))
    if gaps[first] < gap:
        raise ValueError(f"no gap of {gap:g} Å between the heights, the widest is {gaps[first]:.2f} Å: there are no layers")
    order = np.roll(order, -first)
    unwrapped = (heights[order] - heights[order[0]]) % period + heights[order[0]]
    layer = np.cumsum(np.diff(unwrapped, prepend=unwrapped[0]) >= gap)
    mean = np.bincount(layer, unwrapped) / np.bincount(layer)
    means, displacements = np.empty_like(heights), np.empty_like(heights)
    means[order], displacements[order] = mean[layer] % period, unwrapped - mean[layer]
    return means, displacements


def exaggerate(positions: np.ndarray, symbols, cell, factor: float, element: str = "Er") -> np.ndarray:
    """
    Move the atoms of one element away from their layer means until their displacements are ``factor`` times as large.

    Parameters
    ----------
    positions
        Shape ``(n, 3)``, layers stacked along the last axis, in Å.
    symbols
        Element of each atom, length n.
    cell
        Edges of the orthogonal cell, in Å.
    factor
        1 leaves everything in place.
    element
        Whose atoms move, along the last axis only; all others stay.

    Returns
    -------
    numpy.ndarray
        Shape ``(n, 3)``.
    """
    moved = np.array(positions, float)
    chosen = np.asarray(symbols) == element
    moved[chosen, 2] += (factor - 1) * layer_displacements(moved[chosen, 2], cell[2])[1]
    return moved


def fill_box(positions: np.ndarray, cell, margin: float = 0.05) -> tuple[np.ndarray, np.ndarray]:
    """
    Repeat a cell so that atoms on one face, edge or corner also appear on the opposite ones.

    Parameters
    ----------
    positions
        Shape ``(n, 3)`` in Å.
    cell
        Edges of the orthogonal cell in Å.
    margin
        How far outside the cell an atom may lie and still be drawn, in Å.

    Returns
    -------
    index : numpy.ndarray
        Shape ``(m,)``, which atom of the cell each drawn atom repeats.
    places : numpy.ndarray
        Shape ``(m, 3)``.
    """
    shifts = _neighbours(cell)
    places = (np.asarray(positions)[:, None] + shifts).reshape(-1, 3)
    inside = ((places > -margin) & (places < np.asarray(cell) + margin)).all(axis=1)
    return np.repeat(np.arange(len(positions)), len(shifts))[inside], places[inside]


def bipyramids(positions: np.ndarray, symbols, cell, centre="Mn", corner="O", reach: float = 2.3):
    """
    Find the trigonal bipyramids: the five corners around each centre, across the cell's borders too.

    Parameters
    ----------
    positions, symbols, cell
        Atoms in an orthogonal cell, lengths in Å; the axis of the bipyramids is the last coordinate.
    centre, corner
        Elements in the middle and at the corners.
    reach
        Largest distance of a corner from its centre in Å.

    Returns
    -------
    index : numpy.ndarray
        Shape ``(n,)``, the atoms in the middle.
    corner_index : numpy.ndarray
        Shape ``(n, 5)``, the atoms at the corners.
    corners : numpy.ndarray
        Shape ``(n, 5, 3)`` in Å, next to their centre: upper apex, lower apex, and the three of the base.

    Raises
    ------
    ValueError
        If a centre does not have exactly five corners within reach.
    """
    symbols, positions = np.asarray(symbols), np.asarray(positions, float)
    index, shifts = np.flatnonzero(symbols == centre), _neighbours(cell)
    pool_index = np.repeat(np.flatnonzero(symbols == corner), len(shifts))
    pool = (positions[symbols == corner][:, None] + shifts).reshape(-1, 3)
    chosen = []
    for atom in positions[index]:
        near = np.flatnonzero(np.linalg.norm(pool - atom, axis=1) < reach)
        if len(near) != 5:
            raise ValueError(f"{centre} at {np.round(atom, 2)} has {len(near)} {corner} within {reach:g} Å; a bipyramid has 5")
        chosen.append(near[np.argsort(pool[near, 2])[[4, 0, 1, 2, 3]]])
    chosen = np.array(chosen)
    return index, pool_index[chosen], pool[chosen]


def _neighbours(cell) -> np.ndarray:
    """Shifts to a cell and the 26 around it, shape (27, 3)."""
    return np.stack(np.meshgrid(*3 * [(-1, 0, 1)], indexing="ij"), axis=-1).reshape(-1, 3) * np.asarray(cell, float)
