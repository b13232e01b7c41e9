"""Files of the published format give the published outputs; code is refused unrun; what is wrong is named."""

import os
from pathlib import Path

import pytest
import torch

import published_form
from figures_pkg.model.autoencoder import Autoencoder
from figures_pkg.model.config import NetworkConfig
from figures_pkg.model.published import PublishedFileError, load_published
from figures_pkg.model.vae import BetaVAE

CONFIG = NetworkConfig(pattern=64, filters=16, pools=published_form.POOLS, channels=5)


class Payload:
    """Unpickles by running a shell command."""

    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


@pytest.fixture(scope="module")
def saved() -> dict:
    """What the published training saves, of a network with sizes that no default has."""
    return published_form.content(Autoencoder(CONFIG, seed=3))


@pytest.fixture
def write(tmp_path):
    """Write a content to a file and return its path."""
    def _write(content, legacy=False):
        path = tmp_path / "Weight_epoch_0376.pkl"
        torch.save(content, path, _use_new_zipfile_serialization=not legacy)
        return path
    return _write


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("form", ["plain", "collapsed"])
def test_outputs_are_those_of_the_published_network(saved, write, legacy, form):
    """Embedding and reconstruction agree to 1e-5 with plain functions of the same weights."""
    net = load_published(write(saved, legacy))
    assert net.config == CONFIG and not net.training
    net.enc.stem_form = form
    patterns = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(2)) * 4
    with torch.no_grad():
        reconstruction, embedding = net(patterns)
        expected = published_form.encode(patterns, saved["net"])
        assert (embedding - expected).abs().max() < 1e-5 and embedding.max() > 0.01
        assert (reconstruction - published_form.decode(expected, saved["net"])).abs().max() < 1e-5


def test_a_variational_file_gives_a_variational_network(write):
    """Recognised by its two additional layers; beta and loss beside the tensors do no harm."""
    net = load_published(write(published_form.content(BetaVAE(CONFIG, seed=3), beta=0.1, loss=0.7)))
    assert type(net) is BetaVAE and net.config == CONFIG


@pytest.mark.parametrize("legacy", [False, True])
def test_code_is_refused_and_does_not_run(saved, write, tmp_path, legacy):
    """A file that would run a command on loading runs nothing."""
    marker = tmp_path / "was_run"
    with pytest.raises(PublishedFileError, match="could run code"):
        load_published(write(saved | {"epoch": Payload(marker)}, legacy))
    assert not marker.exists()


def test_a_whole_pickled_network_is_refused(write):
    """A module instead of its weights is an object like any other."""
    with pytest.raises(PublishedFileError, match="could run code"):
        load_published(write(Autoencoder(CONFIG, seed=3)))


def _without(net):
    return {name: value for name, value in net.items() if name != "dec.cov2d.bias"}


@pytest.mark.parametrize(("change", "words"), [
    (_without, r"missing tensors \['dec.cov2d.bias'\]"),
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
    monkeypatch.setattr("figures_pkg.model.published.LARGEST_BYTES", 100)
    with pytest.raises(PublishedFileError, match="0.06 GB"):
        load_published(path)
