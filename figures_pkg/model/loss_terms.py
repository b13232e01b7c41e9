"""The terms of the loss with their gradients in closed form, computed together and in few operations.

Each function takes an embedding (n, channels) that was checked and gives a :class:`Term`; :func:`differentiable` makes scalars of
them through which PyTorch can go backward. What they compute stands at the head of :mod:`figures_pkg.model.losses`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .loss_conventions import Convention, directions_of, ranks_of


class Term(NamedTuple):
    """A scalar and its gradient, ``scale`` times ``matrix`` (n, channels); no matrix stands for a gradient of 0."""

    value: Tensor
    scale: float | Tensor = 0.0
    matrix: Tensor | None = None


def differentiable(z: Tensor, *terms: Callable[[Tensor], Term]) -> tuple[Tensor, ...]:
    """The values of terms of an embedding, with their gradients; second derivatives are not there."""
    return _Terms.apply(z, terms)


class _Terms(torch.autograd.Function):
    """Several scalars of one embedding, whose gradients are known when the values are."""

    @staticmethod
    def forward(ctx, z: Tensor, terms: tuple[Callable[[Tensor], Term], ...]) -> tuple[Tensor, ...]:
        """All values; the matrices are kept."""
        found = [term(z) for term in terms]
        ctx.set_materialize_grads(False)
        ctx.scales = [term.scale for term in found]
        ctx.save_for_backward(*(term.matrix for term in found))
        return tuple(term.value for term in found)

    @staticmethod
    @once_differentiable
    def backward(ctx, *outer: Tensor | None) -> tuple[Tensor | None, None]:
        """The sum of the terms' gradients, each times what comes from outside."""
        total = None
        for above, scale, matrix in zip(outer, ctx.scales, ctx.saved_tensors):
            if above is not None and matrix is not None:
                factor = above * scale
                total = factor * matrix if total is None else torch.addcmul(total, factor, matrix)
        return total, None


def activity(a: Tensor, weight: float, dead_value: float = 0.0, of_batch: Tensor | None = None) -> Term:
    """
    Mean over patterns of the summed absolute activations.

    Parameters
    ----------
    a, weight
        Embedding and λ_act.
    dead_value
        What to report where the term of the whole batch is exactly 0.
    of_batch
        Σ|a| over the whole batch, where ``a`` is a part of it.
    """
    scale, size = weight / len(a), torch.linalg.vector_norm(a, 1)
    value = scale * size
    if dead_value:
        value = torch.where(weight * (size if of_batch is None else of_batch) == 0, dead_value, value)
    return Term(value, scale, a.sign() if weight else None)


def similarity(a: Tensor, weight: float, rule: Convention, direction_sum: Tensor | None = None, count: float | Tensor | None = None) -> Term:
    """
    Cosine similarity summed over pairs of different, non-zero vectors.

    Parameters
    ----------
    a, weight, rule
        Embedding, λ_sim, and which vectors count as zero.
    direction_sum, count
        Σ u and N over the whole batch, where ``a`` is a part of it; then the part's share in the term.
    """
    if not weight:
        return Term(a.new_zeros(()))
    found, count = directions_of(a, rule), len(a) if count is None else count
    mine = found.units.sum(0)
    whole = mine if direction_sum is None else direction_sum.to(mine)
    along = (found.units @ whole) * found.long  # a vector shorter than the floor is not scaled to length 1, so turning is all it does
    slope = torch.addcmul(whole, found.units, along[:, None], value=-1).mul_(found.inverse[:, None])
    return Term(weight / (2 * count) * (mine @ whole - found.nonzero.sum()), weight / count, slope)


def divergence(a: Tensor, weight: float, rule: Convention) -> Term:
    """How unequal the components of each vector are, as a positive value."""
    if not weight:
        return Term(a.new_zeros(()))
    scale, ranks = weight / len(a), ranks_of(a, rule)
    return Term(scale * torch.dot(a.flatten(), ranks.flatten()), scale, ranks)
