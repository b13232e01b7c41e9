"""The linear methods have one form and repeat themselves; the features that they work on are scores of the patterns."""

import numpy as np
import pytest
import xarray as xr

from figures_pkg.model import linear
from figures_pkg.model.linear import Features, gather_features
from figures_pkg.model.step_components import edge_channel, step_maps
from figures_pkg.model.transform import Components


@pytest.fixture(scope="module")
def features():
    """Five scores that mix a step with two smooth fields and noise."""
    rng = np.random.default_rng(3)
    y, x = np.indices((40, 44)) / 40
    sources = np.stack([5 * np.where(x + 0.2 * y < 0.6, 1, -1), 60 * np.sin(2 * x + y), 40 * np.cos(2.5 * y - x)])
    scores = np.tensordot(rng.normal(size=(5, 3)), sources, 1) + rng.normal(size=(5, 40, 44))
    scan = xr.DataArray(np.ones((40, 44, 4, 4), np.uint16), dims=("scan_y", "scan_x", "det_y", "det_x"))
    patterns = np.abs(scores).transpose(1, 2, 0)[..., None].astype(np.float32)
    return Features(scan, scores, Components(np.ones((5, 4, 4)), np.ones(5), 1.0, 5), patterns)


@pytest.mark.parametrize("method", [
    linear.principal_maps, step_maps, edge_channel, linear.cluster_map, lambda f, seed: linear.positive_maps(f, seed, 4),
    lambda f, seed: linear.independent_maps(f, seed, 4), lambda f, seed: linear.mixture_map(f, seed, 4),
])
def test_methods_have_one_form_and_are_repeatable(features, method):
    """Every method gives (channel, scan_y, scan_x), finite, and the same again from the same seed."""
    first, second = method(features, 1), method(features, 1)
    assert first.dims == ("channel", "scan_y", "scan_x") and first.shape[1:] == (40, 44)
    assert np.isfinite(first.values).all()
    np.testing.assert_array_equal(first.values, second.values)


def test_features_are_scores_of_the_stabilised_patterns():
    """Scores have the components' variances, no mean, and do not depend on the blocks."""
    rng = np.random.default_rng(5)
    level = 100 * (1 + 0.3 * np.indices((20, 18))[1] / 18)
    counts = rng.poisson(level[..., None, None] * rng.uniform(0.5, 1.5, size=(16, 16))).astype(np.uint16)
    scan = xr.DataArray(counts, dims=("scan_y", "scan_x", "det_y", "det_x"))
    features = gather_features(scan, bin_px=4, components=6)
    np.testing.assert_allclose(features.scores.var(axis=(1, 2)), features.components.variance, rtol=1e-3)
    again = gather_features(scan.chunk(scan_y=3, scan_x=7), bin_px=4, components=6)
    np.testing.assert_allclose(again.scores, features.scores, atol=1e-2)
    assert features.patterns.shape == (20, 18, 2, 2)
