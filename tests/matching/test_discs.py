"""Sums over discs: what they hold, their variance, and what is refused."""

import numpy as np
import pytest

from figures_pkg.matching.discs import DiscGeometry, bad_pixels, disc_sums, plan_discs

SHAPE, RADIUS, SPACING = (96, 100), 4.3, 15.0
GRID = np.array([(b, c) for b in range(-2, 3) for c in range(-2, 3)], float)
GEOMETRY = DiscGeometry(np.array([47.3, 50.6]), SPACING * np.array([[-0.2, -1.0], [1.0, -0.2]]), RADIUS)
ROWS, COLS = np.indices(SHAPE)


def drawn(heights, geometry=GEOMETRY):
    """Discs of the given counts per pixel, with soft rims of one pixel."""
    image = np.zeros(SHAPE)
    for height, (row, col) in zip(heights, geometry.centre + GRID @ geometry.matrix.T):
        image += height * np.clip(geometry.radius_px + 0.5 - np.hypot(ROWS - row, COLS - col), 0, 1)
    return image


def test_discs_on_a_sloping_background_hold_what_was_drawn():
    heights = np.random.default_rng(1).uniform(1, 50, len(GRID))
    plan = plan_discs(GEOMETRY, GRID, SHAPE, largest_g=9)
    sums, _ = disc_sums((drawn(heights) + 20 + 0.1 * ROWS - 0.05 * COLS)[None], plan)
    area = drawn(np.eye(len(GRID))[12]).sum()
    np.testing.assert_allclose(sums[0], area * heights[plan.index], rtol=0.01, atol=8)


def test_the_weights_of_a_disc_sum_to_zero():
    plan = plan_discs(GEOMETRY, GRID, SHAPE, largest_g=9)
    np.testing.assert_allclose(np.add.reduceat(plan.weights, plan.starts[:-1]), 0, atol=1e-9)


def test_the_variance_is_that_of_repeated_counts():
    rng, mean = np.random.default_rng(2), drawn(np.full(len(GRID), 6.0)) + 4
    plan = plan_discs(GEOMETRY, GRID, SHAPE, largest_g=9)
    sums, variances = disc_sums(rng.poisson(mean, (600, *SHAPE)).astype(np.uint16), plan)
    np.testing.assert_allclose((sums.var(axis=0) / variances.mean(axis=0)).mean(), 1, atol=0.05)


def test_a_dead_pixel_changes_a_disc_little():
    heights = np.full(len(GRID), 30.0)
    image, dead = drawn(heights) + 5, np.zeros(SHAPE, bool)
    row, col = np.rint(GEOMETRY.centre + GRID[7] @ GEOMETRY.matrix.T).astype(int)
    dead[row, col] = True
    image[dead] = 0
    assert (bad_pixels(image) == dead).all()
    whole, mended = (disc_sums(image[None], plan_discs(GEOMETRY, GRID, SHAPE, bad, 9))[0][0] for bad in (None, dead))
    assert np.abs(mended / np.median(mended) - 1).max() < 0.02 < np.abs(whole / np.median(whole) - 1).max() + 0.01


def test_the_direct_beam_is_taken_only_when_asked_for():
    chosen = [plan_discs(GEOMETRY, GRID, SHAPE, largest_g=9, direct_beam=beam).index for beam in (False, True)]
    assert set(chosen[1]) - set(chosen[0]) == {12}


@pytest.mark.parametrize("radius, words", [(8.0, "overlap"), (6.9, "background needs")])
def test_discs_without_room_are_refused(radius, words):
    with pytest.raises(ValueError, match=words):
        plan_discs(DiscGeometry(GEOMETRY.centre, GEOMETRY.matrix, radius), GRID, SHAPE, largest_g=9)


def test_a_frame_with_too_few_discs_is_refused():
    with pytest.raises(ValueError, match="discs lie in the frame"):
        plan_discs(DiscGeometry(np.array([5.0, 5.0]), GEOMETRY.matrix, RADIUS), GRID, SHAPE, largest_g=9)


def test_patterns_of_another_size_are_refused():
    with pytest.raises(ValueError, match="planned for"):
        disc_sums(np.zeros((1, 8, 8)), plan_discs(GEOMETRY, GRID, SHAPE, largest_g=9))
