"""One visit to each image gives what LayerNorm, ReLU, sum and pool give, in value and gradient."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from figures_pkg.model.planes import finished, pays, pooled


def given(side: int) -> tuple[nn.LayerNorm, torch.Tensor, torch.Tensor]:
    """A normalisation with weights, images, and what is added to them, in double precision."""
    rng = torch.Generator().manual_seed(1)
    norm = nn.LayerNorm([side, side]).double()
    with torch.no_grad():
        norm.weight.normal_(1, 0.5, generator=rng)
        norm.bias.normal_(0, 0.5, generator=rng)
    return norm, *(torch.randn(2, 3, side, side, dtype=torch.double, generator=rng, requires_grad=True) for _ in range(2))


def forms(kind: str, side: int, size: int):
    """The same in the plain form and in one visit, and what it depends on."""
    norm, images, start = given(side)
    wanted = [images, *norm.parameters()] + [start] * (kind == "sum")
    if kind == "pool":
        return lambda: F.max_pool2d(F.relu(norm(images)), size), lambda: pooled(norm, images, size), wanted
    if kind == "sum":
        return lambda: F.relu(norm(images)) + start, lambda: finished(norm, images, start), wanted
    return lambda: F.relu(norm(images)), lambda: finished(norm, images), wanted


@pytest.mark.parametrize("kind", ["alone", "sum", "pool"])
@pytest.mark.parametrize("side, size", [(8, 4), (9, 3), (2, 2)])
def test_values_and_gradients_are_those_of_the_plain_form(kind, side, size):
    """To 1e-12 in double precision, for images, weights and what is added."""
    plain, other, wanted = forms(kind, side, size)
    found = []
    for form in (plain, other):
        result = form()
        found.append([result, *torch.autograd.grad(result.sin().sum(), wanted)])
    for one, two in zip(*found, strict=True):
        assert one.shape == two.shape and (one - two).abs().max() <= 1e-12 * one.abs().max()


def test_without_gradients_the_result_takes_the_place_of_the_images():
    """Nothing new of their size is made."""
    norm, images, start = given(8)
    expected = (F.relu(norm(images)) + start).detach()
    with torch.no_grad():
        images = images.detach()
        result = finished(norm, images, start)
    torch.testing.assert_close(result, expected)
    assert result.data_ptr() == images.data_ptr()


def test_equal_values_share_no_gradient():
    """Where two pixels of a square are the largest, the first one has all of it, as in the plain form."""
    norm = nn.LayerNorm([2, 2]).double()
    images = torch.tensor([[[[0.0, 1.0], [1.0, 0.0]]]], dtype=torch.double, requires_grad=True)
    expected = torch.autograd.grad(F.max_pool2d(F.relu(norm(images)), 2).sum(), norm.bias)[0]
    found = torch.autograd.grad(pooled(norm, images, 2).sum(), norm.bias)[0]
    assert torch.equal(found, expected) and found.count_nonzero() == 1


def test_nan_is_not_hidden():
    """A network that diverged must show it."""
    norm, images, _ = given(4)
    with torch.no_grad():
        images = images.detach()
        images[0, 1, 2, 2] = torch.nan
        assert pooled(norm, images, 2)[0, 1].isnan().all() and finished(norm, images)[0, 1].isnan().all()


def test_the_form_is_chosen_where_it_pays():
    """The paper's full-size images on a processor are visited once; smaller layers and a GPU go on as they were."""
    large = torch.zeros(1, 128, 256, 256)
    assert pays(large) and not pays(large[:, :16]) and not pays(large[..., :64]) and not pays(large.to("meta"))
    with torch.autocast("cpu", torch.bfloat16):
        assert not pays(large)
