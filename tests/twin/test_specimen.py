"""The specimen: smooth fields, drift and shifts of a scan, and what lies beside the crystal."""

import dataclasses

import numpy as np
import pytest

from figures_pkg.twin.presets import load_preset
from figures_pkg.twin.render import Renderer
from figures_pkg.twin.specimen import SmoothField, coating_maps, drifted_positions, pattern_shifts, specimen_fields
from figures_pkg.twin.truth import simulate_truth, states_of

pytestmark = pytest.mark.physics

FOIL = [1.0, 63.0, 1.0, -4.0, 0.0, 0.0]


def test_smooth_field_has_the_variance_and_correlation_it_promises():
    """Over many draws the field has unit variance and a Gaussian correlation of the given length."""
    rng = np.random.default_rng(3)
    places = np.array([0.0, 20.0, 40.0, 80.0])
    values = np.stack([SmoothField.draw(40.0, rng)(places, 0.0) for _ in range(2000)])
    correlation = (values[:, :1] * values).mean(axis=0)
    np.testing.assert_allclose(correlation, np.exp(-(places**2) / (2 * 40.0**2)), atol=0.1)


def test_fields_have_mean_and_range_of_the_preset(preset):
    """Thickness and tilts vary about their mean by the wedge and the bend."""
    nodes = np.meshgrid(*[np.linspace(0, length, 129) for length in preset.specimen.field_nm], indexing="ij")
    fields = specimen_fields(preset.specimen, seed=11)
    wanted = {"thickness_nm": (63.0, 5.0), "tilt_b_mrad": (1.0, 1.0), "tilt_c_mrad": (-4.0, 1.0)}
    for name, (mean, extent) in wanted.items():
        values = fields[name](*nodes)
        assert values.mean() == pytest.approx(mean, abs=0.02 * extent), name
        assert np.ptp(values) == pytest.approx(extent, rel=0.01), name


def test_sizes_show_the_same_specimen(preset):
    """A place has the same thickness, tilts and wall distance whatever the number of positions."""
    coarse = simulate_truth(preset, "smoke", 5)
    fields = specimen_fields(preset.specimen, 5)
    fine = simulate_truth(preset, "laptop", 5)
    for name in fields:
        shared = fine[name].isel(scan_y=slice(0, None, 2), scan_x=slice(0, None, 2))
        # The drift comes a little earlier at the same place of a longer scan: less than a hundredth of the field.
        np.testing.assert_allclose(shared, coarse[name], atol=0.02 * np.ptp(coarse[name].values))


def test_drift_starts_at_zero_and_ends_at_its_total(preset):
    """The specimen drifts from nothing to the total of the preset, more in the first half."""
    y, x = drifted_positions(preset, (64, 64))
    step = preset.specimen.field_nm[0] / 64
    drift = y - np.arange(64)[:, None] * step
    assert y[0, 0] == x[0, 0] == 0
    assert drift[-1, -1] == pytest.approx(preset.scan.drift_nm_yx[0], rel=0.01)
    assert drift[32, 0] > 0.5 * preset.scan.drift_nm_yx[0]


def test_shifts_stay_sub_pixel_and_follow_the_seed(preset):
    """Descan, drift and jitter stay below half a pixel; another seed changes the jitter only."""
    one, two = (np.stack(pattern_shifts(preset.scan, (48, 48), seed)) for seed in (1, 2))
    assert np.abs(one).max() < 0.5
    assert (one - two).std() == pytest.approx(np.sqrt(2) * preset.scan.jitter_px, rel=0.1)


@pytest.fixture(scope="module")
def overview(rocking_library):
    """The overview on the analytic library, without dead pixels."""
    preset = load_preset("overview")
    return Renderer(dataclasses.replace(preset, detector=dataclasses.replace(preset.detector, dead_pixels=())), rocking_library)


def disc_excess(renderer, pattern, hkl):
    """Counts per pixel of a disc above its surroundings."""
    index = [tuple(row) for row in renderer.library.hkl].index(hkl)
    distance = np.hypot(*(np.indices(pattern.shape) - renderer.optics.centres[index][:, None, None]))
    return pattern[distance < 4].mean() - pattern[(distance > 8) & (distance < 9)].mean()


def direct_disc(renderer, carbon):
    """What the direct disc adds to the pattern of carbon: the difference to a layer that stops the direct beam."""
    preset = renderer.preset
    stopped = dataclasses.replace(preset, coating=dataclasses.replace(preset.coating, carbon_direct_beam=0.0))
    return carbon - Renderer(stopped, renderer.library).expected([*FOIL, 0.0, 1.0])[0]


def test_crystal_without_marker_is_the_plain_foil(overview):
    """A share of one and a transmission of one change nothing."""
    np.testing.assert_array_equal(overview.expected([*FOIL, 1.0, 1.0]), overview.expected(FOIL))


def test_carbon_has_the_direct_beam_alone(overview):
    """In carbon the direct disc holds half of the beam and no reflection rises above the background."""
    carbon = overview.expected([*FOIL, 0.0, 1.0])[0]
    foil = overview.expected(FOIL)[0]
    assert direct_disc(overview, carbon).sum(dtype=float) == pytest.approx(0.5 * overview.optics.bragg_counts, rel=1e-3)
    for hkl in [(0, 0, 2), (0, 0, -2), (0, 1, 0), (0, 0, 4)]:
        assert abs(disc_excess(overview, carbon, hkl)) < 0.03 * disc_excess(overview, foil, (0, 0, 2))


def test_edge_mixes_and_marker_weakens(overview):
    """Half crystal is the mean of both; a marker multiplies."""
    foil, carbon, half, marked = overview.expected([[*FOIL, 1, 1], [*FOIL, 0, 1], [*FOIL, 0.5, 1], [*FOIL, 0, 0.25]])
    np.testing.assert_allclose(half, (foil + carbon) / 2, rtol=1e-5)
    np.testing.assert_allclose(marked, carbon / 4, rtol=1e-5)


def test_layer_lies_at_the_bottom_with_markers_in_it():
    """The share falls from one to zero across the edge; markers have their size, in nm, and lie in the carbon."""
    coating, field = load_preset("overview").coating, (1000.0, 1000.0)
    y, x = np.meshgrid(np.arange(1000) + 0.5, np.arange(1000) + 0.5, indexing="ij")
    maps = coating_maps(coating, field, y, x)
    share, marked = maps["crystal_share"], maps["transmission"] < 1
    assert (share[:815] == 1).all() and (share[845:] == 0).all() and share[829:831].mean() == pytest.approx(0.5, abs=0.01)
    assert marked.sum() == len(coating.marker_fraction_yx) * np.prod(coating.marker_nm_yx)
    assert (share[marked] == 0).all()


def test_overview_has_three_domains_and_a_coating():
    """-P, +P and -P from left to right, and eight numbers for each position; other presets have six."""
    truth = simulate_truth(load_preset("overview"), "smoke", 0)
    np.testing.assert_array_equal(truth.domain_state[20, [2, 24, 45]], (5, 0, 1))
    assert states_of(truth).shape == (48, 48, 13)
    assert states_of(simulate_truth(load_preset("ds2"), "smoke", 0)).shape == (48, 48, 11)
