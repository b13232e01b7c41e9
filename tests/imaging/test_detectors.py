"""Areas and edges of detectors, and the asymmetry of opposite ones."""

import numpy as np
import pytest

from figures_pkg.imaging import Annulus, Box, Disc, asymmetry


def test_areas_and_edges_of_detectors():
    """A disc has the area of a circle, a box is half-open, and detectors that make no sense are refused."""
    assert abs(Disc((50.3, 49.8), 30).mask((100, 100)).sum() / (np.pi * 900) - 1) < 0.005
    assert Box((2, 4), (5, 8)).mask((10, 10)).sum() == 6
    for make, message in ((lambda: Disc((1, 2), -1), "radius_px=-1.*positive"), (lambda: Box((4, 2), (0, 1)), "start < stop"),
                          (lambda: Disc((np.nan, 2), 1), "finite"), (lambda: Box((0.5, 2), (0, 1)), "whole pixels"),
                          (lambda: Annulus((1, 2), 5, 4), "inner_px < outer_px")):
        with pytest.raises(ValueError, match=message):
            make()


def test_asymmetry_is_odd_and_bounded():
    """Exchanging the reflections changes the sign; unsigned counts do not wrap; empty positions give zero."""
    up, down = np.array([[5, 0, 0]], np.uint16), np.array([[1, 4, 0]], np.uint16)
    np.testing.assert_allclose(asymmetry(up, down), [[2 / 3, -1, 0]])
    np.testing.assert_allclose(asymmetry(down, up), -asymmetry(up, down))
