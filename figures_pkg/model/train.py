"""
Train an autoencoder on a scan: one loop for a CPU, a GPU, many GPUs and many nodes; after a kill it goes on.

A training runs through epochs (:func:`train`), an epoch through batches, and each batch is one :class:`Step`, which is exact for
micro-batches and for several ranks.
"""

from __future__ import annotations

import errno
import io
import json
import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn
from tqdm import tqdm

import figures_pkg
from figures_pkg.data.blocks import scan_digest
from figures_pkg.workspace import check_target, commit, replacing

from .autoencoder import Autoencoder, NetworkConfig, count_parameters
from .batches import Feed, Prepare
from .checkpoint import save_checkpoint
from .losses import BatchStatistics, Losses, LossWeights, batch_statistics, total_loss
from .recipes import Recipe, recipe_called
from .transform import MOST_COMPONENTS, InputTransform, fit_transform
from .vae import BetaVAE, VariationalLosses, variational_loss

if TYPE_CHECKING:
    from lightning_fabric import Fabric

COMPILED_PATTERNS = 32  # at once, through a compiled network: 10 GB at the paper's sizes
# One kernel for sums along and across the rows of an image, as LayerNorm's gradient needs them: in PyTorch 2.11 its results have
# a wrong shape (pytorch issue 178080, here from 64 patterns on), from 2.10 to 2.13 it can leave gradients unwritten (193061).
MIXED_SUMS = "triton.mix_order_reduction"
FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
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
          overwrite: bool = False, stop: Callable[[list[dict]], bool] | None = None, progress: bool = True) -> Trained:
    """
    Train a network by a recipe; interrupted work is taken up again by the same call.

    With ``out``, the state is written after every epoch (temporary name, then renamed) and removed by whoever saves the
    finished model. Everything random (first weights, order of the patterns) follows from the seed and the epoch, and rates
    and weights from the step, so a continued training ends in the same network as an uninterrupted one: bit for bit on one
    CPU; on a GPU with deterministic kernels, which are asked for.

    Parameters
    ----------
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
        Patterns that go through the network at once, on each rank; the result does not depend on it.
    overwrite
        Discard the state of another training in the same place.
    stop
        Called with the history after each epoch; True ends the training there. So does a file ``<out>.stop``.

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
    with deterministic(fabric):
        run = _Run(scan, recipe, Path(out) if out else None, seed, digest, start, fabric, micro_batch, overwrite)
        run.go(stop, progress and fabric.is_global_zero)
    return Trained(run.net, run.transform, recipe, seed, digest, run.history)


def save_trained(trained: Trained, path: str | Path, *, overwrite: bool = False) -> Path:
    """
    Write a trained network as ``.safetensors`` and remove the state of its training.

    Beside weights and transform the file holds recipe, seed, digest of the data, losses of each epoch, version and commit;
    :func:`figures_pkg.model.load_checkpoint` gives them back as ``net.about``.
    """
    path = check_target(path, ".safetensors", overwrite)
    about = {"recipe": asdict(trained.recipe), "seed": trained.seed, "data": trained.digest, "history": trained.history,
             "version": figures_pkg.__version__, "commit": commit()}
    save_checkpoint(path, trained.net, trained.transform, **about)
    state_path(path).unlink(missing_ok=True)
    return path


def make_fabric(recipe: Recipe, accelerator: str = "auto", devices: int | str = 1, nodes: int = 1) -> Fabric:
    """
    A launched Fabric for a recipe, with 16-bit arithmetic where it pays.

    A recipe's ``precision`` "auto" becomes bf16 on a GPU that has it, and on a CPU with bf16 instructions from 16 filters on (with 8 it was
    slower there); else 32 bits. The rest is as for Fabric; under ``torchrun`` it describes what that started.
    """
    from lightning_fabric import Fabric  # here, not above: a second that those who only load a network need not wait

    precision: Any = recipe.precision
    if precision == "auto":
        if accelerator in ("auto", "cuda", "gpu") and torch.cuda.is_available():
            fast = torch.cuda.is_bf16_supported(including_emulation=False)
        else:
            fast = torch.cpu._is_avx512_bf16_supported() and recipe.network.filters >= 16
        precision = "bf16-mixed" if fast else "32-true"
    several = devices not in (1, "1") or nodes > 1
    strategy = "ddp" if several else "auto"
    fabric = Fabric(accelerator=accelerator, devices=devices, num_nodes=nodes, precision=precision, strategy=strategy)
    fabric.launch()
    return fabric


@contextmanager
def deterministic(fabric: Fabric) -> Iterator[None]:
    """Deterministic kernels on a GPU while a training runs, where there are such; a CPU's are."""
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    if fabric.device.type == "cuda":
        torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])


def first_network(recipe: Recipe, seed: int) -> Autoencoder:
    """The network of a recipe before its first step: weights drawn from the seed, the recipe's biases in the embedding."""
    net = (Autoencoder if recipe.beta is None else BetaVAE)(recipe.network, seed=seed)
    if recipe.start_bias is not None:
        torch.nn.init.constant_(net.get_parameter("enc.dense.bias"), recipe.start_bias)
    if recipe.start_log_variance is not None:
        torch.nn.init.constant_(net.get_parameter("enc.set_std.bias"), recipe.start_log_variance)
    return net


class _Run:
    """One training under way: network and feed, where an earlier training was interrupted."""

    def __init__(self, scan: xr.DataArray, recipe: Recipe, out: Path | None, seed: int, digest: str, start: Autoencoder | None, fabric: Fabric,
                 micro_batch: int | None, overwrite: bool):
        self.recipe, self.out, self.fabric = recipe, out, fabric
        self.history: list[dict[str, float]] = []
        self.identity = training_identity(recipe, seed, digest, start)
        self.net, state = first_network(recipe, seed), None
        if out:
            out.parent.mkdir(parents=True, exist_ok=True)
            check_room(out.absolute(), count_parameters(self.net))
            state = read_state(state_path(out), self.identity, overwrite)
        if state:
            self.transform = InputTransform.from_arrays({name: values.numpy() for name, values in state["transform"].items()})
        else:
            bin_px = max(1, scan.shape[2] // recipe.network.pattern)
            self.transform = fit_transform(scan, recipe.transform, bin_px, recipe.components or MOST_COMPONENTS)
        self.feed = Feed(scan, recipe.network.pattern, recipe.batch_size, Prepare(self.transform).to(fabric.device), seed=seed,
                         device=fabric.device, rank=fabric.global_rank, ranks=fabric.world_size)
        if start is not None:
            if start.config != self.net.config or type(start) is not type(self.net):
                raise ValueError(f"the network to start from is {type(start).__name__} with {start.config}; recipe {recipe.name!r} "
                                 f"needs {type(self.net).__name__} with {self.net.config}")  # fmt: skip
            self.net.load_state_dict(start.state_dict())
        if isinstance(self.net, BetaVAE) and recipe.beta is not None:
            self.step: Step = VariationalStep(fabric, self.net, recipe.batch_size, recipe.beta, seed, micro_batch)
        else:
            self.step = Step(fabric, self.net, recipe.batch_size, recipe.convention, micro_batch)
        if state:
            self.net.load_state_dict(state["net"])
            self.step.optimizer.load_state_dict(state["optimizer"])
            self.history = state["history"]
            log.info("going on after epoch %d of %d", len(self.history), recipe.epochs)

    def go(self, stop: Callable[[list[dict]], bool] | None, progress: bool) -> None:
        """All epochs that are left."""
        steps = self.feed.batches_per_epoch
        with tqdm(total=self.recipe.epochs * steps, initial=len(self.history) * steps, desc=self.recipe.name, unit="batch",
                  mininterval=1.0, disable=not progress) as bar:
            try:
                for epoch in range(len(self.history), self.recipe.epochs):
                    self._note(*self._epoch(epoch, bar), epoch, bar)
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
        losses = losses / steps
        if self.fabric.world_size > 1:
            losses, spread = (torch.as_tensor(self.fabric.all_reduce(values, reduce_op="sum")) for values in (losses, spread))
        return losses.tolist(), int((spread > self.step.flat).sum()), rate

    def _note(self, losses: list[float], live: int, rate: float, epoch: int, bar: tqdm) -> None:
        """Refuse a dead or diverged epoch, else add it to the history and keep the state."""
        kept = f"; the state of epoch {len(self.history)} is kept in {state_path(self.out)}" if self.out and self.history else ""
        if not losses[0] - losses[0] == 0:
            raise ValueError(f"the loss of epoch {epoch + 1} is {losses[0]}; lower the learning rate (now {rate:g})" + kept)
        if live == 0 and (self.step.forever or epoch + 1 == self.recipe.epochs):
            raise DeadEmbedding(
                f"all {self.recipe.network.channels} channels were the same, mostly zero, for every pattern at the end of epoch "
                f"{epoch + 1}, so the embedding is dead; {self.step.remedy}" + kept)
        self.history = [*self.history, {**dict(zip(self.step.terms, losses)), "live_channels": live, "learning_rate": rate}]
        shown = ", ".join(f"{name} {value:.4g}" for name, value in list(zip(self.step.terms, losses))[:3])
        bar.set_postfix_str(f"epoch {epoch + 1}, {shown}, {live} channels live")
        if self.out and self.fabric.is_global_zero:
            arrays = {name: torch.from_numpy(values) for name, values in self.transform.to_arrays().items()}
            write_state(state_path(self.out), {
                "identity": self.identity, "epoch": epoch + 1, "history": self.history, "transform": arrays,
                "net": self.net.state_dict(), "optimizer": self.step.optimizer.state_dict()})

    def _asked_to_stop(self, stop: Callable[[list[dict]], bool] | None) -> bool:
        """Whether the caller or the file beside the model asks for the end; the first rank decides for all."""
        asked = bool(stop and stop(self.history)) or bool(self.out and stop_path(self.out).exists())
        return self.fabric.broadcast(asked) if self.fabric.world_size > 1 else asked


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
    Forward, loss, backward and update for one batch of ``batch_size`` patterns over all ranks.

    The contrastive term couples all patterns of a batch. Where a batch is cut into micro-batches or shared by ranks, the
    parts first learn the sum of all unit vectors; then values and gradients are those of the whole batch on one device.
    ``micro_batch`` patterns go through the network at once, on each rank; None takes them all, or 32 where the network is compiled.
    The result does not depend on it, the memory does; with the contrastive term the encoder then runs once more.
    """

    terms: tuple[str, ...] = Losses._fields  # what a call returns, in this order
    flat = 1e-6  # a channel whose activations differ by less between all patterns of a batch says nothing
    forever = True  # a channel whose ReLU is closed for all patterns has no gradient, so it stays dead
    remedy = "let the weights of the losses rise from zero (Stage.ramp), lower them, or raise Recipe.start_bias"

    def __init__(self, fabric: Fabric, net: Autoencoder, batch_size: int, convention: str = "book", micro_batch: int | None = None):
        if micro_batch is not None and micro_batch < 1:
            raise ValueError(f"micro_batch={micro_batch}; expected at least one pattern, or None for the whole batch")
        self.fabric, self.plain, self.convention, self.batch_size = fabric, net, convention, batch_size
        self.micro_batch = micro_batch or (COMPILED_PATTERNS if is_compiled(net.config, fabric.device) else None)
        self.module, self.optimizer = fabric.setup(arranged(net, fabric.device), torch.optim.Adam(net.parameters()))

    def __call__(self, batch: Tensor, weights: LossWeights, learning_rate: float, number: int = 0) -> tuple[Tensor, Tensor]:
        """Update the network with this rank's share of a batch, (n, side, side); returns what :meth:`backward` does."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.optimizer.zero_grad()
        found = self.backward(batch, weights, number)
        self.optimizer.step()
        return found

    def backward(self, batch: Tensor, weights: LossWeights, number: int = 0) -> tuple[Tensor, Tensor]:
        """
        Losses and gradients of a batch without the update.

        Returns this rank's share in each of ``terms``, and by how much the activations of each channel differ between patterns, (channels,),
        of a single pattern their size. ``number`` counts the steps since the start, for what is drawn at random; an autoencoder draws nothing.
        """
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
    The same for a β-VAE, with ``beta`` as the weight of its divergence and ``seed`` for its draws.

    The draws follow from the seed and the number of the step alone. They are made for the whole batch and cut like the batch, so
    values and gradients depend neither on micro-batches nor on the number of ranks, and a training that goes on after an
    interruption makes the draws that it would have made.
    """

    terms = VariationalLosses._fields
    flat = 0.4  # spread of a channel's mean; with a standard deviation of 0.1, a usual limit of "unused", a batch spans as much
    forever = False  # a channel that tells nothing yet still has a gradient
    remedy = "lower Recipe.beta, or train for longer"

    def __init__(self, fabric: Fabric, net: BetaVAE, batch_size: int, beta: float, seed: int = 0, micro_batch: int | None = None):
        super().__init__(fabric, net, batch_size, micro_batch=micro_batch)
        self.beta, self.seed = beta, seed

    def backward(self, batch: Tensor, weights: LossWeights | None = None, number: int = 0) -> tuple[Tensor, Tensor]:
        """Losses and gradients of a batch; the weights are not used."""
        rng, size = np.random.default_rng((self.seed, number, self.batch_size)), self.micro_batch or len(batch)
        whole = torch.from_numpy(rng.standard_normal((self.batch_size, self.plain.config.channels)))
        noise = whole[self.fabric.global_rank::self.fabric.world_size].to(batch)  # every n-th row, as the feed shares the patterns
        return self._accumulate([partial(self._drawn, *both) for both in zip(batch.split(size), noise.split(size), strict=True)])

    def _drawn(self, part: Tensor, noise: Tensor) -> tuple[VariationalLosses, Tensor]:
        """Losses of a part, as its share in those of the batch, and the means of its embedding."""
        reconstruction, mean, log_variance = self.module(part, noise)
        losses = variational_loss(reconstruction, part, mean, log_variance, self.beta)
        return VariationalLosses(*(len(part) / self.batch_size * term for term in losses)), mean


def state_path(out: Path) -> Path:
    """Where the state of the training of ``out`` lies until it is finished: ``model.training.pt`` for ``model.safetensors``."""
    return out.with_suffix(".training.pt")


def stop_path(out: Path) -> Path:
    """The file whose presence ends a training of ``out`` after the current epoch: ``model.stop`` for ``model.safetensors``."""
    return out.with_suffix(".stop")


def training_identity(recipe: Recipe, seed: int, digest: str, start: Autoencoder | None = None) -> str:
    """A text that is the same for a training and its continuation only."""
    deciding = {key: value for key, value in asdict(recipe).items() if key not in ("sources", "title", "precision")}
    weights = "" if start is None else f"{sum(float(p.detach().double().sum()) for p in start.parameters()):.12g}"
    return json.dumps(deciding | {"seed": seed, "data": digest, "start": weights}, sort_keys=True)


def check_room(path: Path, parameters: int) -> None:
    """Raise unless the disk has room for two states (the old one and the new one) and the model: 28 bytes a parameter."""
    needed, free = 28 * parameters, shutil.disk_usage(path.parent).free
    if free < needed:
        raise OSError(errno.ENOSPC, f"a training of {parameters:,} parameters keeps up to {needed / 1e6:.0f} MB here and "
                      f"{free / 1e6:.0f} MB are free; free some space or choose another disk", str(path.parent))


def write_state(path: Path, state: dict) -> None:
    """Write a state under a temporary name and rename it, so that the one of before stays until the new one is complete."""
    memory = io.BytesIO()
    torch.save(state, memory)  # in memory first: PyTorch's own writer hides the reason of a failed write
    try:
        with replacing(path) as temporary:
            temporary.write_bytes(memory.getbuffer())
    except OSError as error:
        if error.errno not in FULL:
            raise
        epoch, size = state["epoch"], memory.getbuffer().nbytes / 1e6
        kept = f"the state of epoch {epoch - 1} is kept there" if path.exists() else "nothing was kept"
        raise OSError(error.errno, f"no room for the {size:.0f} MB of the training's state after epoch {epoch}; {kept}. "
                      "Free some space and give the same command again", str(path)) from error


def read_state(path: Path, identity: str, overwrite: bool) -> dict | None:
    """The state of an interrupted training, or None where there is none; raises for another training's, unless ``overwrite``."""
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file raises whatever its bytes suggest
        if overwrite:
            return None
        kind = type(error).__name__
        raise ValueError(f"{path} cannot be read as the state of a training ({kind}); remove it to start afresh") from error
    if state.get("identity") == identity:
        return state
    if overwrite:
        return None
    before, now = json.loads(state.get("identity") or "{}"), json.loads(identity)
    differing = ", ".join(key for key in now if before.get(key) != now[key]) or "format"
    raise ValueError(f"{path} belongs to a training with another {differing}; give the same as then to go on, another output, "
                     "or overwrite=True (--overwrite) to start afresh")
