"""What a chapter reads stands in its front matter."""

import re
import sys
from pathlib import Path

import pytest

from figures_pkg.book.chapters import CHAPTERS, artefacts_of, chapter_path, claims_inputs, dataset_pattern, datasets_of
from figures_pkg.workspace import load_profile


def test_scans_follow_profile_and_source(tmp_path, monkeypatch):
    """The twin's of the profile or the record's; a chapter about the twin reads the twin whatever is asked for, and so does what is on no record."""
    monkeypatch.setenv("FIGURES_PKG_ARTEFACTS", str(tmp_path))
    monkeypatch.setattr(sys.modules["figures_pkg.record.fetch"], "ensure", lambda name: tmp_path / "record" / name)
    ds1, ds2, overview = (str(tmp_path / "smoke" / f"{name}.hspy") for name in ("ds1", "ds2", "overview"))
    assert datasets_of("fig-1cd", "twin", "smoke") == [ds1, overview]
    assert datasets_of("the-twin", "zenodo", "smoke") == [ds1, ds2]
    assert datasets_of("fig-1cd", "zenodo", "smoke") == [str(tmp_path / "record" / "ds1"), overview]


def test_every_chapter_is_in_the_table_of_contents(repository):
    """No chapter is executed for nothing, and none is listed that does not exist."""
    listed = {line.split("executed/")[1].strip() for line in (repository / "book/_toc.yml").read_text().splitlines() if "executed/" in line}
    assert listed == {*CHAPTERS, "gallery"}  # the gallery is written when the pages are rendered


@pytest.mark.parametrize("call, known", [
    (lambda: chapter_path("fig2"), "fig-2"),
    (lambda: load_profile("huge"), "laptop, paper, smoke"),
    (lambda: artefacts_of("fig-3", "record", "smoke"), "twin, zenodo"),
])  # fmt: skip
def test_unknown_names_list_the_known_ones(call, known):
    with pytest.raises(ValueError, match=known):
        call()


def test_profiles_name_recipes_and_scans_that_exist():
    """What a profile trains and scores is there; other fields of a scan are read where the profile scores them."""
    recipes = pytest.importorskip("figures_pkg.model.recipes").RECIPES
    for profile in map(load_profile, ("smoke", "laptop", "paper")):
        assert profile["recipe"] in recipes and all(re.fullmatch(dataset_pattern(), scan) for scan in profile["scored"])
    names = {profile: {Path(path).stem for path in datasets_of("matching", "twin", profile)} for profile in ("smoke", "laptop")}
    assert names["smoke"] == {"ds1", "null-step"}
    assert names["laptop"] == names["smoke"] | {name for name in load_profile("laptop")["scored"] if name.startswith("ds1-field")}
    assert len(names["laptop"]) > 2


@pytest.mark.parametrize("data", ["twin", "zenodo"])
def test_what_is_made_from_either_source_is_kept_apart(tmp_path, monkeypatch, data):
    """``{recipe}`` is what the profile trains by; a chapter about the twin has the twin's artefacts whatever is asked for."""
    monkeypatch.setenv("FIGURES_PKG_ARTEFACTS", str(tmp_path))
    for own in ({}, {"data": "twin"}):
        monkeypatch.setattr("figures_pkg.book.chapters.companion", lambda chapter, own=own: own | {"artefacts": ["models/ds2-{recipe}-seed1.nc"]})
        for profile in ("smoke", "paper"):
            name = f"ds2-{load_profile(profile)['recipe']}-seed1.nc"
            assert artefacts_of("fig-2", data, profile) == [str(tmp_path / profile / "models" / own.get("data", data) / name)]


@pytest.mark.parametrize("dataset", ["ds1", "ds1-field2", "control", "control-inclined", "null-step", "hard-field12"])
def test_scan_and_recipe_are_told_apart(dataset):
    """Both have dashes in their names; the longest known name of a scan is the scan."""
    found = re.fullmatch(f"({dataset_pattern()})-(.+)-seed0", f"{dataset}-small-walls-seed0")
    assert found.groups() == (dataset, "small-walls")
    assert not re.fullmatch(dataset_pattern(), "ds1-field0")


def test_inputs_of_the_claims_follow_profile_and_source(tmp_path, monkeypatch):
    """Fields and the hard scan only where the profile has them; scores and simulated scans never for the record."""
    monkeypatch.setenv("FIGURES_PKG_ARTEFACTS", str(tmp_path))
    monkeypatch.setattr("figures_pkg.book.chapters.locate", lambda name, *_, **__: f"{name}.hspy")
    smoke, laptop = (claims_inputs("twin", profile) for profile in ("smoke", "laptop"))
    assert {"ds1.hspy", "ds2.hspy", "overview.hspy"} <= set(smoke) and "hard.hspy" not in smoke
    assert {"hard.hspy", "ds1-field2.hspy"} <= set(laptop)
    assert str(tmp_path / "smoke/models/twin/ds1-smoke-seed0.nc") in smoke and str(tmp_path / "smoke/scores/twin/table.csv") in smoke
    record = claims_inputs("zenodo", "smoke")
    assert {"ds1.hspy", "ds2.hspy"} == {name for name in record if name.endswith("hspy")} and not any("scores" in name for name in record)
    assert {str(tmp_path / "smoke" / name) for name in ("domains/zenodo/ds1.nc", "models/zenodo/ds2-published-walls.nc")} <= set(record)
    assert not any("domains" in name or "published" in name for name in smoke)
