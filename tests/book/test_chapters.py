"""What a chapter reads stands in its front matter."""

import re
import sys

import pytest

from figures_pkg.book.chapters import artefacts_of, chapter_path, claims_inputs, dataset_pattern, datasets_of
from figures_pkg.workspace import load_profile


@pytest.mark.parametrize("call, known", [
    (lambda: chapter_path("fig2"), "fig-2"),
    (lambda: load_profile("huge"), "laptop, paper, smoke"),
    (lambda: artefacts_of("fig-3", "record", "smoke"), "twin, zenodo"),
])  # fmt: skip
def test_unknown_names_list_the_known_ones(call, known):
    with pytest.raises(ValueError, match=known):
        call()


def test_profiles_name_recipes_and_scans_that_exist():
    recipes = pytest.importorskip("figures_pkg.model.recipes").RECIPES
    for profile in map(load_profile, ("smoke", "laptop", "paper")):
        assert profile["recipe"] in recipes and all(re.fullmatch(dataset_pattern(), scan) for scan in profile["scored"])


@pytest.mark.parametrize("profile", ["smoke", "paper"])
def test_inputs_of_a_chapter_follow_profile_and_source(tmp_path, monkeypatch, profile):
    """The twin's scans or the record's; a chapter about the twin reads the twin whatever is asked for, and so does what is on no record."""
    monkeypatch.setenv("FIGURES_PKG_ARTEFACTS", str(tmp_path))
    monkeypatch.setattr(sys.modules["figures_pkg.record.fetch"], "ensure", lambda name: tmp_path / "record" / name)
    ds1, ds2, overview = (str(tmp_path / profile / f"{name}.hspy") for name in ("ds1", "ds2", "overview"))
    assert datasets_of("fig-1cd", "twin", profile) == [ds1, overview]
    assert datasets_of("the-twin", "zenodo", profile) == [ds1, ds2]
    assert datasets_of("fig-1cd", "zenodo", profile) == [str(tmp_path / "record" / "ds1"), overview]
    name = f"ds2-{load_profile(profile)['recipe']}-seed1.nc"  # by which the profile trains
    for own, data, folder in (({}, "twin", "twin"), ({}, "zenodo", "zenodo"), ({"data": "twin"}, "zenodo", "twin")):
        monkeypatch.setattr("figures_pkg.book.chapters.companion", lambda chapter, own=own: own | {"artefacts": ["models/ds2-{recipe}-seed1.nc"]})
        assert artefacts_of("fig-2", data, profile) == [str(tmp_path / profile / "models" / folder / name)]


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
