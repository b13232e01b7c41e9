"""Where the lattice falls, blur, dead pixels, counter and diffuse background."""

import dataclasses

import numpy as np
import pytest
from scipy.ndimage import convolve1d

from figures_pkg.twin.instrument.background import add_gaussian, add_radial
from figures_pkg.twin.instrument.detector import PatternGeometry, blur, dead_pixel_indices, largest_count, psf_taps
from figures_pkg.twin.render import Renderer

LENGTHS = (1 / 5.293, 2 / 11.42)


@pytest.fixture(scope="module")
def geometry(preset):
    """Geometry of DS1."""
    return PatternGeometry.from_pattern(preset.pattern, *LENGTHS)


def test_measured_vectors_map_to_their_pixels(geometry):
    """002 and 010 fall where they were measured, +c upward and to the left."""
    g002, g010 = geometry.positions([(0, LENGTHS[1]), (LENGTHS[0], 0)]) - geometry.origin
    np.testing.assert_allclose(g002, (-17.41, -5.89))
    np.testing.assert_allclose(g010, (-6.74, 18.88))


def test_scale_agrees_with_the_calibration_of_the_camera(geometry, preset):
    """The lattice gives the calibrated 0.009555 1/A per px within 2 %, and a disc of 1.27 mrad a radius of 5.3 px."""
    assert 1 / geometry.px_per_inv_angstrom == pytest.approx(preset.pattern.scale_inv_angstrom, rel=0.02)
    assert 1.27e-3 / 0.025079 * geometry.px_per_inv_angstrom == pytest.approx(5.3, abs=0.1)


def test_zone_axis_moves_against_the_tilt(geometry):
    """A tilt of -4.39 mrad along c brings the zone axis to the place of 002."""
    displacement = geometry.tilt_displacement(0.025079) @ np.array([0.0, -LENGTHS[1] * 25.079])
    np.testing.assert_allclose(displacement, (-17.41, -5.89), rtol=1e-6)


@pytest.mark.parametrize("sigma", [0.0, 0.9, 1.7])
def test_blur_is_a_convolution(sigma):
    """Blur equals scipy's convolution, and its taps sum to one, so that it keeps every count."""
    taps = psf_taps(sigma)
    margin = len(taps) // 2
    padded = np.random.default_rng(0).random((40 + 2 * margin, 30 + 2 * margin)).astype(np.float32)
    out = np.empty((40, 30), np.float32)
    blur(padded, taps, out)
    expected = convolve1d(convolve1d(padded, taps, axis=0, mode="constant"), taps, axis=1, mode="constant")
    inner = np.s_[margin : 40 + margin, margin : 30 + margin]
    np.testing.assert_allclose(out, expected[inner], atol=1e-5)
    assert taps.sum() == pytest.approx(1, abs=1e-6)


def test_blur_widens_a_point_by_sigma():
    """The variance of a blurred point is the square of sigma."""
    taps = psf_taps(0.9)
    offset = np.arange(len(taps)) - len(taps) // 2
    assert (taps * offset**2).sum() == pytest.approx(0.9**2, rel=0.01)


def test_dead_pixels_outside_the_frame_are_refused():
    """A dead pixel beyond the frame is a mistake in the preset."""
    with pytest.raises(ValueError, match=r"\[\[3, 256\]\] lie outside"):
        dead_pixel_indices([[3, 4], [3, 256]], (256, 256))


def test_counter_bits_give_the_largest_count():
    """Twelve bits hold 4095; more than sixteen do not fit the file."""
    assert largest_count(12) == 4095
    with pytest.raises(ValueError, match="choose 1 to 16"):
        largest_count(24)


def test_background_is_its_profile_and_its_halo():
    """The compiled background equals the formula: a table read linearly, held at its end, and a Gaussian."""
    pattern = np.zeros((128, 120), np.float32)
    profile = (100 / (1 + np.arange(160) * 0.25)).astype(np.float32)
    add_radial(pattern, profile, 0.25, 60.2, 61.0)
    add_gaussian(pattern, 90.0, 4.0, 50.0, 70.0)
    row, col = np.indices(pattern.shape)
    radial = np.interp(np.hypot(row - 60.2, col - 61.0), np.arange(160) * 0.25, profile)
    formula = radial + 90 * np.exp(-((row - 50) ** 2 + (col - 70) ** 2) / 32)
    np.testing.assert_allclose(pattern, formula, rtol=1e-4)


def test_background_has_the_profile_of_the_preset(diffuse_renderer, preset):
    """Without tilt, the counts along a ray are those of the preset, up to one factor."""
    level = diffuse_renderer.expected([1, 63, 0, 0, 0, 0])[0]
    scale = diffuse_renderer.geometry.px_per_inv_angstrom
    knots = np.array(preset.background.radius_inv_angstrom)
    ray = np.interp(knots, (np.arange(129, 256) - 128.6) / scale, level[124, 129:].astype(float))
    halo = preset.background.halo_counts * np.exp(-0.5 * (knots / preset.background.halo_sigma_inv_angstrom) ** 2)
    ratio = (ray / (preset.background.counts + halo))[knots < 127 / scale]
    assert len(ratio) > 10
    np.testing.assert_allclose(ratio, np.median(ratio), rtol=0.02)


@pytest.fixture(scope="module")
def diffuse_renderer(preset, rocking_library):
    """DS1 with all its counts diffuse."""
    detector = dataclasses.replace(preset.detector, bragg_share=0.0, dead_pixels=())
    return Renderer(dataclasses.replace(preset, detector=detector), rocking_library)


def test_background_grows_and_spreads_with_thickness(diffuse_renderer, preset):
    """A foil thicker by a tenth scatters about a tenth more, and less of it near the middle."""
    states = np.repeat(diffuse_renderer.reference_states()[:1], 2, axis=0)
    states[1, 1] *= 1.1
    thin, thick = diffuse_renderer.expected(states).astype(float)
    dose = preset.beam.electrons_per_pattern * preset.detector.counts_per_electron
    assert thin.sum() == pytest.approx(dose, rel=1e-3)
    assert 1.05 < thick.sum() / thin.sum() < 1.1
    assert (thick / thin)[:8, :8].mean() > (thick / thin)[110, 120]


def test_background_follows_the_tilt(diffuse_renderer):
    """Tilting from -4 to -3 mrad along c moves the diffuse scattering down, away from +c."""
    states = np.repeat(diffuse_renderer.reference_states()[:1], 2, axis=0)
    states[1, 3] += 1
    rows = diffuse_renderer.expected(states).sum(axis=2, dtype=float)
    centre = rows @ np.arange(256) / rows.sum(axis=1)
    assert centre[1] > centre[0] + 0.2
