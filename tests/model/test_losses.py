"""Closed forms of the losses agree with the sums they stand for, values and gradients, and conventions differ where they say."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from torch.distributions import Normal, kl_divergence

from figures_pkg.model import losses
from figures_pkg.model.losses import LossWeights, activity_divergence, contrastive_similarity, l1_activity, total_loss

NAMES = sorted(losses.CONVENTIONS)
# Halves and zeros, so that ties, zero components, zero vectors and vectors whose components cancel are common.
COARSE = arrays(np.float64, array_shapes(min_dims=2, max_dims=2, max_side=6), elements=st.integers(-3, 6).map(lambda n: n / 2))
FINE = arrays(np.float64, (5, 4), elements=st.one_of(st.just(0.0), st.floats(1e-3, 50.0)))
EMBEDDINGS = st.one_of(COARSE, COARSE.map(lambda a: np.maximum(a, 0)), FINE)
UNIT = LossWeights(1.0, 1.0, 1.0)


def slow_total(reconstruction, patterns, z, weights, convention):
    """The sum of the printed terms as each source has it, number by number."""
    published = convention == "published-code"
    error = ((reconstruction - patterns) ** 2).sum() / patterns.numel()
    l1 = weights.l1 * sum(x.abs() for a in z for x in a) / len(z)
    vectors = [a for a in z if (a.detach().sum() != 0 if published else a.detach().norm() > 0)]
    similarity, divergence = z.new_zeros(()), z.new_zeros(())
    for a in vectors:
        similarity = similarity + sum(torch.dot(a, b) / (a.norm() * b.norm()) for b in vectors) - 1
    for a in z:
        components = [x for x in a if x != 0] if published else list(a)
        divergence = divergence + sum((x - y).abs() for x in components for y in components)
    l1 = 0.5 if published and l1 == 0 else l1
    sign = 1 if convention == "paper" else -1
    return error + l1 + (weights.similarity * similarity + sign * weights.divergence * divergence) / (2 * len(z))


@pytest.mark.parametrize("convention", NAMES)
@settings(max_examples=40, deadline=None)
@given(array=EMBEDDINGS, weights=st.sampled_from([UNIT, LossWeights(), LossWeights(3.0), LossWeights(0.0, 7.0), LossWeights(0.3, 0.0, 2.0)]))
def test_terms_are_the_printed_sums(convention, array, weights):
    if convention == "published-code":  # a vector that cancels only up to rounding is not a case worth defining
        array = array[np.isclose(array.sum(1), 0) == (array.sum(1) == 0)]
    if not len(array):
        return
    z, patterns = torch.tensor(array, requires_grad=True), torch.zeros(len(array), 2, 3, dtype=torch.float64)
    terms, expected = (total(patterns + 1, patterns, z, weights, convention) for total in (total_loss, slow_total))
    gradient, slope = (torch.autograd.grad(value + 0 * z.sum(), z)[0] for value in (terms.total, expected))
    torch.testing.assert_close(torch.stack([terms.total, *gradient.ravel()]), torch.stack([expected, *slope.ravel()]), rtol=1e-10, atol=1e-10)
    sign = 1 if convention == "paper" else -1
    assert terms.total.item() == pytest.approx((terms.reconstruction + terms.l1 + terms.similarity + sign * terms.divergence).item())


def test_the_printed_sign_makes_components_equal():
    """Descending the divergence as printed closes the gap between two components; subtracting it opens the gap."""
    gaps = {}
    for name in ("paper", "book"):
        z, patterns = torch.tensor([[1.0, 2.0]], requires_grad=True), torch.zeros(1, 1, 1)
        slope = torch.autograd.grad(total_loss(patterns, patterns, z, LossWeights(divergence=0.1), name).total, z)[0]
        gaps[name] = (z - slope).diff().item()
    assert gaps["paper"] < 1 < gaps["book"]


def test_half_precision_is_summed_in_32_bits_and_a_zero_vector_has_no_gradient():
    z = torch.relu(torch.randn(64, 5, generator=torch.Generator().manual_seed(1)))
    with torch.autocast("cpu", torch.bfloat16):
        found = losses.batch_statistics(z)
    torch.testing.assert_close(list(found), list(losses.batch_statistics(z)))
    half = torch.tensor([[0.0, 0, 0], [1, 0, 2], [0, 3, 0.5]], dtype=torch.bfloat16, requires_grad=True)
    terms = total_loss(torch.zeros(3, 2, 2), torch.zeros(3, 2, 2), half, UNIT)
    slope = torch.autograd.grad(terms.similarity + terms.l1, half)[0]
    assert terms.total.dtype == torch.float32 and torch.isfinite(slope).all() and not slope[0].any() and slope[1:].any()


def test_bad_input_is_one_clear_error():
    z, patterns = torch.ones(2, 3), torch.ones(2, 4, 4)
    for bad, weight, says in ((torch.tensor([[1.0, math.inf], [0.0, 0.0]]), 1.0, "1 of 2 embedding vectors hold nan or infinity"),
                              (torch.ones(3), 1.0, r"shape \(3,\); expected a floating-point tensor of shape \(n, channels\)"),
                              (torch.ones(0, 4), 1.0, "both at least 1"), (z, -1e-3, "signs belong to the convention")):  # fmt: skip
        for term in (l1_activity, contrastive_similarity, activity_divergence):
            with pytest.raises(ValueError, match=says):
                term(bad, weight)
    for use, says in ((lambda: contrastive_similarity(z, 1.0, "code"), "'code'; it must be one of book, paper, published-code"),
                      (lambda: total_loss(patterns[:, 0], patterns, z), r"shapes \(2, 4\), \(2, 4, 4\), \(2, 3\)"),
                      (lambda: losses.variational_loss(patterns, patterns, z, z[:, :2], 1.0), r"\(2, 4, 4\), \(2, 4, 4\), \(2, 3\), \(2, 2\)")):  # fmt: skip
        with pytest.raises(ValueError, match=says):
            use()


def test_gaussian_divergence_is_that_of_torch_distributions():
    mean, log_variance = (torch.randn(7, 4, dtype=torch.float64, requires_grad=True) for _ in range(2))
    found = losses.gaussian_divergence(mean, log_variance)
    expected = kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(torch.zeros_like(mean), torch.ones_like(mean))).sum(1)
    torch.testing.assert_close(found, expected)
    for one, other in zip(*(torch.autograd.grad(value.sum(), (mean, log_variance)) for value in (found, expected))):
        torch.testing.assert_close(one, other)
    assert losses.gaussian_divergence(torch.zeros(2, 4), torch.zeros(2, 4)).tolist() == [0, 0]
