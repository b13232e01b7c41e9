"""The network has the paper's size, its shortcuts compute what the plain form does, and wrong input is refused."""

import pytest
import torch

from figures_pkg.model.autoencoder import Autoencoder, BetaVAE, NetworkConfig, Upsample, count_parameters

SMALL = NetworkConfig(pattern=32, filters=4, pools=(4, 2), channels=3)


def test_the_paper_configuration_is_that_of_the_methods():
    net, variational = Autoencoder(), BetaVAE()
    names = list(net.state_dict())
    assert count_parameters(net) == 4_700_770 and count_parameters(variational) == 4_702_882
    assert len(names) == 96 and names[0] == "enc.block_layer.0.cov1d_1.weight" and names[42] == "dec.dense.weight"
    assert variational.enc.set_mean.weight.shape == variational.enc.set_std.weight.shape == (32, 32)


def test_impossible_sizes_and_patterns_and_embeddings_of_another_size_are_refused():
    for sizes, says in (({"pattern": 30}, "must divide"), ({"filters": 0}, "filters=0"), ({"pools": ()}, "pools"), ({"pools": (4, 1)}, "pools=1"),
                        ({"channels": 2.0}, "channels=2.0")):  # fmt: skip
        with pytest.raises(ValueError, match=says):
            NetworkConfig(**sizes)
    net = Autoencoder(SMALL, seed=0)
    for use, shape, says in ((net.encode, (2, 64, 64), r"\(2, 64, 64\).*\(n, 32, 32\)"), (net.decode, (2, 4), r"\(2, 4\).*\(n, 3\)")):
        with pytest.raises(ValueError, match=says):
            use(torch.zeros(shape))


def test_noise_decides_the_draw_of_the_vae_and_the_mean_has_none():
    net, patterns, noise = BetaVAE(SMALL, seed=1), torch.rand(3, 32, 32), torch.randn(2, 3, 3)
    draws = [net(patterns, noise[k]) for k in (0, 0, 1)]
    assert torch.equal(draws[0][0], draws[1][0]) and not torch.equal(draws[0][0], draws[2][0])
    assert torch.equal(draws[0][1], net.encode(patterns)) and not torch.equal(net(patterns)[0], net(patterns)[0])
    with torch.no_grad():
        net.enc.set_std.weight.zero_()
        net.enc.set_std.bias.fill_(-80.0)
    torch.testing.assert_close(net(patterns)[0], net.decode(net.encode(patterns)))


@pytest.mark.parametrize("side, scale", [(8, 4), (5, 2), (2, 3)])
def test_upsampling_as_products(side, scale):
    images = torch.randn(2, 3, side, side, dtype=torch.double, generator=torch.Generator().manual_seed(1), requires_grad=True)
    upsample, found = Upsample(scale), []
    for result in (upsample(images), upsample.as_products(images)):
        found.append([result, *torch.autograd.grad(result.sin().sum(), images)])
    for plain, other in zip(*found, strict=True):
        assert plain.shape == other.shape and (plain - other).abs().max() <= 1e-12 * plain.abs().max()
