"""Step components find a step under bends and noise, in scores and in an embedding, and say nothing about what it is."""

import numpy as np
import pytest
import xarray as xr

from figures_pkg.evaluate.scores import area_under_curve, folded
from figures_pkg.model import rotate_steps
from figures_pkg.model.step_components import StepSettings, edge_map, step_components


def folded_auc(image, domain):
    """AUC whatever the sign."""
    return folded(area_under_curve(image, domain > 0, domain < 0))


@pytest.fixture(scope="module")
def mixture():
    """Five scores that mix a step with two strong smooth fields, one of them nonlinear, and unit noise."""
    rng = np.random.default_rng(3)
    y, x = np.indices((40, 44)) / 40
    domain = np.where(x + 0.2 * y + 0.05 * np.sin(6 * y) < 0.6, 1, -1)
    sources = np.stack([5 * domain, 60 * np.sin(2 * x + y), 40 * np.cos(2.5 * y - x), 15 * x * y])
    return np.tensordot(rng.normal(size=(5, 4)), sources, 1) + rng.normal(size=(5, 40, 44)), domain


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


def embedding(seed: int) -> tuple[xr.DataArray, np.ndarray]:
    """A domain and two smooth fields, mixed at random over five channels, with noise, and a dead channel."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((40, 40)) / 40
    domain = np.where(x + 0.2 * np.sin(5 * y) > 0.55, 1.0, -1.0)
    fields = np.stack([0.3 * domain, np.sin(3 * x + y), np.cos(2 * y - x)])
    channels = np.tensordot(rng.normal(size=(5, 3)), fields, 1) + 0.02 * rng.normal(size=(5, 40, 40))
    return xr.DataArray(np.concatenate([channels, np.zeros((1, 40, 40))]), dims=("channel", "scan_y", "scan_x")), domain


@pytest.mark.parametrize("seed", range(4))
def test_the_rotation_finds_the_domain(seed):
    """The first component is the domain, whatever the mixture, although it is the weakest of the three fields."""
    maps, domain = embedding(seed)
    rotated = rotate_steps(maps)
    assert rotated.shape == (5, 40, 40) and rotated.attrs["chosen"] == 0
    assert abs(np.corrcoef(rotated[0].values.ravel(), domain.ravel())[0, 1]) > 0.9
    assert rotated.attrs["ratios"][0] > 2 * rotated.attrs["ratios"][1]


def test_scale_of_the_embedding_does_not_matter():
    """Twice the activations give the same components up to their sign."""
    maps, _ = embedding(0)
    one, other = rotate_steps(maps), rotate_steps(2 * maps)
    np.testing.assert_allclose(np.abs(one), np.abs(other), atol=1e-6)


def test_channels_of_any_scale_find_the_domain():
    """Channels whose units differ a hundredfold still give the domain."""
    maps, domain = embedding(0)
    scaled = maps * xr.DataArray([1, 10, 0.1, 1, 3, 1], dims="channel")
    assert abs(np.corrcoef(rotate_steps(scaled)[0].values.ravel(), domain.ravel())[0, 1]) > 0.9


def test_dead_embedding():
    """Nothing but constant channels is an error with its remedy."""
    with pytest.raises(ValueError, match="dead; train again"):
        rotate_steps(xr.DataArray(np.zeros((3, 40, 40)), dims=("channel", "scan_y", "scan_x")))
