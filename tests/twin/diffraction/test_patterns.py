"""Noise-free patterns: their discs hold the library's intensities, and both domains are each other upside down."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

from figures_pkg.twin.diffraction.patterns import cone_tilts, disc_library, disc_means, disc_pattern, overlap_mrad


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


def test_cone_points_have_the_moments_of_a_disc():
    """Mean zero and mean square half the squared radius, whatever the number of points; wider cones have more of them."""
    for radius, across in ((0.6, None), (1.27, 5), (4.0, None)):
        points = cone_tilts(radius, across)
        np.testing.assert_allclose(points.mean(axis=0), 0, atol=1e-12)
        assert (points**2).sum(axis=1).mean() == pytest.approx(radius**2 / 2)
    assert len(cone_tilts(4.0)) > 3 * len(cone_tilts(1.27))


def test_mean_over_a_cone_is_right_for_a_polynomial(make_library):
    """For an intensity 1 + x + x² the mean over a disc of radius a about x is 1 + x + x² + a² / 4, by both functions."""
    library = make_library(lambda b, c, t, hkl: (1 + 0.1 * c + 0.01 * c**2) * (1 + 0 * b * t), [(0, l) for l in (-2, 0, 2)])
    expected = 1 + 0.1 * 2.0 + 0.01 * (2.0**2 + 1.5**2 / 4)
    averaged = disc_library(library, 1.5)
    assert disc_means(library, 1, 60.0, 1.0, 2.0, 1.5) == pytest.approx(expected, rel=1e-5)
    assert averaged.intensities(1, 60.0, 1.0, 2.0) == pytest.approx(expected, rel=1e-5)
    assert averaged.tilt_c_mrad[-1] == library.tilt_c_mrad[-1] - 1.5


def test_disc_library_agrees_with_means_over_discs(rocking_library):
    """At random tilts and thicknesses, for both domains, to 1e-3 of the strongest disc."""
    b, c, t = np.random.default_rng(1).uniform([-5, -5, 42], [5, 5, 88], (20, 3)).T
    averaged = disc_library(rocking_library, 1.2)
    for sign in (1, -1):
        direct = disc_means(rocking_library, sign, t, b, c, 1.2)
        np.testing.assert_allclose(averaged.intensities(sign, t, b, c), direct, atol=1e-3 * direct.max())


def test_discs_touch_at_half_the_smallest_spacing(rocking_library):
    """002 is nearer than 010: half of 0.1751 / angstrom times the wavelength, 2.196 mrad."""
    assert overlap_mrad(rocking_library) == pytest.approx(500 * 2 * 0.025079 / 11.42, rel=1e-4)


@pytest.mark.parametrize("half_angle", [2.19, 2.3])
def test_overlapping_discs_warn_with_the_angle(preset, rocking_library, half_angle):
    """A pattern whose discs overlap comes with one warning that names 2.20 mrad; one whose discs do not is silent."""
    wide = replace(preset, beam=replace(preset.beam, convergence_mrad=half_angle))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        disc_pattern(rocking_library, wide, 1, 63.0)
        disc_means(rocking_library, 1, 63.0, 0.0, 0.0, half_angle)
    assert [" from a convergence of 2.20 mrad " in str(one.message) for one in caught] == [True, True] * (half_angle > 2.2)


@pytest.mark.parametrize("half_angle", [0.0, -1.0, float("nan")])
def test_impossible_cones_are_refused(rocking_library, half_angle):
    """A half angle that is not positive gives one clear error."""
    with pytest.raises(ValueError, match="positive half angle"):
        disc_means(rocking_library, 1, 63.0, 0.0, 0.0, half_angle)


def test_cone_wider_than_the_library_is_refused(rocking_library):
    """A disc library of which fewer than four nodes are left says so."""
    with pytest.warns(UserWarning, match="overlap"), pytest.raises(ValueError, match="reaches further"):
        disc_library(rocking_library, 7.5)
