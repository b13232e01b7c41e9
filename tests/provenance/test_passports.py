"""Passports are read back only with their data, and tell when their figure is no longer of today."""

import json

import pytest

from figures_pkg.provenance.passports import PassportError, changed_inputs, passport_html, published_figures, stale_badge


@pytest.fixture
def path(world):
    """The passport of one published figure."""
    world.chapter("fig-9", "fig-9a")
    return world.publish("fig-9a")


def test_a_published_figure_is_found(world, path):
    """With its passport and its picture."""
    kept = published_figures(world.figures, "smoke", "twin")["fig-9a"]
    assert kept.picture.is_file() and kept.passport["id"] == "fig-9a"


@pytest.mark.parametrize("kind", ["png", "svg", "npz"])
def test_a_passport_without_its_data_is_one_clear_error(world, path, kind):
    """It names the file and the command that makes it again."""
    path.with_suffix(f".{kind}").unlink()
    with pytest.raises(PassportError, match=rf"fig-9a\.{kind} missing.*figures_pkg notebook fig-9 --profile smoke --data twin"):
        published_figures(world.figures, "smoke", "twin")


@pytest.mark.parametrize(("text", "message"), [(None, "has no passport"), ("{", "is damaged"), ("[]", "no passport of 'fig-9a'")])
def test_a_missing_or_spoiled_passport_is_one_clear_error(world, path, text, message):
    """It names the command that makes it again."""
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(PassportError, match=f"{message}.*figures_pkg notebook fig-9"):
        published_figures(world.figures, "smoke", "twin")


def test_a_figure_that_no_notebook_makes_is_refused(world, path):
    """A passport left over from an older text is not shown."""
    with pytest.raises(PassportError, match="no notebook makes the figure 'fig-9a'"):
        published_figures({}, "smoke", "twin")


def test_changed_inputs_are_named():
    """What changed, came or went is named; nothing is when all is as it was; a passport never completed says so."""
    made_of = {"a.py": "1", "b.py": "2", "c.py": "3"}
    assert changed_inputs({"inputs": made_of}, made_of) == []
    assert changed_inputs({"inputs": made_of}, {"a.py": "1", "b.py": "changed", "d.py": "4"}) == ["b.py", "c.py", "d.py"]
    assert "unknown" in changed_inputs({}, made_of)[0]


def test_the_page_shows_the_passport_folded(path):
    """One block without blank lines, texts escaped, claims and badge as of now."""
    passport = json.loads(path.read_text(encoding="utf-8"))
    passport["functions"] = ["a < b"]
    html = passport_html(passport, ["split"], ["notebooks/fig-9.md"])
    assert html.startswith("<details") and "\n" not in html and " open" not in html.split(">")[0]
    assert "a &lt; b" in html and "split" in html and "out of date" in html and "notebooks/fig-9.md" in html
    assert "out of date" not in passport_html(passport, [], [])


def test_the_badge_says_in_words_and_names_the_first_inputs():
    """Colour alone would not be read by everybody."""
    badge = stale_badge(["a", "b", "c", "d", "e"])
    assert ">out of date<" in badge and 'title="a, b, c and 2 more"' in badge
