"""Train an autoencoder on a scan: one loop for a CPU, a GPU, many GPUs and many nodes; after a kill it goes on."""

from __future__ import annotations

import errno
import io
import json
import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import xarray as xr
from tqdm import tqdm

import figures_pkg
from figures_pkg.data.blocks import scan_digest
from figures_pkg.workspace import check_target, commit, replacing

from .autoencoder import Autoencoder, count_parameters
from .batches import Feed, Prepare
from .checkpoint import save_checkpoint
from .recipes import Recipe, recipe_called
from .step import Step, VariationalStep
from .transform import MOST_COMPONENTS, InputTransform, fit_transform
from .vae import BetaVAE

if TYPE_CHECKING:
    from lightning_fabric import Fabric

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
        How much of the scan may be held, see :class:`figures_pkg.model.batches.Feed`.
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
    with deterministic(fabric):
        run = _Run(fabric, recipe, seed, Path(out) if out else None)
        run.prepare(scan, start, digest, micro_batch, memory_bytes, overwrite)
        run.go(stop, progress and fabric.is_global_zero)
    return Trained(run.net, run.transform, recipe, seed, digest, run.history)


def save_trained(trained: Trained, path: str | Path, *, overwrite: bool = False) -> Path:
    """
    Write a trained network and remove the state of its training.

    Beside weights and transform the file holds recipe, seed, digest of the data, losses of each epoch, version and commit;
    :func:`figures_pkg.model.load_checkpoint` gives them back as ``net.about``.

    Parameters
    ----------
    trained
        From :func:`train`.
    path
        Ends in ``.safetensors``.
    overwrite
        Replace an existing file.
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

    Parameters
    ----------
    recipe
        Its ``precision`` "auto" becomes bf16 on a GPU that has it, and on a CPU with bf16 instructions from 16 filters on
        (with 8 it was slower there); else 32 bits.
    accelerator, devices, nodes
        As for Fabric: "cpu", "cuda" or "auto"; how many. Under ``torchrun`` they describe what that started.
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
    """One training under way."""

    def __init__(self, fabric: Fabric, recipe: Recipe, seed: int, out: Path | None):
        self.fabric, self.recipe, self.seed, self.out = fabric, recipe, seed, out
        self.history: list[dict[str, float]] = []

    def prepare(self, scan: xr.DataArray, start: Autoencoder | None, digest: str, micro_batch: int | None, memory_bytes: float | None,
                overwrite: bool) -> None:
        """Build network and feed, and go back to where an earlier training was interrupted."""
        recipe, fabric, state = self.recipe, self.fabric, None
        self.identity = training_identity(recipe, self.seed, digest, start)
        self.net = first_network(recipe, self.seed)
        if self.out:
            self.out.parent.mkdir(parents=True, exist_ok=True)
            check_room(self.out.absolute(), count_parameters(self.net))
            state = read_state(state_path(self.out), self.identity, overwrite)
        if state:
            self.transform = InputTransform.from_arrays({name: values.numpy() for name, values in state["transform"].items()})
        else:
            bin_px = max(1, scan.shape[2] // recipe.network.pattern)
            self.transform = fit_transform(scan, recipe.transform, bin_px, recipe.components or MOST_COMPONENTS)
        self.feed = Feed(scan, recipe.network.pattern, recipe.batch_size, Prepare(self.transform).to(fabric.device), seed=self.seed,
                         device=fabric.device, rank=fabric.global_rank, ranks=fabric.world_size, memory_bytes=memory_bytes)
        if start is not None:
            if start.config != self.net.config or type(start) is not type(self.net):
                raise ValueError(f"the network to start from is {type(start).__name__} with {start.config}; recipe {recipe.name!r} "
                                 f"needs {type(self.net).__name__} with {self.net.config}")  # fmt: skip
            self.net.load_state_dict(start.state_dict())
        if isinstance(self.net, BetaVAE) and recipe.beta is not None:
            self.step: Step = VariationalStep(fabric, self.net, recipe.batch_size, recipe.beta, self.seed, micro_batch)
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
