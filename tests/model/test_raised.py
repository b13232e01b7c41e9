"""Mixing before the upsampling gives what the upsampling and the convolutions give, in value and gradient, border included."""

import pytest
import torch
from torch import nn

from figures_pkg.model import raised
from figures_pkg.model.autoencoder import Autoencoder
from figures_pkg.model.config import NetworkConfig
from figures_pkg.model.raised import apply_raised, pays, upsampled_by_products


def tail(filters: int = 3, scale: int = 4) -> tuple[nn.Upsample, nn.ModuleList]:
    """An upsampling and three convolutions in double precision."""
    torch.manual_seed(0)
    convolutions = nn.ModuleList(nn.Conv2d(filters, filters, 3, padding=1) for _ in range(3)).double()
    return nn.Upsample(scale_factor=scale, mode="bilinear", align_corners=True), convolutions


@pytest.mark.parametrize("side, scale, band", [(8, 4, 32), (8, 4, 5), (5, 2, 3), (16, 4, 32), (2, 4, 1)])
def test_values_and_gradients_are_those_of_the_plain_form(monkeypatch, side, scale, band):
    """To 1e-12 in double precision, for every pixel and weight, however the result is cut into bands."""
    monkeypatch.setattr(raised, "BAND", band)
    upsample, convolutions = tail(scale=scale)
    images = torch.randn(2, 3, side, side, dtype=torch.double, generator=torch.Generator().manual_seed(1), requires_grad=True)
    found = []
    for form in ("plain", "raised"):
        start, convolved = apply_raised(upsample, convolutions, images, form)
        wanted = (convolved.sin() + start.square()).sum()
        found.append([start, convolved, *torch.autograd.grad(wanted, [images, *convolutions.parameters()])])
    for plain, other in zip(*found, strict=True):
        assert (plain - other).abs().max() <= 1e-12 * plain.abs().max()


def test_a_whole_network():
    """All stages of a decoder at once, with the network's own names."""
    net = Autoencoder(NetworkConfig(32, 4, (2, 2), 3), seed=0).double()
    patterns, found = torch.rand(2, 32, 32, dtype=torch.double), []
    for form in ("plain", "raised"):
        net.dec.tail_form = form
        net.zero_grad()
        reconstruction, _ = net(patterns)
        reconstruction.square().sum().backward()
        found.append([reconstruction.detach(), *(p.grad.clone() for p in net.parameters())])
    largest = max(plain.norm() for plain in found[0])
    for plain, other in zip(*found, strict=True):
        assert (plain - other).norm() <= 1e-12 * max(plain.norm(), 1e-3 * largest)  # a bias before a LayerNorm has rounding only


def test_sixteen_bits():
    """Under autocast the result is the plain one but for the rounding of bfloat16, and weights keep 32-bit gradients."""
    upsample, convolutions = tail(filters=8)
    convolutions.float()
    images = torch.randn(1, 8, 8, 8, generator=torch.Generator().manual_seed(1))
    exact = apply_raised(upsample, convolutions, images, "plain")[1]
    with torch.autocast("cpu", torch.bfloat16):
        found = apply_raised(upsample, convolutions, images, "raised")[1]
    assert found.dtype == torch.bfloat16 and (found - exact).norm() < 0.02 * exact.norm()
    found.sum().backward()
    assert all(p.grad.dtype == torch.float32 for p in convolutions.parameters())


def test_the_form_is_chosen_where_it_pays_and_wrong_requests_are_refused():
    """The paper's last stage on a processor mixes first; small ones and a GPU do not; wrong requests are named."""
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert pays(128, 256, cpu) and not pays(8, 32, cpu) and not pays(128, 256, gpu)
    upsample, convolutions = tail(scale=2)
    with pytest.raises(ValueError, match="tail_form='fast'"):
        apply_raised(upsample, convolutions, torch.zeros(1, 3, 8, 8).double(), "fast")
    with pytest.raises(ValueError, match="6 px are too small"):
        apply_raised(upsample, convolutions, torch.zeros(1, 3, 3, 3).double(), "raised")


@pytest.mark.parametrize("side, scale", [(8, 4), (5, 2), (2, 3)])
def test_upsampling_as_products(side, scale):
    """What a GPU computes is PyTorch's bilinear upsampling, in value and gradient."""
    images = torch.randn(2, 3, side, side, dtype=torch.double, generator=torch.Generator().manual_seed(1), requires_grad=True)
    found = []
    for result in (tail(scale=scale)[0](images), upsampled_by_products(images, scale)):
        found.append([result, *torch.autograd.grad(result.sin().sum(), images)])
    for plain, other in zip(*found, strict=True):
        assert plain.shape == other.shape and (plain - other).abs().max() <= 1e-12 * plain.abs().max()
