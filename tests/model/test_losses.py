"""Closed forms of the losses agree with the sums they stand for, values and gradients, and conventions differ where they say."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from figures_pkg.model.losses import (
    CONVENTIONS,
    BatchStatistics,
    LossWeights,
    activity_divergence,
    batch_statistics,
    contrastive_similarity,
    l1_activity,
    total_loss,
)

NAMES = sorted(CONVENTIONS)
# Halves and zeros, so that ties, zero components, zero vectors and vectors whose components cancel are common.
COARSE = arrays(np.float64, array_shapes(min_dims=2, max_dims=2, max_side=6), elements=st.integers(-3, 6).map(lambda n: n / 2))
FINE = arrays(np.float64, (5, 4), elements=st.one_of(st.just(0.0), st.floats(1e-3, 50.0)))
EMBEDDINGS = st.one_of(COARSE, COARSE.map(lambda a: np.maximum(a, 0)), FINE)
UNIT = LossWeights(1.0, 1.0, 1.0)


def slow_similarity(z, weight, convention):
    """The printed sum, term by term, over the vectors that are not zero."""
    if convention == "published-code":
        chosen = [a for a in z if a.detach().sum() != 0]
    else:
        chosen = [a for a in z if a.detach().norm() > 0]
    total = z.new_zeros(())
    for a in chosen:
        inner = z.new_zeros(())
        for b in chosen:
            inner = inner + torch.dot(a, b) / (a.norm() * b.norm())
        total = total + inner - 1
    return weight / (2 * len(z)) * total


def slow_divergence(z, weight, convention):
    """The printed sum over pairs of components, of all or of those that are not zero."""
    total = z.new_zeros(())
    for a in z:
        components = [x for x in a if x != 0] if convention == "published-code" else list(a)
        for x in components:
            for y in components:
                total = total + (x - y).abs()
    return weight / (2 * len(z)) * total


def slow_l1(z, weight):
    """The plain sum over the batch."""
    return weight * sum(x.abs() for a in z for x in a) / len(z)


def slow_total(reconstruction, patterns, z, weights, convention):
    """The sum of the terms as each source has it."""
    error = ((reconstruction - patterns) ** 2).sum() / patterns.numel()
    l1 = slow_l1(z, weights.l1)
    if convention == "published-code" and l1 == 0:
        l1 = 0.5
    similarity = slow_similarity(z, weights.similarity, convention)
    divergence = slow_divergence(z, weights.divergence, convention)
    return error + l1 + similarity + (divergence if convention == "paper" else -divergence)


def value_and_gradient(function, array, *words):
    """A term at an embedding and its gradient there."""
    z = torch.tensor(array, dtype=torch.float64, requires_grad=True)
    value = function(z, *words)
    gradient = torch.autograd.grad(value, z, allow_unused=True)[0] if value.requires_grad else None
    return value.item(), np.zeros(array.shape) if gradient is None else gradient.numpy()


def agree(fast, slow, array, *words):
    """Assert equal values and gradients in double precision."""
    (value, gradient), (expected, slope) = (value_and_gradient(f, array, *words) for f in (fast, slow))
    assert value == pytest.approx(expected, abs=1e-10, rel=1e-10)
    np.testing.assert_allclose(gradient, slope, rtol=1e-10, atol=1e-10)


@settings(max_examples=30)
@given(EMBEDDINGS, st.floats(0, 10))
def test_l1_is_the_sum_over_the_batch(array, weight):
    """The L1 term and its gradient are those of the plain sum."""
    agree(l1_activity, slow_l1, array, weight)


@pytest.mark.parametrize("convention", NAMES)
@settings(max_examples=40, deadline=None)
@given(array=EMBEDDINGS, weight=st.floats(0, 10))
def test_similarity_and_divergence_are_the_printed_sums(convention, array, weight):
    """The closed forms are the sums over pairs of vectors and of components; ties, zero vectors and cancelling components included."""
    agree(activity_divergence, slow_divergence, array, weight, convention)
    if convention == "published-code":  # a vector that cancels only up to rounding is not a case worth defining
        array = array[np.isclose(array.sum(1), 0) == (array.sum(1) == 0)]
    if len(array):
        agree(contrastive_similarity, slow_similarity, array, weight, convention)


@pytest.mark.parametrize("convention", NAMES)
@settings(max_examples=20, deadline=None)
@given(array=EMBEDDINGS, weights=st.sampled_from([UNIT, LossWeights(), LossWeights(0.3, 0.0, 2.0)]))
def test_total_is_the_sum_of_its_source(convention, array, weights):
    """The total has the signs and the exception of its convention, and its gradient."""
    patterns = torch.zeros(len(array), 2, 3, dtype=torch.float64)
    fast, slow = ((lambda z, f=f: f(patterns + 1, patterns, z, weights, convention)) for f in (total_loss, slow_total))
    agree(lambda z: fast(z).total, slow, array)
    terms = fast(torch.tensor(array))
    sign = 1 if convention == "paper" else -1
    assert terms.total.item() == pytest.approx((terms.reconstruction + terms.l1 + terms.similarity + sign * terms.divergence).item())


@pytest.mark.parametrize("convention", NAMES)
@settings(max_examples=20, deadline=None)
@given(array=EMBEDDINGS, cuts=st.lists(st.integers(1, 5), max_size=2, unique=True))
def test_parts_add_up_to_the_whole(convention, array, cuts):
    """Values and gradients of parts of a batch, of any sizes, add up to those of the batch."""
    z = torch.tensor(array, requires_grad=True)
    bounds = [0, *sorted(cut for cut in cuts if cut < len(z)), len(z)]
    pieces = [slice(*pair) for pair in zip(bounds, bounds[1:])]
    patterns = torch.arange(3.0 * len(z), dtype=torch.float64).reshape(len(z), 1, 3)
    whole = total_loss(patterns**2, patterns, z, UNIT, convention)
    statistics = BatchStatistics(*map(sum, zip(*(batch_statistics(z[p], convention) for p in pieces))))
    parts = [total_loss(patterns[p] ** 2, patterns[p], z[p], UNIT, convention, statistics) for p in pieces]
    for name in whole._fields:
        assert sum(getattr(part, name) for part in parts).item() == pytest.approx(getattr(whole, name).item(), abs=1e-10)
    slope, expected = (torch.autograd.grad(value, z)[0] for value in (sum(part.total for part in parts), whole.total))
    torch.testing.assert_close(slope, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("convention", NAMES)
def test_zero_vectors_have_a_zero_gradient(convention, dtype):
    """Rows of zeros among others give finite terms and no gradient in similarity and L1, in every precision."""
    z = torch.zeros(4, 3, dtype=dtype)
    z[1:3] = torch.tensor([[1.0, 0.0, 2.0], [0.0, 3.0, 0.5]])
    z.requires_grad_()
    patterns = torch.zeros(4, 2, 2)
    terms = total_loss(patterns, patterns, z, UNIT, convention)
    assert all(torch.isfinite(value) for value in terms) and terms.total.dtype in (torch.float32, torch.float64)
    slope = torch.autograd.grad(terms.similarity + terms.l1, z)[0]
    assert torch.isfinite(slope).all() and not slope[[0, 3]].any() and slope[1:3].any()


def test_statistics_keep_their_precision_under_autocast():
    """A training in 16 bits adds its unit vectors in 32, within autocast too."""
    z = torch.relu(torch.randn(64, 5, generator=torch.Generator().manual_seed(1)))
    with torch.autocast("cpu", torch.bfloat16):
        found = batch_statistics(z)
    torch.testing.assert_close(list(found), list(batch_statistics(z)))


def test_analytic_values():
    """Parallel vectors cost λ(N−1)/2, orthogonal and zero ones nothing; one component of height h among d is worth λ h (d−1)."""
    parallel = torch.tensor([[1.0, 2.0]] * 5, dtype=torch.float64)
    assert contrastive_similarity(parallel, 3.0).item() == pytest.approx(6.0)
    assert contrastive_similarity(torch.eye(4), 3.0).item() == pytest.approx(0.0, abs=1e-6)
    assert contrastive_similarity(torch.zeros(3, 2), 1.0).item() == 0.0
    assert activity_divergence(torch.tensor([[0.0, 7.0, 0.0, 0.0]]), 2.0).item() == pytest.approx(42.0)
    assert l1_activity(torch.tensor([[1.0, -2.0], [0.0, 4.0]]), 0.5).item() == pytest.approx(1.75)


def test_the_published_code_has_its_own_zeros():
    """(1, −1) has no similarity with anything there; a single component has no divergence, and one of exactly 0 feels none."""
    z = torch.tensor([[1.0, -1.0], [1.0, 0.0]], dtype=torch.float64)
    assert contrastive_similarity(z, 1.0, "published-code").item() == 0.0
    assert contrastive_similarity(z, 1.0, "paper").item() == pytest.approx(0.5 / math.sqrt(2))
    assert activity_divergence(torch.tensor([[0.0, 7.0, 0.0, 0.0]]), 2.0, "published-code").item() == 0.0
    array = np.array([[0.0, 1.0, 3.0]])
    assert value_and_gradient(activity_divergence, array, 1.0, "paper")[1][0, 0] == -2.0
    assert value_and_gradient(activity_divergence, array, 1.0, "published-code")[1][0, 0] == 0.0


def test_a_dead_embedding_reads_half_in_the_published_code_only():
    """All zeros, or a weight of 0, put 0.5 into the reported L1 term of the published code, without a gradient."""
    patterns, dead, alive = torch.zeros(2, 1, 1), torch.zeros(2, 3, requires_grad=True), torch.ones(2, 3)
    read = {name: total_loss(patterns, patterns, dead, LossWeights(l1=0.1), name) for name in NAMES}
    assert {name: terms.l1.item() for name, terms in read.items()} == {"book": 0.0, "paper": 0.0, "published-code": 0.5}
    assert read["published-code"].total.item() == 0.5 and not torch.autograd.grad(read["published-code"].total, dead)[0].any()
    assert total_loss(patterns, patterns, alive, LossWeights(), "published-code").l1.item() == 0.5
    assert total_loss(patterns, patterns, alive, LossWeights(l1=0.1), "published-code").l1.item() == pytest.approx(0.3)


def test_the_printed_sign_makes_components_equal():
    """Descending the divergence as printed closes the gap between two components; subtracting it opens the gap."""
    gaps = {}
    for name in ("paper", "book"):
        z = torch.tensor([[1.0, 2.0]], requires_grad=True)
        patterns = torch.zeros(1, 1, 1)
        slope = torch.autograd.grad(total_loss(patterns, patterns, z, LossWeights(divergence=0.1), name).total, z)[0]
        gaps[name] = (z - slope).diff().item()
    assert gaps["paper"] < 1 < gaps["book"]


@pytest.mark.parametrize("term", [l1_activity, contrastive_similarity, activity_divergence])
@pytest.mark.parametrize("z, weight, message", [
    (torch.tensor([[1.0, math.nan]]), 1.0, "1 of 1 embedding vectors hold nan or infinity"),
    (torch.tensor([[1.0, math.inf], [0.0, 0.0]]), 1.0, "1 of 2 embedding vectors"),
    (torch.ones(3), 1.0, r"shape \(3,\); expected a floating-point tensor of shape \(n, channels\)"),
    (torch.ones(0, 4), 1.0, "both at least 1"),
    (torch.ones(2, 3, dtype=torch.int64), 1.0, "torch.int64"),
    (np.ones((2, 3)), 1.0, "the embedding is ndarray"),
    (torch.ones(2, 3), -1e-3, "signs belong to the convention"),
    (torch.ones(2, 3), math.nan, "signs belong to the convention"),
])
def test_bad_input_is_one_clear_error(term, z, weight, message):
    """Each term names what it was given and what it expects; a weight is finite and not negative."""
    with pytest.raises(ValueError, match=message):
        term(z, weight)


def test_other_bad_input_is_refused():
    """Unknown conventions and shapes that do not fit are named."""
    z, patterns = torch.ones(2, 3), torch.ones(2, 4, 4)
    with pytest.raises(ValueError, match="'code'; it must be one of book, paper, published-code"):
        contrastive_similarity(z, 1.0, "code")
    with pytest.raises(ValueError, match=r"shapes \(2, 4\), \(2, 4, 4\), \(2, 3\)"):
        total_loss(patterns[:, 0], patterns, z)
