"""Mean patterns of the ends and bands of a channel, and what a decoder draws for them."""

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from figures_pkg.evaluate.quantiles import agreement, band_weights, bin_pixels, end_difference, quantile_patterns, sweep_patterns
from figures_pkg.model import Autoencoder, NetworkConfig
from figures_pkg.model.embed import decoded_counts
from figures_pkg.model.transform import InputTransform

DIMS = ("scan_y", "scan_x", "det_y", "det_x")


def test_quantile_patterns_are_means_of_the_ends():
    """One pass over blocks gives what sorting in memory gives; the low end of a sparse channel is the mean of all its zeros."""
    rng = np.random.default_rng(6)
    scan = xr.DataArray(rng.poisson(30, size=(12, 10, 6, 5)).astype(np.uint16), dims=DIMS)
    values = rng.normal(size=(3, 12, 10))
    values[2] = np.maximum(values[2], 0)
    maps = xr.DataArray(values, dims=("channel", "scan_y", "scan_x"))
    found = quantile_patterns(scan.chunk(scan_y=5, scan_x=4), maps, share=0.1)
    patterns, order = scan.values.reshape(120, 6, 5), np.argsort(values.reshape(3, -1), axis=1)
    for channel in range(3):
        low = order[channel, :12] if channel < 2 else values[2].ravel() == 0
        np.testing.assert_allclose(found.high[channel], patterns[order[channel, -12:]].mean(axis=0), rtol=1e-5)
        np.testing.assert_allclose(found.low[channel], patterns[low].mean(axis=0), rtol=1e-5)
    with pytest.raises(ValueError, match="maps of this scan"):
        quantile_patterns(scan, maps[:, :5])


class Linear:
    """A decoder without a network: pattern = base + Σ a_j · image_j, on the logarithm of the counts."""

    transform, config = InputTransform("log", 2), NetworkConfig(pattern=4, filters=1, pools=(2,), channels=2)

    def __init__(self, images):
        self.images = torch.as_tensor(images, dtype=torch.float32)

    def parameters(self):
        return iter([self.images])

    def decode(self, z):
        return 3 + torch.einsum("nc,chw->nhw", z, self.images)


@pytest.fixture(scope="module")
def world():
    """A scan that the linear decoder draws exactly, with two independent channels, the second of them sparse."""
    rng = np.random.default_rng(3)
    first = rng.uniform(0, 1, (8, 10))
    z = np.stack([first, (first > 0.5) * rng.uniform(0, 1, (8, 10))])
    net = Linear(rng.normal(size=(2, 4, 4)) * 0.05)
    binned = np.expm1(net.decode(torch.as_tensor(z.reshape(2, -1).T, dtype=torch.float32)).numpy()).reshape(8, 10, 4, 4)
    coords = {dim: np.arange(float(size)) for dim, size in zip(DIMS, (8, 10, 8, 8))}
    maps = xr.DataArray(z, dims=("channel", "scan_y", "scan_x"), coords={"channel": [0, 1]})
    return net, xr.DataArray(np.kron(binned / 4, np.ones((2, 2))), dims=DIMS, coords=coords), maps


@settings(max_examples=30)
@given(arrays(np.float64, (3, 7), elements=st.sampled_from([0.0, 0.0, 0.0, 1.0, 2.5, 4.0])), st.integers(1, 21))
def test_bands_share_the_positions_evenly(values, bands):
    """Each position counts once, each band holds the same number, equal values are spread alike, and bands rise."""
    weights = band_weights(values, bands)
    np.testing.assert_allclose(weights.sum(axis=0), 1)
    np.testing.assert_allclose(weights.sum(axis=(1, 2)), values.size / bands)
    for level in np.unique(values):
        assert np.ptp(weights[:, values == level], axis=1).max() < 1e-12
    assert (np.diff((weights * values).sum(axis=(1, 2))) >= -1e-9).all()


def test_a_decoder_that_knows_the_scan_draws_what_was_measured(world):
    """All channels along: the drawn difference has the measured one's shape and nearly its size."""
    net, scan, maps = world
    found = sweep_patterns(net, scan, maps, maps[0], bands=8)
    r, size = agreement(end_difference(found.together), end_difference(found.measured))
    assert r > 0.99 and size == pytest.approx(1, abs=0.1)
    assert found.measured.shape == (8, 4, 4) and float(found.det_y[0]) == 0.5
    np.testing.assert_allclose(found.measured.mean("band"), bin_pixels(scan.mean(["scan_y", "scan_x"]), 2), rtol=1e-5)


def test_a_channel_alone_moves_the_pattern_along_its_own_image(world):
    """On the logarithm, the change between bands is the channel's image times the change of its value."""
    net, scan, maps = world
    found = sweep_patterns(net, scan, maps, maps[1], bands=4)
    change = np.diff(np.log1p(found.alone.values), axis=0)
    np.testing.assert_allclose(change, np.diff(found.value.values)[:, None, None] * net.images[1].numpy(), atol=1e-4)
    assert "alone" not in sweep_patterns(net, scan, maps, maps.sum("channel"), bands=4)


def test_agreement_of_a_half_as_large_change_and_of_nothing():
    """r does not depend on the size, the size is the slope; a constant has no answer, nor has a network without its transform."""
    pattern = xr.DataArray(np.arange(12.0).reshape(3, 4), dims=("det_y", "det_x"))
    assert agreement(pattern / 2 + 7, pattern) == pytest.approx((1, 0.5))
    assert agreement(-pattern, pattern) == pytest.approx((-1, -1))
    with pytest.raises(ValueError, match="constant"):
        agreement(0 * pattern, pattern)
    with pytest.raises(ValueError, match="no input transform"):
        decoded_counts(Autoencoder(NetworkConfig(pattern=32, filters=2, pools=(2, 2), channels=3), seed=0), np.zeros((1, 3)))
