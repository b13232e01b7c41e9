"""Where the lattice falls, blur, dead pixels, counter and diffuse background."""

import dataclasses

import numpy as np
import pytest
from scipy.ndimage import convolve1d

from figures_pkg.twin.detector import PatternGeometry, add_gaussian, add_radial, blur, dead_pixel_indices, largest_count, psf_taps
from figures_pkg.twin.render import Renderer

pytestmark = pytest.mark.physics

LENGTHS = (1 / 5.293, 2 / 11.42)


def test_lattice_falls_where_it_was_measured(preset):
    """002 and 010 have their pixels, the scale is that of the camera within 2 %, and the zone axis moves against the tilt."""
    geometry = PatternGeometry.from_pattern(preset.pattern, *LENGTHS)
    g002, g010 = geometry.positions([(0, LENGTHS[1]), (LENGTHS[0], 0)]) - geometry.origin
    np.testing.assert_allclose(g002, (-17.41, -5.89))
    np.testing.assert_allclose(g010, (-6.74, 18.88))
    assert 1 / geometry.px_per_inv_angstrom == pytest.approx(preset.pattern.scale_inv_angstrom, rel=0.02)
    displacement = geometry.tilt_displacement(0.025079) @ np.array([0.0, -LENGTHS[1] * 25.079])  # -4.39 mrad along c
    np.testing.assert_allclose(displacement, g002, rtol=1e-6)


@pytest.mark.parametrize("sigma", [0.0, 0.9, 1.7])
def test_blur_is_a_convolution(sigma):
    """Blur equals scipy's convolution, and its taps sum to one, so that it keeps every count."""
    taps = psf_taps(sigma)
    margin = len(taps) // 2
    padded = np.random.default_rng(0).random((40 + 2 * margin, 30 + 2 * margin)).astype(np.float32)
    out = np.empty((40, 30), np.float32)
    blur(padded, taps, out)
    expected = convolve1d(convolve1d(padded, taps, axis=0, mode="constant"), taps, axis=1, mode="constant")
    np.testing.assert_allclose(out, expected[margin : 40 + margin, margin : 30 + margin], atol=1e-5)
    assert taps.sum() == pytest.approx(1, abs=1e-6)
    assert (taps * (np.arange(len(taps)) - margin) ** 2).sum() == pytest.approx(sigma**2, rel=0.01)


def test_impossible_detectors_are_refused():
    """A dead pixel beyond the frame, and a counter of more than the sixteen bits that a file holds; twelve hold 4095."""
    with pytest.raises(ValueError, match=r"\[\[3, 256\]\] lie outside"):
        dead_pixel_indices([[3, 4], [3, 256]], (256, 256))
    with pytest.raises(ValueError, match="choose 1 to 16"):
        largest_count(24)
    assert largest_count(12) == 4095


def test_background_is_its_profile_and_its_halo():
    """The compiled background equals the formula: a table read linearly, held at its end, and a Gaussian."""
    pattern = np.zeros((128, 120), np.float32)
    profile = (100 / (1 + np.arange(160) * 0.25)).astype(np.float32)
    add_radial(pattern, profile, 0.25, 60.2, 61.0)
    add_gaussian(pattern, 90.0, 4.0, 50.0, 70.0)
    row, col = np.indices(pattern.shape)
    radial = np.interp(np.hypot(row - 60.2, col - 61.0), np.arange(160) * 0.25, profile)
    np.testing.assert_allclose(pattern, radial + 90 * np.exp(-((row - 50) ** 2 + (col - 70) ** 2) / 32), rtol=1e-4)


def test_background_follows_preset_thickness_and_tilt(preset, rocking_library):
    """Along a ray the counts are those of the preset, up to one factor. A foil thicker by a tenth scatters about a tenth more, wider; from -4 to
    -3 mrad along c the background moves down, away from +c."""
    detector = dataclasses.replace(preset.detector, bragg_share=0.0, dead_pixels=())
    diffuse = Renderer(dataclasses.replace(preset, detector=detector), rocking_library)
    states = np.repeat(diffuse.reference_states()[:1], 4, axis=0)
    states[1, 1] *= 1.1
    states[2, 3] += 1
    states[3] = [1, 63, 0, 0, 0, 0]
    thin, thick, tilted, level = diffuse.expected(states).astype(float)
    assert thin.sum() == pytest.approx(preset.beam.electrons_per_pattern * preset.detector.counts_per_electron, rel=1e-3)
    assert 1.05 < thick.sum() / thin.sum() < 1.1 and (thick / thin)[:8, :8].mean() > (thick / thin)[110, 120]
    before, after = (each.sum(axis=1) @ np.arange(256) / each.sum() for each in (thin, tilted))
    assert after > before + 0.2
    knots, scale = np.array(preset.background.radius_inv_angstrom), diffuse.geometry.px_per_inv_angstrom
    halo = preset.background.halo_counts * np.exp(-0.5 * (knots / preset.background.halo_sigma_inv_angstrom) ** 2)
    ray = np.interp(knots, (np.arange(129, 256) - 128.6) / scale, level[124, 129:])
    ratio = (ray / (preset.background.counts + halo))[knots < 127 / scale]
    assert len(ratio) > 10
    np.testing.assert_allclose(ratio, np.median(ratio), rtol=0.02)
