"""
The terms of the autoencoder's loss, under the paper's formulas and as the published code computes them; below them the loss of the β-VAE.

With a_i the embedding vector of pattern i, N vectors in a batch, d channels, and u_i = a_i / ‖a_i‖ (zero for a zero vector)::

    L1 activity             λ/N · Σ_i Σ_j |a_ij|
    contrastive similarity  λ/(2N) · Σ_i ([Σ_j u_i·u_j] − 1)       = λ/(2N) · (‖Σ_i u_i‖² − N_nonzero)             O(N d)
    activity divergence     λ/(2N) · Σ_i Σ_j Σ_k |a_ij − a_ik|     = λ/N · Σ_i Σ_j a_ij (n_below − n_above)        O(N d log d)

n_below and n_above count the components of the same vector below and above a_ij. The right-hand sides are what is computed;
value and gradient are those of the sums, ties included (two equal components do not push each other).

Every term is returned as a positive number; :func:`total_loss` alone knows signs. What the formulas leave open is settled by a
convention:

"book"
    The divergence is subtracted, over all components; this sign does what the paper wants of it (chapter "Losses"). A vector shorter than 1e-8 is zero.
"paper"
    What is printed: the divergence is added, over all j and k from 1 to d. A vector shorter than 1e-8 is zero.
"published-code"
    What ran: the divergence is subtracted, over the components that are not 0. A vector whose components sum to 0 is zero. An L1 term of 0 reads 0.5.

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
    Mean over patterns of the summed absolute activations of an embedding (n, channels), times a weight: λ/N Σ|a|, a scalar, not negative.

    The gradient at an activation of exactly 0 is 0. An embedding that is no finite matrix, or a weight that is negative or not finite, is a ValueError,
    here and in the other terms.
    """
    z = _checked_embedding(z)
    return _checked_weight(weight) / len(z) * z.abs().sum()


def contrastive_similarity(z: Tensor, weight: float, convention: str = "paper", whole: BatchStatistics | None = None) -> Tensor:
    """
    Cosine similarity summed over pairs of different, non-zero vectors of a **whole** batch: λ/(2N) (‖Σ u_i‖² − N_nonzero).

    Orthogonal vectors give 0, N parallel ones λ (N − 1)/2. The paper says that the 1 is subtracted "so that similar and sparse
    vectors have no contribution"; in the formula it only removes each vector's similarity with itself, and parallel vectors
    cost most. Zero vectors are left out of both sums but counted in N, so an embedding of zeros minimises the term. The gradient is
    finite everywhere, and 0 at a zero vector.

    With the statistics of the ``whole`` batch, this is the share of a part. The term couples patterns only through S = Σ u_i, and its derivative is
    λ/N S·du_i: with S a constant, λ/N S·S_part has that gradient; another constant brings the value to λ/(2N) (S·S_part − N_nonzero,part).
    """
    z, weight, rule = _checked_embedding(z), _checked_weight(weight), _convention(convention)
    if not weight:
        return z.new_zeros(())
    mine, nonzero = _directions(z, rule)
    if whole is None:
        return weight / (2 * len(z)) * (mine.square().sum() - nonzero)
    along = (mine * whole.direction_sum.to(mine)).sum()
    return weight / whole.patterns * (along - (along.detach() + nonzero) / 2)


def activity_divergence(z: Tensor, weight: float, convention: str = "paper") -> Tensor:
    """
    How unequal the components of each vector are: ``λ/(2N) Σ_i Σ_j Σ_k |a_ij − a_ik|``, as a positive value.

    For one dominant component of height h among d it is λ h (d − 1), for equal components 0; under ``"published-code"``, which leaves
    out components of exactly 0, a single dominant component contributes 0 and a component at 0 feels nothing. The paper says that the
    term makes each vector sparse, which it does when the loss **falls** with it; :func:`total_loss` holds the sign.
    """
    z, weight, rule = _checked_embedding(z), _checked_weight(weight), _convention(convention)
    if not weight:
        return z.new_zeros(())
    values = z.detach().contiguous()
    compared = values != 0 if rule.nonzero_components_only else torch.ones_like(values, dtype=torch.bool)
    ordered = torch.where(compared, values, math.inf).sort(dim=1).values  # what takes no part lies above everything
    below = torch.searchsorted(ordered, values)
    above = compared.sum(1, keepdim=True) - torch.searchsorted(ordered, values, right=True)
    return weight / len(z) * (z * torch.where(compared, below - above, 0).to(z)).sum()


def batch_statistics(z: Tensor, convention: str = "book") -> BatchStatistics:
    """What :func:`total_loss` needs of a whole batch, for one part of it; add those of all parts, field by field."""
    z = _checked_embedding(z).detach()
    return BatchStatistics(z.new_tensor(len(z)), _directions(z, _convention(convention))[0], z.abs().sum())


def total_loss(reconstruction: Tensor, patterns: Tensor, z: Tensor, weights: LossWeights = LossWeights(), convention: str = "book",
               whole: BatchStatistics | None = None) -> Losses:
    """
    Mean squared error of the reconstruction plus the weighted terms, with the signs and exceptions of a convention.

    ``reconstruction`` and ``patterns`` (n, height, width) are output and target of the network, ``z`` (n, channels) the embedding; the error is the mean
    over pixels and patterns. With the statistics of the ``whole`` batch, values and gradients of its parts add up to its own, since every mean is over
    ``whole.patterns``; a framework that averages gradients over ranks, as DDP does, needs them times the number of ranks. Under ``"published-code"`` an
    L1 term of exactly 0, because its weight is or because the embedding died, reads 0.5 and raises the total by as much, without a gradient.
    """
    rule, z = _convention(convention), _checked_embedding(z)
    if reconstruction.shape != patterns.shape or len(patterns) != len(z):
        shapes = ", ".join(str(tuple(t.shape)) for t in (reconstruction, patterns, z))
        raise ValueError(f"reconstruction, patterns and embedding have shapes {shapes}; expected (n, h, w) twice and (n, channels)")
    error = F.mse_loss(_working_precision(reconstruction), _working_precision(patterns))
    l1 = l1_activity(z, weights.l1)
    if rule.dead_value:
        l1 = torch.where((l1 if whole is None else weights.l1 * whole.activity) == 0, rule.dead_value, l1)
    divergence = activity_divergence(z, weights.divergence, convention)  # before the similarity: autograd adds their gradients in this order
    similarity = contrastive_similarity(z, weights.similarity, convention, whole)
    if whole is not None:
        error, l1, divergence = (len(z) / whole.patterns * term for term in (error, l1, divergence))
    return Losses(error + l1 + similarity + rule.divergence_sign * divergence, error, l1, similarity, divergence)


def _directions(z: Tensor, rule: Convention) -> tuple[Tensor, Tensor]:
    """Σ u_i, (channels,), and the number of vectors that are not zero; nothing is nan at zero."""
    units = F.normalize(z, dim=1, eps=SHORTEST)
    nonzero = z.sum(1) != 0 if rule.zero_when_sum_is_zero else torch.linalg.vector_norm(z, dim=1) >= SHORTEST
    return (units * nonzero[:, None]).sum(0), nonzero.sum()  # a product of matrices would be in half precision under autocast


def _working_precision(values: Tensor) -> Tensor:
    """Half-precision values as float32: sums over a batch do not fit half precision."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def _checked_embedding(z: Tensor) -> Tensor:
    """The embedding in working precision, refused when it is not a finite matrix."""
    if not isinstance(z, Tensor) or not z.is_floating_point() or z.ndim != 2 or 0 in z.shape:
        given = f"{z.dtype} of shape {tuple(z.shape)}" if isinstance(z, Tensor) else type(z).__name__
        raise ValueError(f"the embedding is {given}; expected a floating-point tensor of shape (n, channels), both at least 1")
    if (z.detach() * 0).sum() != 0:  # nan, from nan or infinity; fewer operations than asking for every component
        bad = int((~torch.isfinite(z.detach())).any(1).sum())
        raise ValueError(f"{bad} of {len(z)} embedding vectors hold nan or infinity; lower the learning rate or check the patterns")
    return _working_precision(z)


def _checked_weight(value: float) -> float:
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"the weight of a loss is {value}; expected a finite number, not negative (signs belong to the convention)")
    return float(value)


def _convention(name: str) -> Convention:
    if name not in CONVENTIONS:
        raise ValueError(f"convention is {name!r}; it must be one of {', '.join(CONVENTIONS)}")
    return CONVENTIONS[name]


class VariationalLosses(NamedTuple):
    """The total and its terms for a β-VAE, scalar tensors; the divergence is weighted."""

    total: Tensor
    reconstruction: Tensor
    kl: Tensor


def gaussian_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """
    Kullback-Leibler divergence of independent normal distributions from the standard normal one, in nats, (n,), not negative.

    ½ Σ_j (μ_j² + σ_j² − 1 − ln σ_j²) over the channels (D. P. Kingma, M. Welling, arXiv:1312.6114); zero where the embedding tells nothing.
    """
    mean, log_variance = _working_precision(mean), _working_precision(log_variance)
    return 0.5 * (mean.square() + torch.expm1(log_variance) - log_variance).sum(1)


def variational_loss(reconstruction: Tensor, patterns: Tensor, mean: Tensor, log_variance: Tensor, beta: float) -> VariationalLosses:
    """
    Mean squared error of the reconstruction plus β times the divergence of the embedding.

    The error is the mean over pixels and patterns, as for the autoencoder; the divergence is summed over channels and
    averaged over patterns. How the published code divides its divergence is not on record, so this choice is ours. In units
    of the usual objective, which sums ½ of the squared error over the P pixels, our β is 2/P times the usual one: 0.03 at
    32 × 32 px is 15 there. C. P. Burgess et al., Understanding disentangling in β-VAE, arXiv:1804.03599 (reference 39 of the paper).
    """
    if reconstruction.shape != patterns.shape or mean.shape != log_variance.shape or len(mean) != len(patterns):
        shapes = ", ".join(str(tuple(t.shape)) for t in (reconstruction, patterns, mean, log_variance))
        raise ValueError(f"reconstruction, patterns, mean and log-variance have shapes {shapes}; expected (n, h, w) and (n, channels), twice each")
    error = _working_precision(reconstruction).sub(patterns).square().mean()
    kl = beta * gaussian_divergence(mean, log_variance).mean()
    return VariationalLosses(error + kl, error, kl)
