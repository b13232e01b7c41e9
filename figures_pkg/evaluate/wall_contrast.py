"""Do channels tell two kinds of walls apart by the walls themselves, or only because bend and thickness differ between places?

Two walls stand at two places, and any map that follows bend or thickness differs between these. A high AUC of head-to-head
against tail-to-tail walls therefore proves nothing alone. Two things are done about it. First, what is compared is not the
value on the wall but its departure from the mixture of both sides,

    r = c(0) − ½ [c(d) + c(−d)] − s [c(d) − c(−d)],    s = [p(0) − ½ (p(d) + p(−d))] / [p(d) − p(−d)],

where c(x) is the channel at the signed distance x from the wall, p the share of +P less that of −P in the pattern, and s = 0
where both sides are the same domain. A channel that follows fields which are straight over 2d, and adds up domains, has r = 0
on the middle of a wall. Second, the same is done along placebo lines,
the courses of the same walls displaced into the domains, where there is no wall. What is told apart there is not the walls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy.ndimage import gaussian_filter, map_coordinates
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from .scores import area_under_curve

BLOCKS = 6  # along the longer side of the scan; a wall's neighbours share noise of the smoothing, blocks hardly do
CLEAR_STEPS = 1.5  # between a wall's visible edge and the nearest place that counts as beside it
PLACEBOS = (3.0, 3.5, 4.0)  # distances of placebo lines from the wall, on either side, over that of a wall's sides from it
FEWEST = 12  # places of each kind, less say nothing
CLEAR_AUC, CLEAR_GAIN = 0.9, 0.05  # what a probe has to reach, and by how much to beat every reference


@dataclass(frozen=True)
class Contrast:
    """
    How well two kinds of walls are told apart.

    Parameters
    ----------
    at_wall
        Cross-validated AUC of the linear probe at the walls; 0.5 is chance; nan where there are too few places.
    placebo
        The same along the placebo lines, one value for each displacement.
    places
        Number of places of each kind at the walls, first kind first.
    """

    at_wall: float
    placebo: tuple[float, ...]
    places: tuple[int, int]

    @property
    def worst_placebo(self) -> float:
        """The largest AUC without a wall; nan without a placebo. Below 0.5 the probe learned what does not hold elsewhere."""
        values = [value for value in self.placebo if np.isfinite(value)]
        return max(values) if values else float("nan")

    @property
    def seen(self) -> bool:
        """Whether the walls are told apart better than any placebo, and clearly: above 0.9."""
        return bool(self.at_wall > max(CLEAR_AUC, self.worst_placebo))


def charge_labels(truth: xr.Dataset) -> np.ndarray:
    """+1 nearest to a head-to-head wall, −1 nearest to a tail-to-tail wall, 0 elsewhere; (scan_y, scan_x)."""
    return np.sign(truth.wall_type.values).astype(int)


def inclination_labels(truth: xr.Dataset, limit_deg: float = 2.0) -> np.ndarray:
    """+1 nearest to an inclined wall, −1 nearest to an upright one where both kinds are there, else 0 everywhere."""
    inclined = np.abs(truth.wall_inclination_deg.values) > limit_deg
    if not np.isfinite(truth.wall_distance_nm.values).all() or inclined.all() or not inclined.any():
        return np.zeros(inclined.shape, int)
    return np.where(inclined, 1, -1)


def wall_contrast(maps: xr.DataArray, truth: xr.Dataset, labels: np.ndarray, placebos: Sequence[float] = PLACEBOS) -> Contrast:
    """
    Tell two kinds of walls apart from all channels of a method, at the walls and along placebo lines.

    A linear probe (discriminant analysis with shrinkage) is trained on all but one block of the scan and applied to that; it
    knows the truth, so it says what could be read from the channels by anyone, not what a method finds by itself.

    Parameters
    ----------
    maps
        (channel, scan_y, scan_x).
    truth
        Of the same scan.
    labels
        From :func:`charge_labels` or :func:`inclination_labels`.
    placebos
        Distances of the placebo lines, on either side of the walls, in units of :func:`side_distance_nm`. From 3 on neither a
        line nor its sides touch what the probe, or the smoothing of a method, spreads from the wall.

    Raises
    ------
    ValueError
        If maps and truth have different positions.
    """
    if maps.shape[1:] != labels.shape:
        raise ValueError(f"maps of {maps.shape[1:]} positions, labels of {labels.shape}; give maps and truth of one scan")
    if not ((labels > 0).any() and (labels < 0).any()):
        return Contrast(float("nan"), (), (0, 0))
    reach = side_distance_nm(truth, labels)
    at_wall, places = _probe(maps, truth, labels, 0.0, reach)
    placebo = tuple(_probe(maps, truth, labels, sign * far * reach, reach)[0] for far in placebos for sign in (1, -1))
    return Contrast(at_wall, placebo, places)


def side_distance_nm(truth: xr.Dataset, labels: np.ndarray) -> float:
    """How far from a wall its sides are looked at: beyond the widest of these walls, in nm."""
    step_nm = abs(float(truth.scan_x[1] - truth.scan_x[0]))
    return float(truth.wall_width_nm.values[labels != 0].max()) / 2 + CLEAR_STEPS * step_nm


def departures(maps: np.ndarray, truth: xr.Dataset, line_nm: float, reach_nm: float) -> tuple[np.ndarray, np.ndarray]:
    """
    What each channel has on a line beyond the mixture of both sides, r of this module's head.

    Parameters
    ----------
    maps
        (channels, scan_y, scan_x).
    truth
        With ``wall_distance_nm``, ``wall_type`` and ``polarization``.
    line_nm
        Signed distance of the line from the wall, 0 for the wall itself.
    reach_nm
        d, the distance of both sides from the line.

    Returns
    -------
    departures, where
        (channels, places), and the places as (row, column) integers (2, places): those within half a step of the line whose
        sides lie in the scan and are nearest to the same wall.
    """
    distance = truth.wall_distance_nm.values.astype(float)
    step = abs(float(truth.scan_x[1] - truth.scan_x[0]))
    rows, columns = np.nonzero(np.abs(distance - line_nm) <= step / 2)
    normal = wall_normals(distance, step)[:, rows, columns]
    start = np.stack([rows, columns]) + normal * (line_nm - distance[rows, columns]) / step
    feet = {side: start + normal * side * reach_nm / step for side in (0, 1, -1)}
    kept = np.logical_and.reduce([_there(distance, truth, foot, line_nm + side * reach_nm, (rows, columns))
                                  for side, foot in feet.items()])
    values = {side: np.stack([map_coordinates(image, foot[:, kept], order=1) for image in maps]) for side, foot in feet.items()}
    share = _share(*(map_coordinates(truth.polarization.values.astype(float), foot[:, kept], order=1) for foot in feet.values()))
    mixture = (values[1] + values[-1]) / 2 + share * (values[1] - values[-1])
    return values[0] - mixture, np.stack([rows, columns])[:, kept]


def _share(middle: np.ndarray, ahead: np.ndarray, behind: np.ndarray) -> np.ndarray:
    """Where the middle lies between both sides, from −½ to ½; 0 where these are of one domain."""
    across = ahead - behind > 1
    return np.where(across, (middle - (ahead + behind) / 2) / np.where(across, ahead - behind, 1), 0)


def wall_normals(distance: np.ndarray, step: float) -> np.ndarray:
    """Unit vectors towards larger distances, (2, scan_y, scan_x)."""
    gradient = np.stack(np.gradient(gaussian_filter(distance, 1.0), step))
    return gradient / np.maximum(np.hypot(*gradient), 1e-9)


def _there(distance: np.ndarray, truth: xr.Dataset, foot: np.ndarray, wanted_nm: float, start) -> np.ndarray:
    """Whether places lie in the scan, at the distance wanted, and nearest to a wall of the same kind as where they started."""
    step = abs(float(truth.scan_x[1] - truth.scan_x[0]))
    inside = np.logical_and(foot >= 0, foot <= np.array(distance.shape)[:, None] - 1).all(axis=0)
    near = np.rint(np.clip(foot, 0, np.array(distance.shape)[:, None] - 1)).astype(int)
    same = truth.wall_charge.values[tuple(near)] * truth.wall_charge.values[start] > 0
    return inside & same & (np.abs(map_coordinates(distance, foot, order=1, mode="nearest") - wanted_nm) <= step)


def _probe(maps: xr.DataArray, truth: xr.Dataset, labels: np.ndarray, line_nm: float, reach_nm: float):
    """Cross-validated AUC on one line, and the number of places of each kind."""
    found, where = departures(maps.values, truth, line_nm, reach_nm)
    kind = labels[tuple(where)]
    found, where, kind = found[:, kind != 0].T, where[:, kind != 0], kind[kind != 0]
    places = int((kind > 0).sum()), int((kind < 0).sum())
    if min(places) < FEWEST:
        return float("nan"), places
    blocks = where[np.argmax(np.ptp(where, axis=1))] * BLOCKS // (max(labels.shape))
    model = make_pipeline(StandardScaler(), LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"))
    folds = GroupKFold(min(BLOCKS, len(np.unique(blocks))))
    value = cross_val_predict(model, found, kind > 0, groups=blocks, cv=folds, method="decision_function")
    return area_under_curve(value, kind > 0, kind < 0), places
