"""The reader's tables say what is in the scores, and words follow numbers."""

import numpy as np
import pandas as pd
import pytest

from figures_pkg.chapters.scores import (
    FAMILIES,
    claims_of_domains,
    compared,
    methods_in_order,
    middle_of,
    summary,
    wall_tests,
)
from figures_pkg.evaluate.leaderboard import read_scores, values_of
from figures_pkg.workspace import artefact_path


def row(method, scan, auc, evidence, seed=0, picked_by="rule"):
    names = ("wall_auc", "vortex_accuracy", "leak_bend", "leak_thickness", "cpu_s")
    return {"method": method, "scan": scan, "method_seed": seed, "picked_by": picked_by, "domain_auc": auc,
            "evidence": evidence} | dict.fromkeys(names, 0.5)


@pytest.fixture
def table():
    """Two methods: one right and fooled by the step, one that never speaks; and one that is not listed."""
    rows = [row("PCA", "ds1", 1.0, 0.8), row("PCA", "ds2", 0.97, 0.7)]
    rows += [row("PCA", "null", np.nan, 0.1), row("PCA", "null-step", np.nan, 0.6)]
    rows += [row("CA", scan, auc, 0.2, seed) for scan in ("ds1", "null", "null-step")
             for seed, auc in enumerate((0.8, 0.6, 0.7))]
    rows += [row("CA", "ds1", 0.99, 0.2, 0, "truth"), row("mine", "ds1", 0.5, 0.4), {"method": "features", "scan": "ds1", "cpu_s": 3}]
    return pd.DataFrame(rows)


def test_order_is_that_of_the_page(table):
    """Families in their order, unlisted methods last, the gathering of features left out; no method is in two families."""
    assert methods_in_order(table) == ["PCA", "CA", "mine"]
    listed = [name for names in FAMILIES.values() for name in names]
    assert len(listed) == len(set(listed))


def test_values_are_chosen_by_picking_and_scan(table):
    """What is nan is left out, and the ways of picking are kept apart."""
    assert values_of(table, "domain_auc", "PCA").tolist() == [1.0, 0.97]
    assert values_of(table, "domain_auc", "CA", "truth").tolist() == [0.99]
    assert values_of(table, "domain_auc", "PCA", scans=["ds2"]).tolist() == [0.97]
    assert middle_of(table, "domain_auc", "CA") == 0.7 and np.isnan(middle_of(table, "domain_auc", "PCA", "truth"))


def test_middle_and_worst(table):
    """The middle of three seeds and their worst; nothing where nothing is scored."""
    found = summary(table, ["ds1"])
    assert found.loc["CA", "domains"] == "0.700 / 0.600" and found.loc["CA", "domains by truth"] == "0.990 / 0.990"
    assert found.loc["PCA", "domains by truth"] == "" and found.loc["PCA", "bend in it"] == "50 %"


def test_who_speaks_of_domains(table):
    """Right where it speaks and is right; false on a smooth scan without domains; nan where that was not scored."""
    found = claims_of_domains(table)
    assert found.loc["PCA"].to_dict() == {"right": 1.0, "false": 0.0, "step": 1.0}
    assert found.loc["CA", "right"] == 0 and np.isnan(found.loc["mine", "false"])


def test_walls_are_told_apart_against_every_reference(table):
    """A probe has to be clear, and clearly better than the placebo and than the same walls without structure."""
    def wall(method, scan, at_wall, placebo):
        return {"method": method, "scan": scan, "picked_by": "truth", "charge_probe": at_wall, "charge_placebo": placebo}

    rows = [wall("PCA", "control", 0.98, 0.6), wall("PCA", "control-plain", 0.7, 0.6), wall("PCA", "ds2", 0.89, 0.5)]
    rows += [wall("CA", "control", 0.98, 0.6), wall("CA", "control-plain", 0.95, 0.6), wall("CA", "ds2", 0.99, 0.97)]
    columns = {"inclination_probe": np.nan, "inclination_placebo": np.nan}
    found = wall_tests(pd.DataFrame(rows).assign(**columns)).set_index(["scan", "method"]).told_apart
    assert found.to_dict() == {("control", "PCA"): True, ("control", "CA"): False, ("control-plain", "PCA"): False,
                               ("control-plain", "CA"): True, ("ds2", "PCA"): False, ("ds2", "CA"): False}


def test_words_follow_numbers():
    """The order decides, within a margin nothing does, and without a number nothing is said."""
    assert [compared(*pair) for pair in ((1, 0.9), (0.9, 1), (0.995, 1))] == ["more than", "less than", "as much as"]
    assert compared(1, np.nan) == "not comparable with"


def test_scores_are_read_or_asked_for(table, tmp_path, monkeypatch):
    """The table of the profile, or one line that says how to make it."""
    monkeypatch.setenv("FIGURES_PKG_ARTEFACTS", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="snakemake .*profile=smoke"):
        read_scores("smoke")
    path = artefact_path("scores/table.csv", "twin", "smoke")
    path.parent.mkdir(parents=True)
    table.to_csv(path, index=False)
    found = read_scores("smoke")
    assert len(found) == len(table) and set(found.scan) == {"ds1", "ds2", "null", "null-step"}
    assert found.domain_auc.isna().sum() == table.domain_auc.isna().sum()
