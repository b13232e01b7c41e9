"""The notebooks' text says which figures there are; passports are read back only with their data, and tell when their figure is no longer of today."""

import json

import pytest

from figures_pkg.book.gallery import passport_html, stale_badge
from figures_pkg.provenance.figures import CatalogueError, PassportError, figure_names, paper_figures, published_figures


def test_contradictions_of_the_notebooks_are_one_clear_error(world):
    for chapter in ("first", "second"):
        world.chapter(chapter, "fig-9a")
    for read in (paper_figures, figure_names):
        with pytest.raises(CatalogueError, match=r"'fig-9a', in first\.md and second\.md"):
            read()
    path = world.notebooks / "second.md"
    path.write_text(path.read_text().replace("name: fig-9a}", "name: fig-9b}"))
    with pytest.raises(CatalogueError, match=r"second\.md announces the figure 'fig-9a'"):
        paper_figures()


def test_the_figures_of_the_book_are_all_there(repository):
    """The seven chapters publish every figure that the paper's list names, each with caption and alternative text."""
    figures = paper_figures(repository / "notebooks")
    assert list(figures) == [f"fig-{name}" for name in "1a 1b 1c 1d 2ab 3a 3bc 3de 4ab 4cd 5ab 5cd 5ef s1 s2 s3".split()]
    assert all(figure.caption and len(figure.alt) > 40 and figure.functions for figure in figures.values())
    assert set(figures) <= set(figure_names(repository / "notebooks"))


@pytest.fixture
def path(world):
    """The passport of one published figure."""
    world.chapter("fig-9", "fig-9a")
    return world.publish("fig-9a")


@pytest.mark.parametrize("kind, text, message", [
    ("npz", None, r"fig-9a\.npz missing"), ("json", None, "has no passport"), ("json", "{", "is damaged"), ("json", "[]", "no passport of 'fig-9a'"),
])  # fmt: skip
def test_a_missing_or_spoiled_file_is_one_clear_error(world, path, kind, text, message):
    """It names the command that makes it again; a passport left over from an older text is not shown, nor one that no notebook makes."""
    assert published_figures(paper_figures(), "smoke", "twin")["fig-9a"].passport["id"] == "fig-9a"
    with pytest.raises(PassportError, match="no notebook makes the figure 'fig-9a'"):
        published_figures({}, "smoke", "twin")
    file = path.with_suffix(f".{kind}")
    file.unlink() if text is None else file.write_text(text)
    with pytest.raises(PassportError, match=f"{message}.*figures_pkg notebook fig-9 --profile smoke --data twin"):
        published_figures(paper_figures(), "smoke", "twin")


def test_the_page_shows_the_passport_folded(path):
    """One block without blank lines, texts escaped, claims and badge as of now."""
    passport = json.loads(path.read_text(encoding="utf-8")) | {"functions": ["a < b"]}
    passport["artefacts"] = [{"file": "e.nc", "sha256": "ab" * 32, "weights_id": "ca-ds1", "weights_file": "w.pkl", "weights_sha256": "cd" * 32}]
    html = passport_html(passport, ["split"], ["notebooks/fig-9.md"])
    assert html.startswith("<details") and "\n" not in html and " open" not in html.split(">")[0]
    assert all(text in html for text in ("a &lt; b", "split", "out of date", "notebooks/fig-9.md", "cdcdcdcdcdcd…"))
    assert "the released network ca-ds1, <code>w.pkl</code>" in html and "out of date" not in passport_html(passport, [], [])
    assert 'title="a, b, c and 2 more"' in stale_badge(["a", "b", "c", "d", "e"])
