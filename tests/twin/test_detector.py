"""Where the lattice falls, blur, dead pixels, counter, diffuse background, and counting noise: known answers, moments and laws."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from figures_pkg.twin import detector
from figures_pkg.twin.detector import PatternGeometry, draw_counts, largest_count, poisson_tables
from figures_pkg.twin.render import Renderer

pytestmark = pytest.mark.physics

LENGTHS = (1 / 5.293, 2 / 11.42)


def test_lattice_falls_where_it_was_measured(preset):
    """002 and 010 have their pixels, the scale is that of the camera within 2 %, and the zone axis moves against the tilt."""
    geometry = PatternGeometry.from_pattern(preset.pattern, *LENGTHS)
    g002, g010 = geometry.positions([(0, LENGTHS[1]), (LENGTHS[0], 0)]) - geometry.origin
    np.testing.assert_allclose([*g002, *g010], (-17.41, -5.89, -6.74, 18.88))
    assert 1 / geometry.px_per_inv_angstrom == pytest.approx(preset.pattern.scale_inv_angstrom, rel=0.02)
    displacement = geometry.tilt_displacement(0.025079) @ np.array([0.0, -LENGTHS[1] * 25.079])  # -4.39 mrad along c
    np.testing.assert_allclose(displacement, g002, rtol=1e-6)


def test_background_follows_preset_thickness_and_tilt(preset, rocking_library):
    """Along a ray up to one factor; a thicker foil scatters more and wider; from -4 to -3 mrad along c the background moves down, away from +c."""
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


@pytest.mark.parametrize("words, expected", [
    ([0] * 6, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ([0xFFFFFFFF] * 6, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ([0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344, 0xA4093822, 0x299F31D0], "d16cfe09 94fdcceb 5001e420 24126ea1"),
])  # fmt: skip
def test_philox_gives_the_known_answers(words, expected):
    """Philox4x32-10 reproduces the known answers that Salmon et al. publish with Random123."""
    assert " ".join(f"{word:08x}" for word in detector.philox(*np.array(words, np.uint32))) == expected


def counts_of(mean, position=0, seed=1, largest=65535):
    mean = np.asarray(mean, np.float32)
    out = np.empty(mean.shape, np.uint16)
    draw_counts(mean, position, np.uint64(seed), largest, *poisson_tables(), out)
    return out


@pytest.mark.parametrize("mean", [0.03, 17.5, 63.99, 64.0, 3000.0])
def test_counts_follow_the_poisson_law(mean):
    counts = counts_of(np.full((512, 512), mean), seed=int(1000 * mean)).ravel().astype(np.int64)
    law = stats.poisson(float(np.float32(mean)))
    assert abs(counts.mean() - mean) < 4.5 * np.sqrt(mean / counts.size)
    assert abs(counts.var() - mean) < 4.5 * np.sqrt((mean + 2 * mean**2) / counts.size)
    edges = np.unique(law.ppf([*np.linspace(0, 1, 42)[1:-1], 0.9998]).astype(int))
    observed = np.bincount(np.searchsorted(edges, counts), minlength=len(edges) + 1)
    expected = np.diff(np.concatenate([[0], law.cdf(edges), [1]])) * counts.size
    assert stats.chisquare(observed[expected > 0], expected[expected > 0]).pvalue > 1e-4


def test_dead_pixels_and_full_counters():
    assert not counts_of(np.zeros((64, 64))).any()
    counts = counts_of(np.full((32, 32), 4090.0), largest=4095)
    assert counts.max() == largest_count(12) and (counts < 4095).any()
    with pytest.raises(ValueError, match="choose 1 to 16"):
        largest_count(24)
    with pytest.raises(ValueError, match=r"\[\[3, 256\]\] lie outside"):
        detector.dead_pixel_indices([[3, 4], [3, 256]], (256, 256))
    plain = np.full((64, 64), 5.0)
    bright = plain.copy()
    bright[10:12, 10:12] = 10 * detector.TABLE_LIMIT
    np.testing.assert_array_equal(counts_of(plain)[bright == plain], counts_of(bright)[bright == plain])


def test_streams_and_pixels_are_independent():
    """Positions and seeds give independent counts, the same ones the same; pixels that share a counter, or lie side by side, do not correlate."""
    mean = np.full((256, 256), 20.0)
    first = counts_of(mean, 7)
    np.testing.assert_array_equal(first, counts_of(mean, 7))
    for other in (counts_of(mean, 8), counts_of(mean, 7, seed=2), counts_of(mean, 7, seed=1 + 2**32)):
        assert abs(np.corrcoef(first.ravel(), other.ravel())[0, 1]) < 5 / np.sqrt(first.size)
    away = first.ravel() - 20.0
    for lag in (1, 2, 3, 256):
        assert abs(np.mean(away[:-lag] * away[lag:]) / 20.0) < 5 / np.sqrt(away.size)
