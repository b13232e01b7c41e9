"""Discs of a convergent beam: means over the cone, where they touch, and what is refused."""

import numpy as np
import pytest

from figures_pkg.chapters.thickness_tilt_dose import disc_library
from figures_pkg.diffraction.discs import cone_tilts, disc_means, overlap_mrad
from figures_pkg.diffraction.library import minus_p_index

pytestmark = pytest.mark.physics


def test_domains_are_each_other_upside_down(rocking_library):
    """Without tilt the disc means of −P at G are those of +P at −G, and the two domains differ. 002, nearer than 010, touches at 2.196 mrad."""
    plus, minus = (disc_means(rocking_library, sign, 63.0, 0.0, 0.0, 1.2) for sign in (1, -1))
    np.testing.assert_allclose(minus[minus_p_index(rocking_library)], plus, atol=1e-6)
    assert np.abs(plus - minus).max() > 1e-3
    assert overlap_mrad(rocking_library) == pytest.approx(500 * 2 * 0.025079 / 11.42, rel=1e-4)


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


@pytest.mark.parametrize("half_angle", [0.0, float("nan")])
def test_impossible_cones_are_refused(rocking_library, half_angle):
    with pytest.raises(ValueError, match="positive half angle"):
        disc_means(rocking_library, 1, 63.0, 0.0, 0.0, half_angle)
