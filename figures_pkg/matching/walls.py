"""Position, width and inclination of walls, from all patterns around a piece of them at once.

Five models are compared on every straight piece of the line where the polarization changes sign: an upright wall, whose patterns are mixtures of
+P and -P, and walls inclined either way, whose patterns are those of columns with one domain above the other, each for both mirror variants of the
wall. Thickness and tilts are smooth, so they are taken from the positions around.
"""

from dataclasses import dataclass

import numpy as np
import xarray as xr
from contourpy import contour_generator
from scipy.ndimage import gaussian_filter
from scipy.optimize import least_squares
from scipy.spatial import cKDTree

from figures_pkg.data.axes import SCAN_DIMS
from figures_pkg.twin.domains import polarization_weight
from figures_pkg.twin.walls import Columns, across_wall, build_columns

from .matcher import FITTED, Matcher, weights_of

SMOOTH = 1.0  # positions over which the polarization is smoothed before its zero line is drawn
POINT_NM = 1.0  # between the points of a line
REACH_NM = 14.0  # positions up to here from a line belong to it
CLEAR_NM = 10.0  # positions nearer to a line do not tell thickness and tilts
AROUND_NM = 60.0  # positions up to here from a piece do
STEEPEST = 0.35  # slope of a wall; the tangent of 19 degrees
STARTS_NM, STARTS = (-5.0, 0.0, 5.0), (0.06, 0.18)  # offsets from the line of the piece, and slopes
MODELS = ((0, 1), (1, 1), (-1, 1), (1, -1), (-1, -1))  # sign of the slope, and turn of the phase
DISTANCES_NM = np.arange(-16.0, 16.01, 0.25)  # from the wall, tried for every pattern by itself

ALONE = {"distance_nm": "nm", "share": "1", "line_nm": "nm", "piece": "1"}  # of every pattern
UNITS = {
    "y_nm": ("nm", "place of the wall at mid thickness, downward"),
    "x_nm": ("nm", "place of the wall at mid thickness, to the right"),
    "normal_y": ("1", "unit normal into +P, downward"),
    "normal_x": ("1", "unit normal into +P, to the right"),
    "position_nm_error": ("nm", "standard deviation of the place along the normal"),
    "width_nm": ("nm", "over which the wall is seen along the beam; negative where the beam meets -P first"),
    "width_nm_error": ("nm", "its standard deviation"),
    "inclination_deg": ("degree", "of the wall against the beam, positive where the beam meets +P first"),
    "inclination_deg_error": ("degree", "its standard deviation"),
    "turn": ("1", "of the phase from +P to -P in units of 60 degrees, the mirror variant; 0 where the wall is upright"),
    "order_log_likelihood_ratio": ("1", "of the model over the best with another order of the domains, an upright wall among them"),
    "turn_log_likelihood_ratio": ("1", "of the model over the same with the other mirror variant"),
    "chi2": ("1", "chi squared per degree of freedom"),
    "chi2_upright": ("1", "the same for the best mixture of both domains"),
    "thickness_nm": ("nm", "thickness around the piece"),
    "length_nm": ("nm", "length of the piece"),
    "wall": ("1", "which line the piece belongs to"),
    "positions": ("1", "number of patterns"),
}


@dataclass(frozen=True)
class Piece:
    """A straight piece of a wall, and the positions (row, column) that lie nearer to it than to another piece."""

    centre_nm: np.ndarray  # (y, x)
    normal: np.ndarray  # unit vector (y, x) into the +P domain
    wall: int  # which wall it belongs to, from 0
    index: np.ndarray  # (p, 2)
    distance_nm: np.ndarray  # (p,) from the piece's line, positive in +P
    along_nm: np.ndarray  # (p,) along the line from its centre
    along: np.ndarray  # unit vector (y, x) of the line


def find_pieces(maps: xr.Dataset, length_nm: float) -> list[Piece]:
    """Pieces of roughly ``length_nm`` of the walls in a map of polarization, with the positions up to 14 nm from them; none of shorter lines."""
    y, x = maps.scan_y.values, maps.scan_x.values
    smooth = gaussian_filter(maps.polarization.values.astype(float), SMOOTH, mode="nearest")
    lines = [line[:, ::-1] for line in contour_generator(x, y, smooth).lines(0.0)]
    cut: list[tuple[int, np.ndarray]] = []  # walls, and the evenly spaced points of their equal parts
    for line in lines:
        arc = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
        if arc[-1] >= length_nm:
            parts = max(int(round(arc[-1] / length_nm)), 1)
            at = np.linspace(0, arc[-1], max(int(arc[-1] / POINT_NM), 2 * parts))
            points, wall = np.stack([np.interp(at, arc, column) for column in line.T], axis=1), cut[-1][0] + 1 if cut else 0
            cut += [(wall, part) for part in np.array_split(points, parts)]
    if not cut:
        return []
    owner = np.repeat(np.arange(len(cut)), [len(points) for _, points in cut])
    places = np.stack(np.meshgrid(y, x, indexing="ij"), axis=-1).reshape(-1, 2)
    away, nearest = cKDTree(np.concatenate([points for _, points in cut])).query(places)
    owner = np.where(away <= REACH_NM, owner[nearest], -1)
    pieces = []
    for number, (wall, points) in enumerate(cut):
        mine, centre = np.flatnonzero(owner == number), points.mean(axis=0)
        along = np.linalg.svd(points - centre, full_matrices=False)[2][0]
        normal = np.array([-along[1], along[0]])
        away = places[mine] - centre
        if np.dot(away @ normal, smooth.ravel()[mine]) < 0:
            normal = -normal
        if len(mine) >= 8:
            pieces.append(Piece(centre, normal, wall, np.stack(np.unravel_index(mine, smooth.shape), axis=1), away @ normal, away @ along, along))
    return pieces


def measure_walls(maps: xr.Dataset, matcher: Matcher, convergence_mrad: float, length_nm: float = 20.0, probe_fwhm_nm: float = 2.0,
                  columns: dict[int, Columns] | None = None) -> tuple[xr.Dataset, xr.Dataset]:
    """Find the walls in a match, simulate the columns under them, fit every piece, and then every pattern around it by itself.

    ``maps`` come from :func:`figures_pkg.matching.match` with ``discs=True`` and this ``matcher``; ``convergence_mrad`` is the half angle of the beam's
    cone, ``length_nm`` that of the pieces, roughly, and ``probe_fwhm_nm`` the full width at half maximum of the probe: a wrong one is taken for width of
    the wall. ``columns`` are those of :func:`figures_pkg.twin.walls.build_columns` for turns of 1 and -1, if they are there already.

    Returns
    -------
    walls : Dataset
        On (piece,), the variables of `UNITS`. The errors hold counting noise, the floor of the weights, and what makes the patterns of a piece disagree:
        that the wall is bent, or another one near. They do not hold what is wrong for all of them alike, such as the width of the probe, or what a
        charged wall scatters by itself: it is taken for up to 1 nm of place or width. Where three walls meet no piece is right; chi squared says so.
    patterns : Dataset
        On (scan_y, scan_x), nan away from walls: ``distance_nm`` of each pattern from the wall's middle, positive in +P, where the slope is that of its
        piece and nothing else is known of the pattern, and ``share``, the weight of +P there; ``line_nm``, its distance from the line of its ``piece``.
        A map without a wall is a ValueError.
    """
    pieces = find_pieces(maps, length_nm)
    if not pieces:
        raise ValueError(f"the polarization changes sign along no line of {length_nm:g} nm; there is no wall to measure")
    clear = ~maps.poor_fit.values  # and away from all lines
    for piece in pieces:
        at = tuple(piece.index.T)
        clear[at] &= np.abs(piece.distance_nm) > CLEAR_NM
    states = []  # tilt b, tilt c and thickness at the positions of each piece, from second-order surfaces through what lies around, (p, 3)
    for piece in pieces:
        y, x = np.meshgrid(maps.scan_y.values - piece.centre_nm[0], maps.scan_x.values - piece.centre_nm[1], indexing="ij")
        near = clear & (np.hypot(y, x) < AROUND_NM)
        near = near if near.sum() >= 12 else clear
        terms = np.stack([np.ones_like(y), y, x, y * y, y * x, x * x], axis=-1)
        values = np.stack([maps[name].values[near] for name in FITTED], axis=-1).astype(float)
        states.append(terms[tuple(piece.index.T)] @ np.linalg.lstsq(terms[near], values, rcond=None)[0])
    if columns is None:
        ends = np.min(np.concatenate(states), axis=0), np.max(np.concatenate(states), axis=0)
        columns = {turn: build_columns(matcher.library.g, *ends, convergence_mrad, turn) for turn in (1, -1)}
    rows, alone = [], {name: np.full(maps.polarization.shape, np.nan, np.float32) for name in ALONE}
    for number, (piece, state) in enumerate(zip(pieces, states)):
        patterns = _Patterns(piece, maps, state, matcher, columns, probe_fwhm_nm)
        row, model, line = _fit_piece(patterns)
        rows.append(row)
        for name, values in zip(ALONE, (*patterns.one_by_one(*model), line, number)):
            alone[name][tuple(piece.index.T)] = values
    variables = {name: ("piece", np.array([row[name] for row in rows], float), {"units": unit, "long_name": text}) for name, (unit, text) in UNITS.items()}
    each = {name: (SCAN_DIMS, alone[name], {"units": unit}) for name, unit in ALONE.items()}
    return xr.Dataset(variables, attrs={"probe_fwhm_nm": probe_fwhm_nm}), xr.Dataset(each, {dim: maps[dim] for dim in SCAN_DIMS})


class _Patterns:
    """The patterns of one piece, and what each model says of them."""

    def __init__(self, piece, maps, states, matcher, columns, probe_fwhm_nm):
        at = tuple(piece.index.T)
        self.piece, self.thickness, self.probe, self.columns = piece, states[:, 2], probe_fwhm_nm, columns
        self.data = maps.discs.values[at].astype(float)
        self.root = np.sqrt(weights_of(self.data, maps.discs_variance.values[at].astype(float), matcher.systematic)[1])
        self.plus, self.minus = np.moveaxis([matcher.library.at(state) for state in states], 1, 0)
        self.differences = {turn: np.moveaxis([each.at(state) for state in states], 1, 0) for turn, each in columns.items()}

    def residuals(self, model, distance, slope):
        """Weighted residuals (p, n) of patterns at some distances from the wall, their scales fitted."""
        sign, turn = model
        inclined = (sign * slope, self.differences[turn][(1 - sign) // 2], self.columns[turn].first_depth) if sign else ()
        expected = self.root * across_wall(self.plus, self.minus, distance, self.thickness, self.probe, *inclined)
        seen = self.root * self.data
        scale = np.sum(seen * expected, axis=1) / np.maximum(np.sum(expected * expected, axis=1), 1e-30)
        return seen - np.maximum(scale, 0)[:, None] * expected

    def at_place(self, model, place):
        """The same (p · n,) for a wall of an offset (nm), a lean and, unless upright, a slope."""
        return self.residuals(model, self.from_line(place), place[2] if model[0] else 0.0).ravel()

    def from_line(self, place):
        """Distance of each pattern from a line of an offset (nm) and a lean, shape (p,)."""
        return (self.piece.distance_nm - place[0] - place[1] * self.piece.along_nm) / np.hypot(1, place[1])

    def fit(self, model):
        """The best of several starts: chi squared, place and its covariance."""
        slopes = [(slope,) for slope in STARTS] if model[0] else [()]
        starts = [np.array([offset, 0.0, *slope]) for offset in STARTS_NM for slope in slopes]
        start = min(starts, key=lambda place: np.sum(self.at_place(model, place) ** 2))
        size = len(start)
        bounds = (np.array([-12, -0.6, 0.005])[:size], np.array([12, 0.6, STEEPEST])[:size])
        found = least_squares(lambda place: self.at_place(model, place), start, bounds=bounds,
                              x_scale=np.array([1, 0.1, 0.05])[:size], diff_step=1e-3, ftol=1e-5)
        # The covariance comes from counting and the floor, or from how patterns disagree about the place where that is more: where the wall is no
        # straight line, another one is near, or thickness or tilts around are off. Each moves all discs of a pattern together, which chi squared
        # over all discs hardly notices.
        inverse, count = np.linalg.pinv(found.jac.T @ found.jac), len(self.data)
        pulls = np.einsum("pnk,pn->pk", found.jac.reshape(count, -1, size), found.fun.reshape(count, -1))
        between = inverse @ (pulls.T @ pulls * count / (count - size)) @ inverse
        ratio = np.sqrt(np.maximum(np.diag(between) / np.diag(inverse), 1))
        return 2 * found.cost, found.x, inverse * np.outer(ratio, ratio)

    def one_by_one(self, model, slope):
        """Distance of each pattern from the wall and the weight of +P in it, shape (p,) each."""
        chi2 = [np.sum(self.residuals(model, np.full(len(self.data), each), slope) ** 2, axis=1) for each in DISTANCES_NM]
        distance = DISTANCES_NM[np.argmin(chi2, axis=0)]
        return distance, (1 + polarization_weight(distance, self.thickness * slope, self.probe)) / 2


def _fit_piece(patterns):
    """One row of the result, the model with its slope, and the distances from the line."""
    fits = {model: patterns.fit(model) for model in MODELS}
    (sign, turn), thickness = min(fits, key=lambda model: fits[model][0]), float(patterns.thickness.mean())
    chi2, place, covariance = fits[sign, turn]
    degrees = patterns.data.size - len(patterns.data) - len(place)
    error = np.append(np.sqrt(np.diag(covariance)), np.nan)
    slope, slope_error = (sign * place[2], error[2]) if sign else (0.0, np.nan)
    others = {"order": min(fit[0] for model, fit in fits.items() if model[0] != sign), "turn": fits[sign, -turn][0] if sign else np.nan}
    piece = patterns.piece
    (y, x), normal = piece.centre_nm + place[0] * piece.normal, (piece.normal - place[1] * piece.along) / np.hypot(1, place[1])
    row = {f"{name}_log_likelihood_ratio": (other - chi2) / 2 for name, other in others.items()} | {
        "y_nm": y, "x_nm": x, "normal_y": normal[0], "normal_x": normal[1], "position_nm_error": error[0], "length_nm": np.ptp(piece.along_nm),
        "width_nm": slope * thickness, "width_nm_error": slope_error * thickness, "thickness_nm": thickness, "turn": turn * abs(sign),
        "inclination_deg": np.degrees(np.arctan(slope)), "inclination_deg_error": np.degrees(slope_error / (1 + slope**2)),
        "chi2": chi2 / degrees, "chi2_upright": fits[0, 1][0] / degrees, "wall": piece.wall, "positions": len(patterns.data),
    }
    return row, ((sign, turn), abs(slope)), patterns.from_line(place)
