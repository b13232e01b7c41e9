"""The linear methods have one form and repeat themselves; step components find a step under bends and noise, in scores and in an embedding."""

from functools import partial

import numpy as np
import pytest
import xarray as xr

from figures_pkg.evaluate.scores import area_under_curve, folded
from figures_pkg.model import linear, rotate_steps
from figures_pkg.model.linear import Features, gather_features, step_components
from figures_pkg.model.transform import Components


@pytest.fixture(scope="module")
def mixture():
    """Five scores that mix a step with two strong smooth fields, one of them nonlinear, and unit noise; and the domains."""
    rng = np.random.default_rng(3)
    y, x = np.indices((40, 44)) / 40
    domain = np.where(x + 0.2 * y + 0.05 * np.sin(6 * y) < 0.6, 1, -1)
    sources = np.stack([5 * domain, 60 * np.sin(2 * x + y), 40 * np.cos(2.5 * y - x), 15 * x * y])
    return np.tensordot(rng.normal(size=(5, 4)), sources, 1) + rng.normal(size=(5, 40, 44)), domain


@pytest.mark.parametrize("method", [
    linear.principal_maps, linear.step_maps, linear.edge_channel, linear.cluster_map, partial(linear.positive_maps, components=4),
    partial(linear.independent_maps, components=4), partial(linear.mixture_map, components=4)])
def test_methods_have_one_form_and_are_repeatable(mixture, method):
    scores, _ = mixture
    scan = xr.DataArray(np.ones((40, 44, 4, 4), np.uint16), dims=("scan_y", "scan_x", "det_y", "det_x"))
    patterns = np.abs(scores).transpose(1, 2, 0)[..., None].astype(np.float32)
    features = Features(scan, scores, Components(np.ones((5, 4, 4)), np.ones(5), 1.0, 5), patterns)
    first, second = method(features, 1), method(features, 1)
    assert first.dims == ("channel", "scan_y", "scan_x") and first.shape[1:] == (40, 44) and np.isfinite(first.values).all()
    np.testing.assert_array_equal(first.values, second.values)


def test_features_are_scores_of_the_stabilised_patterns():
    rng = np.random.default_rng(5)
    level = 100 * (1 + 0.3 * np.indices((20, 18))[1] / 18)
    counts = rng.poisson(level[..., None, None] * rng.uniform(0.5, 1.5, size=(16, 16))).astype(np.uint16)
    scan = xr.DataArray(counts, dims=("scan_y", "scan_x", "det_y", "det_x"))
    features, again = gather_features(scan), gather_features(scan.chunk(scan_y=3, scan_x=7))
    np.testing.assert_allclose(features.scores.var(axis=(1, 2)), features.components.variance, rtol=1e-3)
    np.testing.assert_allclose(again.scores, features.scores, atol=1e-2)
    assert features.patterns.shape == (20, 18, 2, 2)


def test_first_component_is_the_step(mixture):
    scores, domain = mixture
    maps, ratios = step_components(scores)
    assert folded(area_under_curve(maps[0], domain > 0, domain < 0)) > 0.995 and np.all(np.diff(ratios) <= 0)
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(5, 5)))[0]
    mixed = step_components(np.tensordot(rotation, scores, 1))[0][0]
    assert abs(np.corrcoef(maps[0].ravel(), mixed.ravel())[0, 1]) > 0.99


@pytest.mark.parametrize(("scores", "step_nm", "message"), [
    (np.ones((3, 4, 40)), float("nan"), "at least 6 along .* larger scan"), (np.ones((3, 10, 40)), 1.4, "at least 18 along"),
    (np.ones((3, 40, 40)), 1.4, "constant")])
def test_unfit_scores_are_refused(scores, step_nm, message):
    with pytest.raises(ValueError, match=message):
        step_components(scores, step_nm)
    with pytest.raises(ValueError, match="dead; train again"):
        rotate_steps(xr.DataArray(np.zeros((3, 40, 40)), dims=("channel", "scan_y", "scan_x")))


@pytest.mark.parametrize("units", [[1, 1, 1, 1, 1, 1], [1, 10, 0.1, 1, 3, 1]])
def test_the_rotation_of_an_embedding_finds_the_domain_whatever_the_units(units):
    rng, (y, x) = np.random.default_rng(0), np.indices((40, 40)) / 40
    domain = np.where(x + 0.2 * np.sin(5 * y) > 0.55, 1.0, -1.0)
    fields = np.stack([0.3 * domain, np.sin(3 * x + y), np.cos(2 * y - x)])  # the domain is the weakest of the three
    channels = np.tensordot(rng.normal(size=(5, 3)), fields, 1) + 0.02 * rng.normal(size=(5, 40, 40))
    maps = xr.DataArray(np.concatenate([channels, np.zeros((1, 40, 40))]), dims=("channel", "scan_y", "scan_x"))  # the last channel is dead
    rotated = rotate_steps(xr.DataArray(np.array(units, float), dims="channel") * maps)
    assert rotated.shape == (5, 40, 40) and rotated.attrs["chosen"] == 0 and rotated.attrs["ratios"][0] > 2 * rotated.attrs["ratios"][1]
    assert abs(np.corrcoef(rotated[0].values.ravel(), domain.ravel())[0, 1]) > 0.9


@pytest.mark.parametrize("steady", [0, 2])
def test_a_channel_that_is_alive_at_one_place_only_is_the_last_component(steady):
    channels = np.random.default_rng(0).normal(size=(steady + 2, 40, 40))
    channels[steady:] = 0
    channels[steady, 0, 0], channels[steady + 1, -1, 0] = 1e6, 2e6
    rotated = rotate_steps(xr.DataArray(channels, dims=("channel", "scan_y", "scan_x")))
    assert np.isfinite(rotated).all()
    assert np.all(rotated.attrs["ratios"][steady:] < 0.01)
