"""Passports are read back only with their data, and tell when their figure is no longer of today."""

import json

import pytest

from figures_pkg.provenance.passports import PassportError, changed_inputs, passport_html, published_figures, stale_badge


@pytest.fixture
def path(world):
    """The passport of one published figure."""
    world.chapter("fig-9", "fig-9a")
    return world.publish("fig-9a")


@pytest.mark.parametrize("kind, text, message", [
    ("npz", None, r"fig-9a\.npz missing"), ("json", None, "has no passport"), ("json", "{", "is damaged"), ("json", "[]", "no passport of 'fig-9a'"),
])  # fmt: skip
def test_a_missing_or_spoiled_file_is_one_clear_error(world, path, kind, text, message):
    """It names the command that makes it again; a passport left over from an older text is not shown."""
    assert published_figures(world.figures, "smoke", "twin")["fig-9a"].passport["id"] == "fig-9a"
    file = path.with_suffix(f".{kind}")
    file.unlink() if text is None else file.write_text(text)
    with pytest.raises(PassportError, match=f"{message}.*figures_pkg notebook fig-9 --profile smoke --data twin"):
        published_figures(world.figures, "smoke", "twin")


def test_a_figure_that_no_notebook_makes_is_refused(world, path):
    with pytest.raises(PassportError, match="no notebook makes the figure 'fig-9a'"):
        published_figures({}, "smoke", "twin")


def test_changed_inputs_are_named():
    """What changed, came or went; a passport never completed says so."""
    made_of = {"a.py": "1", "b.py": "2", "c.py": "3"}
    assert changed_inputs({"inputs": made_of}, made_of) == []
    assert changed_inputs({"inputs": made_of}, {"a.py": "1", "b.py": "changed", "d.py": "4"}) == ["b.py", "c.py", "d.py"]
    assert "unknown" in changed_inputs({}, made_of)[0]


def test_the_page_shows_the_passport_folded(path):
    """One block without blank lines, texts escaped, claims and badge as of now."""
    passport = json.loads(path.read_text(encoding="utf-8"))
    passport["functions"] = ["a < b"]
    passport["artefacts"] = [{"file": "e.nc", "sha256": "ab" * 32, "weights_id": "ca-ds1", "weights_file": "w.pkl", "weights_sha256": "cd" * 32}]
    html = passport_html(passport, ["split"], ["notebooks/fig-9.md"])
    assert html.startswith("<details") and "\n" not in html and " open" not in html.split(">")[0]
    assert "a &lt; b" in html and "split" in html and "out of date" in html and "notebooks/fig-9.md" in html
    assert "the authors' network ca-ds1, <code>w.pkl</code>" in html and "cdcdcdcdcdcd…" in html
    assert "out of date" not in passport_html(passport, [], [])
    badge = stale_badge(["a", "b", "c", "d", "e"])
    assert ">out of date<" in badge and 'title="a, b, c and 2 more"' in badge
