"""Asymmetries, distances and closest states against formulas with a known answer, and small pictures against the library."""

from dataclasses import replace

import numpy as np
import pytest

from figures_pkg.chapters.thickness_tilt_dose import (
    chi_squared,
    closest_state,
    counted_asymmetry,
    crystal_series,
    difference_shares,
    diffuse_density,
    disc_library,
    electrons_needed,
    equal_asymmetries,
    pair_asymmetry,
    pair_index,
    pair_rank,
    pair_ratio,
    reversal_along_c,
    state_frames,
    state_grid,
    upright,
)
from figures_pkg.crystal import ermno3
from figures_pkg.crystal.structure import scale_displacements, scale_vibrations
from figures_pkg.diffraction import LibrarySettings
from figures_pkg.diffraction.discs import disc_means
from figures_pkg.diffraction.library import library_stack
from figures_pkg.diffraction.multislice import propagate
from figures_pkg.imaging.difference import pearson_map
from figures_pkg.twin.patterns import disc_pattern

HKL = np.array([(0, 0, l) for l in (-4, -2, 0, 2, 4)])
COARSE = LibrarySettings.covering([0.7, 40], 1, 1, g_max_inv_angstrom=0.4, slices=2, gpts=(60, 64), period_step=6)


def test_asymmetry_of_known_intensities():
    """(3 − 1) / (3 + 1) = 1/2; exchanging the two reflections changes the sign; two empty ones give zero; ranks and ratios compare pairs."""
    values = np.array([[0.1, 0.1, 0.5, 0.3, 0.1], [0.3, 0.1, 0.5, 0.0, 0.1]])
    np.testing.assert_allclose(pair_asymmetry(values, HKL, 2), [0.5, -1], atol=1e-6)
    np.testing.assert_allclose(pair_asymmetry(values, HKL, 4), [0, -0.5], atol=1e-6)
    assert pair_asymmetry(np.zeros(5), HKL, 2) == 0
    with pytest.raises(ValueError, match="raise g_max_inv_angstrom"):
        pair_asymmetry(values, HKL, 6)
    shares = np.array([0.2, 0.5, 0.0, 0.1, 0.3])
    assert pair_ratio(shares, HKL) == pytest.approx(0.5 / 0.6)
    assert (pair_rank(shares, HKL, 2), pair_rank(shares, HKL, 4)) == (1, 2)


def test_shares_are_those_of_the_map_of_the_patterns(preset, rocking_library):
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
    opposite = difference_shares(rocking_library, state[0], *(-tilt for tilt in state[1]), cone)
    np.testing.assert_allclose(opposite[::-1], shares, atol=1e-6)  # both patterns turned by half a turn


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


def test_series_of_one_wave_is_a_plain_run_and_vibrations_take_from_the_beams():
    """A cone so narrow that it is one plane wave changes nothing; reflections hold less of the beam when all atoms vibrate more."""
    hkl, _, found = crystal_series(ermno3(1), COARSE, 1e-4, 3)
    plain = propagate(library_stack(COARSE, ermno3(1)), [[0.0, 0.0]], COARSE.periods.tolist(), hkl[:, 1:] * (2, 1))[0]
    np.testing.assert_allclose(found, plain, atol=1e-5)
    assert crystal_series(scale_vibrations(ermno3(1), 1.4), COARSE, 1e-4, 3)[2][-1].sum() < found[-1].sum()


@pytest.mark.parametrize("change, factor", [(scale_vibrations, -0.1), (scale_displacements, 1.5), (scale_vibrations, float("nan"))])
def test_impossible_factors_are_refused(change, factor):
    """Negative vibrations and atoms moved into one another give one clear error."""
    with pytest.raises(ValueError, match="the factor of the"):
        change(ermno3(1), factor)


ORDERS = [(0, l) for l in (-4, -2, 0, 2, 4)]


def straight(offset_2, slope_2c, slope_2b, offset_4, slope_4c, slope_4b):
    """Intensities whose asymmetries of 002 and 004 are linear in the tilt along c and in its square along b*."""

    def intensity(b, c, t, hkl):
        l = hkl[..., 2]
        two = offset_2 + slope_2c * c + slope_2b * b**2
        four = offset_4 + slope_4c * c + slope_4b * b**2
        a = np.where(np.abs(l) == 2, two, np.where(np.abs(l) == 4, four, 0.0))
        return 0.1 * (1 + np.sign(l) * a)

    return intensity


def test_reversal_of_one_asymmetry_on_a_straight_line(make_library):
    """A = 0.1 + 0.05 c takes its negative value at c = −4; one that hardly changes is never turned."""
    assert reversal_along_c(make_library(straight(0.1, 0.05, 0, 0, 0, 0), ORDERS), 60.0, 2) == pytest.approx(-4, abs=1e-3)
    assert np.isnan(reversal_along_c(make_library(straight(0.1, 0.001, 0, 0, 0, 0), ORDERS), 60.0, 2))


def test_two_asymmetries_need_both_tilts(make_library):
    """A2 = 0.1 + 0.05 c and A4 = 0.1 − 0.02 b² − 0.02 c are both reversed at c = −4 and b² = 14, and nowhere else."""
    library = make_library(straight(0.1, 0.05, 0, 0.1, -0.02, -0.02), ORDERS)
    state = equal_asymmetries(library, 60.0)
    assert (state.tilt_b_mrad, state.tilt_c_mrad) == pytest.approx((np.sqrt(14), -4), abs=2e-3)
    assert state.residual < 1e-3 and state.tilt_mrad == pytest.approx(np.sqrt(30), abs=2e-3)
    found = pair_asymmetry(library.intensities(1, 60.0, state.tilt_b_mrad, state.tilt_c_mrad), library.hkl, 4)
    assert found == pytest.approx(-0.1, abs=1e-3)
    wave = make_library(lambda b, c, t, hkl: 0.1 + 0.01 * np.sign(hkl[..., 2]) * (1 + (c - 2) * (c + 3) / 3), ORDERS)
    assert equal_asymmetries(wave, 60.0).tilt_c_mrad == pytest.approx(2, abs=0.01)  # and not −3, which is farther
    still = make_library(straight(0.1, 0.05, 0, 0.1, 0, 0), ORDERS)
    assert equal_asymmetries(still, 60.0).residual == pytest.approx(0.2, abs=1e-3)  # what is left of an A4 that never moves


def test_significance_of_counted_patterns(make_library):
    """Poisson patterns of N electrons lie at a mean chi² of N times that per electron plus one for each disc; a diffuse background adds noise."""
    library = make_library(lambda b, c, t, hkl: 0.2 + 0 * b, ORDERS)
    expected, found = np.full(5, 0.2), np.array([0.22, 0.2, 0.2, 0.2, 0.18])
    counts = np.random.default_rng(3).poisson(2e4 * found, (4000, 5))
    distance = ((counts - 2e4 * expected) ** 2 / (2e4 * expected)).sum(axis=1)
    assert distance.mean() == pytest.approx(2e4 * chi_squared(library, found, expected, 1.0) + 5, rel=0.02)
    assert electrons_needed(0.01) == 2500
    assert chi_squared(library, expected + [0.1, 0, 0, 0, -0.1], expected, 1.0) == pytest.approx(0.02 / 0.2, rel=1e-4)
    assert chi_squared(library, found / 4, expected / 4, 1.0) < chi_squared(library, found, expected, 1.0) / 4
    g = np.arange(0, 20, 0.01)
    assert np.trapezoid(2 * np.pi * g * diffuse_density(g), g) == pytest.approx(1, rel=1e-4)


def test_the_closest_state_is_found(rocking_library):
    """The search from the grid ends at or below every state of the grid, and below the untilted crystal."""
    grid = state_grid(rocking_library, np.arange(50.0, 70.1, 5), step_mrad=2.0)
    expected = rocking_library.intensities(-1, 60.0, 0.0, 0.0)
    state = closest_state(rocking_library, 60.0, grid, 1.2)
    assert 0 < state.residual <= chi_squared(rocking_library, grid[1], expected, 1.2).min() + 1e-9
    at = rocking_library.intensities(1, state.thickness_nm, state.tilt_b_mrad, state.tilt_c_mrad)
    assert chi_squared(rocking_library, at, expected, 1.2) == pytest.approx(state.residual, rel=1e-4)


STATES = [[60.0, 0.0, 0.0], [70.0, 0.5, -2.0]]


@pytest.fixture(scope="module")
def frames(preset, rocking_library):
    """Two states."""
    return state_frames(rocking_library, preset, STATES)


def test_windows_hold_whole_discs(frames, rocking_library):
    """Less its background, a window on 002 or 0-14 counts the intensity of the disc, to 1 % of the strongest."""
    for k, l in ((0, 2), (0, -4), (-1, 4)):
        (row,) = np.flatnonzero((rocking_library.hkl == (0, k, l)).all(axis=1))
        window = frames.window((rocking_library.g_b[row], rocking_library.g_c[row]), 0.07)
        found = frames.total_in(window) - frames.background_in(window)
        np.testing.assert_allclose(found, frames.discs[:, row], atol=0.01 * frames.discs.max())


def test_c_points_up_and_b_star_to_the_right(frames):
    """Places along +c have smaller rows, along +b* larger columns."""
    middle, up, right = (frames.window(g, 0.07) for g in ((0, 0), (0, 0.2), (0.2, 0)))
    assert up[0] < middle[0] and up[1] == middle[1] and right[1] > middle[1] and right[0] == middle[0]


def test_minus_p_is_the_picture_turned(preset, rocking_library):
    """−P at the opposite tilts is +P turned by 180 degrees, pixel by pixel."""
    small = upright(preset, rocking_library, (84, 64), 0.0145)
    plus = disc_pattern(rocking_library, small, +1, 60.0, (0.5, -2.0)).values
    minus = disc_pattern(rocking_library, small, -1, 60.0, (-0.5, 2.0)).values
    np.testing.assert_allclose(minus[::-1, ::-1], plus, atol=1e-6)


def test_counted_and_single_discs_agree_while_they_lie_apart(preset, rocking_library):
    """Below the overlap what a detector counts is the asymmetry of the disc; well beyond it, with a warning, it is not."""
    wide = replace(preset, beam=replace(preset.beam, convergence_mrad=1.6))
    single = pair_asymmetry(state_frames(rocking_library, wide, STATES[:1]).discs, rocking_library.hkl, 4)
    counted, apart = counted_asymmetry(rocking_library, preset, [60.0], 1.6, 4)
    np.testing.assert_allclose(counted, single, atol=0.01)
    with pytest.warns(UserWarning, match="overlap"):
        mixed, near = counted_asymmetry(rocking_library, preset, [60.0], 5.0, 4)
    assert abs(mixed[0] - single[0]) > 0.02 and near[0] < apart[0]


def test_background_is_what_the_reflections_lack(preset, rocking_library):
    """It is darkest at the rim, the same for opposite pixels, and larger where more is missing."""
    faint = replace(rocking_library, coefficients=0.2 * rocking_library.coefficients)
    frames = state_frames(faint, preset, STATES)
    assert frames.background[0, 42, 32] > frames.background[0, 0, 0] > 0
    np.testing.assert_allclose(frames.background, frames.background[:, ::-1, ::-1])
    missing = 1 - frames.discs.sum(axis=1)
    assert (missing > 0).all()
    np.testing.assert_allclose(frames.background[0] * missing[1], frames.background[1] * missing[0])


def test_disc_library_agrees_with_means_over_discs(rocking_library):
    """At random tilts and thicknesses, for both domains, to 1e-3 of the strongest disc."""
    b, c, t = np.random.default_rng(1).uniform([-5, -5, 42], [5, 5, 88], (20, 3)).T
    averaged = disc_library(rocking_library, 1.2)
    for sign in (1, -1):
        direct = disc_means(rocking_library, sign, t, b, c, 1.2)
        np.testing.assert_allclose(averaged.intensities(sign, t, b, c), direct, atol=1e-3 * direct.max())
