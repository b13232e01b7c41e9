"""Patterns of walls beside mixtures, and inclined walls computed twice."""

import numpy as np
import pytest

from figures_pkg.chapters.walls import best_mixture, by_stacks, by_supercell, chi2_per_electron, inclined_supercell

pytestmark = pytest.mark.physics

TILT, BACKGROUND = (-1.5, -1.75), 2e-3  # mrad; per disc, less than ds2 has


def test_best_mixture_is_found():
    """A mixture of known shares is found and nothing is left; another pattern leaves its distance in units of the noise."""
    plus, minus = np.array([0.1, 0.3, 0.2]), np.array([0.2, 0.1, 0.2])
    share, left = best_mixture(0.3 * plus + 0.7 * minus, plus, minus, BACKGROUND)
    assert share == pytest.approx(0.3) and left == pytest.approx(0, abs=1e-12)
    assert chi2_per_electron([0.11], [0.09], 0.1) == pytest.approx(0.02**2 / 0.2)


def test_columns_agree_with_a_supercell_whose_wall_leans():
    """Through 12 nm, at 10 degrees, stacks and a leaning supercell differ ten times less from each other than from mixtures."""
    hkl, place = np.array([(0, k, l) for k in range(-3, 4) for l in range(-6, 7, 2)]), np.array([-0.5, 0.0, 0.5])
    cell = inclined_supercell("charged", 10.0)
    strict = by_supercell(cell, TILT, 0.76, 20, hkl, place)
    columns, plus, minus = by_stacks(cell, TILT, 0.76, 1.7, 20, hkl, place)
    left = [best_mixture(one, plus, minus, BACKGROUND)[1] for one in strict]
    assert min(left) > 10 * chi2_per_electron(strict, columns, BACKGROUND).max() > 0
    with pytest.raises(ValueError, match="upright wall has no depth"):
        by_stacks(inclined_supercell("charged", 0.0), TILT, 0.76, 1.7, 20, hkl, place)
