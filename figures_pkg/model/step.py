"""One step of a training, exact for micro-batches and for several ranks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from .autoencoder import Autoencoder, NetworkConfig
from .losses import BatchStatistics, Losses, LossWeights, batch_statistics, total_loss
from .vae import BetaVAE, VariationalLosses, variational_loss

if TYPE_CHECKING:
    from lightning_fabric import Fabric

COMPILED_PATTERNS = 32  # at once, through a compiled network: 10 GB at the paper's sizes
# One kernel for sums along and across the rows of an image, as LayerNorm's gradient needs them: in PyTorch 2.11 its results have
# a wrong shape (pytorch issue 178080, here from 64 patterns on), from 2.10 to 2.13 it can leave gradients unwritten (193061).
MIXED_SUMS = "triton.mix_order_reduction"


def is_compiled(config: NetworkConfig, device: torch.device) -> bool:
    """Whether networks of these sizes are compiled for a device; smaller ones are trained before they are compiled."""
    return device.type == "cuda" and config.filters >= 64 and config.pattern >= 128


def arranged(net: Autoencoder, device: torch.device) -> nn.Module:
    """
    The network as it trains fastest on a device, with the same parameters; only the order of its weights in memory may change.

    On a GPU a large network is compiled, which joins what stands between the convolutions into few passes over the images,
    with the filters last in memory. Compiling takes about a minute, then a step half the time (benchmarks/README.md).
    """
    if not is_compiled(net.config, device):
        return net
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return torch.compile(net, options={MIXED_SUMS: False})  # type: ignore[return-value]


class Step:
    """
    Forward, loss, backward and update for one batch.

    The contrastive term couples all patterns of a batch. Where a batch is cut into micro-batches or shared by ranks, the
    parts first learn the sum of all unit vectors; then values and gradients are those of the whole batch on one device.

    Parameters
    ----------
    fabric
        Launched.
    net
        The network before ``fabric.setup``; see ``module`` for the one set up.
    batch_size
        Patterns in a batch over all ranks.
    convention
        Of the losses.
    micro_batch
        Patterns that go through the network at once, on each rank; None takes them all, or 32 where the network is compiled.
        The result does not depend on it, the memory does. With the contrastive term the encoder runs once more.
    """

    terms: tuple[str, ...] = Losses._fields  # what a call returns, in this order
    flat = 1e-6  # a channel whose activations differ by less between all patterns of a batch says nothing
    forever = True  # a channel whose ReLU is closed for all patterns has no gradient, so it stays dead
    # What a dead embedding needs.
    remedy = "let the weights of the losses rise from zero (Stage.ramp), lower them, or raise Recipe.start_bias"

    def __init__(self, fabric: Fabric, net: Autoencoder, batch_size: int, convention: str = "book", micro_batch: int | None = None):
        if micro_batch is not None and micro_batch < 1:
            raise ValueError(f"micro_batch={micro_batch}; expected at least one pattern, or None for the whole batch")
        self.fabric, self.plain, self.convention, self.batch_size = fabric, net, convention, batch_size
        self.micro_batch = micro_batch or (COMPILED_PATTERNS if is_compiled(net.config, fabric.device) else None)
        self.module, self.optimizer = fabric.setup(arranged(net, fabric.device), torch.optim.Adam(net.parameters()))

    def __call__(self, batch: Tensor, weights: LossWeights, learning_rate: float, number: int = 0) -> tuple[Tensor, Tensor]:
        """
        Update the network.

        Parameters
        ----------
        batch
            This rank's share, (n, side, side).
        weights, learning_rate
            Of this step.
        number
            Of this step since the start, for what is drawn at random; an autoencoder draws nothing.

        Returns
        -------
        losses, spread
            This rank's share in each of ``terms``; by how much the activations of each channel differ between patterns,
            (channels,), of a single pattern their size. On the device.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.optimizer.zero_grad()
        found = self.backward(batch, weights, number)
        self.optimizer.step()
        return found

    def backward(self, batch: Tensor, weights: LossWeights, number: int = 0) -> tuple[Tensor, Tensor]:
        """Losses and gradients of a batch without the update; returns what the call does."""
        parts = batch.split(self.micro_batch or len(batch))
        whole = self._statistics(parts, weights) if len(parts) > 1 else None
        return self._accumulate([partial(self._part, part, weights, whole) for part in parts])

    def _accumulate(self, parts: list[Callable[[], tuple[Losses | VariationalLosses, Tensor]]]) -> tuple[Tensor, Tensor]:
        """Forward and backward of each part; losses and spread of all parts together."""
        losses, activations = torch.zeros(len(self.terms), device=self.fabric.device), []
        for number, part in enumerate(parts):
            with self.fabric.no_backward_sync(self.module, enabled=number + 1 < len(parts)):
                terms, z = part()
                self.fabric.backward(terms.total * self.fabric.world_size)  # ranks are averaged
            losses = losses + torch.stack([term.detach() for term in terms])
            activations.append(z.detach())
        z = torch.cat(activations)
        return losses, z.amax(0) - z.amin(0) if len(z) > 1 else z.abs().amax(0)

    def _part(self, part: Tensor, weights: LossWeights, whole: BatchStatistics | None) -> tuple[Losses, Tensor]:
        """Losses and embedding of a part; a rank's only part knows the whole after one exchange."""
        reconstruction, z = self.module(part)
        if whole is None and self.fabric.world_size > 1:
            whole = self._exchange(batch_statistics(z, self.convention))
        return total_loss(reconstruction, part, z, weights, self.convention, whole), z

    def _statistics(self, parts: tuple[Tensor, ...], weights: LossWeights) -> BatchStatistics:
        """Statistics of the whole batch before the first backward; the encoder runs only where a term needs them."""
        if not weights.similarity and self.convention != "published-code":
            count = parts[0].new_tensor(self.batch_size)
            return BatchStatistics(count, parts[0].new_zeros(self.plain.config.channels), count)
        with torch.no_grad(), self.fabric.autocast():
            found = [batch_statistics(self.plain.encode(part), self.convention) for part in parts]
        return self._exchange(BatchStatistics(*(sum(values) for values in zip(*found))))

    def _exchange(self, mine: BatchStatistics) -> BatchStatistics:
        """Statistics summed over ranks: channels + 2 numbers travel."""
        flat = torch.cat([mine.patterns[None], mine.direction_sum, mine.activity[None]])
        if self.fabric.world_size > 1:
            flat = torch.as_tensor(self.fabric.all_reduce(flat, reduce_op="sum"))
        return BatchStatistics(flat[0], flat[1:-1], flat[-1])


class VariationalStep(Step):
    """
    Forward, loss, backward and update of a β-VAE for one batch.

    The draws of the embedding follow from the seed and the number of the step alone. They are made for the whole batch and
    cut like the batch, so values and gradients depend neither on micro-batches nor on the number of ranks, and a training
    that goes on after an interruption makes the draws that it would have made.

    Parameters
    ----------
    fabric, net, batch_size
        As for :class:`Step`.
    beta
        Weight of the divergence, see :func:`figures_pkg.model.vae.variational_loss`.
    seed
        Of the draws.
    micro_batch
        As for :class:`Step`.
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
        return self._accumulate([partial(self._drawn, *both) for both in zip(batch.split(size), noise.to(batch).split(size))])

    def _noise(self, number: int) -> Tensor:
        """This rank's share of the draws of a step: every n-th row, as the feed shares the patterns."""
        rng = np.random.default_rng((self.seed, number, self.batch_size))
        whole = torch.from_numpy(rng.standard_normal((self.batch_size, self.plain.config.channels)))
        return whole[self.fabric.global_rank::self.fabric.world_size]

    def _drawn(self, part: Tensor, noise: Tensor) -> tuple[VariationalLosses, Tensor]:
        """Losses of a part, as its share in those of the batch, and the means of its embedding."""
        reconstruction, mean, log_variance = self.module(part, noise)
        losses = variational_loss(reconstruction, part, mean, log_variance, self.beta)
        return VariationalLosses(*(len(part) / self.batch_size * term for term in losses)), mean
