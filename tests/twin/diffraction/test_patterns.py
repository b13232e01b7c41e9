"""Noise-free patterns: their discs hold the library's intensities, and both domains are each other upside down."""

import numpy as np
import pytest

from figures_pkg.twin.diffraction.patterns import disc_means, disc_pattern


def test_discs_hold_the_mean_intensity_over_the_cone(preset, rocking_library):
    """The pixels around each reflection sum to its intensity averaged over the beam's cone, to 2 % of the strongest."""
    pattern = disc_pattern(rocking_library, preset, +1, 63.0, (1.0, -4.0))
    means = disc_means(rocking_library, +1, 63.0, 1.0, -4.0, preset.beam.convergence_mrad)
    rows, cols = np.indices(pattern.shape)
    geometry = np.array(preset.pattern.g010_row_col), np.array(preset.pattern.g002_row_col) / 2
    for (_, k, l), expected in zip(rocking_library.hkl, means):
        row, col = np.array(preset.pattern.origin_row_col) + k * geometry[0] + l * geometry[1]
        found = float(pattern.values[np.hypot(rows - row, cols - col) < 8].sum())
        assert found == pytest.approx(expected, abs=0.02 * means.max())
    assert means.max() > 0.02


def test_patterns_carry_reciprocal_coordinates(preset, rocking_library):
    """Zero of both axes lies on the direct beam."""
    pattern = disc_pattern(rocking_library, preset, +1, 63.0)
    row, col = (int(np.abs(pattern[dim].values).argmin()) for dim in ("det_y", "det_x"))
    np.testing.assert_allclose((row, col), preset.pattern.origin_row_col, atol=0.51)


def test_domains_are_each_other_upside_down(preset, rocking_library):
    """Without tilt the disc means of −P at G are those of +P at −G, and the two domains differ."""
    plus, minus = (disc_means(rocking_library, sign, 63.0, 0.0, 0.0, 1.2) for sign in (1, -1))
    order = {tuple(row): i for i, row in enumerate(rocking_library.hkl.tolist())}
    opposite = [order[tuple(row)] for row in (-rocking_library.hkl).tolist()]
    np.testing.assert_allclose(minus[opposite], plus, atol=1e-6)
    assert np.abs(plus - minus).max() > 1e-3


def test_states_outside_the_library_are_refused(preset, rocking_library):
    """A tilt whose disc leaves the library gives one clear error."""
    with pytest.raises(ValueError, match="library"):
        disc_pattern(rocking_library, preset, +1, 63.0, (0.0, 7.8))
