"""One step of a training, exact for micro-batches and for several ranks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from .devices import arranged, usual_part
from .losses import BatchStatistics, Losses, batch_statistics, total_loss
from .loss_conventions import LossWeights

if TYPE_CHECKING:
    from lightning_fabric import Fabric


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

    terms = Losses._fields  # what a call returns, in this order
    flat = 1e-6  # a channel whose activations differ by less between all patterns of a batch says nothing
    forever = True  # a channel whose ReLU is closed for all patterns has no gradient, so it stays dead
    # What a dead embedding needs.
    remedy = "let the weights of the losses rise from zero (Stage.ramp), lower them, or raise Recipe.start_bias"

    def __init__(self, fabric: Fabric, net: nn.Module, batch_size: int, convention: str = "book", micro_batch: int | None = None):
        if micro_batch is not None and micro_batch < 1:
            raise ValueError(f"micro_batch={micro_batch}; expected at least one pattern, or None for the whole batch")
        self.fabric, self.plain, self.convention, self.batch_size = fabric, net, convention, batch_size
        self.micro_batch = micro_batch or usual_part(net.config, fabric.device)
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
        return self._accumulate([(part, weights, whole) for part in parts])

    def _accumulate(self, parts: list[tuple]) -> tuple[Tensor, Tensor]:
        """Backward through each part, given the arguments of ``_part``; losses and spread of all parts together."""
        losses, activations = 0.0, []
        for number, arguments in enumerate(parts):
            with self.fabric.no_backward_sync(self.module, enabled=number + 1 < len(parts)):
                terms, z = self._part(*arguments)
                self.fabric.backward(terms.total * self.fabric.world_size)  # ranks are averaged
            losses = losses + torch.stack([term.detach() for term in terms])
            activations.append(z.detach())
        z = torch.cat(activations)
        return losses, z.amax(0) - z.amin(0) if len(z) > 1 else z.abs().amax(0)

    def _part(self, part: Tensor, weights: LossWeights, whole: BatchStatistics | None):
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
        flat = torch.cat([mine.count[None], mine.direction_sum, mine.activity[None]])
        if self.fabric.world_size > 1:
            flat = self.fabric.all_reduce(flat, reduce_op="sum")
        return BatchStatistics(flat[0], flat[1:-1], flat[-1])
