"""Walls drawn with a known place and slope are found again."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from figures_pkg.matching import measure_walls
from figures_pkg.matching.matcher import FITTED
from figures_pkg.twin.walls import across_wall, build_columns

pytestmark = pytest.mark.physics

CONVERGENCE, STEP_NM, STATE = 0.5, 2.0, np.array([0.3, -1.2, 56.0])  # tilt b, tilt c, thickness
AXIS = STEP_NM * np.arange(24)
NORMAL, PLACE_NM = np.array([0.2, 1.0]) / np.hypot(0.2, 1.0), 22.3
DISTANCES = NORMAL[0] * AXIS[:, None] + NORMAL[1] * AXIS - PLACE_NM  # of all positions from the wall, positive in +P, (24, 24)


@pytest.fixture(scope="module")
def matcher(matcher_for):
    return matcher_for(CONVERGENCE, 2.1)


@pytest.fixture(scope="module")
def columns(matcher):
    known = build_columns(matcher.library.g, STATE - 0.1, STATE + 0.1, CONVERGENCE)
    return {1: known, -1: replace(known, coefficients=np.zeros_like(known.coefficients))}


def matched(matcher, columns, slope):
    """What a match says of patterns across a wall, with Gaussian noise."""
    count, difference = DISTANCES.size, columns[1].at(STATE)
    plus, minus = (np.tile(values, (count, 1)) for values in matcher.library.at(STATE))
    inclined = (slope, np.broadcast_to(difference[int(slope < 0)], (count, *difference.shape[1:])), columns[1].first_depth) if slope else ()
    mean = 1e5 * across_wall(plus, minus, DISTANCES.ravel(), np.full(count, STATE[2]), 2.0, *inclined)
    variance = np.clip(mean, 0, None) + 100.0
    seen = np.random.default_rng(0).normal(mean, np.sqrt(variance))
    dims, maps = ("scan_y", "scan_x"), {"polarization": np.sign(DISTANCES), "poor_fit": np.abs(DISTANCES) < 4}
    maps |= {name: np.full((24, 24), value) for name, value in zip(FITTED, STATE)}
    discs = {name: ((*dims, "disc"), values.reshape(24, 24, -1)) for name, values in (("discs", seen), ("discs_variance", variance))}
    return xr.Dataset({name: (dims, values) for name, values in maps.items()} | discs, {"scan_y": AXIS, "scan_x": AXIS})


@pytest.mark.parametrize("slope", [-0.14, 0.06])
def test_an_inclined_wall_returns_place_width_and_order(matcher, columns, slope):
    walls, patterns = measure_walls(matched(matcher, columns, slope), matcher, CONVERGENCE, columns=columns)
    assert (np.sign(walls.width_nm) == np.sign(slope)).all() and (walls.turn == 1).all() and (walls.order_log_likelihood_ratio > 50).all()
    away = np.stack([walls.y_nm, walls.x_nm], axis=1) @ NORMAL - PLACE_NM
    assert (np.abs(away) < 5 * walls.position_nm_error + 0.02).all() and len(walls.piece) >= 2
    assert (np.stack([walls.normal_y, walls.normal_x], axis=1) @ NORMAL > 0.95).all() and (walls.wall == 0).all()  # one wall, whose normal points into +P
    assert (np.abs(walls.width_nm - STATE[2] * slope) < 5 * walls.width_nm_error).all()
    assert (walls.chi2 < 1.2).all() and (walls.chi2_upright > walls.chi2 + 0.1).all()
    inside = np.isfinite(patterns.distance_nm.values) & (np.abs(DISTANCES) < 3)
    assert np.abs(patterns.distance_nm.values - DISTANCES)[inside].mean() < 0.4


def test_an_upright_wall_is_a_mixture(matcher, columns, from_notebook):
    maps = matched(matcher, columns, 0.0)
    walls, patterns = measure_walls(maps, matcher, CONVERGENCE, columns=columns)
    assert (np.abs(walls.width_nm) < 0.6).all()
    assert np.abs(from_notebook("matching", "over_pieces")(patterns.line_nm - DISTANCES, patterns)).max() < 0.15
    assert np.nanmin(patterns.share.values[DISTANCES > 5]) > 0.95
    with pytest.raises(ValueError, match="no wall to measure"):
        measure_walls(maps.assign(polarization=xr.ones_like(maps.polarization)), matcher, CONVERGENCE)
    with pytest.raises(ValueError, match="not those of ErMnO3"):
        build_columns(np.array([[0.1, 0.0], [0.0, 0.13]]), STATE - 0.1, STATE + 0.1, CONVERGENCE)


def test_the_errors_of_a_bent_wall_hold_that_it_is_no_line(matcher, columns, from_notebook):
    """Patterns of a straight wall, moved to and fro along it, disagree about its place."""
    maps = matched(matcher, columns, 0.14)
    straight, _ = measure_walls(maps, matcher, CONVERGENCE, 40.0, columns=columns)
    moved = np.roll(np.arange(24), 1)
    for name in ("discs", "discs_variance"):
        maps[name][8:16] = maps[name].values[8:16][:, moved]
    bent, patterns = measure_walls(maps, matcher, CONVERGENCE, 40.0, columns=columns)
    assert bent.position_nm_error.values.max() > 4 * straight.position_nm_error.values.max()
    truth = DISTANCES.copy()
    truth[8:16] -= STEP_NM * NORMAL[1]
    assert (np.abs(from_notebook("matching", "over_pieces")(patterns.line_nm - truth, patterns)) < 3 * bent.position_nm_error.values).all()
