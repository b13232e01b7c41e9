"""Networks as methods: trained, rotated, beside their control; and the whole table from a file to a file."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

from figures_pkg.cli import main
from figures_pkg.data.axes import DIMS, SCAN_DIMS
from figures_pkg.evaluate import leaderboard, networks, score_command
from figures_pkg.evaluate.leaderboard import METHODS, binned_scan, score_scan
from figures_pkg.evaluate.networks import trained_maps, unexplained
from figures_pkg.model import NetworkConfig
from figures_pkg.model.embed import embed
from figures_pkg.model.recipes import Recipe
from figures_pkg.model.recipes import Stage
from figures_pkg.model.transform import binned
from figures_pkg.model.train import DeadEmbedding, first_network
from figures_pkg.model.transform import InputTransform

N, SIDE = 24, 16
STAGE = Stage(4, 1e-3, l1=0.05, schedule="one-cycle", peak_rate=1e-2, ramp=(0.5, 1))
RECIPE = Recipe("tiny", "Tiny", NetworkConfig(pattern=8, filters=3, pools=(2,), channels=4), (STAGE,), "anscombe-whitened", 24,
                components=2, start_bias=0.3, precision="32-true")


@pytest.fixture(scope="module")
def truth():
    """One upright wall, head-to-head above and tail-to-tail below."""
    y, x = np.indices((N, N)) * 2.0
    distance = N - 1 - x
    maps = {"domain": np.sign(distance), "wall_distance_nm": distance, "wall_width_nm": np.full((N, N), 1.0),
            "wall_type": np.where(y < N, 1, -1), "wall_charge": np.where(y < N, 1.0, -1.0), "thickness_nm": 60 + 0.1 * y,
            "wall_inclination_deg": np.zeros((N, N)), "tilt_b_mrad": np.cos(y / 9), "tilt_c_mrad": np.sin(x / 7),
            "domain_state": np.where(distance > 0, 0, 1), "polarization": np.sign(distance)}
    axis = xr.DataArray(np.arange(N) * 2.0, attrs={"units": "nm"})
    lattice = {"origin_row_col": [8, 8], "g002_row_col": [0, -2], "g010_row_col": [2, 0], "disc_radius_px": 1.0}
    coords = {dim: (dim, axis.values, axis.attrs) for dim in SCAN_DIMS}
    return xr.Dataset({k: (SCAN_DIMS, v) for k, v in maps.items()}, coords, lattice | {"preset": "toy", "seed": 3, "size": "smoke"})


@pytest.fixture(scope="module")
def scan(truth):
    """Patterns of two discs; one follows the domains, the other the tilt."""
    mean = np.full((N, N, SIDE, SIDE), 20.0)
    mean[..., 2:6, 2:6] += 12 * truth.domain.values[..., None, None]
    mean[..., 10:14, 10:14] += 12 * truth.tilt_b_mrad.values[..., None, None]
    counts = np.random.default_rng(0).poisson(mean).astype(np.uint16)
    coords = truth.coords | {dim: (dim, (np.arange(SIDE) - 8) * 0.05, {"units": "1/Å"}) for dim in DIMS[2:]}
    return xr.DataArray(counts, coords, DIMS, attrs={"source": "twin"})


def test_scan_is_binned_as_statistics_bins_it(scan):
    """Sums over squares, counts that no sum overflows, coordinates in the middle of each square."""
    small = binned_scan(scan * 0 + np.uint16(65535), 4)
    assert small.shape == (N, N, 4, 4) and small.dtype == np.uint32 and (small == 65535 * 16).all()
    np.testing.assert_array_equal(binned_scan(scan, 8), binned(scan.values, 2))
    assert float(binned_scan(scan, 8).det_x[0]) == pytest.approx(-0.375)


def test_training_is_worth_something(scan):
    """What continuous integration holds every change to: channels live, and the target is met better than by the control."""
    found = {each.name: each for each in trained_maps(scan, RECIPE, 0)}
    assert list(found) == ["CA", "CA, rotated", "untrained", "untrained, rotated"]
    trained, control = found["CA"].facts, found["untrained"].facts
    assert trained["live_channels"] >= 2
    assert trained["unexplained"] < 0.6 < control["unexplained"]
    assert found["CA, rotated"].maps.attrs["chosen"] == 0


def test_unexplained_is_one_for_the_mean_pattern(scan):
    """A network that draws the mean whatever it is given misses all of the variance, one that draws zeros more than that."""
    net, transform = first_network(RECIPE, 0), InputTransform("anscombe", 2)
    maps = embed(net, scan, transform)
    mean = transform.apply(scan.values).mean(axis=(0, 1))
    net.decode = lambda z: torch.from_numpy(mean).expand(len(z), 8, 8)
    assert unexplained(net, scan, transform, maps) == pytest.approx(1, abs=1e-6)
    net.decode = lambda z: torch.zeros(len(z), 8, 8)
    assert unexplained(net, scan, transform, maps) > 10


def test_dead_embedding_is_a_row_without_scores(scan, truth, monkeypatch):
    """A training whose channels die neither stops the others nor gets lost."""
    def die(*_, **__):
        raise DeadEmbedding("all channels are zero")

    monkeypatch.setattr(networks, "train", die)
    table = score_scan(scan, truth, methods={}, networks={"CA": RECIPE})
    rows = table[table.method == "CA"]
    assert (rows.live_channels == 0).all() and rows.domain_auc.isna().all() and set(rows.picked_by) == {"truth", "rule"}


def test_table_from_a_file_to_a_file(scan, truth, tmp_path, monkeypatch, capsys):
    """The command scores every method twice, for the seeds asked for, and writes one file."""
    monkeypatch.setattr(score_command, "open_scan", lambda path: scan)
    monkeypatch.setattr(score_command, "read_truth", lambda path: truth)
    monkeypatch.setattr(score_command, "COMPARED", {})
    few = {name: METHODS[name] for name in ("PCA", "PCA6+ICA", "step components")}
    monkeypatch.setattr(leaderboard, "METHODS", few)
    monkeypatch.setattr(leaderboard, "recipe_called", lambda name: replace(RECIPE, stages=(replace(STAGE, epochs=1),)))
    out = tmp_path / "new" / "toy.csv"
    assert main(["--debug", "score", "toy.hspy", "--seeds", "0", "1", "--profile", "smoke", "--out", str(out)]) == 0
    table = pd.read_csv(out)
    assert [path.name for path in out.parent.iterdir()] == ["toy.csv"] and capsys.readouterr().out.strip() == str(out)
    counts = table.groupby("method").size()
    assert counts["features"] == 1 and counts["PCA"] == 2 and counts["PCA6+ICA"] == counts["CA"] == 4
    assert (table.scan == "toy").all() and (table.field_seed == 3).all()
    assert (table[table.method == "step components"].domain_auc > 0.99).all()
    assert main(["score", "toy.hspy", "--out", str(tmp_path / "toy.txt")]) == 1
    assert ".csv" in capsys.readouterr().err
