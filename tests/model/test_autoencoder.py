"""The network has the paper's size, its shapes follow from one configuration, and wrong input is refused."""

import pytest
import torch

from figures_pkg.model.autoencoder import Autoencoder, BetaVAE, NetworkConfig, Upsample, count_parameters

SMALL = NetworkConfig(pattern=32, filters=4, pools=(4, 2), channels=3)


def test_the_paper_configuration_is_that_of_the_methods():
    """4,700,770 parameters in the 96 tensors of the published files, first the blocks of the encoder; the β-VAE has 2 (32 x 32 + 32) more."""
    net, variational = Autoencoder(), BetaVAE()
    names = list(net.state_dict())
    assert count_parameters(net) == 4_700_770 and count_parameters(variational) == 4_702_882
    assert len(names) == 96 and names[0] == "enc.block_layer.0.cov1d_1.weight" and names[42] == "dec.dense.weight"
    assert variational.enc.set_mean.weight.shape == variational.enc.set_std.weight.shape == (32, 32)


@pytest.mark.parametrize("config", [SMALL, NetworkConfig(24, 5, (3,), 2), NetworkConfig(16, 2, [2, 2, 2], 7)])
def test_shapes_follow_from_the_configuration(config):
    """Patterns go in and come out with the same shape; the embedding is not negative."""
    reconstruction, embedding = Autoencoder(config, seed=0)(torch.randn(3, config.pattern, config.pattern))
    assert reconstruction.shape == (3, config.pattern, config.pattern) and embedding.shape == (3, config.channels)
    assert (embedding >= 0).all()


def test_a_seed_gives_the_same_weights_and_leaves_the_global_state():
    """Two networks of one seed are equal, and drawing them moves no one else's random numbers."""
    before = torch.random.get_rng_state()
    first, second, other = (Autoencoder(SMALL, seed=seed).state_dict() for seed in (5, 5, 6))
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["enc.cov2d.weight"], other["enc.cov2d.weight"])


@pytest.mark.parametrize(("sizes", "words"), [
    ({"pattern": 30}, "must divide"), ({"filters": 0}, "filters=0"), ({"pools": ()}, "pools"), ({"pools": (4, 1)}, "pools=1"), ({"channels": 2.0}, "channels=2.0")])
def test_impossible_sizes_are_refused(sizes, words):
    """The message names the field and its value."""
    with pytest.raises(ValueError, match=words):
        NetworkConfig(**sizes)


def test_patterns_and_embeddings_of_another_size_are_refused():
    """The message says what was given and what this network expects."""
    net = Autoencoder(SMALL, seed=0)
    for use, shape, says in ((net.encode, (2, 64, 64), r"\(2, 64, 64\).*\(n, 32, 32\)"), (net.decode, (2, 4), r"\(2, 4\).*\(n, 3\)")):
        with pytest.raises(ValueError, match=says):
            use(torch.zeros(shape))


def test_noise_decides_the_draw_of_the_vae_and_the_mean_has_none():
    """The same noise gives the same reconstruction, other noise does not; encode gives the mean, and without variance the reconstruction is its."""
    net, patterns, noise = BetaVAE(SMALL, seed=1), torch.rand(3, 32, 32), torch.randn(2, 3, 3)
    draws = [net(patterns, noise[k]) for k in (0, 0, 1)]
    assert torch.equal(draws[0][0], draws[1][0]) and not torch.equal(draws[0][0], draws[2][0])
    assert torch.equal(draws[0][1], net.encode(patterns)) and draws[0][2].shape == (3, 3)
    assert not torch.equal(net(patterns)[0], net(patterns)[0])
    with torch.no_grad():
        net.enc.set_std.weight.zero_()
        net.enc.set_std.bias.fill_(-80.0)
    reconstruction, mean, _ = net(patterns)
    torch.testing.assert_close(reconstruction, net.decode(mean))


@pytest.mark.parametrize("sides", [(16, 16), (11, 17), (6, 40)])
def test_the_collapsed_head_is_the_plain_one(sides):
    """To 1e-12 in double precision, for every pixel of the border too, whatever the shape of the images."""
    encoder = Autoencoder(NetworkConfig(16, 4, (2,), 2), seed=0).double().enc
    images = torch.rand(2, 1, *sides, dtype=torch.double)
    block = encoder.block_layer[0]
    with torch.no_grad():
        start = encoder.cov2d(images)
        expected = block.cov1d_3(block.cov1d_2(block.cov1d_1(start)))
        torch.testing.assert_close(encoder.collapsed(images, start, block), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("side, scale", [(8, 4), (5, 2), (2, 3)])
def test_upsampling_as_products(side, scale):
    """What a GPU computes is PyTorch's bilinear upsampling, in value and gradient."""
    images = torch.randn(2, 3, side, side, dtype=torch.double, generator=torch.Generator().manual_seed(1), requires_grad=True)
    upsample, found = Upsample(scale), []
    for result in (upsample(images), upsample.as_products(images)):
        found.append([result, *torch.autograd.grad(result.sin().sum(), images)])
    for plain, other in zip(*found, strict=True):
        assert plain.shape == other.shape and (plain - other).abs().max() <= 1e-12 * plain.abs().max()
