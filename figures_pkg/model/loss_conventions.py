"""What the paper, the published code and this book make of the points that the formulas of the losses leave open.

==========================  ==================  ==================  ==================
                            "book"              "paper"             "published-code"
==========================  ==================  ==================  ==================
sign of divergence in loss  subtracted          added, as printed   subtracted
components in divergence    all                 all, j and k 1..d   non-zero ones only
a vector counts as zero     shorter than 1e-8   shorter than 1e-8   components sum to 0
when the L1 term is 0       it is 0             it is 0             0.5 is reported
==========================  ==================  ==================  ==================

"paper" is what is printed, "published-code" what ran, "book" the paper's terms with the one sign that does what the paper wants
of the divergence (chapter "Losses").
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
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


def working_precision(values: Tensor) -> Tensor:
    """Half-precision values as float32: sums over a batch do not fit half precision."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def checked_embedding(z: Tensor) -> Tensor:
    """The embedding in working precision, refused when it is not a finite matrix."""
    if not isinstance(z, Tensor) or not z.is_floating_point() or z.ndim != 2 or 0 in z.shape:
        given = f"{z.dtype} of shape {tuple(z.shape)}" if isinstance(z, Tensor) else type(z).__name__
        raise ValueError(f"the embedding is {given}; expected a floating-point tensor of shape (n, channels), both at least 1")
    if (z.detach() * 0).sum() != 0:  # nan, from nan or infinity; fewer operations than asking for every component
        bad = int((~torch.isfinite(z.detach())).any(1).sum())
        raise ValueError(f"{bad} of {len(z)} embedding vectors hold nan or infinity; lower the learning rate or check the patterns")
    return working_precision(z)


def checked_weight(value: float) -> float:
    """A weight, refused when it is negative or not finite."""
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"the weight of a loss is {value}; expected a finite number, not negative (signs belong to the convention)")
    return float(value)


def convention_called(name: str) -> Convention:
    """The rules of a convention by name."""
    if name not in CONVENTIONS:
        raise ValueError(f"convention is {name!r}; it must be one of {', '.join(CONVENTIONS)}")
    return CONVENTIONS[name]


class Directions(NamedTuple):
    """Unit vectors (n, d) of an embedding and what they were made with, (n,) each."""

    units: Tensor  # zero where a vector counts as zero
    nonzero: Tensor  # which do not
    inverse: Tensor  # of the length; 0 where a vector counts as zero, and never above that of the floor
    long: Tensor  # whether the length reaches the floor, so that the unit vector has length 1


def directions_of(z: Tensor, rule: Convention) -> Directions:
    """The directions of the vectors of an embedding; nothing is nan at zero."""
    length = torch.linalg.vector_norm(z, dim=1)
    long = length >= SHORTEST
    nonzero = z.sum(1) != 0 if rule.zero_when_sum_is_zero else long
    inverse = nonzero / length.clamp_min(SHORTEST)
    return Directions(z * inverse[:, None], nonzero, inverse, long)


def ranks_of(z: Tensor, rule: Convention) -> Tensor:
    """Number of components below minus number above, for each component of each vector (n, d)."""
    taking_part = z != 0 if rule.nonzero_components_only else torch.ones_like(z, dtype=torch.bool)
    ordered = torch.where(taking_part, z, math.inf).sort(dim=1).values  # what takes no part lies above everything
    below = torch.searchsorted(ordered, z.contiguous())
    above = taking_part.sum(1, keepdim=True) - torch.searchsorted(ordered, z.contiguous(), right=True)
    return torch.where(taking_part, below - above, 0).to(z)
