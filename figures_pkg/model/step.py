"""One step of a training, exact for micro-batches and for several ranks."""

from __future__ import annotations

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from .losses import BatchStatistics, LossWeights, batch_statistics, total_loss


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
        Patterns that go through the network at once, on each rank; None takes them all. The result does not depend on it,
        the memory does. With the contrastive term the encoder runs once more.
    """

    def __init__(self, fabric: Fabric, net: nn.Module, batch_size: int, convention: str = "book", micro_batch: int | None = None):
        if micro_batch is not None and micro_batch < 1:
            raise ValueError(f"micro_batch={micro_batch}; expected at least one pattern, or None for the whole batch")
        self.fabric, self.plain, self.convention, self.micro_batch = fabric, net, convention, micro_batch
        self.batch_size = batch_size
        self.module, self.optimizer = fabric.setup(net, torch.optim.Adam(net.parameters()))

    def __call__(self, batch: Tensor, weights: LossWeights, learning_rate: float) -> tuple[Tensor, Tensor]:
        """
        Update the network.

        Parameters
        ----------
        batch
            This rank's share, (n, side, side).
        weights, learning_rate
            Of this step.

        Returns
        -------
        losses, spread
            This rank's share in total, reconstruction, L1, similarity and divergence, (5,); by how much the activations of
            each channel differ between patterns, (channels,), of a single pattern the activations. On the device.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.optimizer.zero_grad()
        found = self.backward(batch, weights)
        self.optimizer.step()
        return found

    def backward(self, batch: Tensor, weights: LossWeights) -> tuple[Tensor, Tensor]:
        """Losses and gradients of a batch without the update; returns what the call does."""
        parts = batch.split(self.micro_batch or len(batch))
        whole = self._statistics(parts, weights) if len(parts) > 1 else None
        losses, highest, lowest = 0.0, [], []
        for number, part in enumerate(parts):
            with self.fabric.no_backward_sync(self.module, enabled=number + 1 < len(parts)):
                terms, z = self._part(part, weights, whole)
                self.fabric.backward(terms.total * self.fabric.world_size)  # ranks are averaged
            losses = losses + torch.stack([term.detach() for term in terms])
            highest.append(z.detach().amax(0))
            lowest.append(z.detach().amin(0))
        spread = torch.stack(highest).amax(0) - (torch.stack(lowest).amin(0) if len(batch) > 1 else 0)
        return losses, spread

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
