"""Tables of walls that are stored, and inclined walls computed twice."""

import numpy as np
import pytest

from figures_pkg.chapters.walls import best_mixture, by_stacks, by_supercell, chi2_per_electron, edge_table, inclined_supercell
from figures_pkg.twin.walls import EdgeSettings, build_edge

pytestmark = pytest.mark.physics

TILT, BACKGROUND = (-1.5, -1.75), 2e-3  # mrad; per disc, less than ds2 has


def test_best_mixture_is_found():
    """A mixture of known shares is found and nothing is left; another pattern leaves its distance in units of the noise."""
    plus, minus = np.array([0.1, 0.3, 0.2]), np.array([0.2, 0.1, 0.2])
    share, left = best_mixture(0.3 * plus + 0.7 * minus, plus, minus, BACKGROUND)
    assert share == pytest.approx(0.3) and left == pytest.approx(0, abs=1e-12)
    assert chi2_per_electron([0.11], [0.09], 0.1) == pytest.approx(0.02**2 / 0.2)


def test_table_is_stored_under_its_name(tmp_path):
    """A stored table is read back equal; other settings replace it; no temporary file stays."""
    settings = EdgeSettings("neutral", 1, TILT, 0.0, 0.76, 1.7, (3, 4, 5, 6), ((0, 0, 0), (0, 1, 0), (0, 0, 2)))
    table = edge_table(tmp_path / "edge.npz", settings)
    build_edge.cache_clear()
    time = (tmp_path / "edge.npz").stat().st_mtime_ns
    again = edge_table(tmp_path / "edge.npz", settings)
    assert again.names == table.names == ("neutral-", "neutral+") and (tmp_path / "edge.npz").stat().st_mtime_ns == time
    np.testing.assert_array_equal(table.difference, again.difference)
    other = edge_table(tmp_path / "edge.npz", EdgeSettings(**vars(settings) | {"step": -1}))
    assert (other.difference != table.difference).any()


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
