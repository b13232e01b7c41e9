"""Drawn discs: the area that their pixels share out."""

import numpy as np
import pytest

from figures_pkg.twin.instrument.discs import _coverage


@pytest.mark.parametrize("radius_px", [3.0, 5.3])
def test_area_of_a_disc_is_that_of_a_circle(radius_px):
    """Over many places between the pixels, the shares of a disc sum to its area, to 1e-4."""
    offsets, grid = np.random.default_rng(2).uniform(-0.5, 0.5, (60, 2)), np.arange(-8, 9)
    areas = [
        sum(_coverage(float(y + dy), float(x + dx), np.eye(2), radius_px)[0] for y in grid for x in grid) for dy, dx in offsets
    ]
    assert np.mean(areas) == pytest.approx(np.pi * radius_px**2, rel=1e-4)
    assert np.std(areas) < 3e-4 * np.pi * radius_px**2
