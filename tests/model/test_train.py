"""Training: the same network after an interruption, on several ranks and in micro-batches; clear words when it cannot go on."""

import errno
import logging
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import xarray as xr
from lightning_fabric import Fabric

from figures_pkg.cli import main
from figures_pkg.data.axes import DIMS
from figures_pkg.model import state as state_module
from figures_pkg.model.autoencoder import Autoencoder
from figures_pkg.model.config import NetworkConfig
from figures_pkg.model.checkpoint import load_checkpoint
from figures_pkg.model.keep import save_trained
from figures_pkg.model.loss_conventions import LossWeights
from figures_pkg.model.losses import total_loss
from figures_pkg.model.recipe import Recipe
from figures_pkg.model.recipes import Stage
from figures_pkg.model.state import state_path, stop_path
from figures_pkg.model.step import Step
from figures_pkg.model.train import DeadEmbedding, train

SMALL = NetworkConfig(pattern=8, filters=3, pools=(2,), channels=4)
STAGE = Stage(3, 1e-3, l1=1e-2, similarity=1e-3, divergence=1e-3, schedule="one-cycle", peak_rate=1e-2, ramp=(0.3, 1))
RECIPE = Recipe("test", "Test", SMALL, (STAGE,), "anscombe-whitened", 10, components=3, start_bias=0.3, precision="32-true")
WEIGHTS = LossWeights(1e-2, 0.3, 0.05)
TWO_RANKS = Path(__file__).with_name("two_ranks.py")
SEARCHED = [str(Path(__file__).parent), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(SEARCHED)}  # of processes that import this module and the same package


@pytest.fixture(autouse=True)
def one_thread():
    """Bits are compared, so sums must not be split differently from run to run."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def small_scan() -> xr.DataArray:
    """A scan of 6 x 6 patterns of 16 x 16 px, two domains that differ in one disc."""
    rng = np.random.default_rng(0)
    mean = np.full((6, 6, 16, 16), 50.0)
    mean[:, :3, 2:6, 2:6] += 40
    mean[..., 10:14, 10:14] += 10 * np.arange(6).reshape(6, 1, 1, 1)
    return xr.DataArray(rng.poisson(mean).astype(np.uint16), dims=DIMS)


def weights_of(net) -> list[torch.Tensor]:
    """Copies of all parameters."""
    return [parameter.detach().clone() for parameter in net.parameters()]


def equal(one, other) -> bool:
    """Bit for bit."""
    return all(torch.equal(a, b) for a, b in zip(weights_of(one.net), weights_of(other.net), strict=True))


def test_same_seed_same_network():
    """Seed and data decide the result to the last bit; another seed gives another network; PyTorch's own state stays."""
    torch.manual_seed(7)
    before = torch.get_rng_state()
    first, again, other = (train(small_scan(), RECIPE, seed=seed, progress=False) for seed in (1, 1, 2))
    assert equal(first, again) and first.history == again.history and not equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_it_learns():
    """The error of the reconstruction falls, and the history has what a reader needs."""
    history = train(small_scan(), replace(RECIPE, stages=(replace(STAGE, epochs=12),)), progress=False).history
    assert history[-1]["reconstruction"] < 0.7 * history[0]["reconstruction"]
    assert set(history[0]) == {"total", "reconstruction", "l1", "similarity", "divergence", "live_channels", "learning_rate"}


@pytest.mark.parametrize("room", [None, 0])
def test_resumed_equals_uninterrupted(tmp_path, monkeypatch, caplog, room):
    """Ctrl-C in the middle of the second epoch, the same call again: the same network bit for bit, streamed or held."""
    out = tmp_path / "model.safetensors"
    whole = train(small_scan(), RECIPE, progress=False)
    steps, original = [], Step.__call__

    def interrupted(self, *arguments):
        steps.append(1)
        if len(steps) == 5:
            raise KeyboardInterrupt
        return original(self, *arguments)

    monkeypatch.setattr(Step, "__call__", interrupted)
    with caplog.at_level(logging.INFO), pytest.raises(KeyboardInterrupt):
        train(small_scan(), RECIPE, out, progress=False, memory_bytes=room)
    assert "interrupted in epoch 2 of 3; 1 epochs are kept" in caplog.text and state_path(out).exists()
    resumed = train(small_scan(), RECIPE, out, progress=False, memory_bytes=room)
    assert len(steps) == 5 + 6 and equal(resumed, whole) and resumed.history == whole.history
    assert [path.name for path in tmp_path.iterdir()] == ["model.training.pt"]


def test_resumed_after_a_kill(tmp_path):
    """A process that ends without warning (os._exit after the first epoch) loses nothing of the epoch before."""
    out = tmp_path / "model.safetensors"
    code = ("import os, torch; torch.set_num_threads(1)\nfrom test_train import *\n"
            f"train(small_scan(), RECIPE, {str(out)!r}, stop=lambda history: os._exit(9), progress=False)")
    done = subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT)
    assert done.returncode == 9 and state_path(out).exists()
    epochs = []
    resumed = train(small_scan(), RECIPE, out, stop=lambda history: bool(epochs.append(1)), progress=False)
    assert len(epochs) == 2 and equal(resumed, train(small_scan(), RECIPE, progress=False))


def test_early_stop(tmp_path, caplog):
    """A callback ends the training after an epoch, and so does a file beside the model."""
    assert len(train(small_scan(), RECIPE, stop=lambda history: len(history) == 2, progress=False).history) == 2
    out = tmp_path / "model.safetensors"
    stop_path(out).touch()
    with caplog.at_level(logging.INFO):
        assert len(train(small_scan(), RECIPE, out, progress=False).history) == 1
    assert "stopped on request after epoch 1 of 3" in caplog.text


def step_for(micro_batch=None) -> Step:
    """A step in double precision on one CPU; Fabric rounds the outputs of such a module to float32, hence ``assert_close``."""
    fabric = Fabric(accelerator="cpu", devices=1, precision="64-true")
    return Step(fabric, Autoencoder(SMALL, seed=3), 10, "book", micro_batch)


def assert_close(found, expected) -> None:
    """Equal to the rounding of float32, by tensor; a loss per rank or per micro-batch would be wrong by some per cent."""
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6 * float(other.abs().max()) + 1e-12)


def gradients(step: Step) -> list[torch.Tensor]:
    """Gradients of all parameters."""
    return [parameter.grad for parameter in step.plain.parameters()]


def batch() -> torch.Tensor:
    """Ten patterns."""
    return torch.from_numpy(np.random.default_rng(4).normal(size=(10, 8, 8)))


def test_whole_batch_is_the_loss():
    """A step's gradients are those of the loss written down plainly."""
    step, net = step_for(), Autoencoder(SMALL, seed=3).double()
    losses, _ = step.backward(batch(), WEIGHTS)
    reconstruction, z = net(batch())
    terms = total_loss(reconstruction, batch(), z, WEIGHTS, "book")
    terms.total.backward()
    assert losses.tolist() == pytest.approx([term.item() for term in terms], rel=1e-6)
    assert_close(gradients(step), [parameter.grad for parameter in net.parameters()])


@pytest.mark.parametrize("micro_batch", [1, 4, 10])
@pytest.mark.parametrize("weights", [WEIGHTS, LossWeights(1e-2)], ids=["contrastive", "L1"])
def test_micro_batches_are_exact(micro_batch, weights):
    """Losses and gradients do not depend on how a batch is cut, with the contrastive term and without."""
    whole, parts = step_for(), step_for(micro_batch)
    (one, top), (other, same_top) = whole.backward(batch(), weights), parts.backward(batch(), weights)
    assert_close([one, top], [other, same_top])
    assert_close(gradients(parts), gradients(whole))


def test_two_ranks_equal_one_process(tmp_path):
    """Two gloo processes: losses and gradients of a batch, cut in micro-batches too, and a whole training, as one process."""
    words = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(TWO_RANKS), str(tmp_path / "found.pt")]
    env = ENVIRONMENT | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, *words], env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    found = torch.load(tmp_path / "found.pt", weights_only=True)
    step = step_for()
    losses, _ = step.backward(batch(), WEIGHTS)
    for micro_batch in ("None", "2"):
        assert_close([found[micro_batch]["losses"]], [losses])
        assert_close(found[micro_batch]["gradients"], gradients(step))
    for one, other in zip(found["history"], train(small_scan(), RECIPE, progress=False).history, strict=True):
        assert one == pytest.approx(other, rel=1e-4)


def test_a_channel_that_never_changes_is_not_alive():
    """Activations above zero that are the same for all patterns have no spread; those that differ have."""
    step = step_for()
    assert (step.backward(batch(), WEIGHTS)[1] > step.flat).any()
    with torch.no_grad():
        step.plain.enc.dense.weight.zero_()
        step.plain.enc.dense.bias.fill_(0.3)
    assert step.backward(batch(), WEIGHTS)[1].tolist() == [0.0] * SMALL.channels


def test_dead_embedding_is_said(tmp_path):
    """When no channel is ever above zero the training ends, says why and what to do, and keeps no dead state."""
    out = tmp_path / "model.safetensors"
    with pytest.raises(DeadEmbedding, match="all 4 channels .* at the end of epoch 1, .* rise from zero .* lower them.*start_bias"):
        train(small_scan(), replace(RECIPE, start_bias=-50.0), out, progress=False)
    assert not state_path(out).exists()


def test_diverged_training_is_said():
    """A learning rate far too high ends in a sentence, not in a network of nan."""
    with pytest.raises(ValueError, match="lower the learning rate"):
        train(small_scan(), replace(RECIPE, stages=(Stage(3, 1e30, l1=0.0),)), progress=False)


def test_batch_larger_than_the_data():
    """The message has both numbers."""
    with pytest.raises(ValueError, match="batch of 37 patterns is larger than the scan, which has 36"):
        train(small_scan(), replace(RECIPE, batch_size=37), progress=False)


def test_no_room_at_the_start(tmp_path, monkeypatch):
    """A full disk is noticed before the first epoch."""
    monkeypatch.setattr(state_module.shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(OSError, match="free some space or choose another disk"):
        train(small_scan(), RECIPE, tmp_path / "model.safetensors", progress=False)


def test_no_room_later(tmp_path, monkeypatch):
    """When the disk fills up, the epoch before is kept, no scrap is left, and the same call goes on once there is room."""
    out, calls, original = tmp_path / "model.safetensors", [], Path.write_bytes

    def full_at_second(path, content):
        calls.append(1)
        if len(calls) == 2:
            original(path, content[:100])
            raise OSError(errno.ENOSPC, "No space left on device")
        return original(path, content)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", full_at_second)
        with pytest.raises(OSError, match="no room .* after epoch 2; the state of epoch 1 is kept"):
            train(small_scan(), RECIPE, out, progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["model.training.pt"]
    assert equal(train(small_scan(), RECIPE, out, progress=False), train(small_scan(), RECIPE, progress=False))


def test_another_trainings_state(tmp_path):
    """The state of another seed is not gone on with; the message names what differs, overwrite starts afresh."""
    out = tmp_path / "model.safetensors"
    train(small_scan(), RECIPE, out, seed=1, stop=lambda history: True, progress=False)
    with pytest.raises(ValueError, match="another seed; .*--overwrite"):
        train(small_scan(), RECIPE, out, seed=2, progress=False)
    state_path(out).write_bytes(b"scrap")
    with pytest.raises(ValueError, match="cannot be read"):
        train(small_scan(), RECIPE, out, seed=2, progress=False)
    assert len(train(small_scan(), RECIPE, out, seed=2, overwrite=True, progress=False).history) == 3


def test_start_from_a_network():
    """A training starts from given weights; a network of other sizes is refused."""
    first = train(small_scan(), RECIPE, progress=False)
    further = train(small_scan(), RECIPE, start=first.net, progress=False)
    assert further.history[0]["reconstruction"] < first.history[0]["reconstruction"]
    with pytest.raises(ValueError, match="needs Autoencoder with NetworkConfig"):
        train(small_scan(), RECIPE, start=Autoencoder(replace(SMALL, filters=4), seed=0), progress=False)


def test_saved_and_loaded(tmp_path):
    """A finished training is one file, its state is gone, and network, transform and history come back as they were."""
    out = tmp_path / "model.safetensors"
    trained = train(small_scan(), RECIPE, out, progress=False)
    save_trained(trained, out)
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]
    net = load_checkpoint(out)
    counts = small_scan().values.reshape(-1, 16, 16)
    expected = trained.net.cpu().encode(torch.from_numpy(trained.transform.apply(counts)))
    assert torch.equal(net.encode(torch.from_numpy(net.transform.apply(counts))), expected)
    about = net.about
    assert about["history"] == trained.history and about["recipe"]["name"] == "test" and about["data"] == trained.digest
    with pytest.raises(FileExistsError, match="--overwrite"):
        save_trained(trained, out)


def test_command_line(tmp_path, capsys):
    """``figures_pkg train`` on a scan's path writes a model; errors are one line and leave nothing."""
    scan, out = tmp_path / "scan.npy", tmp_path / "model.safetensors"
    mean = np.linspace(5, 90, 64).reshape(8, 8, 1, 1) * np.ones((32, 32))
    np.save(scan, np.random.default_rng(0).poisson(mean).astype(np.uint16))
    words = ["train", "--recipe", "smoke", "--data", str(scan), "--out", str(out), "--accelerator", "cpu"]
    assert main(words) == 0 and load_checkpoint(out).about["recipe"]["name"] == "smoke"
    assert main(words) == 1 and "exists" in capsys.readouterr().err
    assert main([*words[:1], "--recipe", "best", *words[3:-3], str(tmp_path / "b.safetensors")]) == 1
    assert "domains, vortex, walls" in capsys.readouterr().err
    assert main(["embed", str(out), "--data", str(scan), "--out", str(tmp_path / "maps.nc")]) == 0
    assert xr.open_dataset(tmp_path / "maps.nc").embedding.shape == (8, 8, 12)
