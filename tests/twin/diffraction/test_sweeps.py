"""Sweeps: the asymmetry, the share of a disc in one minus the correlation, and crystals that are scaled."""

import numpy as np
import pytest

from figures_pkg.imaging.delta import pearson_map
from figures_pkg.twin import LibrarySettings, ermno3
from figures_pkg.twin.diffraction.patterns import disc_pattern
from figures_pkg.twin.diffraction.sweeps import (
    asymmetry,
    crystal_series,
    difference_shares,
    pair_index,
    pair_rank,
    pair_ratio,
    scale_displacements,
    scale_vibrations,
)

HKL = np.array([(0, 0, l) for l in (-4, -2, 0, 2, 4)])
COARSE = LibrarySettings.covering([0.7, 40], 1, 1, g_max_inv_angstrom=0.4, slices=2, gpts=(60, 64), period_step=6)


def test_asymmetry_of_known_intensities():
    """(3 − 1) / (3 + 1) = 1/2; exchanging the two reflections changes the sign; two empty ones give zero."""
    values = np.array([[0.1, 0.1, 0.5, 0.3, 0.1], [0.3, 0.1, 0.5, 0.0, 0.1]])
    np.testing.assert_allclose(asymmetry(values, HKL, 2), [0.5, -1], atol=1e-6)
    np.testing.assert_allclose(asymmetry(values, HKL, 4), [0, -0.5], atol=1e-6)
    assert asymmetry(np.zeros(5), HKL, 2) == 0


def test_a_missing_reflection_is_named():
    """Asking for 006 of a table that ends at 004 says what to raise."""
    with pytest.raises(ValueError, match="g_max_inv_angstrom"):
        pair_index(HKL, 6)


def test_ranks_and_ratios_of_pairs():
    """The pair with the larger sum leads, and ranks count all reflections with a larger share than its better half."""
    shares = np.array([0.2, 0.5, 0.0, 0.1, 0.3])
    assert pair_ratio(shares, HKL) == pytest.approx(0.5 / 0.6)
    assert (pair_rank(shares, HKL, 2), pair_rank(shares, HKL, 4)) == (1, 2)


def test_shares_are_those_of_the_map_of_the_patterns(preset, plain_preset, rocking_library):
    """Summed over each disc, the share of the pixels in 1 − r of two simulated patterns is the share found here, to 5 %."""
    state, cone = (63.0, (0.5, -1.0)), preset.beam.convergence_mrad
    plus, minus = (disc_pattern(rocking_library, preset, sign, *state) for sign in (1, -1))
    delta = pearson_map(plus, minus).values
    shares = difference_shares(rocking_library, state[0], *state[1], cone)
    rows, cols = np.indices(delta.shape)
    geometry = np.array(preset.pattern.g010_row_col), np.array(preset.pattern.g002_row_col) / 2
    found = []
    for _, k, l in rocking_library.hkl:
        row, col = np.array(preset.pattern.origin_row_col) + k * geometry[0] + l * geometry[1]
        found.append(delta[np.hypot(rows - row, cols - col) < 8].sum())
    np.testing.assert_allclose(found, shares, atol=0.05 * shares.max())
    assert shares.sum() == pytest.approx(delta.sum(), rel=0.05)


def test_shares_do_not_depend_on_the_sign_of_the_tilt(rocking_library):
    """The pair of domains at one tilt is, turned by half a turn, the pair at the opposite tilt."""
    one, other = (difference_shares(rocking_library, 63.0, 0.7 * sign, 1.3 * sign, 1.2) for sign in (1, -1))
    np.testing.assert_allclose(one, other[::-1], atol=1e-6)


def test_scaled_displacements_join_the_two_domains():
    """Factor −1 gives the atoms of −P up to half a period of c, 0 a structure that is its own mirror image."""
    up, down = ermno3(1), ermno3(-1)
    cell = up.cell_angstrom

    def far(a, b, shift=0.0):
        apart = (a.positions_angstrom[:, None] + [0, 0, shift] - b.positions_angstrom + cell / 2) % cell - cell / 2
        distance = np.linalg.norm(apart, axis=2) + 10 * (np.array(a.symbols)[:, None] != np.array(b.symbols))
        return distance.min(axis=1).max()

    turned = scale_displacements(up, -1)
    assert min(far(turned, down), far(turned, down, cell[2] / 2)) < 1e-6 < 0.1 < far(turned, up)
    flat = scale_displacements(up, 0)
    assert far(flat, scale_displacements(down, 0), 0) < 1e-6 or far(flat, scale_displacements(down, 0), cell[2] / 2) < 1e-6
    np.testing.assert_allclose(scale_displacements(up, 1).positions_angstrom, up.positions_angstrom)


def test_asymmetry_follows_the_polar_distortion():
    """No asymmetry without distortion, and the opposite one with the distortion reversed, at every thickness to 40 nm."""
    found = {}
    for factor in (-1, 0, 1):
        hkl, thickness, intensities = crystal_series(scale_displacements(ermno3(1), factor), COARSE, 1.2, 3)
        found[factor] = (intensities[:, pair_index(hkl, 2)] @ [1, -1], intensities[:, pair_index(hkl, 4)] @ [1, -1])
    np.testing.assert_allclose(found[0], 0, atol=1e-4)
    np.testing.assert_allclose(found[-1], -np.array(found[1]), atol=1e-4)
    assert np.abs(found[1]).max() > 0.005 and thickness[-1] > 39


def test_series_is_the_library_at_zero_tilt():
    """Of a cone so narrow that it is one plane wave, the direct and the two-fold symmetric beams are those of a plain run."""
    from figures_pkg.twin.diffraction.library import library_stack
    from figures_pkg.twin.diffraction.multislice import propagate

    hkl, _, found = crystal_series(ermno3(1), COARSE, 1e-4, 3)
    plain = propagate(library_stack(COARSE, ermno3(1)), [[0.0, 0.0]], COARSE.periods.tolist(), hkl[:, 1:] * (2, 1))[0]
    np.testing.assert_allclose(found, plain, atol=1e-5)


def test_stronger_vibrations_take_more_from_the_beams():
    """The reflections together hold less of the beam when all atoms vibrate more."""
    totals = [crystal_series(scale_vibrations(ermno3(1), f), COARSE, 1.2, 2)[2][-1].sum() for f in (0.7, 1.0, 1.4)]
    assert totals[0] > totals[1] > totals[2]


FACTORS = [(scale_vibrations, -0.1), (scale_displacements, 1.5), (scale_vibrations, float("nan"))]


@pytest.mark.parametrize(("change", "factor"), FACTORS)
def test_impossible_factors_are_refused(change, factor):
    """Negative vibrations and atoms moved into one another give one clear error."""
    with pytest.raises(ValueError, match="the factor of the"):
        change(ermno3(1), factor)
