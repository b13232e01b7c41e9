"""Rotating an embedding by steps finds a domain that is spread over channels, and says when there is nothing to rotate."""

import numpy as np
import pytest
import xarray as xr

from figures_pkg.model import rotate_steps

DIMS = ("channel", "scan_y", "scan_x")


def mixture(seed: int) -> tuple[xr.DataArray, np.ndarray]:
    """A domain and two smooth fields, mixed at random over five channels, with noise, and a dead channel."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((40, 40)) / 40
    domain = np.where(x + 0.2 * np.sin(5 * y) > 0.55, 1.0, -1.0)
    fields = np.stack([0.3 * domain, np.sin(3 * x + y), np.cos(2 * y - x)])
    channels = np.tensordot(rng.normal(size=(5, 3)), fields, 1) + 0.02 * rng.normal(size=(5, 40, 40))
    return xr.DataArray(np.concatenate([channels, np.zeros((1, 40, 40))]), dims=DIMS), domain


@pytest.mark.parametrize("seed", range(4))
def test_it_finds_the_domain(seed):
    """The first component is the domain, whatever the mixture, although it is the weakest of the three fields."""
    maps, domain = mixture(seed)
    rotated = rotate_steps(maps)
    assert rotated.shape == (5, 40, 40) and rotated.attrs["chosen"] == 0
    assert abs(np.corrcoef(rotated[0].values.ravel(), domain.ravel())[0, 1]) > 0.9
    assert rotated.attrs["ratios"][0] > 2 * rotated.attrs["ratios"][1]


def test_scale_of_the_embedding_does_not_matter():
    """Twice the activations give the same components up to their sign."""
    maps, _ = mixture(0)
    one, other = rotate_steps(maps), rotate_steps(2 * maps)
    np.testing.assert_allclose(np.abs(one), np.abs(other), atol=1e-6)


def test_channels_of_any_scale_find_the_domain():
    """Channels whose units differ a hundredfold still give the domain."""
    maps, domain = mixture(0)
    scaled = maps * xr.DataArray([1, 10, 0.1, 1, 3, 1], dims="channel")
    assert abs(np.corrcoef(rotate_steps(scaled)[0].values.ravel(), domain.ravel())[0, 1]) > 0.9


def test_dead_embedding():
    """Nothing but constant channels is an error with its remedy."""
    with pytest.raises(ValueError, match="dead; train again"):
        rotate_steps(xr.DataArray(np.zeros((3, 40, 40)), dims=DIMS))
