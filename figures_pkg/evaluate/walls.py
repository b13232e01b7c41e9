"""
The walls between domains: where they are and of which kind, and whether channels tell the kinds apart.

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
from scipy.linalg import lstsq
from scipy.ndimage import distance_transform_edt, gaussian_filter, map_coordinates

from figures_pkg.data.axes import SCAN_DIMS
from figures_pkg.twin.domains import wall_type

from .scores import area_under_curve, step_nm

BLOCKS = 6  # along the longer side of the scan; a wall's neighbours share noise of the smoothing, blocks hardly do
CLEAR_STEPS = 1.5  # between a wall's visible edge and the nearest place that counts as beside it
PLACEBOS = (3.0, 3.5, 4.0)  # distances of placebo lines over that of a wall's sides; from 3 on nothing that spreads from the wall reaches them
FEWEST = 12  # places of each kind, less say nothing
UPRIGHT_DEG = 2.0  # largest inclination of a wall that counts as upright
CLEAR_AUC, CLEAR_GAIN = 0.9, 0.05  # what a probe has to reach, and by how much to beat every reference
WALL_WIDTH_NM = 10.0  # taken for every wall of a measured scan; those of the twin are 3 to 13 nm wide
COARSEST_NM = 10.0  # positions further apart say nothing of a wall
COURSE_NM = 8.0  # over which the course of a matched wall is smoothed
KINDS = {1: "head-to-head", -1: "tail-to-tail", 0: "neutral"}
SIGN_UNKNOWN = {1: "charge A", -1: "charge B", 0: "neutral"}


def walls_by_course(known: xr.Dataset, g002: tuple[float, float]) -> xr.Dataset:
    """
    What is known of a specimen, with its walls: those of a truth as they are, those of a measured scan by their course.

    Between matched domains P jumps by 2P, so the course of a wall against c tells its charge; ``g002``, (row, col) on the detector, is the
    direction of +c. That takes the detector's rows and columns for those of the scan: the rotation between the two is not on record. What
    comes from :func:`figures_pkg.evaluate.known.known_maps` gets ``polarization``, ±1; ``wall_width_nm``, 10 nm everywhere; ``wall_charge``
    and ``wall_type`` as a truth has them. With an unknown sign of P, head-to-head and tail-to-tail may be exchanged.
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


def vortex_charges(ends, c_axis) -> np.ndarray:
    """
    Bound charge of the straight walls of a vortex in units of 2P, (..., walls): ``(−1)^i sin(φ − θ_i)``, positive head-to-head.

    Wall i leaves the core at the angle θ_i, and +P points along c, at the angle φ; both count clockwise in a picture with y downward.

    Parameters
    ----------
    ends
        From the core to a place on each wall, (walls, 2) as (y, x) in any unit, clockwise; +P lies before the first wall, and ±P take turns.
    c_axis
        Direction of +c, unit vectors (..., 2) as (y, x).

    Notes
    -----
    On a wall that winds, charge adds up between core and end as on the straight one: along a course dr it is ±2P c × dr, whose integral
    depends on the end alone. Its mean along the course is smaller by the ratio of the two lengths.
    """
    ends = np.asarray(ends, float)
    ahead = np.stack([ends[:, 1], -ends[:, 0]], axis=1) / np.hypot(*ends.T)[:, None]  # unit normals towards the next domain
    return np.asarray(c_axis, float) @ ahead.T * (-1.0) ** np.arange(len(ends))


def wall_kinds(known: xr.Dataset) -> dict[int, str]:
    """What the kinds of ``wall_type`` are called; without the sign of P nobody knows which charge is which."""
    return KINDS if known.attrs.get("sign_known", 1) else SIGN_UNKNOWN


def wall_map(known: xr.Dataset, kind: int | None = None) -> np.ndarray:
    """1 on the walls, falling off over the width in which the beam crosses them; ``kind`` +1 head-to-head, −1 tail-to-tail, 0 neutral, None all."""
    reach = np.maximum(known.wall_width_nm.values / 2, step_nm(known))
    near = np.exp(-((known.wall_distance_nm.values / reach) ** 2))
    return near if kind is None else np.where(known.wall_type.values == kind, near, 0.0)


@dataclass(frozen=True)
class Contrast:
    """How well two kinds of walls are told apart: cross-validated AUCs of the linear probe, 0.5 is chance, nan where there are too few places."""

    at_wall: float
    placebo: tuple[float, ...]

    @property
    def worst_placebo(self) -> float:
        """The largest AUC without a wall; nan without a placebo. Below 0.5 the probe learned what does not hold elsewhere."""
        return max(filter(np.isfinite, self.placebo), default=float("nan"))


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

    A linear probe is trained on all but one block of the scan and applied to that; it knows the truth, so it says what could be read from the
    channels by anyone. The maps (channel, scan_y, scan_x) and the labels, from :func:`charge_labels` or :func:`inclination_labels`, are of one scan.
    """
    if maps.shape[1:] != labels.shape:
        raise ValueError(f"maps of {maps.shape[1:]} positions, labels of {labels.shape}; give maps and truth of one scan")
    if not ((labels > 0).any() and (labels < 0).any()):
        return Contrast(float("nan"), ())
    reach = float(truth.wall_width_nm.values[labels != 0].max()) / 2 + CLEAR_STEPS * step_nm(truth)  # beyond the widest of these walls
    placebo = tuple(_probe(maps, truth, labels, sign * far * reach, reach) for far in PLACEBOS for sign in (1, -1))
    return Contrast(_probe(maps, truth, labels, 0.0, reach), placebo)


def departures(maps: np.ndarray, truth: xr.Dataset, line_nm: float, reach_nm: float) -> tuple[np.ndarray, np.ndarray]:
    """
    What each channel has on a line beyond the mixture of both sides, ``reach_nm`` from it: r in the head of this module, (channels, places).

    The places, (row, column), lie within half a step of the line, and their sides in the scan and nearest to the same wall.
    """
    distance = truth.wall_distance_nm.values.astype(float)
    step = step_nm(truth)
    rows, columns = np.nonzero(np.abs(distance - line_nm) <= step / 2)
    normal = wall_normals(distance, step)[:, rows, columns]
    start = np.stack([rows, columns]) + normal * (line_nm - distance[rows, columns]) / step
    feet = {side: start + normal * side * reach_nm / step for side in (0, 1, -1)}
    kept = np.logical_and.reduce([_there(distance, truth, foot, line_nm + side * reach_nm, (rows, columns))
                                  for side, foot in feet.items()])
    feet = {side: foot[:, kept] for side, foot in feet.items()}
    values = {side: np.stack([map_coordinates(image, foot, order=1) for image in maps]) for side, foot in feet.items()}
    middle, ahead, behind = (map_coordinates(truth.polarization.values.astype(float), foot, order=1) for foot in feet.values())
    across = ahead - behind > 1  # else both sides are of one domain
    share = np.where(across, (middle - (ahead + behind) / 2) / np.where(across, ahead - behind, 1), 0)
    mixture = (values[1] + values[-1]) / 2 + share * (values[1] - values[-1])
    return values[0] - mixture, np.stack([rows, columns])[:, kept]


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


def _probe(maps: xr.DataArray, truth: xr.Dataset, labels: np.ndarray, line_nm: float, reach_nm: float) -> float:
    """Cross-validated AUC on one line; nan with too few places of a kind, or where all of a kind lie in one block."""
    found, where = departures(maps.values, truth, line_nm, reach_nm)
    kind = labels[tuple(where)]
    found, where, kind = found[:, kind != 0].T, where[:, kind != 0], kind[kind != 0]
    if min((kind > 0).sum(), (kind < 0).sum()) < FEWEST:
        return float("nan")
    blocks = where[np.argmax(np.ptp(where, axis=1))] * BLOCKS // (max(labels.shape))
    value = np.empty(len(found))
    for block in np.unique(blocks):
        others = blocks != block
        if not ((kind[others] > 0).any() and (kind[others] < 0).any()):
            return float("nan")
        value[~others] = discriminant(found[others], kind[others] > 0, found[~others])
    return area_under_curve(value, kind > 0, kind < 0)


def discriminant(samples: np.ndarray, first: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """
    Linear discriminant of two classes of samples (n, channels), at the rows ``asked``; positive in the first class.

    As scikit-learn's with shrinkage after Ledoit and Wolf, doi 10.1016/S0047-259X(03)00096-4, whose checks take ten times the arithmetic.
    """
    middle, spread = samples.mean(axis=0), _spread(samples)
    classes = [(samples[chosen] - middle) / spread for chosen in (first, ~first)]
    means = np.stack([values.mean(axis=0) for values in classes])
    priors = np.array([len(values) for values in classes]) / len(samples)
    within = sum(prior * _shrunk_covariance(values) for prior, values in zip(priors, classes))
    slopes = lstsq(within, means.T)[0].T
    offsets = np.log(priors) - (means * slopes).sum(axis=1) / 2
    return (asked - middle) / spread @ (slopes[0] - slopes[1]) + offsets[0] - offsets[1]


def _shrunk_covariance(values: np.ndarray) -> np.ndarray:
    """Covariance of channels (n, channels), in units of their standard deviations drawn to that of equal, independent ones."""
    spread, (n, channels) = _spread(values), values.shape
    scaled = (values - values.mean(axis=0)) / spread
    plain = scaled.T @ scaled / n
    equal = np.trace(plain) / channels * np.eye(channels)
    error, distance = ((scaled**2).T @ scaled**2).sum() / n**2 - (plain**2).sum() / n, ((plain - equal) ** 2).sum()
    share = min(error / distance, 1.0) if distance > 0 and channels > 1 else 0.0
    return np.outer(spread, spread) * ((1 - share) * plain + share * equal)


def _spread(values: np.ndarray) -> np.ndarray:
    """Standard deviation of each channel, 1 for one that is constant but for rounding."""
    variance, rounding = values.var(axis=0), len(values) * np.finfo(float).eps
    constant = variance <= rounding * variance + (rounding * values.mean(axis=0)) ** 2
    return np.where(constant, 1.0, np.sqrt(variance))
