"""Discs and patterns: analytic truths, agreement with a slow renderer that reads the library at each pixel."""

import dataclasses

import numpy as np
import pytest

from figures_pkg.twin.render import Renderer

pytestmark = pytest.mark.physics

NO_SHIFT = (0.0, 0.0)


def slow_discs(renderer, state, oversampling=16):
    """Discs by brute force: each pixel cut into squares, the library read at each of them; shares of the beam."""
    geometry, library = renderer.geometry, renderer.library
    image = np.zeros(geometry.shape)
    inverse = np.linalg.inv(geometry.matrix)
    radius = renderer.preset.beam.convergence_mrad * 1e-3 / renderer.wavelength_angstrom
    fine = (np.arange(oversampling) + 0.5) / oversampling - 0.5
    for r, centre in enumerate(geometry.positions(np.stack([library.g_b, library.g_c], 1)) + state[4:6]):
        corner = np.floor(centre + 0.5).astype(int) - 8
        axis = np.arange(17)[:, None] + fine
        rows, cols = np.meshgrid((corner[0] + axis).ravel(), (corner[1] + axis).ravel(), indexing="ij")
        k = np.stack([rows - centre[0], cols - centre[1]], -1) @ inverse.T
        inside = np.hypot(k[..., 0], k[..., 1]) <= radius
        tilts = state[2:4] + k[inside] * renderer.wavelength_angstrom * 1e3
        pair = [r, len(library.hkl) - 1 - r]  # the reflection and its opposite
        disc = dataclasses.replace(library, hkl=library.hkl[pair], coefficients=np.ascontiguousarray(library.coefficients[..., pair]))
        value = np.zeros(rows.shape)
        for sign, weight in ((1, 0.5 + 0.5 * state[0]), (-1, 0.5 - 0.5 * state[0])):
            value[inside] += weight * disc.intensities(sign, state[1], tilts[:, 0], tilts[:, 1])[:, 0]
        blocks = value.reshape(17, oversampling, 17, oversampling).sum(axis=(1, 3)) / inside.sum()
        window = tuple(slice(c, c + 17) for c in corner)
        if image[window].shape == (17, 17):
            image[window] += blocks
    return image


@pytest.fixture(scope="module")
def renderer(preset, rocking_library) -> Renderer:
    return Renderer(preset, rocking_library)


@pytest.mark.parametrize("convergence_mrad", [0.76, 1.49])
def test_discs_agree_with_reading_the_library_at_each_pixel(plain_preset, rocking_library, convergence_mrad):
    """Against brute force the relative L2 difference of a pattern is below 0.6 %, for discs of 3 and 6 px."""
    beam, state = dataclasses.replace(plain_preset.beam, convergence_mrad=convergence_mrad), np.array([0.4, 61.3, 0.7, -3.6, 0.13, -0.21])
    renderer = Renderer(dataclasses.replace(plain_preset, beam=beam), rocking_library)
    image = renderer.expected(state)[0] / renderer.optics.bragg_counts
    brute = slow_discs(renderer, state)
    assert image.sum() == pytest.approx(brute.sum(), rel=1e-4)
    assert np.linalg.norm(image - brute) < 0.006 * np.linalg.norm(brute)


def test_frame_holds_the_dose(renderer, preset, rocking_library):
    """Averaged over both domains at the reference state; dead pixels hold none, and with a hundred times the dose the direct beam saturates."""
    total = renderer.expected(renderer.reference_states()).sum(axis=(1, 2), dtype=float).mean()
    dose = preset.beam.electrons_per_pattern * preset.detector.counts_per_electron
    assert total == pytest.approx(dose, rel=1e-3 + 3 * 20 / dose)  # three dead pixels
    row, col = np.transpose(preset.detector.dead_pixels)
    counts = renderer.counts(renderer.reference_states()[0], [0], seed=0)[0]
    assert not counts[row, col].any() and (counts[row, col + 1] > 0).all()
    beam = dataclasses.replace(preset.beam, electrons_per_pattern=100 * preset.beam.electrons_per_pattern)
    bright = Renderer(dataclasses.replace(preset, beam=beam), rocking_library)
    assert bright.counts(bright.reference_states()[0], [0], seed=0).max() == 4095


def test_minus_p_is_plus_p_turned_with_the_opposite_tilt(plain_preset, rocking_library):
    """-P(G; tilt) = +P(-G; -tilt); a polarization of 0.2 is 60 % of +P and 40 % of -P."""
    pattern = dataclasses.replace(plain_preset.pattern, origin_row_col=(128.0, 128.0))
    renderer, tilted = Renderer(dataclasses.replace(plain_preset, pattern=pattern), rocking_library), (57.3, 0.8, -2.3, *NO_SHIFT)
    plus, minus, other, mixed = renderer.expected([[1, 57.3, -0.8, 2.3, *NO_SHIFT], [-1, *tilted], [1, *tilted], [0.2, *tilted]])
    np.testing.assert_allclose(minus[1:, 1:], plus[1:, 1:][::-1, ::-1], rtol=2e-4, atol=plus.max() * 1e-5)
    assert np.linalg.norm(minus - plus) > 0.05 * np.linalg.norm(plus)
    np.testing.assert_allclose(mixed, 0.6 * other + 0.4 * minus, rtol=1e-4, atol=1e-5 * plus.max())


def test_counts_scatter_about_the_expected_and_belong_to_the_position(renderer):
    """As Poisson counts; a pattern is the same alone and in any company, and another position or seed gives another one."""
    state = renderer.reference_states()[0]
    together = renderer.counts(np.repeat(state[None], 60, 0), np.arange(60), seed=9)
    alive = (expected := renderer.expected(state)[0].astype(float)) > 0
    score = (together.mean(axis=0) - expected)[alive] / np.sqrt(expected[alive] / 60)
    assert abs(score.mean()) < 0.03 and score.std() == pytest.approx(1, abs=0.02)
    alone, position, seed = (renderer.counts(state, [index], name)[0] for index, name in ((43, 9), (44, 9), (43, 10)))
    np.testing.assert_array_equal(together[43], alone)
    assert (position != alone).any() and (seed != alone).any()


def test_what_does_not_fit_is_refused(renderer, preset, rocking_library):
    for bad in ([1, 63, 7.5, 0, 0, 0], [1, 63, 0, -7.0, 0, 0], [1, 30, 0, 0, 0, 0]):
        with pytest.raises(ValueError, match="leaves the library"):
            renderer.expected(bad)
    with pytest.raises(ValueError, match="difference of weights"):
        renderer.expected([1.5, 63, 0, 0, 0, 0])
    with pytest.raises(ValueError, match="symmetric about zero"):
        Renderer(preset, dataclasses.replace(rocking_library, tilt_c_mrad=rocking_library.tilt_c_mrad + 1))
    with pytest.raises(ValueError, match="holds 300 keV and preset 'ds1' 200 keV"):
        Renderer(preset, dataclasses.replace(rocking_library, energy_kev=300.0))
