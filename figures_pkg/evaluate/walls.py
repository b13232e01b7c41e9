"""
The walls between domains: where they are and of which kind, whether channels tell the kinds apart, and how sharp they look.

Two walls stand at two places, and any map that follows bend or thickness differs between these. A high AUC of head-to-head
against tail-to-tail walls therefore proves nothing alone. Two things are done about it. First, what is compared is not the
value on the wall but its departure from the mixture of both sides,

    r = c(0) − ½ [c(d) + c(−d)] − s [c(d) − c(−d)],    s = [p(0) − ½ (p(d) + p(−d))] / [p(d) − p(−d)],

where c(x) is the channel at the signed distance x from the wall, p the share of +P less that of −P in the pattern, and s = 0
where both sides are the same domain. A channel that follows fields which are straight over 2d, and adds up domains, has r = 0
on the middle of a wall. Second, the same is done along placebo lines, the courses of the same walls displaced into the
domains, where there is no wall. What is told apart there is not the walls.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy.ndimage import distance_transform_edt, gaussian_filter, map_coordinates
from scipy.optimize import curve_fit
from scipy.special import erf
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from figures_pkg.data.axes import SCAN_DIMS
from figures_pkg.twin.domains import wall_type

from .scores import area_under_curve, step_nm

BLOCKS = 6  # along the longer side of the scan; a wall's neighbours share noise of the smoothing, blocks hardly do
CLEAR_STEPS = 1.5  # between a wall's visible edge and the nearest place that counts as beside it
# Distances of placebo lines from the wall, on either side, over that of a wall's sides from it. From 3 on neither a line nor its
# sides touch what the probe, or the smoothing of a method, spreads from the wall.
PLACEBOS = (3.0, 3.5, 4.0)
FEWEST = 12  # places of each kind, less say nothing
UPRIGHT_DEG = 2.0  # largest inclination of a wall that counts as upright
EDGE_REACH_NM = 40.0  # positions this far from a wall take part in the fit of its width
CLEAR_AUC, CLEAR_GAIN = 0.9, 0.05  # what a probe has to reach, and by how much to beat every reference
TEN_TO_NINETY = 2.5631  # width from 10 to 90 % of an error function, in standard deviations
WALL_WIDTH_NM = 10.0  # taken for every wall of a measured scan; those of the twin are 3 to 13 nm wide
COARSEST_NM = 10.0  # positions further apart say nothing of a wall
COURSE_NM = 8.0  # over which the course of a matched wall is smoothed
KINDS = {1: "head-to-head", -1: "tail-to-tail", 0: "neutral"}
SIGN_UNKNOWN = {1: "charge A", -1: "charge B", 0: "neutral"}


def walls_by_course(known: xr.Dataset, g002: tuple[float, float]) -> xr.Dataset:
    """
    What is known of a specimen, with its walls: those of a truth as they are, those of a measured scan by their course.

    Between matched domains P jumps by 2P, so the course of a wall against c tells its charge; ``g002``, (row, col) on the detector, is the
    direction of +c. That takes the detector's rows and columns for those of the scan, since the rotation between the two is not on
    record. Which mirror variant a wall is cannot be told. What comes from :func:`figures_pkg.evaluate.known.known_maps` gets
    ``polarization``, ±1; ``wall_width_nm``, 10 nm everywhere; ``wall_charge`` and ``wall_type`` as a truth has them. With an unknown sign of
    P, head-to-head and tail-to-tail may be exchanged.
    """
    if known.attrs.get("basis", "truth") == "truth":
        return known
    side = np.where(known.wall_distance_nm.values > 0, 1.0, -1.0)
    step = step_nm(known)
    normal = -np.stack(np.gradient(gaussian_filter(side, max(COURSE_NM / step, 1.0))))  # out of +P
    charge = np.tensordot(np.array(g002) / np.hypot(*g002), normal / np.maximum(np.hypot(*normal), 1e-12), 1)
    on_wall = np.abs(known.wall_distance_nm.values) < step
    if on_wall.any():
        charge = charge[tuple(distance_transform_edt(~on_wall, return_distances=False, return_indices=True))]
    distance = 0.999 * known.wall_distance_nm.values  # positions on both sides of a wall are half a step from it, and count as on it
    found = {"polarization": side, "wall_distance_nm": distance, "wall_width_nm": np.full(side.shape, WALL_WIDTH_NM),
             "wall_charge": charge, "wall_type": wall_type(charge)}  # fmt: skip
    return known.assign({name: (SCAN_DIMS, values, known[name].attrs if name in known else {}) for name, values in found.items()})


def wall_kinds(known: xr.Dataset) -> dict[int, str]:
    """What the kinds of ``wall_type`` are called; without the sign of P nobody knows which charge is which."""
    return KINDS if known.attrs.get("sign_known", 1) else SIGN_UNKNOWN


def wall_map(known: xr.Dataset, kind: int | None = None) -> np.ndarray:
    """
    A map that is 1 on the walls and falls off on both sides, over the width in which the beam crosses the wall.

    ``kind`` is +1 for head-to-head walls alone, −1 for tail-to-tail, 0 for neutral ones; by default all.
    """
    step = step_nm(known)
    reach = np.maximum(known.wall_width_nm.values / 2, step)
    near = np.exp(-((known.wall_distance_nm.values / reach) ** 2))
    return near if kind is None else np.where(known.wall_type.values == kind, near, 0.0)


@dataclass(frozen=True)
class Contrast:
    """How well two kinds of walls are told apart: cross-validated AUCs of the linear probe, 0.5 is chance, nan where there are too few places."""

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


def inclination_labels(truth: xr.Dataset) -> np.ndarray:
    """+1 nearest to an inclined wall, −1 nearest to an upright one (up to 2°) where both kinds are there, else 0 everywhere."""
    inclined = np.abs(truth.wall_inclination_deg.values) > UPRIGHT_DEG
    if not np.isfinite(truth.wall_distance_nm.values).all() or inclined.all() or not inclined.any():
        return np.zeros(inclined.shape, int)
    return np.where(inclined, 1, -1)


def wall_contrast(maps: xr.DataArray, truth: xr.Dataset, labels: np.ndarray) -> Contrast:
    """
    Tell two kinds of walls apart from all channels of a method, at the walls and along placebo lines.

    A linear probe (discriminant analysis with shrinkage) is trained on all but one block of the scan and applied to that; it
    knows the truth, so it says what could be read from the channels by anyone, not what a method finds by itself. The maps
    (channel, scan_y, scan_x) and the labels, from :func:`charge_labels` or :func:`inclination_labels`, are of one scan.
    """
    if maps.shape[1:] != labels.shape:
        raise ValueError(f"maps of {maps.shape[1:]} positions, labels of {labels.shape}; give maps and truth of one scan")
    if not ((labels > 0).any() and (labels < 0).any()):
        return Contrast(float("nan"), (), (0, 0))
    reach = float(truth.wall_width_nm.values[labels != 0].max()) / 2 + CLEAR_STEPS * step_nm(truth)  # beyond the widest of these walls
    at_wall, places = _probe(maps, truth, labels, 0.0, reach)
    placebo = tuple(_probe(maps, truth, labels, sign * far * reach, reach)[0] for far in PLACEBOS for sign in (1, -1))
    return Contrast(at_wall, placebo, places)


def departures(maps: np.ndarray, truth: xr.Dataset, line_nm: float, reach_nm: float) -> tuple[np.ndarray, np.ndarray]:
    """
    What each channel has on a line beyond the mixture of both sides, r in the head of this module.

    The line lies at a signed distance from the wall, its sides ``reach_nm`` from it. Returns (channels, places), and the places as
    (row, column) integers (2, places): those within half a step of the line whose sides lie in the scan and are nearest to the same wall.
    """
    distance = truth.wall_distance_nm.values.astype(float)
    step = step_nm(truth)
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
    inside = np.logical_and(foot >= 0, foot <= np.array(distance.shape)[:, None] - 1).all(axis=0)
    near = np.rint(np.clip(foot, 0, np.array(distance.shape)[:, None] - 1)).astype(int)
    same = truth.wall_charge.values[tuple(near)] * truth.wall_charge.values[start] > 0
    return inside & same & (np.abs(map_coordinates(distance, foot, order=1, mode="nearest") - wanted_nm) <= step_nm(truth))


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


class TooCoarse(ValueError):
    """The positions lie too far apart for the width that is asked for."""


def edge_width_nm(image: np.ndarray, distance_nm: np.ndarray, needed_nm: float) -> float:
    """
    Width of a step across a wall, from 10 to 90 %, by a fit of an error function to a map of the domains.

    A wall that runs askew over the grid of positions is met at all (signed) distances, so widths below a step can be measured. If the
    distances that occur near the wall lie further apart than the width that must be told, it is :class:`TooCoarse`.
    """
    near = np.abs(distance_nm) <= EDGE_REACH_NM
    x, y = distance_nm[near].astype(float), image[near].astype(float)
    gap = np.diff(np.sort(x[np.abs(x) <= EDGE_REACH_NM / 4])).max(initial=0.0)
    if not 0 < gap <= needed_nm:
        raise TooCoarse(f"distances from the wall lie up to {gap:.1f} nm apart; {needed_nm:g} nm cannot be told")
    start = (y[x < 0].mean(), y[x > 0].mean(), 0.0, EDGE_REACH_NM / 8)
    _, _, _, deviation = curve_fit(_edge, x, y, start)[0]
    return float(TEN_TO_NINETY * abs(deviation))


def step_sign_share(image: np.ndarray, truth: xr.Dataset, reach_nm: float, where: np.ndarray | None = None) -> float:
    """
    Share of the places on walls at which an image steps the way that most of them do, from −P to +P.

    1: every place shows the same step; a half: what is seen has nothing to do with the domains. Both sides, ``reach_nm`` from the wall,
    must lie in the field, and in ``where`` if it is given; if no place has them, it is a ValueError.
    """
    distance = truth.wall_distance_nm.values.astype(float)
    step = step_nm(truth)
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


def sign_changes(image: np.ndarray, centre_row_col: tuple[float, float], radius: float) -> int:
    """
    How often a map changes its sign on a circle, as two plateaus around a vortex core do from wall to wall.

    Zero parts both kinds of domain; centre and radius are in positions. Short excursions, less than a twenty-fourth of the circle, do
    not count: they are noise.
    """
    angle = np.linspace(0, 2 * np.pi, 360, endpoint=False)
    places = np.reshape(centre_row_col, (2, 1)) + radius * np.stack([np.sin(angle), np.cos(angle)])
    values = map_coordinates(np.asarray(image, float), places, order=1, mode="nearest")
    smooth = np.convolve(np.concatenate([np.sign(values)] * 3), np.ones(15) / 15, mode="same")[360:720]
    sign = np.where(smooth >= 0, 1, -1)
    return int(np.count_nonzero(sign != np.roll(sign, 1)))


def _edge(x, low, high, centre, deviation):
    return low + (high - low) / 2 * (1 + erf((x - centre) / (np.sqrt(2) * deviation)))
