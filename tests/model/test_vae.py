"""The variational network has the published size, a mean that does not change, and draws that a generator decides."""

import torch

from figures_pkg.model.autoencoder import count_parameters
from figures_pkg.model.config import NetworkConfig
from figures_pkg.model.vae import BetaVAE

SMALL = NetworkConfig(pattern=16, filters=3, pools=(2, 2), channels=4)


def test_it_has_two_linear_layers_more():
    """4,702,882 parameters at the paper's sizes: 2 (32 x 32 + 32) more than the autoencoder."""
    net = BetaVAE()
    assert count_parameters(net) == 4_702_882
    assert net.enc.set_mean.weight.shape == net.enc.set_std.weight.shape == (32, 32)


def test_a_generator_decides_the_draw_and_the_mean_has_none():
    """The same seed gives the same reconstruction, another one does not; encode gives the mean."""
    net, patterns = BetaVAE(SMALL, seed=1), torch.rand(3, 16, 16)
    draws = [net(patterns, torch.Generator().manual_seed(seed)) for seed in (7, 7, 8)]
    assert torch.equal(draws[0][0], draws[1][0]) and not torch.equal(draws[0][0], draws[2][0])
    assert torch.equal(draws[0][1], net.encode(patterns)) and draws[0][2].shape == (3, 4)


def test_without_variance_the_reconstruction_is_that_of_the_mean():
    """A log-variance of -80 leaves no noise."""
    net, patterns = BetaVAE(SMALL, seed=1), torch.rand(3, 16, 16)
    with torch.no_grad():
        net.enc.set_std.weight.zero_()
        net.enc.set_std.bias.fill_(-80.0)
    reconstruction, mean, _ = net(patterns)
    torch.testing.assert_close(reconstruction, net.decode(mean))
