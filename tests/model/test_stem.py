"""The collapsed stem is the plain one, in value and gradient, border included."""

import pytest
import torch

from figures_pkg.model.autoencoder import Autoencoder
from figures_pkg.model.config import NetworkConfig
from figures_pkg.model.stem import apply_stem, collapsed, compose, pays, plain


def values_and_gradients(form: str, config: NetworkConfig) -> list[torch.Tensor]:
    """Outputs and the gradients of all parameters in double precision."""
    net = Autoencoder(config, seed=0).double()
    net.enc.stem_form = form
    patterns = torch.rand(2, config.pattern, config.pattern, dtype=torch.double, generator=torch.Generator().manual_seed(1))
    reconstruction, embedding = net(patterns)
    ((reconstruction - patterns).square().sum() + embedding.sum()).backward()
    return [reconstruction.detach(), embedding.detach(), *(p.grad for p in net.parameters())]


@pytest.mark.parametrize("config", [NetworkConfig(32, 6, (2, 2), 3), NetworkConfig(8, 3, (2,), 2)])
def test_values_and_gradients_are_those_of_the_plain_form(config):
    """To 1e-12 in double precision; a bias whose constant the LayerNorm removes has no gradient but rounding."""
    pairs = list(zip(values_and_gradients("plain", config), values_and_gradients("collapsed", config)))
    largest = max(a.norm() for a, _ in pairs)
    for a, b in pairs:
        assert (a - b).norm() <= 1e-12 * max(a.norm(), 1e-3 * largest)


def test_every_pixel_of_the_border_is_exact_on_oblong_images():
    """No line or column is mistaken for another where height and width differ."""
    net = Autoencoder(NetworkConfig(16, 4, (2,), 2), seed=0).double()
    images = torch.rand(2, 1, 11, 17, dtype=torch.double)
    stem, convolutions = net.enc.cov2d, net.enc.block_layer[0].convolutions
    for a, b in zip(plain(stem, convolutions, images), collapsed(stem, convolutions, images)):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


def test_the_kernel_is_the_answer_to_a_single_bright_pixel():
    """Far from the border, an impulse draws the mirrored 9 x 9 kernel on top of the bias."""
    net = Autoencoder(NetworkConfig(16, 4, (2,), 2), seed=0).double()
    stem, convolutions = net.enc.cov2d, net.enc.block_layer[0].convolutions
    images = torch.zeros(1, 1, 31, 31, dtype=torch.double)
    images[0, 0, 15, 15] = 1
    kernel, bias = compose(stem, convolutions)
    drawn = plain(stem, convolutions, images)[1][0, :, 11:20, 11:20]
    torch.testing.assert_close(drawn, kernel[:, 0].flip(1, 2) + bias[:, None, None])


def test_the_kernel_keeps_its_precision_under_autocast():
    """Only the convolutions with images run in bfloat16, not the composition of the kernel."""
    net = Autoencoder(NetworkConfig(16, 4, (2,), 2), seed=0)
    with torch.autocast("cpu", torch.bfloat16):
        assert compose(net.enc.cov2d, net.enc.block_layer[0].convolutions)[0].dtype == torch.float32


def test_the_form_is_chosen_where_it_pays_and_wrong_requests_are_refused():
    """The paper's sizes collapse, the smallest do not; an unknown form and images without a middle are named."""
    assert pays(128, 256) and not pays(128, 32) and not pays(4, 256)
    net = Autoencoder(NetworkConfig(16, 4, (2,), 2), seed=0)
    stem, convolutions = net.enc.cov2d, net.enc.block_layer[0].convolutions
    with pytest.raises(ValueError, match="stem_form='fast'"):
        apply_stem(stem, convolutions, torch.zeros(1, 1, 16, 16), "fast")
    with pytest.raises(ValueError, match="too small"):
        apply_stem(stem, convolutions, torch.zeros(1, 1, 6, 16), "collapsed")
