"""A background drawn as two radial curves is found between discs, and discs on it hold what was drawn."""

from dataclasses import replace

import numpy as np
import pytest

from figures_pkg.matching.background import Background, smooth_background
from figures_pkg.matching.discs import DiscGeometry, clear_px, disc_sums, plan_discs

SHAPE, CENTRE = (200, 210), np.array([98.0, 104.5])
GRID = np.array([(b, c) for b in range(-8, 9) for c in range(-8, 9)], float)
GEOMETRY = DiscGeometry(CENTRE, 18.5 * np.array([[-0.1, -1.0], [1.0, -0.1]]), 5.0)
ROWS, COLS = np.indices(SHAPE)


def diffuse(moved=(0, 0), width=60):
    """A narrow halo of the direct beam on a wide hump about a place 9 px away, as thermal diffuse scattering has it."""
    near, far = np.hypot(ROWS - CENTRE[0], COLS - CENTRE[1]), np.hypot(ROWS - CENTRE[0] - 8 - moved[0], COLS - CENTRE[1] + 4 - moved[1])
    return (1 + 1.5 * np.exp(-((near / 9) ** 2))) * (4 + 30 * np.exp(-((far / width) ** 2)))


def drawn(heights):
    image = np.zeros(SHAPE)
    for height, (row, col) in zip(heights, CENTRE + GRID @ GEOMETRY.matrix.T):
        image += height * np.clip(5.5 - np.hypot(ROWS - row, COLS - col), 0, 1)
    return image


@pytest.fixture(scope="module")
def found():
    mean = drawn(np.random.default_rng(0).uniform(0, 60, len(GRID))) + diffuse()
    places = CENTRE + GRID @ GEOMETRY.matrix.T
    return mean, smooth_background(mean, places, CENTRE, clear_px(GEOMETRY, GRID))


def test_the_background_under_the_discs_is_found(found):
    ratio = found[1].level / diffuse()
    outside = np.hypot(ROWS - CENTRE[0], COLS - CENTRE[1]) > 10
    assert np.abs(ratio[outside] - 1).mean() < 0.01
    assert np.abs(ratio[outside] - 1).max() < 0.08


def test_discs_on_a_bent_background_hold_what_was_drawn(found):
    mean, background = found
    off = []
    for shape in (None, background):
        plan = plan_discs(GEOMETRY, GRID, SHAPE, largest_g=9, background=shape)
        off.append(np.abs(disc_sums(mean[None], plan)[0] - disc_sums((mean - diffuse())[None], plan)[0]).mean())
    assert off[1] < 0.25 * off[0]


@pytest.mark.parametrize("change", [{"moved": (4, -3)}, {"width": 63}])
def test_a_pattern_whose_background_moves_or_spreads_leaves_its_discs_alone(found, change):
    plan = plan_discs(GEOMETRY, GRID, SHAPE, largest_g=9, background=found[1])
    still = replace(plan, modes=np.zeros_like(plan.modes))
    before, *after = (disc_sums(diffuse(**each)[None], one)[0][0] for each, one in (({}, plan), (change, plan), (change, still)))
    with_modes, without = (np.abs(sums - before).mean() for sums in after)
    assert with_modes < 0.3 * without


def test_noise_of_neighbouring_discs_is_correlated_as_the_plan_says():
    level = np.full(SHAPE, 12.0)
    plan = plan_discs(GEOMETRY, GRID, SHAPE, largest_g=9, background=Background(level, np.empty((0, *SHAPE)), np.zeros(SHAPE, bool)))
    sums, _ = disc_sums(np.random.default_rng(1).poisson(level, (800, *SHAPE)).astype(np.uint16), plan)
    seen, off_diagonal = np.corrcoef(sums.T), ~np.eye(len(plan), dtype=bool)
    np.testing.assert_allclose(np.polyfit(plan.correlation[off_diagonal], seen[off_diagonal], 1)[0], 1, atol=0.1)
    assert plan.correlation[off_diagonal].max() > 0.05


def test_too_few_free_pixels_give_a_level_background():
    assert (smooth_background(np.ones((20, 20)), np.array([[10.0, 10.0]]), np.array([10.0, 10.0]), 30.0).level == 1).all()
