"""Released networks on a grid of positions: the loss tells patterns that enter as in the training from those that do not."""

import hashlib

import numpy as np
import pytest
import torch
import yaml
from small_training import published_content, published_form

from figures_pkg.cli import main
from figures_pkg.data.axes import Axes, build_scan
from figures_pkg.evaluate.channels import open_embedding
from figures_pkg.model import Autoencoder, BetaVAE, NetworkConfig, embed
from figures_pkg.model.autoencoder import count_parameters
from figures_pkg.model.checkpoint import PublishedFileError
from figures_pkg.model.released import WAYS, losses_table, losses_words, pattern_errors, position_grid, released_attributes, released_network, training_loss
from figures_pkg.model.transform import InputTransform
from figures_pkg.provenance.writer import model_facts
from figures_pkg.record.manifest import load_manifest

CONFIG = NetworkConfig(pattern=32, filters=4, pools=(4, 2), channels=5)
STEP_NM = 1.4
REMOTE = "log_epoch_0376_coef_1e-05_trainloss_0.1362.pkl"


def scan_of(counts):
    """A scan around an array."""
    axes = Axes(scan_step_nm=STEP_NM, det_scale_inv_angstrom=0.01, origin_row_col=(16, 16), beam_energy_kev=200.0)
    return build_scan(counts, axes, orientation="lab", source="user", path="", title="", format="")


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
        loss = (net(batch)[0] - batch).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return net.eval()


@pytest.fixture
def record(tmp_path, monkeypatch):
    """A manifest of one checkpoint in a data folder of its own; returns a function that writes both."""
    monkeypatch.setenv("FIGURES_PKG_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("FIGURES_PKG_MANIFEST", str(tmp_path / "manifest.yaml"))
    path = tmp_path / "data" / "weights" / "net.pkl"
    path.parent.mkdir(parents=True)

    def write(net, parameters=None, damage=False):
        torch.save(published_content(net), path)
        path.write_bytes(path.read_bytes()[: 3000 if damage else None])
        held, fact = path.read_bytes(), {"basis": "paper", "source": "here"}
        entry = {"id": "ca-x", "role": "checkpoint", "record": "sed", "remote": REMOTE, "local": "weights/net.pkl", "pin": "given",
                 "size": len(held), "checksum": "md5:" + hashlib.md5(held).hexdigest(), "expected_bytes": {"value": [1, 10**9], **fact},
                 "used_by": [], "substitute": None, "container": {"parameters": {"value": parameters or count_parameters(net), **fact}}}
        content = {"schema": 1, "bases": {"paper": "a paper"}, "figures": {}, "datasets": [entry],
                   "records": {"sed": {"doi": "10.5281/zenodo.1", "record": "1", "licence": "BSD-2-Clause", "title": "weights"}}}
        (tmp_path / "manifest.yaml").write_text(yaml.safe_dump(content))
        return path
    return write


@pytest.mark.parametrize(("sizes", "most"), [((256, 256), 24), ((48, 48), 64), ((10, 12), 4), ((7, 30), 5)])
def test_a_grid_is_even_centred_and_keeps_its_nanometres(sizes, most):
    """One distance along both sides, as many positions before the first as behind the last, none beyond the limit."""
    whole = scan_of(np.zeros((*sizes, 1, 1), np.uint8))
    grid = position_grid(whole, most)
    (apart,) = {round(step / STEP_NM) for dim in ("scan_y", "scan_x") for step in np.diff(grid[dim])}
    assert max(grid.shape[:2]) <= most and position_grid(whole, None) is whole
    assert apart == 1 or -(-max(sizes) // (apart - 1)) > most  # nearer positions would be too many
    for dim in ("scan_y", "scan_x"):
        before, behind = float(grid[dim][0] - whole[dim][0]) / STEP_NM, float(whole[dim][-1] - grid[dim][-1]) / STEP_NM
        assert 0 <= round(behind - before) <= 1 and round(before + behind) < apart
        assert grid[dim].attrs["units"] == "nm"


def test_the_loss_is_that_of_the_published_network(net, scan):
    """Mean squared error of ln(1 + N), with the published formulas written out."""
    values = np.log1p(scan.values[::3, ::4].reshape(-1, 32, 32).astype(np.float32))
    with torch.no_grad():
        drawn, _ = published_form(net)(torch.from_numpy(values))
    np.testing.assert_allclose(pattern_errors(net, values), ((drawn.numpy() - values) ** 2).mean((1, 2)), rtol=1e-4)


def test_patterns_that_enter_as_in_the_training_have_the_smallest_loss(net, scan):
    """Upside down, turned by half a turn, or as a square root they are drawn worse by a wide margin, and the sentence says which is better."""
    net.about = {"file": "x_trainloss_0.1.pkl", "sha256": "ab", "training_loss": 0.1}
    right, wrong = (embed(net, each, InputTransform("log")).assign_attrs(released_attributes(net, each)) for each in (scan, scan[:, :, ::-1]))
    found, turned = right.attrs, wrong.attrs
    assert found["loss_positions"] == 16 and 0 < found["loss_error"] < 0.1 * found["loss_as_used"]
    assert min(found[f"loss_{way.replace(' ', '_')}"] for way in WAYS if way != "as used") > 1.5 * found["loss_as_used"]
    assert turned["loss_upside_down"] == pytest.approx(found["loss_as_used"]) and turned["loss_as_used"] > 1.5 * turned["loss_upside_down"]
    assert "the smallest of the four" in losses_words(right) and "not the" not in losses_words(right) and "0.1000" in losses_words(right)
    assert "not the smallest of the four: " in losses_words(wrong) and "for upside down" in losses_words(wrong)
    table = losses_table({"first": right, "second": wrong})
    assert table.loc["first", "as used"] == pytest.approx(table.loc["second", "upside down"], rel=1e-5)
    assert (table["in the file's name"] == 0.1).all()


def test_a_variational_network_draws_from_its_random_embedding():
    """As in its training; the draw is that of a seed, so the loss does not change from call to call."""
    net, values = BetaVAE(CONFIG, seed=2).eval(), np.ones((3, 32, 32), np.float32)
    first, again, other = pattern_errors(net, values), pattern_errors(net, values), pattern_errors(net, values, seed=1)
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


def test_losses_in_the_names_of_the_record():
    """The constant that the published code adds to the loss of the β-VAE is taken off."""
    ours, expected = load_manifest(), {"ca-ds1": 0.1362, "ca-ds2-domains": 0.2279, "ca-ds2-walls": 0.2289, "vae-27": 0.2317}
    for id, loss in expected.items():
        assert training_loss(ours[id], id.startswith("vae"))["training_loss"] == pytest.approx(loss)
    assert training_loss(ours["ds1"], False) == {}


def test_the_command_embeds_a_grid_and_says_what_it_used(net, scan, record, tmp_path):
    """From the name in the manifest to a file with the activations of the chosen positions, their nanometres, the losses, and the weights behind it."""
    weights = record(net)
    np.save(tmp_path / "scan.npy", scan.values)
    assert main(["embed", "ca-x", "--data", str(tmp_path / "scan.npy"), "--grid", "5", "--out", str(tmp_path / "e.nc")]) == 0
    found = open_embedding(tmp_path / "e.nc")
    assert found.shape == (5, 4, 4) and found.attrs["training_loss"] == 0.1362
    with torch.no_grad():
        expected = net.encode(torch.log1p(torch.from_numpy(scan.values[::3, 1::3].reshape(-1, 32, 32).astype(np.float32))))
    np.testing.assert_allclose(found.values.reshape(5, -1).T, expected, atol=1e-4)
    told = {"weights_id": "ca-x", "weights_file": REMOTE, "weights_sha256": hashlib.sha256(weights.read_bytes()).hexdigest()}
    assert told.items() <= found.attrs.items()
    assert told.items() <= model_facts(tmp_path / "e.nc", "smoke").items()  # and so the passport of a figure made of it names them


def test_what_is_no_network_of_the_record_is_refused(net, record, tmp_path, capsys):
    """A scan; another number of parameters than the manifest expects; other pixels and a damaged file, after which nothing is written."""
    with pytest.raises(ValueError, match="ds1 is a scan"), pytest.MonkeyPatch.context() as patched:
        patched.delenv("FIGURES_PKG_MANIFEST")
        released_network("ds1")
    record(net, parameters=4_700_770)
    with pytest.raises(PublishedFileError, match="the manifest expects 4,700,770 of ca-x.*figures_pkg fetch ca-x --refresh"):
        released_network("ca-x")
    np.save(tmp_path / "scan.npy", np.zeros((2, 2, 16, 16), np.uint16))
    command = ["embed", "ca-x", "--data", str(tmp_path / "scan.npy"), "--out", str(tmp_path / "e.nc")]
    for damage, says in ((False, "16 x 16 px; this network expects 32 x 32 px"), (True, "net.pkl cannot be read")):
        record(net, damage=damage)
        assert main(command) == 1 and says in capsys.readouterr().err.splitlines()[-1]
    assert main([*command, "--grid", "0"]) == 1 and not (tmp_path / "e.nc").exists()
