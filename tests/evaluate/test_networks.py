"""Networks as methods: trained, rotated, beside their control."""

import pytest
import torch

from figures_pkg.evaluate.networks import trained_maps, unexplained
from figures_pkg.model.embed import embed
from figures_pkg.model.train import first_network
from figures_pkg.model.transform import InputTransform


def test_training_is_worth_something(toy_scan, tiny_recipe):
    """What continuous integration holds every change to: channels live, and the target is met better than by the control."""
    found = {each.name: each for each in trained_maps(toy_scan, tiny_recipe, 0)}
    assert list(found) == ["CA", "CA, rotated", "untrained", "untrained, rotated"]
    trained, control = found["CA"].facts, found["untrained"].facts
    assert trained["live_channels"] >= 2
    assert trained["unexplained"] < 0.6 < control["unexplained"]
    assert found["CA, rotated"].maps.attrs["chosen"] == 0


def test_unexplained_is_one_for_the_mean_pattern(toy_scan, tiny_recipe):
    """A network that draws the mean whatever it is given misses all of the variance, one that draws zeros more than that."""
    net, transform = first_network(tiny_recipe, 0), InputTransform("anscombe", 2)
    maps = embed(net, toy_scan, transform)
    mean = transform.apply(toy_scan.values).mean(axis=(0, 1))
    net.decode = lambda z: torch.from_numpy(mean).expand(len(z), 8, 8)
    assert unexplained(net, toy_scan, transform, maps) == pytest.approx(1, abs=1e-6)
    net.decode = lambda z: torch.zeros(len(z), 8, 8)
    assert unexplained(net, toy_scan, transform, maps) > 10
