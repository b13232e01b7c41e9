"""
The terms of the autoencoder's loss, under the paper's formulas and as the published code computes them.

With a_i the embedding vector of pattern i, N vectors in a batch, d channels, and u_i = a_i / ‖a_i‖ (zero for a zero vector)::

    L1 activity             λ/N · Σ_i Σ_j |a_ij|
    contrastive similarity  λ/(2N) · Σ_i ([Σ_j u_i·u_j] − 1)       = λ/(2N) · (‖Σ_i u_i‖² − N_nonzero)             O(N d)
    activity divergence     λ/(2N) · Σ_i Σ_j Σ_k |a_ij − a_ik|     = λ/N · Σ_i Σ_j a_ij (n_below − n_above)        O(N d log d)

n_below and n_above count the components of the same vector below and above a_ij. The right-hand sides are what is computed;
value and gradient are those of the sums, ties included (two equal components do not push each other).

Every term is returned as a positive number; :func:`total_loss` alone knows signs. What the formulas leave open is settled by a
convention:

"book"
    The divergence is subtracted, over all components. A vector shorter than 1e-8 counts as zero. These are the paper's terms with the one sign that
    does what the paper wants of the divergence (chapter "Losses").
"paper"
    What is printed: the divergence is added, over all j and k from 1 to d. A vector shorter than 1e-8 counts as zero.
"published-code"
    What ran: the divergence is subtracted, over the components that are not zero. A vector whose components sum to 0 counts as zero. Where the L1 term
    is 0, 0.5 is reported in its place.

Source: Methods and main text of the paper, doi 10.1038/s41524-024-01265-y; the form of the L1 term is that of the published code.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

SHORTEST = 1e-8  # the floor of torch.nn.functional.cosine_similarity; a shorter vector has no direction worth keeping


@dataclass(frozen=True)
class Convention:
    """How one reading of the loss treats what the formulas leave open."""

    divergence_sign: float  # in the total loss; −1 rewards unequal components
    nonzero_components_only: bool  # in the divergence
    zero_when_sum_is_zero: bool  # else a vector is zero when its length is
    dead_value: float  # what stands for an L1 term that is exactly 0


CONVENTIONS = {
    "book": Convention(-1.0, False, False, 0.0),
    "paper": Convention(+1.0, False, False, 0.0),
    "published-code": Convention(-1.0, True, True, 0.5),
}


@dataclass(frozen=True)
class LossWeights:
    """Weights λ of the three terms; the paper's walls use 5e-3, 5e-5 and 2e-4, its domains an L1 of 1e-5 alone."""

    l1: float = 0.0
    similarity: float = 0.0
    divergence: float = 0.0


class Losses(NamedTuple):
    """The total and its terms, scalar tensors; the terms are positive, the divergence has no sign yet."""

    total: Tensor
    reconstruction: Tensor
    l1: Tensor
    similarity: Tensor
    divergence: Tensor


class BatchStatistics(NamedTuple):
    """What a part of a batch must know of the whole; each is a sum over patterns, so parts (or ranks) are added."""

    patterns: Tensor  # N, scalar
    direction_sum: Tensor  # Σ u_i, (d,)
    activity: Tensor  # Σ |a|, scalar


def l1_activity(z: Tensor, weight: float) -> Tensor:
    """
    Mean over patterns of the summed absolute activations, times a weight: λ/N Σ|a|, a scalar, not negative.

    ``z`` is the embedding of a batch, (n, channels). The gradient at an activation of exactly 0 is 0. An embedding that is no finite
    floating-point matrix, or a weight that is negative or not finite, is a ValueError, here and in the other terms.
    """
    z = _checked_embedding(z)
    return _checked_weight(weight) / len(z) * z.abs().sum()


def contrastive_similarity(z: Tensor, weight: float, convention: str = "paper") -> Tensor:
    """
    Cosine similarity summed over pairs of different, non-zero vectors of a **whole** batch: λ/(2N) (‖Σ u_i‖² − N_nonzero).

    Orthogonal vectors give 0, N parallel ones λ (N − 1)/2. The paper says that the 1 is subtracted "so that similar and sparse
    vectors have no contribution"; in the formula it only removes each vector's similarity with itself, and parallel vectors
    cost most. Zero vectors are left out of both sums but counted in N, so an embedding of zeros minimises the term. The gradient is
    finite everywhere, and 0 at a zero vector. An unknown convention is a ValueError.
    """
    return _similarity(_checked_embedding(z), _checked_weight(weight), _convention(convention))


def activity_divergence(z: Tensor, weight: float, convention: str = "paper") -> Tensor:
    """
    How unequal the components of each vector are: ``λ/(2N) Σ_i Σ_j Σ_k |a_ij − a_ik|``, as a positive value.

    For one dominant component of height h among d it is λ h (d − 1), for equal components 0; under ``"published-code"``, which leaves
    out components of exactly 0, a single dominant component contributes 0 and a component at 0 feels nothing. The paper says that the
    term makes each vector sparse, which it does when the loss **falls** with it; :func:`total_loss` holds the sign.
    """
    return _divergence(_checked_embedding(z), _checked_weight(weight), _convention(convention))


def batch_statistics(z: Tensor, convention: str = "book") -> BatchStatistics:
    """What :func:`total_loss` needs of a whole batch, for one part of it; add those of all parts, field by field."""
    z = _checked_embedding(z).detach()
    return BatchStatistics(z.new_tensor(len(z)), _directions(z, _convention(convention))[0], z.abs().sum())


def total_loss(reconstruction: Tensor, patterns: Tensor, z: Tensor, weights: LossWeights = LossWeights(), convention: str = "book",
               whole: BatchStatistics | None = None) -> Losses:
    """
    Mean squared error of the reconstruction plus the weighted terms, with the signs and exceptions of a convention.

    Parameters
    ----------
    reconstruction, patterns
        Output and target of the network, (n, height, width). The error is the mean over pixels and patterns.
    z
        Embedding of the same patterns, (n, channels).
    convention
        ``"book"``, ``"paper"`` or ``"published-code"``; see the head of this module.
    whole
        Statistics of the whole batch when this is a part of it. Then values and gradients of the parts add up to those of the
        whole batch: every mean is over ``whole.patterns``. A framework that averages gradients over ranks, as DDP does, needs
        the result times the number of ranks.

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
    rule, z = _convention(convention), _checked_embedding(z)
    if reconstruction.shape != patterns.shape or len(patterns) != len(z):
        shapes = ", ".join(str(tuple(t.shape)) for t in (reconstruction, patterns, z))
        raise ValueError(f"reconstruction, patterns and embedding have shapes {shapes}; expected (n, h, w) twice and (n, channels)")
    error = F.mse_loss(working_precision(reconstruction), working_precision(patterns))
    l1_weight, similarity_weight, divergence_weight = map(_checked_weight, (weights.l1, weights.similarity, weights.divergence))
    l1 = l1_weight / len(z) * z.abs().sum()
    if rule.dead_value:
        l1 = torch.where((l1 if whole is None else weights.l1 * whole.activity) == 0, rule.dead_value, l1)
    divergence = _divergence(z, divergence_weight, rule)
    if whole is None:
        similarity = _similarity(z, similarity_weight, rule)
    else:
        similarity = _share_of_similarity(z, similarity_weight, rule, whole)
        error, l1, divergence = (len(z) / whole.patterns * term for term in (error, l1, divergence))
    return Losses(error + l1 + similarity + rule.divergence_sign * divergence, error, l1, similarity, divergence)


def working_precision(values: Tensor) -> Tensor:
    """Half-precision values as float32: sums over a batch do not fit half precision."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def _similarity(z: Tensor, weight: float, rule: Convention) -> Tensor:
    if not weight:
        return z.new_zeros(())
    total, nonzero = _directions(z, rule)
    return weight / (2 * len(z)) * (total.square().sum() - nonzero)


def _share_of_similarity(z: Tensor, weight: float, rule: Convention, whole: BatchStatistics) -> Tensor:
    """
    Share of a part of a batch in the contrastive term of the whole, with the exact gradient.

    The term couples patterns only through S = Σ u_i over the whole batch, and its derivative is λ/N S·du_i. With S given as a
    constant, λ/N S·S_part has that gradient; a constant brings the value to λ/(2N) (S·S_part − N_nonzero,part).
    """
    if not weight:
        return z.new_zeros(())
    mine, nonzero = _directions(z, rule)
    along = (mine * whole.direction_sum.to(mine)).sum()
    return weight / whole.patterns * (along - (along.detach() + nonzero) / 2)


def _directions(z: Tensor, rule: Convention) -> tuple[Tensor, Tensor]:
    """Σ u_i, (channels,), and the number of vectors that are not zero; nothing is nan at zero."""
    units = F.normalize(z, dim=1, eps=SHORTEST)
    nonzero = z.sum(1) != 0 if rule.zero_when_sum_is_zero else torch.linalg.vector_norm(z, dim=1) >= SHORTEST
    return (units * nonzero[:, None]).sum(0), nonzero.sum()  # a product of matrices would be in half precision under autocast


def _divergence(z: Tensor, weight: float, rule: Convention) -> Tensor:
    return weight / len(z) * (z * _ranks(z.detach(), rule)).sum() if weight else z.new_zeros(())


def _ranks(z: Tensor, rule: Convention) -> Tensor:
    """Number of components below minus number above, for each component of each vector (n, d)."""
    compared = z != 0 if rule.nonzero_components_only else torch.ones_like(z, dtype=torch.bool)
    ordered = torch.where(compared, z, math.inf).sort(dim=1).values  # what takes no part lies above everything
    below = torch.searchsorted(ordered, z.contiguous())
    above = compared.sum(1, keepdim=True) - torch.searchsorted(ordered, z.contiguous(), right=True)
    return torch.where(compared, below - above, 0).to(z)


def _checked_embedding(z: Tensor) -> Tensor:
    """The embedding in working precision, refused when it is not a finite matrix."""
    if not isinstance(z, Tensor) or not z.is_floating_point() or z.ndim != 2 or 0 in z.shape:
        given = f"{z.dtype} of shape {tuple(z.shape)}" if isinstance(z, Tensor) else type(z).__name__
        raise ValueError(f"the embedding is {given}; expected a floating-point tensor of shape (n, channels), both at least 1")
    if (z.detach() * 0).sum() != 0:  # nan, from nan or infinity; fewer operations than asking for every component
        bad = int((~torch.isfinite(z.detach())).any(1).sum())
        raise ValueError(f"{bad} of {len(z)} embedding vectors hold nan or infinity; lower the learning rate or check the patterns")
    return working_precision(z)


def _checked_weight(value: float) -> float:
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"the weight of a loss is {value}; expected a finite number, not negative (signs belong to the convention)")
    return float(value)


def _convention(name: str) -> Convention:
    if name not in CONVENTIONS:
        raise ValueError(f"convention is {name!r}; it must be one of {', '.join(CONVENTIONS)}")
    return CONVENTIONS[name]
