"""The terms of the autoencoder's loss, under the paper's formulas and as the published code computes them.

With a_i the embedding vector of pattern i, N vectors in a batch, d channels, and u_i = a_i / ‖a_i‖ (zero for a zero vector)::

    L1 activity             λ/N · Σ_i Σ_j |a_ij|
    contrastive similarity  λ/(2N) · Σ_i ([Σ_j u_i·u_j] − 1)       = λ/(2N) · (‖Σ_i u_i‖² − N_nonzero)             O(N d)
    activity divergence     λ/(2N) · Σ_i Σ_j Σ_k |a_ij − a_ik|     = λ/N · Σ_i Σ_j a_ij (n_below − n_above)        O(N d log d)

n_below and n_above count the components of the same vector below and above a_ij. The right-hand sides are what is computed;
value and gradient are those of the sums, ties included (two equal components do not push each other).

Every term is returned as a positive number; :func:`total_loss` alone knows signs. What the formulas leave open is settled by a
convention, one of ``"book"``, ``"paper"`` and ``"published-code"``: see the table in :mod:`figures_pkg.model.loss_conventions`.

Source: Methods and main text of the paper, doi 10.1038/s41524-024-01265-y; the form of the L1 term is that of the published code.
"""

from functools import partial
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor

from . import loss_terms
from .loss_conventions import LossWeights, checked_embedding, checked_weight, convention_called, directions_of, working_precision
from .loss_terms import differentiable


class Losses(NamedTuple):
    """The total and its terms, scalar tensors; the terms are positive, the divergence has no sign yet."""

    total: Tensor
    reconstruction: Tensor
    l1: Tensor
    similarity: Tensor
    divergence: Tensor


class BatchStatistics(NamedTuple):
    """What a part of a batch must know of the whole; each is a sum over patterns, so parts (or ranks) are added."""

    count: Tensor  # N, scalar
    direction_sum: Tensor  # Σ u_i, (d,)
    activity: Tensor  # Σ |a|, scalar


def l1_activity(z: Tensor, weight: float) -> Tensor:
    """
    Mean over patterns of the summed absolute activations, times a weight: λ/N Σ|a|.

    Parameters
    ----------
    z
        Embedding of a batch, shape ``(n, channels)``, floating point.
    weight
        λ_act, not negative.

    Returns
    -------
    Tensor
        Scalar, not negative. Its gradient at an activation of exactly 0 is 0. The published code reports 0.5 instead when
        the value is exactly 0; that belongs to the sum of the terms and happens in :func:`total_loss`.

    Raises
    ------
    ValueError
        For an embedding that is not a finite, floating-point matrix with at least one row and column, or a weight that is
        negative or not finite.
    """
    return differentiable(checked_embedding(z), partial(loss_terms.activity, weight=checked_weight(weight)))[0]


def contrastive_similarity(z: Tensor, weight: float, convention: str = "paper") -> Tensor:
    """
    Cosine similarity summed over pairs of different, non-zero vectors of a batch: λ/(2N) (‖Σ u_i‖² − N_nonzero).

    Orthogonal vectors give 0, N parallel ones λ (N − 1)/2. The paper says that the 1 is subtracted "so that similar and sparse
    vectors have no contribution"; in the formula it only removes each vector's similarity with itself, and parallel vectors
    cost most. Zero vectors are left out of both sums but counted in N, so an embedding of zeros minimises the term.

    Parameters
    ----------
    z
        Embedding of the **whole** batch, shape ``(n, channels)``. For a part of it see :func:`contrastive_surrogate`.
    weight
        λ_sim, not negative.
    convention
        ``"paper"`` leaves out vectors shorter than 1e-8, ``"published-code"`` those whose components sum to 0, which
        differs for activations of both signs only. ``"book"`` is ``"paper"``.

    Returns
    -------
    Tensor
        Scalar; not negative for activations that are not. The gradient is finite everywhere, and 0 at a zero vector.

    Raises
    ------
    ValueError
        As :func:`l1_activity`, and for an unknown convention.
    """
    z, how = checked_embedding(z), {"weight": checked_weight(weight), "rule": convention_called(convention)}
    return differentiable(z, partial(loss_terms.similarity, **how))[0]


def activity_divergence(z: Tensor, weight: float, convention: str = "paper") -> Tensor:
    """
    How unequal the components of each vector are: ``λ/(2N) Σ_i Σ_j Σ_k |a_ij − a_ik|``, as a positive value.

    For one dominant component of height h among d it is λ h (d − 1), for equal components 0. The paper says that this
    makes each vector sparse, which it does when the loss **falls** with it; :func:`total_loss` holds the sign.

    Parameters
    ----------
    z
        Embedding of a batch, shape ``(n, channels)``.
    weight
        λ_div, not negative.
    convention
        ``"paper"`` compares all components; ``"published-code"`` those that are not exactly 0, so that a vector with one
        non-zero component contributes 0 instead of the most, and a component at 0 feels nothing. ``"book"`` is ``"paper"``.

    Returns
    -------
    Tensor
        Scalar, not negative.

    Raises
    ------
    ValueError
        As :func:`contrastive_similarity`.
    """
    z, how = checked_embedding(z), {"weight": checked_weight(weight), "rule": convention_called(convention)}
    return differentiable(z, partial(loss_terms.divergence, **how))[0]


def contrastive_surrogate(z: Tensor, weight: float, global_sum: Tensor, global_count, convention: str = "paper") -> Tensor:
    """
    Share of one part of a batch in the contrastive term of the whole batch, with the exact gradient.

    The term couples patterns only through S = Σ u_i over the whole batch, and its derivative is λ/N S·du_i. With S given as a
    constant, λ/N S·S_part has that gradient; a constant brings the value to λ/(2N) (S·S_part − N_nonzero,part). Values and
    gradients of all parts (micro-batches, ranks) add up to those of :func:`contrastive_similarity` on the union. A framework
    that averages gradients over ranks, as DDP does, needs the result times the number of ranks.

    Parameters
    ----------
    z
        Embedding of the part, shape ``(n_part, channels)``.
    weight
        λ_sim, not negative.
    global_sum
        S, shape ``(channels,)``: the sum of :func:`direction_sum` over all parts. Taken as a constant.
    global_count
        N, the number of patterns in the whole batch.
    convention
        As in :func:`contrastive_similarity`; the same as for `global_sum`.

    Raises
    ------
    ValueError
        As :func:`contrastive_similarity`, for a sum of another length, and for a count below the size of the part.
    """
    z, weight, rule = checked_embedding(z), checked_weight(weight), convention_called(convention)
    if global_sum.shape != z.shape[1:]:
        raise ValueError(f"global_sum has shape {tuple(global_sum.shape)}; expected ({z.shape[1]},), one number for each channel")
    if not global_count >= len(z):
        raise ValueError(f"global_count is {global_count}, this part alone holds {len(z)} patterns; give the size of the whole batch")
    how = {"weight": weight, "rule": rule, "direction_sum": global_sum.detach(), "count": global_count}
    return differentiable(z, partial(loss_terms.similarity, **how))[0]


def direction_sum(z: Tensor, convention: str = "paper") -> Tensor:
    """Sum Σ u_i of the unit vectors of a batch, shape ``(channels,)``, as a constant; sums of parts are added."""
    return directions_of(checked_embedding(z).detach(), convention_called(convention)).units.sum(0)


def batch_statistics(z: Tensor, convention: str = "book") -> BatchStatistics:
    """What :func:`total_loss` needs of a whole batch, for one part of it; add those of all parts, field by field."""
    z = checked_embedding(z).detach()
    return BatchStatistics(z.new_tensor(len(z)), direction_sum(z, convention), z.abs().sum())


def total_loss(
    reconstruction: Tensor,
    patterns: Tensor,
    z: Tensor,
    weights: LossWeights = LossWeights(),
    convention: str = "book",
    whole: BatchStatistics | None = None,
) -> Losses:
    """
    Mean squared error of the reconstruction plus the weighted terms, with the signs and exceptions of a convention.

    Parameters
    ----------
    reconstruction, patterns
        Output and target of the network, shape ``(n, height, width)``. The error is the mean over pixels and patterns.
    z
        Embedding of the same patterns, shape ``(n, channels)``.
    weights
        Weights of the three terms.
    convention
        ``"book"``, ``"paper"`` or ``"published-code"``; see the table at the head of this module.
    whole
        Statistics of the whole batch when this is a part of it. Then values and gradients of the parts add up to those of the
        whole batch: every mean is over ``whole.count``.

    Returns
    -------
    Losses
        ``total`` to call ``backward`` on, and the terms. Under ``"published-code"`` an L1 term that is exactly 0, because its
        weight is or because the embedding died, reads 0.5 and raises the total by as much, without a gradient.

    Raises
    ------
    ValueError
        As the terms, and for shapes that do not fit each other.
    """
    rule, z = convention_called(convention), checked_embedding(z)
    if reconstruction.shape != patterns.shape or len(patterns) != len(z):
        shapes = ", ".join(str(tuple(t.shape)) for t in (reconstruction, patterns, z))
        raise ValueError(f"reconstruction, patterns and embedding have shapes {shapes}; expected (n, h, w) twice and (n, channels)")
    count, direction_total, active = (None, None, None) if whole is None else whole
    l1, similarity, divergence = differentiable(
        z,  # the embedding is checked once, not by every term
        partial(loss_terms.activity, weight=checked_weight(weights.l1), dead_value=rule.dead_value, of_batch=active),
        partial(loss_terms.similarity, weight=checked_weight(weights.similarity), rule=rule, direction_sum=direction_total, count=count),
        partial(loss_terms.divergence, weight=checked_weight(weights.divergence), rule=rule),
    )
    error = F.mse_loss(working_precision(reconstruction), working_precision(patterns))
    if whole is not None:
        share = len(z) / whole.count
        error, l1, divergence = share * error, share * l1, share * divergence
    return Losses(error + l1 + similarity + rule.divergence_sign * divergence, error, l1, similarity, divergence)
