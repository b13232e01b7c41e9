"""The specimen: smooth fields, drift and shifts of a scan, and what lies beside the crystal."""

import dataclasses

import numpy as np
import pytest

from figures_pkg.twin.presets import load_preset
from figures_pkg.twin.render import Renderer
from figures_pkg.twin.specimen import SmoothField, coating_maps, drifted_positions, pattern_shifts, specimen_fields
from figures_pkg.twin.truth import simulate_truth, states_of

pytestmark = pytest.mark.physics


def test_smooth_field_has_the_variance_and_correlation_it_promises():
    """Over many draws the field has unit variance and a Gaussian correlation of the given length."""
    rng, places = np.random.default_rng(3), np.array([0.0, 20.0, 40.0, 80.0])
    values = np.stack([SmoothField.draw(40.0, rng)(places, 0.0) for _ in range(1000)])
    np.testing.assert_allclose((values[:, :1] * values).mean(axis=0), np.exp(-(places**2) / (2 * 40.0**2)), atol=0.1)


def test_fields_have_mean_and_range_of_the_preset(preset):
    """Thickness and tilts vary about their mean by the wedge and the bend."""
    nodes = np.meshgrid(*[np.linspace(0, length, 129) for length in preset.specimen.field_nm], indexing="ij")
    fields = specimen_fields(preset.specimen, seed=11)
    for name, (mean, extent) in {"thickness_nm": (63.0, 5.0), "tilt_b_mrad": (1.0, 1.0), "tilt_c_mrad": (-4.0, 1.0)}.items():
        values = fields[name](*nodes)
        assert values.mean() == pytest.approx(mean, abs=0.02 * extent), name
        assert np.ptp(values) == pytest.approx(extent, rel=0.01), name


def test_sizes_show_the_same_specimen(preset):
    """A place has the same thickness and tilts whatever the number of positions, but for the drift, which comes a little earlier in a longer scan."""
    coarse, fine = (simulate_truth(preset, size, 5) for size in ("smoke", "laptop"))
    for name in specimen_fields(preset.specimen, 5):
        shared = fine[name].isel(scan_y=slice(0, None, 2), scan_x=slice(0, None, 2))
        np.testing.assert_allclose(shared, coarse[name], atol=0.02 * np.ptp(coarse[name].values))


def test_drift_and_shifts(preset):
    """The specimen drifts from nothing to its total, more in the first half. Patterns shift by less than half a pixel, the jitter with the seed."""
    y, x = drifted_positions(preset, (64, 64))
    drift = y - np.arange(64)[:, None] * preset.specimen.field_nm[0] / 64
    assert y[0, 0] == x[0, 0] == 0 and drift[32, 0] > 0.5 * preset.scan.drift_nm_yx[0]
    assert drift[-1, -1] == pytest.approx(preset.scan.drift_nm_yx[0], rel=0.01)
    one, two = (np.stack(pattern_shifts(preset.scan, (48, 48), seed)) for seed in (1, 2))
    assert np.abs(one).max() < 0.5 and (one - two).std() == pytest.approx(np.sqrt(2) * preset.scan.jitter_px, rel=0.1)


def test_coating_mixes_carbon_and_foil(rocking_library):
    """A share of one is the plain foil, half of it the mean of foil and carbon, and a marker multiplies. In carbon the direct disc holds half of
    the beam and no reflection rises above the background."""
    preset, state = load_preset("overview"), [1.0, 63.0, 1.0, -4.0, 0.0, 0.0]
    preset = dataclasses.replace(preset, detector=dataclasses.replace(preset.detector, dead_pixels=()))
    stopped = dataclasses.replace(preset, coating=dataclasses.replace(preset.coating, carbon_direct_beam=0.0))
    renderer = Renderer(preset, rocking_library)
    foil, carbon, half, marked = renderer.expected([[*state, 1, 1], [*state, 0, 1], [*state, 0.5, 1], [*state, 0, 0.25]])
    np.testing.assert_array_equal(foil, renderer.expected(state)[0])
    np.testing.assert_allclose(half, (foil + carbon) / 2, rtol=1e-5)
    np.testing.assert_allclose(marked, carbon / 4, rtol=1e-5)
    direct = carbon - Renderer(stopped, rocking_library).expected([*state, 0.0, 1.0])[0]
    assert direct.sum(dtype=float) == pytest.approx(0.5 * renderer.optics.bragg_counts, rel=1e-3)

    def above_surroundings(pattern, hkl):
        centre = renderer.optics.centres[rocking_library.hkl.tolist().index(hkl)]
        distance = np.hypot(*(np.indices(pattern.shape) - centre[:, None, None]))
        return pattern[distance < 4].mean() - pattern[(distance > 8) & (distance < 9)].mean()

    for hkl in [[0, 0, 2], [0, 0, -2], [0, 1, 0], [0, 0, 4]]:
        assert abs(above_surroundings(carbon, hkl)) < 0.03 * above_surroundings(foil, [0, 0, 2])


def test_overview_has_three_domains_and_a_coating_at_its_bottom():
    """-P, +P and -P from left to right. The share of crystal falls from one to zero across the edge; markers, in nm, lie in the carbon."""
    truth, coating = simulate_truth(load_preset("overview"), "smoke", 0), load_preset("overview").coating
    np.testing.assert_array_equal(truth.domain_state[20, [2, 24, 45]], (5, 0, 1))
    assert states_of(truth).shape == (48, 48, 13) and states_of(simulate_truth(load_preset("ds2"), "smoke", 0)).shape == (48, 48, 11)
    maps = coating_maps(coating, (1000.0, 1000.0), *np.meshgrid(np.arange(1000) + 0.5, np.arange(1000) + 0.5, indexing="ij"))
    share, marked = maps["crystal_share"], maps["transmission"] < 1
    assert (share[:815] == 1).all() and (share[845:] == 0).all() and share[829:831].mean() == pytest.approx(0.5, abs=0.01)
    assert marked.sum() == len(coating.marker_fraction_yx) * np.prod(coating.marker_nm_yx) and (share[marked] == 0).all()
