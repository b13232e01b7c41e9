"""Train an autoencoder on a scan: one loop for a CPU, a GPU, many GPUs and many nodes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import xarray as xr
from tqdm import tqdm

from figures_pkg.data.blocks import scan_digest

from .autoencoder import Autoencoder, count_parameters
from .devices import deterministic, make_fabric
from .feed import Feed
from .prepare import Prepare
from .recipe import Recipe
from .recipes import recipe_called
from .state import check_room, read_state, state_path, stop_path, training_identity, write_state
from .step import Step
from .transform import MOST_COMPONENTS, InputTransform, fit_transform
from .vae import BetaVAE
from .variational_step import VariationalStep

if TYPE_CHECKING:
    from lightning_fabric import Fabric

log = logging.getLogger(__name__)


class DeadEmbedding(RuntimeError):
    """No channel of the embedding told any two patterns apart at the end of an epoch: zero for all, or as good as constant."""


@dataclass(frozen=True)
class Trained:
    """What a training gives: the network, the transform of its input, and the losses of each epoch."""

    net: Autoencoder  # or BetaVAE, where the recipe has a β
    transform: InputTransform
    recipe: Recipe
    seed: int
    digest: str  # of the scan, see data.blocks.scan_digest
    history: list[dict[str, float]]  # mean losses of each epoch, live channels and learning rate at its end


def train(scan: xr.DataArray, recipe: str | Recipe, out: str | Path | None = None, *, seed: int = 0,
          start: Autoencoder | None = None, fabric: Fabric | None = None, micro_batch: int | None = None,
          memory_bytes: float | None = None, overwrite: bool = False, stop: Callable[[list[dict]], bool] | None = None,
          progress: bool = True) -> Trained:
    """
    Train a network by a recipe; interrupted work is taken up again by the same call.

    With ``out``, the state is written after every epoch (temporary name, then renamed) and removed by whoever saves the
    finished model. Everything random (first weights, order of the patterns) follows from the seed and the epoch, and rates
    and weights from the step, so a continued training ends in the same network as an uninterrupted one: bit for bit on one
    CPU; on a GPU with deterministic kernels, which are asked for.

    Parameters
    ----------
    scan
        From :func:`figures_pkg.data.open_scan`, or any such array.
    recipe
        A name of ``RECIPES``, or your own.
    out
        The model to be, ``.safetensors``; the state lies beside it. None keeps nothing.
    seed
        Of first weights and order.
    start
        A network of the same sizes to start from; fresh weights by default.
    fabric
        Launched, from :func:`make_fabric`; one device by default.
    micro_batch
        Patterns in memory at once, see :class:`figures_pkg.model.step.Step`.
    memory_bytes
        How much of the scan may be held, see :class:`figures_pkg.model.feed.Feed`.
    overwrite
        Discard the state of another training in the same place.
    stop
        Called with the history after each epoch; True ends the training there. So does a file ``<out>.stop``.
    progress
        Whether to draw a bar on stderr.

    Raises
    ------
    DeadEmbedding
        When all channels are zero for a whole epoch; the state of the epoch before is kept.
    ValueError
        For patterns, sizes, states or recipes that do not fit; the message says what to do.
    OSError
        When the state cannot be written.
    """
    recipe = recipe_called(recipe) if isinstance(recipe, str) else recipe
    fabric = fabric or make_fabric(recipe)
    digest = scan_digest(scan)
    run = _Run(fabric, recipe, seed, training_identity(recipe, seed, digest, _weights_digest(start)), out and Path(out))
    with deterministic(fabric):
        run.prepare(scan, start, micro_batch, memory_bytes, overwrite)
        run.go(stop, progress and fabric.is_global_zero)
    return Trained(run.net, run.transform, recipe, seed, digest, run.history)


class _Run:
    """One training under way."""

    def __init__(self, fabric: Fabric, recipe: Recipe, seed: int, identity: str, out: Path | None):
        self.fabric, self.recipe, self.seed, self.identity, self.out = fabric, recipe, seed, identity, out
        self.history: list[dict[str, float]] = []

    def prepare(self, scan, start, micro_batch, memory_bytes, overwrite) -> None:
        """Build network and feed, and go back to where an earlier training was interrupted."""
        recipe, fabric = self.recipe, self.fabric
        self.net = first_network(recipe, self.seed)
        if self.out:
            self.out.parent.mkdir(parents=True, exist_ok=True)
            check_room(self.out.absolute(), count_parameters(self.net))
        state = read_state(state_path(self.out), self.identity, overwrite) if self.out else None
        self.transform = _transform(scan, recipe, state)
        self.feed = Feed(scan, recipe.network.pattern, recipe.batch_size, Prepare(self.transform).to(fabric.device), seed=self.seed,
                         device=fabric.device, rank=fabric.global_rank, ranks=fabric.world_size, memory_bytes=memory_bytes)
        _start_from(self.net, recipe, start)
        self.step = _step(fabric, self.net, recipe, self.seed, micro_batch)
        if state:
            self.net.load_state_dict(state["net"])
            self.step.optimizer.load_state_dict(state["optimizer"])
            self.history = state["history"]
            log.info("going on after epoch %d of %d", len(self.history), recipe.epochs)

    def go(self, stop, progress: bool) -> None:
        """All epochs that are left."""
        steps = self.feed.batches_per_epoch
        with tqdm(total=self.recipe.epochs * steps, initial=len(self.history) * steps, desc=self.recipe.name, unit="batch",
                  mininterval=1.0, disable=not progress) as bar:
            try:
                for epoch in range(len(self.history), self.recipe.epochs):
                    self._note(self._epoch(epoch, bar), epoch, bar)
                    if self._asked_to_stop(stop):
                        log.info("stopped on request after epoch %d of %d", epoch + 1, self.recipe.epochs)
                        break
            except KeyboardInterrupt:
                kept = f"{len(self.history)} epochs are kept in {state_path(self.out)}" if self.out else "nothing was to be kept"
                log.info("interrupted in epoch %d of %d; %s", len(self.history) + 1, self.recipe.epochs, kept)
                raise

    def _epoch(self, epoch: int, bar: tqdm) -> tuple[list[float], int, float]:
        """Mean losses of an epoch, its number of live channels, and the last learning rate."""
        steps, rate = self.feed.batches_per_epoch, 0.0
        losses = torch.zeros(len(self.step.terms), device=self.fabric.device)
        spread = torch.zeros(self.recipe.network.channels, device=self.fabric.device)
        for number, batch in enumerate(self.feed.batches(epoch)):
            stage, done = self.recipe.stage_at(epoch + number / steps)
            rate = stage.rate_at(done)
            terms, differs = self.step(batch, stage.weights_at(done), rate, epoch * steps + number)
            losses = losses + terms
            spread = differs if number == 3 * steps // 4 else torch.maximum(spread, differs)  # alive means alive at the end
            bar.update()
        losses = self.fabric.all_reduce(losses / steps, reduce_op="sum") if self.fabric.world_size > 1 else losses / steps
        spread = self.fabric.all_reduce(spread, reduce_op="sum") if self.fabric.world_size > 1 else spread
        return losses.tolist(), int((spread > self.step.flat).sum()), rate

    def _note(self, found: tuple[list[float], int, float], epoch: int, bar: tqdm) -> None:
        """Refuse a dead or diverged epoch, else add it to the history and keep the state."""
        losses, live, rate = found
        if not losses[0] - losses[0] == 0:
            raise ValueError(f"the loss of epoch {epoch + 1} is {losses[0]}; lower the learning rate (now {rate:g})" + self._kept())
        if live == 0 and (self.step.forever or epoch + 1 == self.recipe.epochs):
            raise DeadEmbedding(
                f"all {self.recipe.network.channels} channels were the same, mostly zero, for every pattern at the end of epoch "
                f"{epoch + 1}, so the embedding is dead; {self.step.remedy}" + self._kept())
        self.history = [*self.history, {**dict(zip(self.step.terms, losses)), "live_channels": live, "learning_rate": rate}]
        shown = ", ".join(f"{name} {value:.4g}" for name, value in list(zip(self.step.terms, losses))[:3])
        bar.set_postfix_str(f"epoch {epoch + 1}, {shown}, {live} channels live")
        if self.out and self.fabric.is_global_zero:
            arrays = {name: torch.from_numpy(values) for name, values in self.transform.to_arrays().items()}
            write_state(state_path(self.out), {
                "identity": self.identity, "epoch": epoch + 1, "history": self.history, "transform": arrays,
                "net": self.net.state_dict(), "optimizer": self.step.optimizer.state_dict()})

    def _kept(self) -> str:
        """What remains after an error."""
        return f"; the state of epoch {len(self.history)} is kept in {state_path(self.out)}" if self.out and self.history else ""

    def _asked_to_stop(self, stop) -> bool:
        """Whether the caller or the file beside the model asks for the end; the first rank decides for all."""
        asked = bool(stop and stop(self.history)) or bool(self.out and stop_path(self.out).exists())
        return self.fabric.broadcast(asked) if self.fabric.world_size > 1 else asked


def _transform(scan: xr.DataArray, recipe: Recipe, state: dict | None) -> InputTransform:
    """The transform of the counts, learned from the scan or taken from a state."""
    if state:
        return InputTransform.from_arrays({name: values.numpy() for name, values in state["transform"].items()})
    bin_px = max(1, scan.shape[2] // recipe.network.pattern)
    return fit_transform(scan, recipe.transform, bin_px, recipe.components or MOST_COMPONENTS)


def _step(fabric: Fabric, net: Autoencoder, recipe: Recipe, seed: int, micro_batch: int | None) -> Step:
    """The step of a recipe's kind of network."""
    if recipe.beta is None:
        return Step(fabric, net, recipe.batch_size, recipe.convention, micro_batch)
    return VariationalStep(fabric, net, recipe.batch_size, recipe.beta, seed, micro_batch)


def first_network(recipe: Recipe, seed: int) -> Autoencoder:
    """The network of a recipe before its first step: weights drawn from the seed, the recipe's biases in the embedding."""
    net = (Autoencoder if recipe.beta is None else BetaVAE)(recipe.network, seed=seed)
    if recipe.start_bias is not None:
        torch.nn.init.constant_(net.enc.dense.bias, recipe.start_bias)
    if recipe.start_log_variance is not None:
        torch.nn.init.constant_(net.enc.set_std.bias, recipe.start_log_variance)
    return net


def _start_from(net: Autoencoder, recipe: Recipe, start: Autoencoder | None) -> None:
    """Give a network the weights of another, if there is one."""
    if start is None:
        return
    if start.config != net.config or type(start) is not type(net):
        raise ValueError(f"the network to start from is {type(start).__name__} with {start.config}; recipe {recipe.name!r} "
                         f"needs {type(net).__name__} with {net.config}")  # fmt: skip
    net.load_state_dict(start.state_dict())


def _weights_digest(start: Autoencoder | None) -> str:
    """A number that tells networks to start from apart; empty without one."""
    return "" if start is None else f"{sum(float(p.detach().double().sum()) for p in start.parameters()):.12g}"
