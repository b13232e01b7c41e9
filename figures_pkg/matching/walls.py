"""Position, width and inclination of walls, from all patterns around a piece of them at once.

Near a wall neither domain describes a pattern. Three models are compared on every piece: an upright wall, whose patterns are mixtures
of +P and -P, and walls inclined either way, whose patterns are those of columns with one domain above the other. Thickness and
tilts are not fitted again: they are smooth, so they are taken from the positions around.
"""

import numpy as np
import xarray as xr
from scipy.optimize import least_squares

from .columns import Columns, across_wall
from .fit import predict
from .matcher import Matcher, weights_of
from .wall_pieces import Piece, find_pieces, wall_distance

FITTED = ("tilt_b_mrad", "tilt_c_mrad", "thickness_nm")
CLEAR_NM = 10.0  # positions nearer to a line do not tell thickness and tilts
AROUND_NM = 60.0  # positions up to here from a piece do
STEEPEST = 0.35  # slope of a wall; the tangent of 19 degrees
STARTS_NM, STARTS = (-5.0, 0.0, 5.0), (0.06, 0.18)  # offsets from the line of the piece, and slopes

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
    "order_log_likelihood_ratio": ("1", "of the better order of the domains over the other, and over an upright wall"),
    "chi2": ("1", "chi squared per degree of freedom"),
    "chi2_upright": ("1", "the same for the best mixture of both domains"),
    "thickness_nm": ("nm", "thickness around the piece"),
    "wall": ("1", "which line the piece belongs to"),
    "positions": ("1", "number of patterns"),
}


def fit_walls(sums: np.ndarray, variances: np.ndarray, maps: xr.Dataset, matcher: Matcher, columns: Columns, pieces: list[Piece],
              probe_fwhm_nm: float = 2.0) -> xr.Dataset:
    """
    Fit every piece of the walls.

    Parameters
    ----------
    sums, variances
        Of the discs at all positions, shape (scan_y, scan_x, n); read at the positions of the pieces only.
    maps
        From :func:`figures_pkg.matching.match`.
    matcher
        The same that the maps were made with.
    columns
        From :func:`figures_pkg.matching.columns.build_columns`.
    pieces
        From :func:`figures_pkg.matching.wall_pieces.find_pieces`.
    probe_fwhm_nm
        Full width at half maximum of the probe; a wrong one is taken for width of the wall.

    Returns
    -------
    xarray.Dataset
        On (piece,), the variables of `UNITS`.
    """
    clear = (wall_distance(maps, pieces) > CLEAR_NM) & ~maps.poor_fit.values
    rows = [_fit_piece(piece, sums, variances, maps, clear, matcher, columns, probe_fwhm_nm) for piece in pieces]
    variables = {name: ("piece", np.array([row[name] for row in rows], float), {"units": unit, "long_name": text})
                 for name, (unit, text) in UNITS.items()}
    return xr.Dataset(variables, attrs={"probe_fwhm_nm": probe_fwhm_nm})


def state_range(maps: xr.Dataset, pieces: list[Piece]) -> tuple[np.ndarray, np.ndarray]:
    """Least and largest tilt b, tilt c and thickness around the pieces, each shape (3,)."""
    clear = (wall_distance(maps, pieces) > CLEAR_NM) & ~maps.poor_fit.values
    states = np.concatenate([_surroundings(piece, maps, clear) for piece in pieces])
    return states.min(axis=0), states.max(axis=0)


def _surroundings(piece, maps, clear):
    """Tilt b, tilt c and thickness at the positions of a piece, from second-order surfaces through what lies around, (p, 3)."""
    y, x = np.meshgrid(maps.scan_y.values - piece.centre_nm[0], maps.scan_x.values - piece.centre_nm[1], indexing="ij")
    near = clear & (np.hypot(y, x) < AROUND_NM)
    if near.sum() < 12:
        near = clear
    terms = np.stack([np.ones_like(y), y, x, y * y, y * x, x * x], axis=-1)
    values = np.stack([maps[name].values[near] for name in FITTED], axis=-1).astype(float)
    surfaces = np.linalg.lstsq(terms[near], values, rcond=None)[0]
    return terms[tuple(piece.index.T)] @ surfaces


class _Patterns:
    """The patterns of one piece, and what each model says of them."""

    def __init__(self, piece, sums, variances, states, matcher, columns, probe_fwhm_nm):
        at = tuple(piece.index.T)
        self.piece, self.thickness, self.probe, self.first_depth = piece, states[:, 2], probe_fwhm_nm, columns.first_depth
        self.data = np.asarray(sums[at], float)
        self.root = np.sqrt(weights_of(self.data, np.asarray(variances[at], float), matcher.systematic)[1])
        self.plus, self.minus = np.moveaxis([_domains(matcher.library, state) for state in states], 1, 0)
        self.differences = np.moveaxis([columns.at(state) for state in states], 1, 0)

    def residuals(self, sign, place):
        """Weighted residuals (p · n,) of offset (nm), lean and slope; an upright wall, of sign 0, has no slope."""
        distance = self.piece.distance_nm - place[0] - place[1] * self.piece.along_nm
        inclined = (sign * place[2], self.differences[(1 - sign) // 2], self.first_depth) if sign else ()
        model = self.root * across_wall(self.plus, self.minus, distance, self.thickness, self.probe, *inclined)
        seen = self.root * self.data
        scale = np.sum(seen * model, axis=1) / np.maximum(np.sum(model * model, axis=1), 1e-30)
        return (seen - np.maximum(scale, 0)[:, None] * model).ravel()

    def fit(self, sign):
        """The best of several starts: chi squared, place and its covariance from counting and the floor."""
        slopes = [(slope,) for slope in STARTS] if sign else [()]
        starts = [np.array([offset, 0.0, *slope]) for offset in STARTS_NM for slope in slopes]
        start = min(starts, key=lambda place: np.sum(self.residuals(sign, place) ** 2))
        size = len(start)
        bounds = (np.array([-12, -0.6, 0.005])[:size], np.array([12, 0.6, STEEPEST])[:size])
        found = least_squares(lambda place: self.residuals(sign, place), start, bounds=bounds,
                              x_scale=np.array([1, 0.1, 0.05])[:size], diff_step=1e-3, ftol=1e-5)
        return 2 * found.cost, found.x, np.linalg.pinv(found.jac.T @ found.jac)


def _domains(library, state):
    """Discs of +P and -P at one state, shape (2, n)."""
    out, values = np.empty((4, len(library.g)), np.float32), []
    place = np.clip((state - library.start) / library.step, 0, library.nodes - 1 - 1e-6)
    for coefficients in library.coefficients:
        predict(coefficients, place, out)
        values.append(out[0].astype(float))
    return np.stack(values)


def _fit_piece(piece, sums, variances, maps, clear, matcher, columns, probe_fwhm_nm):
    """One row of the result."""
    patterns = _Patterns(piece, sums, variances, _surroundings(piece, maps, clear), matcher, columns, probe_fwhm_nm)
    fits = {sign: patterns.fit(sign) for sign in (0, 1, -1)}
    sign, other = sorted(fits, key=lambda each: fits[each][0])[:2]
    chi2, place, covariance = fits[sign]
    degrees = patterns.data.size - len(patterns.data) - len(place)
    error = np.sqrt(np.diag(covariance) * max(chi2 / degrees, 1))
    thickness = float(patterns.thickness.mean())
    slope, slope_error = (sign * place[2], error[2]) if sign else (0.0, np.nan)
    y, x = piece.centre_nm + place[0] * piece.normal
    return {
        "y_nm": y, "x_nm": x, "normal_y": piece.normal[0], "normal_x": piece.normal[1], "position_nm_error": error[0],
        "width_nm": slope * thickness, "width_nm_error": slope_error * thickness,
        "inclination_deg": np.degrees(np.arctan(slope)), "inclination_deg_error": np.degrees(slope_error / (1 + slope**2)),
        "order_log_likelihood_ratio": (fits[other][0] - chi2) / 2, "chi2": chi2 / degrees,
        "chi2_upright": fits[0][0] / degrees, "thickness_nm": thickness, "wall": piece.wall, "positions": len(piece.index),
    }
