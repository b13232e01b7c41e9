"""Minimal filtering gives what a plain convolution gives, in value and gradient, at every pixel."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from figures_pkg.model import planes, winograd
from figures_pkg.model.autoencoder import Autoencoder
from figures_pkg.model.config import NetworkConfig
from figures_pkg.model.winograd import convolve, minimal, pays


def tensors(inputs: int, outputs: int, count: int, height: int, width: int) -> tuple[torch.Tensor, ...]:
    """Images, weight and bias in double precision."""
    rng = torch.Generator().manual_seed(1)
    shapes = (count, inputs, height, width), (outputs, inputs, 3, 3), (outputs,)
    return tuple(torch.randn(shape, dtype=torch.double, generator=rng, requires_grad=True) for shape in shapes)


@pytest.mark.parametrize("sizes", [(3, 5, 2, 8, 8), (4, 3, 1, 7, 13), (1, 1, 1, 1, 1), (2, 2, 3, 2, 9), (2, 3, 1, 70, 33)])
@pytest.mark.parametrize("band", [256, 4])
def test_values_and_gradients_are_those_of_the_plain_form(monkeypatch, sizes, band):
    """To 1e-12 in double precision, also where tiles reach over the border, and however the lines are cut into bands."""
    monkeypatch.setattr(winograd, "BAND", band)
    given, found = tensors(*sizes), []
    for form in (lambda images, weight, bias: F.conv2d(images, weight, bias, padding=1), minimal):
        result = form(*given)
        found.append([result, *torch.autograd.grad(result.sin().sum(), given)])
    for plain, other in zip(*found, strict=True):
        assert plain.shape == other.shape and (plain - other).abs().max() <= 1e-12 * plain.abs().max()


def test_the_gradient_is_that_of_the_values():
    """Against differences of the function itself."""
    assert torch.autograd.gradcheck(minimal, tensors(2, 3, 1, 5, 6))


@pytest.mark.parametrize("y, x", [(1, 1), (5, 6), (8, 3), (10, 10)])
def test_a_bright_pixel_draws_the_mirrored_kernel(y, x):
    """At any place within a tile, and nothing elsewhere."""
    _, weight, bias = (tensor.detach() for tensor in tensors(1, 1, 1, 1, 1))
    images, expected = torch.zeros(2, 1, 1, 12, 12, dtype=torch.double)
    images[..., y, x] = 1
    expected[..., y - 1:y + 2, x - 1:x + 2] = weight[0, 0].flip(0, 1)
    torch.testing.assert_close(minimal(images, weight, bias), expected + bias, rtol=0, atol=1e-14)


def test_any_number_of_threads_gives_the_same(monkeypatch):
    """Filters are shared by threads, and no sum is: the result is the same to the last bit."""
    given, before = tensors(3, 5, 2, 9, 9), torch.get_num_threads()
    found = []
    for threads in (1, 2, 7):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        found.append(minimal(*given))
    monkeypatch.undo()
    assert torch.get_num_threads() == before and all(torch.equal(found[0], other) for other in found[1:])


def test_rounding_in_32_bits():
    """At the paper's number of filters, two and a half times that of the plain form at most; nan stays nan."""
    images, weight, bias = (tensor.detach().float() for tensor in tensors(128, 8, 1, 32, 32))
    exact = F.conv2d(images.double(), weight.double(), bias.double(), padding=1)
    plain, other = (form(images, weight, bias) - exact for form in (lambda *given: F.conv2d(*given, padding=1), minimal))
    assert other.norm() < 2e-6 * exact.norm() and plain.norm() < other.norm()
    images[0, 3, 9, 9] = torch.nan
    assert minimal(images, weight, bias)[0, :, 9, 9].isnan().all()


def test_the_form_is_chosen_where_it_pays():
    """The paper's large layers on a processor take it; small ones, 16 bits, a GPU, and a network without memory do not."""
    large = nn.Conv2d(128, 128, 3, padding=1)
    assert pays(large.weight) and not pays(nn.Conv2d(16, 16, 3).weight) and not pays(large.to("meta").weight)
    with torch.autocast("cpu", torch.bfloat16):
        assert not pays(nn.Parameter(torch.zeros(128, 128, 3, 3)))
    small = nn.Conv2d(2, 2, 3, padding=1)
    images = torch.randn(1, 2, 9, 9)
    assert torch.equal(convolve(small, images), small(images))


def test_a_whole_network(monkeypatch):
    """All blocks at once in double precision, with what follows the convolutions in one visit as well."""
    net = Autoencoder(NetworkConfig(32, 4, (2, 2), 3), seed=0).double()
    patterns, found = torch.rand(2, 32, 32, dtype=torch.double), []
    for least in (1000, 1):
        for module in (winograd, planes):
            monkeypatch.setattr(module, "LEAST_FILTERS", least)
            monkeypatch.setattr(module, "LEAST_SIDE", least)
        net.zero_grad()
        reconstruction, embedding = net(patterns)
        (reconstruction.square().sum() + embedding.sum()).backward()
        with torch.inference_mode():
            again, _ = net(patterns)
        assert (again - reconstruction).abs().max() <= 1e-12 * reconstruction.abs().max()
        found.append([reconstruction.detach(), embedding.detach(), *(p.grad.clone() for p in net.parameters())])
    largest = max(plain.norm() for plain in found[0])
    for plain, other in zip(*found, strict=True):
        assert (plain - other).norm() <= 1e-12 * max(plain.norm(), 1e-3 * largest)  # a bias before a LayerNorm has rounding only
