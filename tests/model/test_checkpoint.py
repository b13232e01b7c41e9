"""Our files give back network, transform and description, the published ones the published outputs; code in them is refused unrun."""

import hashlib
import os

import pytest
import torch
from published_training import PublishedForm
from safetensors.torch import save_file
from small_training import published_content

from figures_pkg.model import Autoencoder, BetaVAE, NetworkConfig
from figures_pkg.model.checkpoint import FORMAT, CheckpointError, PublishedFileError, load_checkpoint, load_published, save_checkpoint

CONFIG = NetworkConfig(pattern=16, filters=3, pools=(2, 2), channels=4)
PUBLISHED = NetworkConfig(pattern=64, filters=16, pools=(4, 2), channels=5)


def test_other_files_are_refused(tmp_path):
    """Of another program, damaged, or of another configuration, when the tensor is named."""
    with pytest.raises(FileNotFoundError, match="no such checkpoint"):
        load_checkpoint(tmp_path / "none.pkl")
    for name in ("net.h5", "broken.safetensors"):
        (tmp_path / name).write_bytes(b"not one")
    save_file({"a": torch.zeros(1)}, tmp_path / "foreign.safetensors")
    tensors = {f"net.{name}": value for name, value in Autoencoder(CONFIG, seed=1).state_dict().items()}
    said = {"format": FORMAT, "network": '{"pattern": 16, "filters": 3, "pools": [2, 2], "channels": 4}'}
    save_file(tensors | {"net.enc.dense.bias": torch.zeros(9)}, tmp_path / "shape.safetensors", said)
    for name, says in (("net.h5", ".h5"), ("broken.safetensors", "damaged"), ("foreign.safetensors", "format None"),
                       ("shape.safetensors", r"'enc.dense.bias' has shape \(9,\).*\(4,\)")):  # fmt: skip
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
    path = tmp_path / "Weight_epoch_0376.pkl"
    return lambda content, legacy=False: torch.save(content, path, _use_new_zipfile_serialization=not legacy) or path


@pytest.mark.parametrize("legacy", [False, True])
def test_outputs_are_those_of_the_published_network(saved, write, legacy):
    path = write(saved, legacy)
    net, form = load_checkpoint(path), PublishedForm(Autoencoder(PUBLISHED, seed=3))
    form.load_state_dict({f"weights.{name.replace('.', '/')}": value for name, value in saved["net"].items()})
    assert net.config == PUBLISHED and not net.training and net.transform.stabiliser == "log"
    assert (net.about["file"], net.about["sha256"]) == (path.name, hashlib.sha256(path.read_bytes()).hexdigest())
    patterns = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(2)) * 4
    with torch.no_grad():
        reconstruction, embedding = net(patterns)
        drawn, expected = form(patterns)
    assert (embedding - expected).abs().max() < 1e-5 < 0.01 < embedding.max() and (reconstruction - drawn).abs().max() < 1e-5
    variational = load_published(write(published_content(BetaVAE(PUBLISHED, seed=3), beta=0.1, loss=0.7), legacy))
    assert type(variational) is BetaVAE and variational.config == PUBLISHED


@pytest.mark.parametrize("legacy", [False, True])
def test_code_is_refused_and_does_not_run(saved, write, tmp_path, legacy):
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
    (lambda net: [1, 2], "no entry 'net' of tensors")])  # fmt: skip
def test_what_is_wrong_is_named(saved, write, change, words):
    with pytest.raises(PublishedFileError, match=words):
        load_published(write(saved | {"net": change(saved["net"])}))


def test_damaged_and_oversized_files_are_refused(saved, write, monkeypatch):
    path = write(saved)
    path.write_bytes(path.read_bytes()[:5000])
    for limit, says in ((10**6, "cannot be read|could run code"), (100, "0.06 GB")):
        monkeypatch.setattr("figures_pkg.model.checkpoint.LARGEST_BYTES", limit)
        with pytest.raises(PublishedFileError, match=says):
            load_published(path)
