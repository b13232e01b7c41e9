"""Training: the same network after an interruption, on several ranks and in micro-batches; clear words when it cannot go on."""

import errno
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
from small_training import RECIPE, SMALL, STAGE, WEIGHTS, assert_close, batch, gradients, same_weights, small_scan, step_for

from figures_pkg.cli import main
from figures_pkg.model.autoencoder import Autoencoder, NetworkConfig
from figures_pkg.model.checkpoint import load_checkpoint
from figures_pkg.model.recipes import Stage, recipe_called
from figures_pkg.model.step import Step
from figures_pkg.model.train import DeadEmbedding, save_trained, state_path, stop_path, train

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.process]
TWO_RANKS = Path(__file__).with_name("two_ranks.py")
SEARCHED = [str(Path(__file__).parent), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(SEARCHED)}  # of processes that import this module and the same package


def test_same_seed_same_network():
    """Seed and data decide the result to the last bit; another seed gives another network; PyTorch's own state stays."""
    torch.manual_seed(7)
    before = torch.get_rng_state()
    first, again, other = (train(small_scan(), RECIPE, seed=seed, progress=False) for seed in (1, 1, 2))
    assert same_weights(first, again) and first.history == again.history and not same_weights(first, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_it_learns():
    """The error of the reconstruction falls, and the history has what a reader needs."""
    history = train(small_scan(), replace(RECIPE, stages=(replace(STAGE, epochs=12),)), progress=False).history
    assert history[-1]["reconstruction"] < 0.7 * history[0]["reconstruction"]
    assert set(history[0]) == {"total", "reconstruction", "l1", "similarity", "divergence", "live_channels", "learning_rate"}


@pytest.mark.parametrize("room", [None, 0])
def test_resumed_equals_uninterrupted(tmp_path, monkeypatch, room):
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
    with pytest.raises(KeyboardInterrupt):
        train(small_scan(), RECIPE, out, progress=False, memory_bytes=room)
    assert state_path(out).exists()
    resumed = train(small_scan(), RECIPE, out, progress=False, memory_bytes=room)
    assert len(steps) == 5 + 6 and same_weights(resumed, whole) and resumed.history == whole.history
    assert [path.name for path in tmp_path.iterdir()] == ["model.training.pt"]


def test_resumed_after_a_kill(tmp_path):
    """A process that ends without warning (os._exit after the first epoch) loses nothing of the epoch before."""
    out = tmp_path / "model.safetensors"
    code = ("import os, torch; torch.set_num_threads(1)\nfrom small_training import *; from figures_pkg.model import train\n"
            f"train(small_scan(), RECIPE, {str(out)!r}, stop=lambda history: os._exit(9), progress=False)")
    done = subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT)
    assert done.returncode == 9 and state_path(out).exists()
    epochs = []
    resumed = train(small_scan(), RECIPE, out, stop=lambda history: bool(epochs.append(1)), progress=False)
    assert len(epochs) == 2 and same_weights(resumed, train(small_scan(), RECIPE, progress=False))


def test_early_stop(tmp_path):
    """A callback ends the training after an epoch, and so does a file beside the model."""
    assert len(train(small_scan(), RECIPE, stop=lambda history: len(history) == 2, progress=False).history) == 2
    out = tmp_path / "model.safetensors"
    stop_path(out).touch()
    assert len(train(small_scan(), RECIPE, out, progress=False).history) == 1


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
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1000))
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
    assert same_weights(train(small_scan(), RECIPE, out, progress=False), train(small_scan(), RECIPE, progress=False))


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


def test_network_sizes_on_the_command_line(tmp_path, capsys):
    """Sizes given as options stand in the model, with their source; the rest is the recipe's, and impossible sizes are one line."""
    scan, out = tmp_path / "scan.npy", tmp_path / "model.safetensors"
    np.save(scan, np.random.default_rng(0).poisson(20, (8, 8, 32, 32)).astype(np.uint16))
    words = ["train", "--recipe", "smoke", "--data", str(scan), "--out", str(out), "--accelerator", "cpu"]
    assert main([*words, "--pattern", "16", "--pools", "3"]) == 1 and "must divide the side" in capsys.readouterr().err
    assert main([*words, "--pattern", "16", "--filters", "3", "--pools", "4", "2", "--channels", "5"]) == 0
    net, recipe = load_checkpoint(out), recipe_called("smoke")
    assert net.config == NetworkConfig(pattern=16, filters=3, pools=(4, 2), channels=5)
    about = net.about["recipe"]
    assert about["batch_size"] == recipe.batch_size and about["sources"]["network"] != recipe.sources["network"]
