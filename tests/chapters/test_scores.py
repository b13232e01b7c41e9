"""The reader's tables say what is in the scores, and words follow numbers."""

import numpy as np
import pandas as pd
import pytest

from figures_pkg.chapters.scores import claims_of_domains, compared, methods_in_order, middle_of, summary, wall_tests
from figures_pkg.evaluate.leaderboard import read_scores
from figures_pkg.workspace import artefact_path


def row(method, scan, auc, evidence, seed=0, picked_by="rule"):
    names = ("wall_auc", "vortex_accuracy", "leak_bend", "leak_thickness", "cpu_s")
    return {"method": method, "scan": scan, "method_seed": seed, "picked_by": picked_by, "domain_auc": auc, "evidence": evidence} | dict.fromkeys(names, 0.5)


@pytest.fixture
def table():
    """Two methods: one right and fooled by the step, one that never speaks; and one that is not listed."""
    rows = [row("PCA", "ds1", 1.0, 0.8), row("PCA", "ds2", 0.97, 0.7), row("PCA", "null", np.nan, 0.1), row("PCA", "null-step", np.nan, 0.6)]
    rows += [row("CA", scan, auc, 0.2, seed) for scan in ("ds1", "null", "null-step") for seed, auc in enumerate((0.8, 0.6, 0.7))]
    rows += [row("CA", "ds1", 0.99, 0.2, 0, "truth"), row("mine", "ds1", 0.5, 0.4), {"method": "features", "scan": "ds1", "cpu_s": 3}]
    return pd.DataFrame(rows)


def test_tables_say_what_is_in_the_scores(table):
    assert methods_in_order(table) == ["PCA", "CA", "mine"]
    assert middle_of(table, "domain_auc", "CA") == 0.7 and np.isnan(middle_of(table, "domain_auc", "PCA", "truth"))
    found = summary(table, ["ds1"])
    assert found.loc["CA", "domains"] == "0.700 / 0.600" and found.loc["CA", "domains by truth"] == "0.990 / 0.990"
    assert found.loc["PCA", "domains by truth"] == "" and found.loc["PCA", "bend in it"] == "50 %" and found.loc["PCA", "CPU s"] == "0.5"


def test_who_speaks_of_domains_and_words_that_follow_numbers(table):
    found = claims_of_domains(table)
    assert found.loc["PCA"].to_dict() == {"right": 1.0, "false": 0.0, "step": 1.0}
    assert found.loc["CA", "right"] == 0 and np.isnan(found.loc["mine", "false"])
    words = ["more than", "less than", "as much as", "not comparable with"]
    assert [compared(*pair) for pair in ((1, 0.9), (0.9, 1), (0.995, 1), (1, np.nan))] == words


def test_walls_are_told_apart_against_every_reference():
    """A probe has to be clear, and clearly better than the placebo and than the same walls without structure."""
    told_apart = {("PCA", "control", 0.98, 0.6): True, ("PCA", "control-plain", 0.7, 0.6): False, ("PCA", "ds2", 0.89, 0.5): False,
                  ("CA", "control", 0.98, 0.6): False, ("CA", "control-plain", 0.95, 0.6): True, ("CA", "ds2", 0.99, 0.97): False}
    rows = pd.DataFrame(list(told_apart), columns=["method", "scan", "charge_probe", "charge_placebo"])
    found = wall_tests(rows.assign(picked_by="truth", inclination_probe=np.nan, inclination_placebo=np.nan)).set_index(["method", "scan"]).told_apart
    assert found.to_dict() == {names[:2]: clear for names, clear in told_apart.items()}


def test_scores_are_read_or_asked_for(table, tmp_path, monkeypatch):
    monkeypatch.setenv("FIGURES_PKG_ARTEFACTS", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="snakemake .*profile=smoke"):
        read_scores("smoke")
    path = artefact_path("scores/table.csv", "twin", "smoke")
    path.parent.mkdir(parents=True)
    table.to_csv(path, index=False)
    pd.testing.assert_frame_equal(read_scores("smoke"), table, check_dtype=False)
