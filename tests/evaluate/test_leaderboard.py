"""Both rows of a set of maps, networks as methods, and the whole table from a file to a file."""

from dataclasses import replace
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

from figures_pkg.cli import main
from figures_pkg.evaluate import leaderboard
from figures_pkg.evaluate.leaderboard import METHODS, binned_scan, score_maps, score_scan, trained_maps, unexplained
from figures_pkg.evaluate.scores import wall_zones
from figures_pkg.model import embed
from figures_pkg.model.train import DeadEmbedding, first_network
from figures_pkg.model.transform import InputTransform


def test_rows_of_both_pickings(one_wall):
    """The truth's row takes the best channel for each question, the rule's the domain channel; without a wall only the evidence is a number."""
    near, (y, x) = wall_zones(one_wall)[0], np.indices((48, 48)) * 1.0
    maps = xr.DataArray(np.stack([one_wall.domain.values, near * one_wall.wall_type.values, y, x]), one_wall.coords, ("channel", "scan_y", "scan_x"))
    picked, free = score_maps(maps[:3], one_wall)
    assert (picked["picked_by"], free["picked_by"]) == ("truth", "rule")
    assert picked["domain_auc"] == free["domain_auc"] == picked["charge_auc"] == 1 and free["wall_auc"] > 0.99 and free["charge_auc"] < 0.8
    null = one_wall.assign(domain=one_wall.domain * 0 + 1, wall_distance_nm=one_wall.wall_distance_nm * 0 + np.inf)
    picked, free = score_maps(maps[3:], null)
    assert np.isnan(free["domain_auc"]) and np.isnan(picked["wall_auc"])
    assert free["evidence"] == pytest.approx(0.75 * 11 / 24, abs=0.02)  # a ramp: 11 of its 48 positions, classes 24 apart


def test_training_is_worth_something(toy_scan, tiny_recipe):
    """What continuous integration holds every change to: channels live, and the target is met better than by the control."""
    found = {each.name: each for each in trained_maps(toy_scan, tiny_recipe, 0)}
    assert list(found) == ["CA", "CA, rotated", "untrained", "untrained, rotated"]
    trained, control = found["CA"].facts, found["untrained"].facts
    assert trained["live_channels"] >= 2
    assert trained["unexplained"] < 0.6 < control["unexplained"]
    assert found["CA, rotated"].maps.attrs["chosen"] == 0


def test_unexplained_is_one_for_the_mean_pattern(toy_scan, tiny_recipe):
    """A network that draws the mean whatever it is given misses all of the variance, one that draws zeros more than that."""
    net, transform = first_network(tiny_recipe, 0), InputTransform("anscombe", 2)
    maps = embed(net, toy_scan, transform)
    mean = transform.apply(toy_scan.values).mean(axis=(0, 1))
    net.decode = lambda z: torch.from_numpy(mean).expand(len(z), 8, 8)
    assert unexplained(net, toy_scan, transform, maps) == pytest.approx(1, abs=1e-6)
    net.decode = lambda z: torch.zeros(len(z), 8, 8)
    assert unexplained(net, toy_scan, transform, maps) > 10


def test_a_scan_is_summed_over_squares(toy_scan, monkeypatch):
    monkeypatch.setattr(leaderboard, "SIDE_PX", 4)
    small = binned_scan(toy_scan * 0 + np.uint16(65535))
    assert small.shape == (24, 24, 4, 4) and small.dtype == np.uint32 and (small == 65535 * 16).all()
    assert float(small.det_x[0]) == pytest.approx(-0.325)


def test_dead_embedding_is_a_row_without_scores(toy_scan, toy_truth, tiny_recipe, monkeypatch):
    monkeypatch.setattr(leaderboard, "train", Mock(side_effect=DeadEmbedding("all channels are zero")))
    monkeypatch.setattr(leaderboard, "METHODS", {})
    table = score_scan(toy_scan, toy_truth, [0], {"CA": tiny_recipe}, {})
    rows = table[table.method == "CA"]
    assert (rows.live_channels == 0).all() and rows.domain_auc.isna().all() and set(rows.picked_by) == {"truth", "rule"}


def test_table_from_a_file_to_a_file(toy_scan, toy_truth, tiny_recipe, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(leaderboard, "open_scan", lambda path: toy_scan)
    monkeypatch.setattr(leaderboard, "read_truth", lambda path: toy_truth)
    monkeypatch.setattr(leaderboard, "COMPARED", {})
    monkeypatch.setattr(leaderboard, "METHODS", {name: METHODS[name] for name in ("PCA", "PCA6+ICA", "step components")})
    monkeypatch.setattr(leaderboard, "recipe_called", lambda name: replace(tiny_recipe, stages=(replace(tiny_recipe.stages[0], epochs=1),)))
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
