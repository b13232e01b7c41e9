"""Our files give back network, transform and description, the published ones the published outputs; code in them is refused unrun."""

import hashlib
import os

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from small_training import published_content, published_form

from figures_pkg.model import Autoencoder, BetaVAE, NetworkConfig
from figures_pkg.model.checkpoint import FORMAT, CheckpointError, PublishedFileError, load_checkpoint, load_published, save_checkpoint
from figures_pkg.model.transform import InputTransform

CONFIG = NetworkConfig(pattern=16, filters=3, pools=(2, 2), channels=4)
PUBLISHED = NetworkConfig(pattern=64, filters=16, pools=(4, 2), channels=5)


@pytest.mark.parametrize("cls", [Autoencoder, BetaVAE])
def test_a_network_comes_back_with_all_that_was_said(cls, tmp_path):
    """Weights bit by bit, configuration, transform, and the metadata as plain values."""
    net, transform = cls(CONFIG, seed=1), InputTransform("anscombe", 2, np.ones((16, 16), np.float32))
    told = {"recipe": {"name": "smoke", "epochs": 3}, "data": "sha256:00", "commit": "abc", "scores": {"auc": 0.75}}
    found = load_checkpoint(save_checkpoint(tmp_path / "net.safetensors", net, transform, **told))
    assert type(found) is cls and found.config == CONFIG and not found.training
    assert all(torch.equal(a, b) for a, b in zip(net.state_dict().values(), found.state_dict().values()))
    assert found.transform.stabiliser == "anscombe" and found.transform.bin_px == 2
    assert {key: found.about[key] for key in told} == told
    assert [path.name for path in tmp_path.iterdir()] == ["net.safetensors"]


def test_a_file_of_another_configuration_names_the_tensor(tmp_path):
    """The configuration in the file decides; a tensor that does not fit it is named with both shapes, a missing one as well."""
    path, weights = tmp_path / "net.safetensors", {f"net.{name}": value for name, value in Autoencoder(CONFIG, seed=1).state_dict().items()}
    others = {name: value for name, value in weights.items() if name != "net.enc.dense.bias"}
    for tensors, says in ((others | {"net.enc.dense.bias": torch.zeros(9)}, r"'enc.dense.bias' has shape \(9,\).*\(4,\)"),
                          (others, r"missing tensors \['enc.dense.bias'\]")):  # fmt: skip
        save_file(tensors, path, {"format": FORMAT, "network": '{"pattern": 16, "filters": 3, "pools": [2, 2], "channels": 4}'})
        with pytest.raises(CheckpointError, match=says):
            load_checkpoint(path)


def test_other_files_are_refused(tmp_path):
    """No file, a foreign suffix, a foreign format, no safetensors at all; and another suffix to write."""
    with pytest.raises(FileNotFoundError, match="no such checkpoint"):
        load_checkpoint(tmp_path / "none.pkl")
    for name in ("net.h5", "broken.safetensors"):
        (tmp_path / name).write_bytes(b"not one")
    save_file({"a": torch.zeros(1)}, tmp_path / "foreign.safetensors")
    for name, says in (("net.h5", ".h5"), ("broken.safetensors", "damaged"), ("foreign.safetensors", "format None")):
        with pytest.raises(CheckpointError, match=says):
            load_checkpoint(tmp_path / name)
    with pytest.raises(ValueError, match=".safetensors"):
        save_checkpoint(tmp_path / "net.pkl", Autoencoder(CONFIG, seed=1))


class Payload(str):
    """Unpickles by running a shell command that makes the file of this name."""

    def __reduce__(self):
        return os.system, (f"touch {self}",)


@pytest.fixture(scope="module")
def saved() -> dict:
    """What the published training saves, of a network with sizes that no default has."""
    return published_content(Autoencoder(PUBLISHED, seed=3))


@pytest.fixture
def write(tmp_path):
    """Write a content to a file and return its path."""
    def _write(content, legacy=False):
        path = tmp_path / "Weight_epoch_0376.pkl"
        torch.save(content, path, _use_new_zipfile_serialization=not legacy)
        return path
    return _write


@pytest.mark.parametrize("legacy", [False, True])
def test_outputs_are_those_of_the_published_network(saved, write, legacy):
    """Embedding and reconstruction agree to 1e-5 with plain functions of the same weights, which take in ln(1 + N); the file names itself."""
    path = write(saved, legacy)
    net, form = load_checkpoint(path), published_form(Autoencoder(PUBLISHED, seed=3))
    form.load_state_dict({f"weights.{name.replace('.', '/')}": value for name, value in saved["net"].items()})
    assert net.config == PUBLISHED and not net.training and net.transform.stabiliser == "log"
    assert (net.about["file"], net.about["sha256"]) == (path.name, hashlib.sha256(path.read_bytes()).hexdigest())
    patterns = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(2)) * 4
    with torch.no_grad():
        reconstruction, embedding = net(patterns)
        drawn, expected = form(patterns)
    assert (embedding - expected).abs().max() < 1e-5 and embedding.max() > 0.01
    assert (reconstruction - drawn).abs().max() < 1e-5


def test_a_variational_file_gives_a_variational_network(write):
    """Recognised by its two additional layers; beta and loss beside the tensors do no harm."""
    net = load_published(write(published_content(BetaVAE(PUBLISHED, seed=3), beta=0.1, loss=0.7)))
    assert type(net) is BetaVAE and net.config == PUBLISHED


@pytest.mark.parametrize("legacy", [False, True])
def test_code_is_refused_and_does_not_run(saved, write, tmp_path, legacy):
    """A file that would run a command on loading runs nothing; a pickled network instead of its weights is an object like any other."""
    marker = tmp_path / "was_run"
    for content in (saved | {"epoch": Payload(marker)}, Autoencoder(PUBLISHED, seed=3)):
        with pytest.raises(PublishedFileError, match="could run code"):
            load_published(write(content, legacy))
    assert not marker.exists()


@pytest.mark.parametrize(("change", "words"), [
    (lambda net: {name: value for name, value in net.items() if name != "dec.cov2d.bias"}, r"missing tensors \['dec.cov2d.bias'\]"),
    (lambda net: net | {"extra": torch.zeros(1)}, r"unexpected ones \['extra'\]"),
    (lambda net: net | {"dec.dense.weight": torch.zeros(9, 5)}, r"'dec.dense.weight' has shape \(9, 5\), expected \(64, 5\)"),
    (lambda net: net | {"dec.dense.bias": torch.full((64,), torch.nan)}, "'dec.dense.bias' holds values that are not finite"),
    (lambda net: net | {"dec.dense.bias": torch.zeros(64, dtype=torch.int64)}, "'dec.dense.bias' is torch.int64"),
    (lambda net: {}, "'enc.dense.weight' is missing|is missing"),
    (lambda net: net | {"enc.dense.weight": torch.zeros(5, 63)}, "fit no network|has shape"),
    (lambda net: [1, 2], "no entry 'net' of tensors"),
])  # fmt: skip
def test_what_is_wrong_is_named(saved, write, change, words):
    """A missing, additional, misshapen, non-finite or integer tensor, and a content without a network."""
    with pytest.raises(PublishedFileError, match=words):
        load_published(write(saved | {"net": change(saved["net"])}))


def test_damaged_and_oversized_files_are_refused(saved, write, monkeypatch):
    """A truncated file says so; one beyond the limit is not even opened."""
    path = write(saved)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(PublishedFileError, match="cannot be read|could run code"):
        load_published(path)
    monkeypatch.setattr("figures_pkg.model.checkpoint.LARGEST_BYTES", 100)
    with pytest.raises(PublishedFileError, match="0.06 GB"):
        load_published(path)
