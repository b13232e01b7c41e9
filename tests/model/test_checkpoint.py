"""Our files give back network, transform and description; others are refused with their reason."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import published_form
from figures_pkg.model.autoencoder import Autoencoder
from figures_pkg.model.checkpoint import FORMAT, CheckpointError, load_checkpoint, read_metadata, save_checkpoint
from figures_pkg.model.config import NetworkConfig
from figures_pkg.model.transform import InputTransform
from figures_pkg.model.vae import BetaVAE

CONFIG = NetworkConfig(pattern=16, filters=3, pools=(2, 2), channels=4)


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
    assert read_metadata(tmp_path / "net.safetensors") == found.about
    assert [path.name for path in tmp_path.iterdir()] == ["net.safetensors"]


def test_a_published_file_comes_with_the_papers_logarithm(tmp_path):
    """The record's networks were trained on ln(1 + N)."""
    path = tmp_path / "Weight.pkl"
    torch.save(published_form.content(Autoencoder(CONFIG, seed=1)), path)
    assert load_checkpoint(path).transform.stabiliser == "log"


def test_a_file_of_another_configuration_names_the_tensor(tmp_path):
    """The configuration in the file decides; a tensor that does not fit it is named with both shapes."""
    path = save_checkpoint(tmp_path / "net.safetensors", Autoencoder(CONFIG, seed=1))
    weights = {f"net.{name}": value for name, value in Autoencoder(CONFIG, seed=1).state_dict().items()}
    weights["net.enc.dense.bias"] = torch.zeros(9)
    meta = {"format": FORMAT, "network": '{"pattern": 16, "filters": 3, "pools": [2, 2], "channels": 4}'}
    save_file(weights, path, meta)
    with pytest.raises(CheckpointError, match=r"'enc.dense.bias' has shape \(9,\).*\(4,\)"):
        load_checkpoint(path)
    del weights["net.enc.dense.bias"]
    save_file(weights, path, meta)
    with pytest.raises(CheckpointError, match=r"missing tensors \['enc.dense.bias'\]"):
        load_checkpoint(path)


def test_other_files_are_refused(tmp_path):
    """No file, a foreign suffix, a foreign format, and no safetensors at all."""
    with pytest.raises(FileNotFoundError, match="no such checkpoint"):
        load_checkpoint(tmp_path / "none.pkl")
    (tmp_path / "net.h5").write_bytes(b"x")
    with pytest.raises(CheckpointError, match=".h5"):
        load_checkpoint(tmp_path / "net.h5")
    save_file({"a": torch.zeros(1)}, tmp_path / "foreign.safetensors")
    with pytest.raises(CheckpointError, match="format None"):
        load_checkpoint(tmp_path / "foreign.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"not one")
    with pytest.raises(CheckpointError, match="damaged"):
        load_checkpoint(tmp_path / "broken.safetensors")


def test_names_that_would_mislead_are_refused(tmp_path):
    """Another suffix, and metadata under the names that are written anyway."""
    net = Autoencoder(CONFIG, seed=1)
    with pytest.raises(ValueError, match=".safetensors"):
        save_checkpoint(tmp_path / "net.pkl", net)
    with pytest.raises(ValueError, match="kind"):
        save_checkpoint(tmp_path / "net.safetensors", net, kind="other")
