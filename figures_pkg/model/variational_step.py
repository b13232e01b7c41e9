"""One step of the training of a β-VAE, exact for micro-batches and for several ranks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from .loss_conventions import LossWeights
from .step import Step
from .vae import BetaVAE, VariationalLosses, variational_loss

if TYPE_CHECKING:
    from lightning_fabric import Fabric


class VariationalStep(Step):
    """
    Forward, loss, backward and update of a β-VAE for one batch.

    The draws of the embedding follow from the seed and the number of the step alone. They are made for the whole batch and
    cut like the batch, so values and gradients depend neither on micro-batches nor on the number of ranks, and a training
    that goes on after an interruption makes the draws that it would have made.

    Parameters
    ----------
    fabric, net, batch_size, micro_batch
        As for :class:`figures_pkg.model.step.Step`.
    beta
        Weight of the divergence, see :func:`figures_pkg.model.vae.variational_loss`.
    seed
        Of the draws.
    """

    terms = VariationalLosses._fields
    flat = 0.4  # spread of a channel's mean; with a standard deviation of 0.1, a usual limit of "unused", a batch spans as much
    forever = False  # a channel that tells nothing yet still has a gradient
    remedy = "lower Recipe.beta, or train for longer"

    def __init__(self, fabric: Fabric, net: BetaVAE, batch_size: int, beta: float, seed: int = 0, micro_batch: int | None = None):
        super().__init__(fabric, net, batch_size, micro_batch=micro_batch)
        self.beta, self.seed = beta, seed

    def backward(self, batch: Tensor, weights: LossWeights | None = None, number: int = 0) -> tuple[Tensor, Tensor]:
        """Losses and gradients of a batch without the update; the weights are not used."""
        noise = self._noise(number)
        if len(noise) != len(batch):
            raise ValueError(f"a share of {len(batch)} patterns; of a batch of {self.batch_size} rank {self.fabric.global_rank} of "
                             f"{self.fabric.world_size} takes {len(noise)}, the same as the draws")  # fmt: skip
        size = self.micro_batch or len(batch)
        return self._accumulate(list(zip(batch.split(size), noise.to(batch).split(size))))

    def _noise(self, number: int) -> Tensor:
        """This rank's share of the draws of a step: every n-th row, as the feed shares the patterns."""
        rng = np.random.default_rng((self.seed, number, self.batch_size))
        whole = torch.from_numpy(rng.standard_normal((self.batch_size, self.plain.config.channels)))
        return whole[self.fabric.global_rank::self.fabric.world_size]

    def _part(self, part: Tensor, noise: Tensor) -> tuple[VariationalLosses, Tensor]:
        """Losses of a part, as its share in those of the batch, and the means of its embedding."""
        reconstruction, mean, log_variance = self.module(part, noise)
        found = variational_loss(reconstruction, part, mean, log_variance, self.beta)
        share = len(part) / self.batch_size
        return VariationalLosses(*(share * term for term in found)), mean
