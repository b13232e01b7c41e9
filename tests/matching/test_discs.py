"""Sums over discs: what they hold, their variance, what lies under them, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest

from figures_pkg.matching.discs import DiscGeometry, bad_pixels, disc_sums, plan_discs, smooth_background

pytestmark = pytest.mark.physics

SHAPE, RADIUS, SPACING = (96, 100), 4.3, 15.0
GRID = np.array([(b, c) for b in range(-2, 3) for c in range(-2, 3)], float)
GEOMETRY = DiscGeometry(np.array([47.3, 50.6]), SPACING * np.array([[-0.2, -1.0], [1.0, -0.2]]), RADIUS)


def drawn(heights, geometry=GEOMETRY, grid=GRID, shape=SHAPE):
    """Discs of the given counts per pixel, with soft rims of one pixel."""
    image, (rows, cols) = np.zeros(shape), np.indices(shape)
    for height, (row, col) in zip(heights, geometry.centre + grid @ geometry.matrix.T):
        image += height * np.clip(geometry.radius_px + 0.5 - np.hypot(rows - row, cols - col), 0, 1)
    return image


def test_discs_on_a_sloping_background_hold_what_was_drawn():
    heights = np.random.default_rng(1).uniform(1, 50, len(GRID))
    plan = plan_discs(GEOMETRY, GRID, SHAPE, largest_g=9)
    sums, _ = disc_sums((drawn(heights) + 20 + np.add.outer(0.1 * np.arange(96), -0.05 * np.arange(100)))[None], plan)
    np.testing.assert_allclose(sums[0], drawn(np.eye(len(GRID))[12]).sum() * heights[plan.index], rtol=0.01, atol=8)
    image, dead = drawn(np.full(len(GRID), 30.0)) + 5, np.zeros(SHAPE, bool)
    dead[tuple(np.rint(GEOMETRY.centre + GRID[7] @ GEOMETRY.matrix.T).astype(int))] = True
    image[dead] = 0
    assert (bad_pixels(image) == dead).all()
    mended = disc_sums(image[None], plan_discs(GEOMETRY, GRID, SHAPE, dead, 9))[0][0]
    np.testing.assert_allclose(mended / np.median(mended), 1, atol=0.02)


@pytest.mark.parametrize("change, words", [({"radius_px": 8.0}, "overlap"), ({"radius_px": 6.9}, "background needs"),
                                          ({"centre": np.array([5.0, 5.0])}, "discs lie in the frame")])
def test_discs_without_room_are_refused(change, words):
    with pytest.raises(ValueError, match=words):
        plan_discs(replace(GEOMETRY, **change), GRID, SHAPE, largest_g=9)


WIDE_SHAPE, CENTRE = (200, 210), np.array([98.0, 104.5])
WIDE_GRID = np.array([(b, c) for b in range(-8, 9) for c in range(-8, 9)], float)
WIDE_GEOMETRY = DiscGeometry(CENTRE, 18.5 * np.array([[-0.1, -1.0], [1.0, -0.1]]), 5.0)
WIDE_ROWS, WIDE_COLS = np.indices(WIDE_SHAPE)


def diffuse(moved=(0, 0), width=60):
    """A narrow halo of the direct beam on a wide hump about a place 9 px away, as thermal diffuse scattering has it."""
    near, far = (np.hypot(WIDE_ROWS - row, WIDE_COLS - col) for row, col in (CENTRE, CENTRE + [8, -4] + moved))
    return (1 + 1.5 * np.exp(-((near / 9) ** 2))) * (4 + 30 * np.exp(-((far / width) ** 2)))


@pytest.fixture(scope="module")
def found():
    mean = drawn(np.random.default_rng(0).uniform(0, 60, len(WIDE_GRID)), WIDE_GEOMETRY, WIDE_GRID, WIDE_SHAPE) + diffuse()
    return mean, smooth_background(mean, WIDE_GEOMETRY, WIDE_GRID)


def test_discs_on_a_bent_background_that_is_found_hold_what_was_drawn(found):
    mean, background = found
    ratio = (background.level / diffuse())[np.hypot(WIDE_ROWS - CENTRE[0], WIDE_COLS - CENTRE[1]) > 10]
    assert np.abs(ratio - 1).mean() < 0.01 and np.abs(ratio - 1).max() < 0.08
    off = []
    for shape in (None, background):
        plan = plan_discs(WIDE_GEOMETRY, WIDE_GRID, WIDE_SHAPE, largest_g=9, background=shape)
        off.append(np.abs(disc_sums(mean[None], plan)[0] - disc_sums((mean - diffuse())[None], plan)[0]).mean())
    assert off[1] < 0.25 * off[0]


@pytest.mark.parametrize("change", [{"moved": (4, -3)}, {"width": 63}])
def test_a_pattern_whose_background_moves_or_spreads_leaves_its_discs_alone(found, change):
    plan = plan_discs(WIDE_GEOMETRY, WIDE_GRID, WIDE_SHAPE, largest_g=9, background=found[1])
    still = replace(plan, modes=np.zeros_like(plan.modes))
    before, *after = (disc_sums(diffuse(**each)[None], one)[0][0] for each, one in (({}, plan), (change, plan), (change, still)))
    with_modes, without = (np.abs(sums - before).mean() for sums in after)
    assert with_modes < 0.3 * without


def test_the_variance_is_that_of_repeated_counts_and_neighbours_are_correlated_as_the_plan_says():
    rng, mean = np.random.default_rng(2), drawn(np.full(len(GRID), 6.0)) + 4
    sums, variances = disc_sums(rng.poisson(mean, (600, *SHAPE)).astype(np.uint16), plan_discs(GEOMETRY, GRID, SHAPE, largest_g=9))
    np.testing.assert_allclose((sums.var(axis=0) / variances.mean(axis=0)).mean(), 1, atol=0.05)
    plan = plan_discs(WIDE_GEOMETRY, WIDE_GRID, WIDE_SHAPE, largest_g=9)
    sums, _ = disc_sums(rng.poisson(12.0, (500, *WIDE_SHAPE)).astype(np.uint16), plan)
    seen, off_diagonal = np.corrcoef(sums.T), ~np.eye(len(plan), dtype=bool)
    np.testing.assert_allclose(np.polyfit(plan.correlation[off_diagonal], seen[off_diagonal], 1)[0], 1, atol=0.1)
    assert plan.correlation[off_diagonal].max() > 0.05
