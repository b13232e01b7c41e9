"""Smooth fields, drift and shifts of a scan, and the domain wall."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from figures_pkg.twin.specimen.domains import FWHM_PER_SIGMA, WallSurface, polarization_weight, projected_width_nm
from figures_pkg.twin.specimen.fields import SmoothField, drifted_positions, pattern_shifts, specimen_fields
from figures_pkg.twin.presets import load_preset
from figures_pkg.twin.truth import simulate_truth


@pytest.fixture(scope="module")
def preset():
    """The preset DS1."""
    return load_preset("ds1")


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


def test_wall_leans_as_in_the_picture(preset):
    """The wall crosses 0.69 of the width at the top and 0.33 at the bottom, with +P to its left."""
    truth = simulate_truth(preset, "laptop", 0)
    assert (truth.domain[:, 0] == 1).all() and (truth.domain[:, -1] == -1).all()
    share = (truth.domain == 1).mean("scan_x").values
    assert share[0] == pytest.approx(0.69, abs=0.03) and share[-1] == pytest.approx(0.33, abs=0.03)


def test_wall_distance_is_a_distance(preset):
    """Its gradient has length one, and it is positive on the left."""
    surface = WallSurface.draw(preset.wall, preset.specimen.field_nm, 0)
    nodes = np.meshgrid(np.linspace(0, 358, 200), np.linspace(0, 358, 200), indexing="ij")
    distance = surface.distance(*nodes)
    slope = np.hypot(*np.gradient(distance, 358 / 199))
    assert distance[100, 0] > 0 > distance[100, -1]
    np.testing.assert_allclose(slope, 1, atol=0.05)


@pytest.mark.parametrize("width", [0.0, 0.5, 3.0, 12.0])
def test_polarization_weight_is_the_probe_folded_with_the_ramp(width):
    """The closed form equals the integral of a Gaussian probe over the linear ramp of an inclined wall."""
    sigma = 2.0 / FWHM_PER_SIGMA
    for distance in (-9.0, -1.3, 0.0, 0.4, 2.0, 7.0):
        ramp = lambda s: np.clip(2 * s / width, -1, 1) if width else np.sign(s)
        breaks = sorted({-width / 2, 0.0, width / 2})
        folded, _ = quad(lambda s: ramp(s) * norm.pdf(s, distance, sigma), distance - 10, distance + 10, points=breaks, limit=200)
        assert float(polarization_weight(distance, width, 2.0)) == pytest.approx(folded, abs=2e-6)


def test_inclined_wall_is_as_wide_as_its_projection():
    """At 11 degrees a foil of 63 nm shows the wall over 12.2 nm; the weight leaves +-1 only there."""
    width = float(projected_width_nm(63.0, 11.0))
    assert width == pytest.approx(12.25, abs=0.01)
    distance = np.linspace(-20, 20, 4001)
    weight = polarization_weight(distance, width, 2.0)
    mixed = np.abs(weight) < 0.999
    assert np.ptp(distance[mixed]) == pytest.approx(width + 2.0, abs=1.5)
    assert (np.diff(weight) > -1e-12).all()
