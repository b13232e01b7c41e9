"""Asymmetries, distances and closest states against formulas with a known answer, and small pictures against the library."""

from dataclasses import replace

import numpy as np
import pytest

from figures_pkg.chapters import thickness_tilt_dose as dose
from figures_pkg.chapters.thickness_tilt_dose import chi_squared, pair_asymmetry, pair_index, state_frames
from figures_pkg.crystal import ermno3
from figures_pkg.crystal.structure import scale_displacements, scale_vibrations
from figures_pkg.diffraction import LibrarySettings
from figures_pkg.imaging.difference import pearson_map
from figures_pkg.twin.patterns import disc_pattern

HKL = np.array([(0, 0, l) for l in (-4, -2, 0, 2, 4)])
COARSE = LibrarySettings.covering([0.7, 40], 1, 1, g_max_inv_angstrom=0.4, slices=2, gpts=(60, 64), period_step=6)


def test_asymmetry_of_known_intensities():
    """(3 − 1) / (3 + 1) = 1/2; exchanging two reflections changes the sign; two empty ones give zero; ranks and ratios compare pairs."""
    values = np.array([[0.1, 0.1, 0.5, 0.3, 0.1], [0.3, 0.1, 0.5, 0.0, 0.1]])
    np.testing.assert_allclose(pair_asymmetry(values, HKL, 2), [0.5, -1], atol=1e-6)
    np.testing.assert_allclose(pair_asymmetry(values, HKL, 4), [0, -0.5], atol=1e-6)
    assert pair_asymmetry(np.zeros(5), HKL, 2) == 0
    with pytest.raises(ValueError, match="raise g_max_inv_angstrom"):
        pair_asymmetry(values, HKL, 6)
    shares = np.array([0.2, 0.5, 0.0, 0.1, 0.3])
    assert dose.pair_ratio(shares, HKL) == pytest.approx(0.5 / 0.6)
    assert (dose.pair_rank(shares, HKL, 2), dose.pair_rank(shares, HKL, 4)) == (1, 2)


def test_shares_are_those_of_the_map_of_the_patterns(preset, rocking_library):
    """Summed over each disc, the share of the pixels in 1 − r of two simulated patterns is the share found here, to 5 %."""
    state, cone = (63.0, (0.5, -1.0)), preset.beam.convergence_mrad
    plus, minus = (disc_pattern(rocking_library, preset, sign, *state) for sign in (1, -1))
    delta = pearson_map(plus, minus).values
    shares = dose.difference_shares(rocking_library, state[0], *state[1], cone)
    (rows, cols), pattern = np.indices(delta.shape), preset.pattern
    places = [np.array(pattern.origin_row_col) + np.dot((k, l / 2), (pattern.g010_row_col, pattern.g002_row_col)) for _, k, l in rocking_library.hkl]
    found = [delta[np.hypot(rows - row, cols - col) < 8].sum() for row, col in places]
    np.testing.assert_allclose(found, shares, atol=0.05 * shares.max())
    assert shares.sum() == pytest.approx(delta.sum(), rel=0.05)
    opposite = dose.difference_shares(rocking_library, state[0], *(-tilt for tilt in state[1]), cone)
    np.testing.assert_allclose(opposite[::-1], shares, atol=1e-6)  # both patterns turned by half a turn


def test_asymmetry_follows_the_polar_distortion():
    """None without distortion, the opposite one with it reversed, at every thickness to 40 nm; vibrations take from the beams; impossible factors are refused."""
    found = {}
    for factor in (-1, 0, 1):
        hkl, thickness, intensities = dose.crystal_series(scale_displacements(ermno3(1), factor), COARSE, 1.2, 3)
        found[factor] = (intensities[:, pair_index(hkl, 2)] @ [1, -1], intensities[:, pair_index(hkl, 4)] @ [1, -1])
    np.testing.assert_allclose(found[0], 0, atol=1e-4)
    np.testing.assert_allclose(found[-1], -np.array(found[1]), atol=1e-4)
    assert np.abs(found[1]).max() > 0.005 and thickness[-1] > 39
    assert dose.crystal_series(scale_vibrations(ermno3(1), 1.4), COARSE, 1.2, 3)[2][-1].sum() < intensities[-1].sum()
    for change, factor in ((scale_vibrations, -0.1), (scale_displacements, 1.5), (scale_vibrations, float("nan"))):
        with pytest.raises(ValueError, match="the factor of the"):
            change(ermno3(1), factor)


def test_asymmetries_are_reversed_where_straight_lines_say(make_library):
    """A2 = 0.1 + 0.05 c is reversed at c = −4, with A4 = 0.1 − 0.02 b² − 0.02 c at b² = 14, and nowhere else; one that hardly changes never is."""
    def straight(offset_2, slope_2c, offset_4, slope_4c, slope_4b):
        def intensity(b, c, t, hkl):
            two, four = offset_2 + slope_2c * c, offset_4 + slope_4c * c + slope_4b * b**2
            return 0.1 * (1 + np.sign(hkl[..., 2]) * np.select([np.abs(hkl[..., 2]) == 2, np.abs(hkl[..., 2]) == 4], [two, four]))

        return make_library(intensity, HKL[:, 1:])

    library = straight(0.1, 0.05, 0.1, -0.02, -0.02)
    assert dose.reversal_along_c(library, 60.0, 2) == pytest.approx(-4, abs=1e-3)
    assert np.isnan(dose.reversal_along_c(straight(0.1, 0.001, 0, 0, 0), 60.0, 2))
    state = dose.equal_asymmetries(library, 60.0)
    assert (state.tilt_b_mrad, state.tilt_c_mrad) == pytest.approx((np.sqrt(14), -4), abs=2e-3)
    assert state.residual < 1e-3 and state.tilt_mrad == pytest.approx(np.sqrt(30), abs=2e-3)
    wave = make_library(lambda b, c, t, hkl: 0.1 + 0.01 * np.sign(hkl[..., 2]) * (1 + (c - 2) * (c + 3) / 3), HKL[:, 1:])
    assert dose.equal_asymmetries(wave, 60.0).tilt_c_mrad == pytest.approx(2, abs=0.01)  # and not −3, which is farther
    assert dose.equal_asymmetries(straight(0.1, 0.05, 0.1, 0, 0), 60.0).residual == pytest.approx(0.2, abs=1e-3)  # what is left of an A4 that never moves


def test_significance_of_counted_patterns(make_library):
    """Poisson patterns of N electrons lie at N times the chi² of one plus one for each disc; a diffuse background adds noise."""
    library = make_library(lambda b, c, t, hkl: 0.2 + 0 * b, HKL[:, 1:])
    expected, found = np.full(5, 0.2), np.array([0.22, 0.2, 0.2, 0.2, 0.18])
    counts = np.random.default_rng(3).poisson(2e4 * found, (4000, 5))
    distance = ((counts - 2e4 * expected) ** 2 / (2e4 * expected)).sum(axis=1)
    assert distance.mean() == pytest.approx(2e4 * chi_squared(library, found, expected, 1.0) + 5, rel=0.02)
    assert dose.electrons_needed(0.01) == 2500
    assert chi_squared(library, found / 4, expected / 4, 1.0) < chi_squared(library, found, expected, 1.0) / 4


def test_the_closest_state_is_found(rocking_library):
    """The search from the grid ends at or below every state of the grid, and below the untilted crystal."""
    grid = dose.state_grid(rocking_library, np.arange(50.0, 70.1, 5), step_mrad=2.0)
    expected = rocking_library.intensities(-1, 60.0, 0.0, 0.0)
    state = dose.closest_state(rocking_library, 60.0, grid, 1.2)
    assert 0 < state.residual <= chi_squared(rocking_library, grid[1], expected, 1.2).min() + 1e-9


STATES = [[60.0, 0.0, 0.0], [70.0, 0.5, -2.0]]


def test_windows_hold_whole_discs(preset, rocking_library):
    """Less its background, a window counts its disc to 1 % of the strongest; the background is even, brightest at the beam, larger where more is missing."""
    frames = state_frames(rocking_library, preset, STATES)
    for k, l in ((0, 2), (0, -4), (-1, 4)):
        (row,) = np.flatnonzero((rocking_library.hkl == (0, k, l)).all(axis=1))
        window = frames.window((rocking_library.g_b[row], rocking_library.g_c[row]), 0.07)
        found = np.subtract(*frames.counts_in(window))
        np.testing.assert_allclose(found, frames.discs[:, row], atol=0.01 * frames.discs.max())
    middle, up, right = (frames.window(g, 0.07) for g in ((0, 0), (0, 0.2), (0.2, 0)))
    assert up[0] < middle[0] and up[1] == middle[1] and right[1] > middle[1] and right[0] == middle[0]
    faint = state_frames(replace(rocking_library, coefficients=0.2 * rocking_library.coefficients), preset, STATES)
    missing = 1 - faint.discs.sum(axis=1)
    assert (missing > 0).all() and faint.background[0, 42, 32] > faint.background[0, 0, 0] > 0
    np.testing.assert_allclose(faint.background, faint.background[:, ::-1, ::-1])
    np.testing.assert_allclose(faint.background[0] * missing[1], faint.background[1] * missing[0])


def test_counted_and_single_discs_agree_while_they_lie_apart(preset, rocking_library):
    """Below the overlap what a detector counts is the asymmetry of the disc; well beyond it, with a warning, it is not."""
    wide = replace(preset, beam=replace(preset.beam, convergence_mrad=1.6))
    single = pair_asymmetry(state_frames(rocking_library, wide, STATES[:1]).discs, rocking_library.hkl, 4)
    counted, apart = dose.counted_asymmetry(rocking_library, preset, [60.0], 1.6, 4)
    np.testing.assert_allclose(counted, single, atol=0.01)
    with pytest.warns(UserWarning, match="overlap"):
        mixed, near = dose.counted_asymmetry(rocking_library, preset, [60.0], 5.0, 4)
    assert abs(mixed[0] - single[0]) > 0.02 and near[0] < apart[0]
