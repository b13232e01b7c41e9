"""Step components and the linear methods find a step under bends and noise, and say nothing about what it is."""

import numpy as np
import pytest
import xarray as xr

from figures_pkg.evaluate.scores import area_under_curve
from figures_pkg.model import linear
from figures_pkg.model.features import Features, gather_features
from figures_pkg.model.statistics import Components
from figures_pkg.model.step_components import StepSettings, edge_map, step_components, step_maps


def folded_auc(image, domain):
    """AUC whatever the sign."""
    auc = area_under_curve(image, domain > 0, domain < 0)
    return max(auc, 1 - auc)


@pytest.fixture(scope="module")
def mixture():
    """Five scores that mix a step with two strong smooth fields, one of them nonlinear, and unit noise."""
    rng = np.random.default_rng(3)
    y, x = np.indices((40, 44)) / 40
    domain = np.where(x + 0.2 * y + 0.05 * np.sin(6 * y) < 0.6, 1, -1)
    sources = np.stack([5 * domain, 60 * np.sin(2 * x + y), 40 * np.cos(2.5 * y - x), 15 * x * y])
    return np.tensordot(rng.normal(size=(5, 4)), sources, 1) + rng.normal(size=(5, 40, 44)), domain


@pytest.fixture(scope="module")
def features(mixture):
    """The same as features."""
    scores, _ = mixture
    scan = xr.DataArray(np.ones((40, 44, 4, 4), np.uint16), dims=("scan_y", "scan_x", "det_y", "det_x"))
    patterns = np.abs(scores).transpose(1, 2, 0)[..., None].astype(np.float32)
    return Features(scan, scores, Components(np.ones((5, 4, 4)), np.ones(5), 1.0, 5), patterns)


def test_first_component_is_the_step(mixture):
    """The step is found under fields ten times as strong, without seed or choice."""
    scores, domain = mixture
    maps, ratios = step_components(scores)
    assert folded_auc(maps[0], domain) > 0.995
    assert np.all(np.diff(ratios) <= 0)


def test_unchanged_by_mixing(mixture):
    """Any invertible mixture with kept noise (a rotation) gives the same first component up to its sign."""
    scores, _ = mixture
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(5, 5)))[0]
    first, second = (step_components(s, StepSettings(ridge=1e-9))[0][0] for s in (scores, np.tensordot(rotation, scores, 1)))
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) > 0.99


def test_edge_map_ignores_steady_change():
    """A plane gives no edge away from the border, a step of the same height does."""
    x = np.indices((30, 30))[1]
    ramp, step = x[None] * 1.0, 30.0 * (x[None] > 14)
    assert edge_map(ramp, 2)[8:-8, 8:-8].max() < 1e-9
    assert edge_map(step, 2)[15, 14] > 10


def test_lengths_follow_the_step():
    """Lengths in nm become positions, at least one, also where the step is unknown."""
    assert (StepSettings.of_step(1.4).reach, StepSettings.of_step(1.4).lag) == (3, 2)
    assert (StepSettings.of_step(7.5).reach, StepSettings.of_step(float("nan")).lag) == (1, 1)


@pytest.mark.parametrize(("scores", "message"), [
    (np.ones((3, 4, 40)), "larger scan"),
    (np.ones((3, 40, 40)), "constant"),
])
def test_unfit_scores_are_refused(scores, message):
    """A tiny scan and a dead channel are named."""
    with pytest.raises(ValueError, match=message):
        step_components(scores)


@pytest.mark.parametrize("method", [
    linear.principal_maps, step_maps, linear.cluster_map, lambda f, seed: linear.positive_maps(f, seed, 4),
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
