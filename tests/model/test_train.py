"""Training: the same network in micro-batches, on several ranks and after an interruption; clear words when it cannot go on."""

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
from small_training import RECIPE, SMALL, STEPS, WEIGHTS, assert_close, batch, double_fabric, gradients, same_weights, small_scan

from figures_pkg.cli import main
from figures_pkg.model import Autoencoder, BetaVAE, NetworkConfig, Stage, embed, load_checkpoint, save_trained, train
from figures_pkg.model.losses import total_loss
from figures_pkg.model.recipes import recipe_called
from figures_pkg.model.train import DeadEmbedding, Step, state_path

pytestmark = pytest.mark.process
VARIATIONAL = replace(RECIPE, stages=(Stage(3, 1e-3, l1=0.0, schedule="one-cycle", peak_rate=2e-2),), beta=1e-3, start_log_variance=-3.0)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Where bits are compared, sums must not be split differently from run to run."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def whole():
    """The small trainings from their first epoch to their last, without interruption."""
    return {recipe: train(small_scan(), recipe, progress=False) for recipe in (RECIPE, VARIATIONAL)}


def test_a_step_is_the_loss_of_the_whole_batch():
    step, net = STEPS["contrastive"][0](double_fabric()), Autoencoder(SMALL, seed=3).double()
    losses, _ = step.backward(batch(), WEIGHTS)
    reconstruction, z = net(batch())
    terms = total_loss(reconstruction, batch(), z, WEIGHTS, "book")
    terms.total.backward()
    assert losses.tolist() == pytest.approx([term.item() for term in terms], rel=1e-6)
    assert_close(gradients(step), [parameter.grad for parameter in net.parameters()])


@pytest.mark.parametrize("micro_batch", [1, 4])
@pytest.mark.parametrize("make, weights", STEPS.values(), ids=STEPS)
def test_micro_batches_are_exact(make, weights, micro_batch):
    whole, parts = make(double_fabric()), make(double_fabric(), micro_batch)
    assert_close(parts.backward(batch(), weights, number=2), whole.backward(batch(), weights, number=2))
    assert_close(gradients(parts), gradients(whole))


def test_seed_and_data_decide_the_network_which_learns(whole):
    torch.manual_seed(7)
    before = torch.get_rng_state()
    again, other = (train(small_scan(), RECIPE, seed=seed, progress=False) for seed in (0, 1))
    assert same_weights(whole[RECIPE], again) and whole[RECIPE].history == again.history and not same_weights(whole[RECIPE], other)
    assert torch.equal(torch.get_rng_state(), before)
    for recipe, terms in ((RECIPE, {"l1", "similarity", "divergence"}), (VARIATIONAL, {"kl"})):
        history = whole[recipe].history
        assert history[-1]["reconstruction"] < 0.95 * history[0]["reconstruction"]
        assert set(history[0]) == {"total", "reconstruction", "live_channels", "learning_rate"} | terms


@pytest.mark.parametrize("recipe, room", [(RECIPE, 2e9), (RECIPE, 0), (VARIATIONAL, 2e9)], ids=["held", "streamed", "β-VAE"])
def test_resumed_equals_uninterrupted(whole, tmp_path, monkeypatch, recipe, room):
    out, steps, original = tmp_path / "model.safetensors", [], Step.__call__
    monkeypatch.setattr("figures_pkg.model.batches.HOST_BYTES", room)

    def interrupted(self, *arguments):
        steps.append(1)
        if len(steps) == 5:
            raise KeyboardInterrupt
        return original(self, *arguments)

    monkeypatch.setattr(Step, "__call__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(small_scan(), recipe, out, progress=False)
    resumed = train(small_scan(), recipe, out, progress=False)
    assert len(steps) == 5 + 6 and same_weights(resumed, whole[recipe]) and resumed.history == whole[recipe].history
    assert [path.name for path in tmp_path.iterdir()] == ["model.training.pt"]


def test_a_file_beside_the_model_ends_the_training(tmp_path):
    (tmp_path / "model.stop").touch()
    assert len(train(small_scan(), RECIPE, tmp_path / "model.safetensors", progress=False).history) == 1


def test_two_ranks_equal_one_process(tmp_path):
    program = Path(__file__).with_name("two_ranks.py")  # its folder, where small_training.py lies, is the first in which Python looks
    command = [sys.executable, str(program), str(tmp_path / "found.pt")]
    done = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    found = torch.load(tmp_path / "found.pt", weights_only=True)
    for name, (make, weights) in STEPS.items():
        step = make(double_fabric())
        losses, _ = step.backward(batch(), weights, number=2)
        for micro_batch in (None, 2):
            assert_close([found[f"{name} {micro_batch}"]["losses"]], [losses])
            assert_close(found[f"{name} {micro_batch}"]["gradients"], gradients(step))
    for one, other in zip(found["history"], train(small_scan(), RECIPE, fabric=double_fabric(), progress=False).history, strict=True):
        assert one == pytest.approx(other, rel=1e-4)


@pytest.mark.parametrize(("change", "error", "says"), [
    ({"start_bias": -50.0}, DeadEmbedding, "all 4 channels .* at the end of epoch 1, .* rise from zero .* lower them.*start_bias"),
    ({"stages": (Stage(3, 1e30, l1=0.0),)}, ValueError, "lower the learning rate"),
    ({"batch_size": 37}, ValueError, "batch of 37 patterns is larger than the scan, which has 36"),
    ({"stages": (Stage(12, 1e-3, l1=0.0),), "beta": 1e4}, DeadEmbedding, "lower Recipe.beta")], ids=["dead", "diverged", "batch", "collapsed"])
def test_a_training_that_leads_nowhere_ends_in_a_sentence(tmp_path, change, error, says):
    with pytest.raises(error, match=says):
        train(small_scan(), replace(RECIPE, **change), tmp_path / "model.safetensors", progress=False)
    assert "beta" in change or not list(tmp_path.iterdir())


def test_a_full_disk(whole, tmp_path, monkeypatch):
    out, calls, original = tmp_path / "model.safetensors", [], Path.write_bytes

    def full_at_second(path, content):
        calls.append(1)
        if len(calls) == 2:
            original(path, content[:100])
            raise OSError(errno.ENOSPC, "No space left on device")
        return original(path, content)

    with monkeypatch.context() as patched:
        patched.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1000))
        with pytest.raises(OSError, match="free some space or choose another disk"):
            train(small_scan(), RECIPE, out, progress=False)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", full_at_second)
        with pytest.raises(OSError, match="no room .* after epoch 2; the state of epoch 1 is kept"):
            train(small_scan(), RECIPE, out, progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["model.training.pt"]
    assert same_weights(train(small_scan(), RECIPE, out, progress=False), whole[RECIPE])


def test_another_trainings_state(tmp_path):
    out = tmp_path / "model.safetensors"
    train(small_scan(), RECIPE, out, seed=1, stop=lambda history: True, progress=False)
    with pytest.raises(ValueError, match="another seed; .*--overwrite"):
        train(small_scan(), RECIPE, out, seed=2, progress=False)
    state_path(out).write_bytes(b"scrap")
    with pytest.raises(ValueError, match="cannot be read"):
        train(small_scan(), RECIPE, out, seed=2, progress=False)
    assert len(train(small_scan(), RECIPE, out, seed=2, overwrite=True, progress=False).history) == 3


def test_start_from_a_network(whole):
    further = train(small_scan(), RECIPE, start=whole[RECIPE].net, stop=lambda history: True, progress=False)
    assert further.history[0]["reconstruction"] < whole[RECIPE].history[0]["reconstruction"]
    for recipe, sizes, says in ((RECIPE, {"filters": 4}, "needs Autoencoder with NetworkConfig"), (VARIATIONAL, {}, "is Autoencoder .* needs BetaVAE")):
        with pytest.raises(ValueError, match=says):
            train(small_scan(), recipe, start=Autoencoder(replace(SMALL, **sizes), seed=0), progress=False)


@pytest.mark.parametrize("recipe, kind", [(RECIPE, Autoencoder), (VARIATIONAL, BetaVAE)], ids=["autoencoder", "β-VAE"])
def test_saved_and_loaded(whole, tmp_path, recipe, kind):
    out, trained = tmp_path / "model.safetensors", whole[recipe]
    state_path(out).touch()
    net = load_checkpoint(save_trained(trained, out))
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"] and type(net) is kind and not net.training
    xr.testing.assert_identical(embed(net, small_scan()), embed(trained.net, small_scan(), trained.transform, device="cpu"))
    assert net.about["history"] == trained.history and net.about["recipe"]["name"] == "test" and net.about["data"] == trained.digest
    with pytest.raises(FileExistsError, match="--overwrite"):
        save_trained(trained, out)


def test_command_line(tmp_path, capsys):
    scan, out = tmp_path / "scan.npy", tmp_path / "model.safetensors"
    np.save(scan, np.random.default_rng(0).poisson(np.linspace(5, 90, 64).reshape(8, 8, 1, 1) * np.ones((32, 32))).astype(np.uint16))

    def run(recipe, *more):
        return main(["train", "--recipe", recipe, "--data", str(scan), "--out", str(out), "--accelerator", "cpu", *more])

    for words, says in ((("best",), "domains, vortex, walls"), (("smoke", "--pattern", "16", "--pools", "3"), "must divide the side")):
        assert run(*words) == 1 and says in capsys.readouterr().err
    assert run("smoke", "--pattern", "16", "--filters", "3", "--pools", "4", "2", "--channels", "5") == 0
    net, recipe = load_checkpoint(out), recipe_called("smoke")
    assert net.config == NetworkConfig(pattern=16, filters=3, pools=(4, 2), channels=5) and net.about["recipe"]["batch_size"] == recipe.batch_size
    assert net.about["recipe"]["sources"]["network"] != recipe.sources["network"]
    assert run("smoke") == 1 and "exists" in capsys.readouterr().err
    assert main(["embed", str(out), "--data", str(scan), "--out", str(tmp_path / "maps.nc")]) == 0
    assert xr.open_dataset(tmp_path / "maps.nc").embedding.shape == (8, 8, 5)
