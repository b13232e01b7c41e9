"""Embeddings of scans, and released networks on a grid of positions: the loss tells patterns that enter as in the training from those that do not."""

import hashlib
import re

import dask.array as da
import numpy as np
import pytest
import torch
import yaml
from drawn_patterns import scan_of
from published_training import PublishedForm
from small_training import published_content

from figures_pkg.cli import main
from figures_pkg.evaluate.channels import open_embedding
from figures_pkg.model import Autoencoder, NetworkConfig, embed
from figures_pkg.model.autoencoder import count_parameters
from figures_pkg.model.checkpoint import PublishedFileError
from figures_pkg.model.released import WAYS, losses_table, losses_verdict, losses_words, position_grid, released_attributes, released_network, training_loss
from figures_pkg.model.transform import InputTransform
from figures_pkg.provenance.figures import model_facts
from figures_pkg.record.manifest import REPOSITORY_MANIFEST, load_manifest

CONFIG = NetworkConfig(pattern=32, filters=4, pools=(4, 2), channels=5)
REMOTE = "11.23_log_epoch_0376_coef_1e-05_trainloss_0.1362.pkl"


@pytest.fixture(scope="module")
def scan():
    """10 x 12 patterns of three discs that no flip maps onto themselves; the brightness of one changes along the rows."""
    rows, columns = np.mgrid[:32, :32]
    rng = np.random.default_rng(1)
    first, second, third = (((rows - row) ** 2 + (columns - column) ** 2 < 9) * 1.0 for row, column in ((16, 16), (7, 11), (20, 26)))
    means = 0.3 + 80 * first + 40 * second + np.linspace(5, 60, 10)[:, None, None, None] * third
    return scan_of(rng.poisson(np.broadcast_to(means, (10, 12, 32, 32))).astype(np.uint16))


@pytest.fixture(scope="module")
def net(scan):
    """A network after some steps on the logarithm of the counts, as the authors trained theirs."""
    net = Autoencoder(CONFIG, seed=0)
    patterns = torch.from_numpy(InputTransform("log").apply(scan.values.reshape(-1, 32, 32)))
    optimiser, rng = torch.optim.Adam(net.parameters(), lr=3e-3), torch.Generator().manual_seed(0)
    for _ in range(40):
        batch = patterns[torch.randperm(len(patterns), generator=rng)[:8]]
        optimiser.zero_grad()
        (net(batch)[0] - batch).square().mean().backward()
        optimiser.step()
    return net.eval()


@pytest.fixture
def record(tmp_path, monkeypatch):
    """A function that writes a network as one of the record, with its manifest, into a data folder of its own."""
    monkeypatch.setenv("FIGURES_PKG_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("FIGURES_PKG_MANIFEST", str(tmp_path / "manifest.yaml"))

    def write(net, parameters=None, damage=False):
        content = yaml.safe_load(REPOSITORY_MANIFEST.read_text(encoding="utf-8"))
        entry = next(each for each in content["datasets"] if each["id"] == "ca-ds1")
        path = tmp_path / "data" / entry["local"]
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(published_content(net), path)
        path.write_bytes(path.read_bytes()[: 3000 if damage else None])
        entry |= {"pin": "given", "size": path.stat().st_size, "checksum": "md5:" + hashlib.md5(path.read_bytes()).hexdigest()}
        entry["expected_bytes"]["value"], entry["container"]["parameters"]["value"] = [1, 10**9], parameters or count_parameters(net)
        (tmp_path / "manifest.yaml").write_text(yaml.safe_dump(content))
        return path
    return write


@pytest.mark.parametrize("chunks", [(2, 3, 32, 32), (1, 7, 16, 32)])
def test_an_embedding_is_that_of_the_patterns_whatever_the_blocks(net, scan, chunks):
    with torch.no_grad():
        expected = net.encode(torch.log1p(torch.from_numpy(scan.values.reshape(-1, 32, 32).astype(np.float32))))
    found = embed(net, scan_of(da.from_array(scan.values, chunks=chunks)), InputTransform("log"), batch=7)
    assert found.dims == ("scan_y", "scan_x", "channel") and found.attrs["source"] == "user" and float(found.scan_x[1]) == pytest.approx(1.4)
    np.testing.assert_allclose(found.values.reshape(-1, 5), expected, atol=1e-4)  # float32: batches take other kernels
    large = scan_of(np.kron(scan.values[:2], np.ones((1, 1, 2, 2), np.uint16)))
    np.testing.assert_allclose(embed(net, large, InputTransform("log", 2)), embed(net, scan_of(4 * scan.values[:2]), InputTransform("log")), atol=1e-4)


@pytest.mark.parametrize("sizes, most, rows, columns", [((10, 12), 4, range(0, 10, 3), range(1, 12, 3)), ((7, 30), 5, range(0, 7, 6), range(2, 30, 6)),
                                                        ((256, 256), 24, range(1, 256, 11), range(1, 256, 11)), ((48, 48), 64, range(48), range(48))])
def test_a_grid_is_even_centred_and_keeps_its_nanometres(sizes, most, rows, columns):
    whole = scan_of(np.zeros((*sizes, 1, 1), np.uint8))
    grid = position_grid(whole, most)
    assert position_grid(whole, None) is whole and grid.scan_y.attrs["units"] == grid.scan_x.attrs["units"] == "nm"
    np.testing.assert_allclose(grid.scan_y, 1.4 * np.array(rows))
    np.testing.assert_allclose(grid.scan_x, 1.4 * np.array(columns))


def test_patterns_that_enter_as_in_the_training_have_the_smallest_loss(net, scan):
    net.about = {"file": "x_trainloss_0.1.pkl", "sha256": "ab", "training_loss": 0.1}
    right, wrong = (embed(net, each, InputTransform("log")).assign_attrs(released_attributes(net, each)) for each in (scan, scan[:, :, ::-1]))
    found, turned = right.attrs, wrong.attrs
    values = np.log1p(position_grid(scan, 5).values.reshape(-1, 32, 32).astype(np.float32))
    with torch.no_grad():
        drawn, _ = PublishedForm(net)(torch.from_numpy(values))
    assert found["loss_as_used"] == pytest.approx(((drawn.numpy() - values) ** 2).mean(), rel=1e-4)
    assert found["loss_positions"] == 16 and 0 < found["loss_error"] < 0.1 * found["loss_as_used"]
    assert min(found[f"loss_{way.replace(' ', '_')}"] for way in WAYS if way != "as used") > 1.5 * found["loss_as_used"]
    assert turned["loss_upside_down"] == pytest.approx(found["loss_as_used"]) and turned["loss_as_used"] > 1.5 * turned["loss_upside_down"]
    assert re.search(r"[\d ], the smallest of the four, .*0\.1000", losses_words(right))
    assert re.search("not the smallest of the four: .* for upside down", losses_words(wrong))
    assert (losses_table({"first": right, "second": wrong})["in the file's name"] == 0.1).all()


@pytest.mark.parametrize("used, turned, named, said, words", [
    (0.14, 0.3, 0.1362, "agrees", "the smallest of the four, 2.8 % above"), (0.07, 0.3, 0.1362, "agrees", "48.6 % below"), (0.14, 0.3, None, "agrees", "four"),
    (0.16, 0.3, 0.1362, "open", "17.5 % above"), (0.14, 0.139, 0.1362, "open", "not told from 0.1390 for half turn"), (0.06, 0.3, 0.1362, "open", "% below"),
    (0.14, 0.12, 0.1362, "fails", "not the smallest of the four: 0.1200"), (4.5573, 5, 0.1362, "fails", "four, 33 times the 0.1362"),
])  # fmt: skip
def test_the_reconstruction_agrees_fails_or_cannot_tell(used, turned, named, said, words):
    losses = {"loss_as_used": used, "loss_error": 0.002, "loss_upside_down": 9.0, "loss_half_turn": turned, "loss_square_root": 9.0}
    maps = scan_of(np.zeros((1, 1, 1, 1), np.uint8)).assign_attrs(losses | ({"training_loss": named} if named else {}))
    assert losses_verdict(maps) == said and words in losses_words(maps)


def test_losses_in_the_names_of_the_record():
    ours, expected = load_manifest(), {"ca-ds1": 0.1362, "ca-ds2-domains": 0.2279, "ca-ds2-walls": 0.2289, "vae-27": 0.2317}
    for id, loss in expected.items():
        assert training_loss(ours[id], id.startswith("vae"))["training_loss"] == pytest.approx(loss)
    assert training_loss(ours["ds1"], False) == {}


def test_the_command_embeds_a_grid_and_says_what_it_used(net, scan, record, tmp_path):
    weights = record(net)
    np.save(tmp_path / "scan.npy", scan.values)
    assert main(["embed", "ca-ds1", "--data", str(tmp_path / "scan.npy"), "--grid", "5", "--out", str(tmp_path / "e.nc")]) == 0
    found = open_embedding(tmp_path / "e.nc")
    assert found.shape == (5, 4, 4) and found.attrs["training_loss"] == 0.1362
    with torch.no_grad():
        expected = net.encode(torch.log1p(torch.from_numpy(scan.values[::3, 1::3].reshape(-1, 32, 32).astype(np.float32))))
    np.testing.assert_allclose(found.values.reshape(5, -1).T, expected, atol=1e-4)
    with pytest.raises(FileNotFoundError, match="figures_pkg embed"):
        open_embedding(tmp_path / "none.nc")
    told = {"weights_id": "ca-ds1", "weights_file": REMOTE, "weights_sha256": hashlib.sha256(weights.read_bytes()).hexdigest()}.items()
    assert told <= found.attrs.items() and told <= model_facts(tmp_path / "e.nc", "smoke").items()  # so the passport of a figure made of it names them


def test_what_is_no_network_of_the_record_is_refused(net, record, tmp_path, capsys):
    record(net, parameters=4_700_770)
    for id, error, says in (("ds1", ValueError, "ds1 is a scan"), ("ca-ds1", PublishedFileError, "manifest expects 4,700,770 of ca-ds1.*fetch ca-ds1 --refresh")):
        with pytest.raises(error, match=says):
            released_network(id)
    np.save(tmp_path / "scan.npy", np.zeros((2, 2, 16, 16), np.uint16))
    command = ["embed", "ca-ds1", "--data", str(tmp_path / "scan.npy"), "--out", str(tmp_path / "e.nc")]
    for damage, says in ((False, "16 x 16 px; this network expects 32 x 32 px"), (True, "ca_ds1.pkl cannot be read")):
        record(net, damage=damage)
        assert main(command) == 1 and says in capsys.readouterr().err.splitlines()[-1]
    assert main([*command, "--grid", "0"]) == 1 and not (tmp_path / "e.nc").exists()
