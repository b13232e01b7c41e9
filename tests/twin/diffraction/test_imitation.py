"""Imitation of one domain by the other: equal asymmetries, chi squared per electron, and the closest state."""

import numpy as np
import pytest

from figures_pkg.twin.diffraction.imitation import (
    chi_squared,
    closest_state,
    diffuse_density,
    electrons_needed,
    equal_asymmetries,
    only,
    reversal_along_c,
    state_grid,
)
from figures_pkg.twin.diffraction.sweeps import asymmetry

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
    """A = 0.1 + 0.05 c takes its negative value at c = −4."""
    library = make_library(straight(0.1, 0.05, 0, 0, 0, 0), ORDERS)
    assert reversal_along_c(library, 60.0, 2) == pytest.approx(-4, abs=1e-3)


def test_no_reversal_is_not_a_number(make_library):
    """An asymmetry that hardly changes with tilt is never turned."""
    assert np.isnan(reversal_along_c(make_library(straight(0.1, 0.001, 0, 0, 0, 0), ORDERS), 60.0, 2))


def test_two_asymmetries_need_both_tilts(make_library):
    """A2 = 0.1 + 0.05 c and A4 = 0.1 − 0.02 b² − 0.02 c are both reversed at c = −4 and b² = 14, and nowhere else."""
    library = make_library(straight(0.1, 0.05, 0, 0.1, -0.02, -0.02), ORDERS)
    state = equal_asymmetries(library, 60.0)
    assert (state.tilt_b_mrad, state.tilt_c_mrad) == pytest.approx((np.sqrt(14), -4), abs=2e-3)
    assert state.residual < 1e-3 and state.tilt_mrad == pytest.approx(np.sqrt(30), abs=2e-3)
    found = asymmetry(library.intensities(1, 60.0, state.tilt_b_mrad, state.tilt_c_mrad), library.hkl, 4)
    assert found == pytest.approx(-0.1, abs=1e-3)


def test_the_nearest_of_several_tilts_is_taken(make_library):
    """Both asymmetries are reversed at c = 2 and at c = −3, whatever the tilt along b*; the first is nearer."""
    wave = make_library(lambda b, c, t, hkl: 0.1 + 0.01 * np.sign(hkl[..., 2]) * (1 + (c - 2) * (c + 3) / 3), ORDERS)
    state = equal_asymmetries(wave, 60.0)
    assert state.tilt_c_mrad == pytest.approx(2, abs=0.01) and state.tilt_mrad < 2.2


def test_the_nearest_approach_is_given_where_nothing_is_exact(make_library):
    """When A4 does not move, the residual is what is left of it: 0.2."""
    state = equal_asymmetries(make_library(straight(0.1, 0.05, 0, 0.1, 0, 0), ORDERS), 60.0)
    assert state.residual == pytest.approx(0.2, abs=1e-3)


def test_chi_squared_by_hand(make_library):
    """Without anything missing from the reflections it is the sum of squared differences over the expected intensity."""
    library = make_library(lambda b, c, t, hkl: 0.2 + 0 * b, ORDERS)
    expected = np.full(5, 0.2)
    found = expected + [0.1, 0, 0, 0, -0.1]
    assert chi_squared(library, found, expected, 1.0) == pytest.approx(0.02 / 0.2, rel=1e-4)
    assert chi_squared(library, expected, expected, 1.0) == 0
    assert chi_squared(library, found / 4, expected / 4, 1.0) < 0.1 / 4  # the diffuse background adds noise


def test_significance_of_counted_patterns(make_library):
    """Poisson patterns of N electrons lie at a mean chi² of N times that per electron plus one for each disc."""
    library = make_library(lambda b, c, t, hkl: 0.2 + 0 * b, ORDERS)
    expected, found = np.full(5, 0.2), np.array([0.22, 0.2, 0.2, 0.2, 0.18])
    counts = np.random.default_rng(3).poisson(2e4 * found, (4000, 5))
    distance = ((counts - 2e4 * expected) ** 2 / (2e4 * expected)).sum(axis=1)
    assert distance.mean() == pytest.approx(2e4 * chi_squared(library, found, expected, 1.0) + 5, rel=0.02)
    assert electrons_needed(0.01, 5) == 2500


def test_diffuse_density_is_a_share():
    """Integrated over the plane it is one."""
    g = np.arange(0, 20, 0.01)
    assert np.trapezoid(2 * np.pi * g * diffuse_density(g), g) == pytest.approx(1, rel=1e-4)


def test_only_keeps_both_domains(rocking_library):
    """A library cut to four reflections gives the numbers of the whole one, for either domain."""
    keep = [i for i, (_, k, l) in enumerate(rocking_library.hkl) if k == 0 and abs(l) in (2, 4)]
    for sign in (1, -1):
        whole = rocking_library.intensities(sign, 60.0, 1.0, -2.0)
        np.testing.assert_array_equal(only(rocking_library, keep).intensities(sign, 60.0, 1.0, -2.0), whole[keep])


def test_the_closest_state_is_found(rocking_library):
    """The search from the grid ends at or below every state of the grid, and below the untilted crystal."""
    grid = state_grid(rocking_library, np.arange(50.0, 70.1, 5), step_mrad=2.0)
    expected = rocking_library.intensities(-1, 60.0, 0.0, 0.0)
    state = closest_state(rocking_library, 60.0, grid, 1.2)
    assert 0 < state.residual <= chi_squared(rocking_library, grid[1], expected, 1.2).min() + 1e-9
    at = rocking_library.intensities(1, state.thickness_nm, state.tilt_b_mrad, state.tilt_c_mrad)
    assert chi_squared(rocking_library, at, expected, 1.2) == pytest.approx(state.residual, rel=1e-4)
