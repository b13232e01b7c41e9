"""Train an autoencoder on a scan: one loop for a CPU, a GPU, many GPUs and many nodes; after a kill it goes on. A batch is one :class:`Step`."""

from __future__ import annotations

import errno
import io
import json
import logging
import math
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor
from tqdm import tqdm

import figures_pkg
from figures_pkg.data.blocks import scan_digest
from figures_pkg.workspace import check_target, commit, replacing

from .autoencoder import Autoencoder, BetaVAE, NetworkConfig, count_parameters
from .batches import Feed, Prepare
from .checkpoint import save_checkpoint
from .losses import BatchStatistics, Losses, LossWeights, VariationalLosses, batch_statistics, total_loss, variational_loss
from .recipes import Recipe, recipe_called
from .transform import MOST_COMPONENTS, InputTransform, fit_transform

if TYPE_CHECKING:
    from lightning_fabric import Fabric

STATE_BYTES = 28  # of disk for a parameter: the old state, the new one, and the model
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

    The recipe is a name of ``RECIPES``, or your own. ``out`` is the model to be, ``.safetensors``; None keeps nothing. ``start`` is a network of the
    same sizes to start from, fresh weights by default. ``fabric`` comes launched from :func:`make_fabric`; one device by default. ``micro_batch``
    patterns go through the network at once, on each rank; the result does not depend on it. ``overwrite`` discards the state of another training
    in the same place. ``stop`` is called with the history after each epoch; True ends the training there, and so does a file ``model.stop`` beside
    ``model.safetensors``.

    All channels zero for a whole epoch are a :class:`DeadEmbedding`; the state of the epoch before is kept. Patterns, sizes, states or recipes that do
    not fit are a ValueError that says what to do, and a state that cannot be written is an OSError.
    """
    recipe = recipe_called(recipe) if isinstance(recipe, str) else recipe
    fabric, out, digest = fabric or make_fabric(recipe), Path(out) if out else None, scan_digest(scan)
    deciding = {key: value for key, value in asdict(recipe).items() if key not in ("sources", "title", "precision")}
    weights = "" if start is None else f"{sum(float(p.detach().double().sum()) for p in start.parameters()):.12g}"
    identity = json.dumps(deciding | {"seed": seed, "data": digest, "start": weights}, sort_keys=True)  # of a training and its continuation
    net = first_network(recipe, seed)
    state = open_state(out, identity, count_parameters(net), overwrite) if out else None
    if state:
        transform = InputTransform.from_arrays({name: values.numpy() for name, values in state["transform"].items()})
    else:
        bin_px = max(1, scan.shape[2] // recipe.network.pattern)
        transform = fit_transform(scan, recipe.transform, bin_px, recipe.components or MOST_COMPONENTS)
    feed = Feed(scan, recipe.network.pattern, recipe.batch_size, Prepare(transform).to(fabric.device), seed=seed,
                device=fabric.device, rank=fabric.global_rank, ranks=fabric.world_size)
    if start is not None:
        if start.config != net.config or type(start) is not type(net):
            raise ValueError(f"the network to start from is {type(start).__name__} with {start.config}; recipe {recipe.name!r} "
                             f"needs {type(net).__name__} with {net.config}")  # fmt: skip
        net.load_state_dict(start.state_dict())
    if isinstance(net, BetaVAE) and recipe.beta is not None:
        step: Step = VariationalStep(fabric, net, recipe.batch_size, recipe.beta, seed, micro_batch)
    else:
        step = Step(fabric, net, recipe.batch_size, recipe.convention, micro_batch)
    history: list[dict[str, float]] = []
    if state:
        net.load_state_dict(state["net"])
        step.optimizer.load_state_dict(state["optimizer"])
        history = state["history"]
        log.info("going on after epoch %d of %d", len(history), recipe.epochs)
    steps = feed.batches_per_epoch
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    with tqdm(total=recipe.epochs * steps, initial=len(history) * steps, desc=recipe.name, unit="batch",
              mininterval=1.0, disable=not (progress and fabric.is_global_zero)) as bar:  # fmt: skip
        try:
            if fabric.device.type == "cuda":  # deterministic kernels, where there are such; a CPU's are
                torch.use_deterministic_algorithms(True, warn_only=True)
            for epoch in range(len(history), recipe.epochs):
                kept = f"; the state of epoch {len(history)} is kept in {state_path(out)}" if out and history else ""
                history = [*history, _epoch(step, feed, recipe, epoch, bar, kept)]
                if out and fabric.is_global_zero:
                    arrays = {name: torch.from_numpy(values) for name, values in transform.to_arrays().items()}
                    write_state(state_path(out), {"identity": identity, "epoch": epoch + 1, "history": history, "transform": arrays,
                                                  "net": net.state_dict(), "optimizer": step.optimizer.state_dict()})  # fmt: skip
                asked = bool(stop and stop(history)) or bool(out and out.with_suffix(".stop").exists())
                if fabric.broadcast(asked) if fabric.world_size > 1 else asked:  # the first rank decides for all
                    log.info("stopped on request after epoch %d of %d", epoch + 1, recipe.epochs)
                    break
        except KeyboardInterrupt:
            kept = f"{len(history)} epochs are kept in {state_path(out)}" if out else "nothing was to be kept"
            log.info("interrupted in epoch %d of %d; %s", len(history) + 1, recipe.epochs, kept)
            raise
        finally:
            torch.use_deterministic_algorithms(before[0], warn_only=before[1])
    return Trained(net, transform, recipe, seed, digest, history)


def _epoch(step: Step, feed: Feed, recipe: Recipe, epoch: int, bar: tqdm, kept: str) -> dict[str, float]:
    """An epoch's entry in the history; a dead or diverged one is refused, with what is ``kept``."""
    steps, rate = feed.batches_per_epoch, 0.0
    losses = torch.zeros(len(step.terms), device=step.fabric.device)
    spread = torch.zeros(recipe.network.channels, device=step.fabric.device)
    for number, batch in enumerate(feed.batches(epoch)):
        stage, done = recipe.stage_at(epoch + number / steps)
        rate = stage.rate_at(done)
        terms, differs = step(batch, stage.weights_at(done), rate, epoch * steps + number)
        losses = losses + terms
        spread = differs if number == 3 * steps // 4 else torch.maximum(spread, differs)  # alive means alive at the end
        bar.update()
    losses = losses / steps
    if step.fabric.world_size > 1:
        losses, spread = (torch.as_tensor(step.fabric.all_reduce(values, reduce_op="sum")) for values in (losses, spread))
    found, live = dict(zip(step.terms, losses.tolist())), int((spread > step.flat).sum())
    if not math.isfinite(found["total"]):
        raise ValueError(f"the loss of epoch {epoch + 1} is {found['total']}; lower the learning rate (now {rate:g})" + kept)
    if live == 0 and (step.forever or epoch + 1 == recipe.epochs):
        raise DeadEmbedding(f"all {recipe.network.channels} channels were the same, mostly zero, for every pattern at the end of epoch "
                            f"{epoch + 1}, so the embedding is dead; {step.remedy}" + kept)
    shown = ", ".join(f"{name} {value:.4g}" for name, value in list(found.items())[:3])
    bar.set_postfix_str(f"epoch {epoch + 1}, {shown}, {live} channels live")
    return found | {"live_channels": live, "learning_rate": rate}


def save_trained(trained: Trained, path: str | Path, *, overwrite: bool = False) -> Path:
    """
    Write a trained network as ``.safetensors`` and remove the state of its training.

    Beside weights and transform the file holds recipe, seed, digest of the data, losses of each epoch, version and commit, for ``net.about``.
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
    strategy = "ddp" if devices not in (1, "1") or nodes > 1 else "auto"
    fabric = Fabric(accelerator=accelerator, devices=devices, num_nodes=nodes, precision=precision, strategy=strategy)
    fabric.launch()
    return fabric


def first_network(recipe: Recipe, seed: int) -> Autoencoder:
    """The network of a recipe before its first step: weights drawn from the seed, the recipe's biases in the embedding."""
    net = (Autoencoder if recipe.beta is None else BetaVAE)(recipe.network, seed=seed)
    if recipe.start_bias is not None:
        torch.nn.init.constant_(net.get_parameter("enc.dense.bias"), recipe.start_bias)
    if recipe.start_log_variance is not None:
        torch.nn.init.constant_(net.get_parameter("enc.set_std.bias"), recipe.start_log_variance)
    return net


def is_compiled(config: NetworkConfig, device: torch.device) -> bool:
    """Whether networks of these sizes are compiled for a device: that takes about a minute, then a step half the time (benchmarks/README.md)."""
    return device.type == "cuda" and config.filters >= 64 and config.pattern >= 128


class Step:
    """
    Forward, loss, backward and update for one batch of ``batch_size`` patterns over all ranks.

    The contrastive term couples all patterns of a batch. Where a batch is cut into micro-batches or shared by ranks, the
    parts first learn the sum of all unit vectors; then values and gradients are those of the whole batch on one device.
    ``micro_batch`` patterns go through the network at once, on each rank; None takes them all, or 32 where the network is compiled.
    The memory depends on it, the result does not; with the contrastive term the encoder then runs once more.
    """

    terms: tuple[str, ...] = Losses._fields  # what a call returns, in this order
    flat = 1e-6  # a channel whose activations differ by less between all patterns of a batch says nothing
    forever = True  # a channel whose ReLU is closed for all patterns has no gradient, so it stays dead
    remedy = "let the weights of the losses rise from zero (Stage.ramp), lower them, or raise Recipe.start_bias"

    def __init__(self, fabric: Fabric, net: Autoencoder, batch_size: int, convention: str = "book", micro_batch: int | None = None):
        if micro_batch is not None and micro_batch < 1:
            raise ValueError(f"micro_batch={micro_batch}; expected at least one pattern, or None for the whole batch")
        self.fabric, self.plain, self.convention, self.batch_size, self.micro_batch = fabric, net, convention, batch_size, micro_batch
        module: Any = net
        if is_compiled(net.config, fabric.device):
            self.micro_batch = micro_batch or COMPILED_PATTERNS
            module = torch.compile(net.to(memory_format=torch.channels_last), options={MIXED_SUMS: False})  # type: ignore[call-overload]
        self.module, self.optimizer = fabric.setup(module, torch.optim.Adam(net.parameters()))

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

        Returns this rank's share in each of ``terms``, and by how much the activations of each channel differ between patterns, (channels,), of a single
        pattern their size. ``number`` counts the steps since the start, for what a β-VAE draws.
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

    The draws follow from the seed and the number of the step alone and are made for the whole batch, so values and gradients depend neither on
    micro-batches nor on the number of ranks, and a training that goes on after an interruption makes the draws that it would have made.
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
        size, shape = self.micro_batch or len(batch), (self.batch_size, self.plain.config.channels)
        whole = torch.from_numpy(np.random.default_rng((self.seed, number, self.batch_size)).standard_normal(shape))
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


def open_state(out: Path, identity: str, parameters: int, overwrite: bool) -> dict | None:
    """The state of an interrupted training of ``out``, or None; another training's is refused, unless ``overwrite``, and a disk without room."""
    out.parent.mkdir(parents=True, exist_ok=True)
    path, folder = state_path(out), out.absolute().parent
    needed, free = STATE_BYTES * parameters, shutil.disk_usage(folder).free
    if free < needed:
        raise OSError(errno.ENOSPC, f"a training of {parameters:,} parameters keeps up to {needed / 1e6:.0f} MB here and "
                      f"{free / 1e6:.0f} MB are free; free some space or choose another disk", str(folder))
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file raises whatever its bytes suggest
        if overwrite:
            return None
        raise ValueError(f"{path} cannot be read as the state of a training ({type(error).__name__}); remove it to start afresh") from error
    if state.get("identity") == identity:
        return state
    if overwrite:
        return None
    before, now = json.loads(state.get("identity") or "{}"), json.loads(identity)
    differing = ", ".join(key for key in now if before.get(key) != now[key]) or "format"
    raise ValueError(f"{path} belongs to a training with another {differing}; give the same as then to go on, another output, "
                     "or overwrite=True (--overwrite) to start afresh")
