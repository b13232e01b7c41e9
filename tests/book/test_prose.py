"""Chapters open and close alike, and what the text refers to is there."""

import ast
import re
from pathlib import Path

import pytest

from .prose import chapters, prose_pages

REPOSITORY = Path(__file__).parents[2]
CHAPTERS = chapters(REPOSITORY)
PAGES = [*CHAPTERS, *prose_pages(REPOSITORY)]
SHOWN = re.compile(r"\{glue:text\}`(?:[^`]*::)?([^`:]+)(?::[^`]*)?`")


def by_name(page) -> str:
    """A page's name for pytest."""
    return page.name


@pytest.mark.parametrize("page", CHAPTERS, ids=by_name)
def test_a_chapter_opens_with_what_its_reader_can_do(page):
    """The first paragraph after the title says it, in the words "After this chapter you can"."""
    title, first = [part for part in page.markdown.split("\n\n") if part.strip()][:2]
    assert title.startswith("# ") and title.count("\n") == 0
    assert first.startswith("After this chapter you can "), first


@pytest.mark.parametrize("page", CHAPTERS, ids=by_name)
def test_a_chapter_ends_with_what_was_measured(page):
    """The last section is called so, and shows numbers that this chapter's own cells have glued."""
    *_, last = re.split(r"^## ", page.markdown, flags=re.M)
    heading, _, text = last.partition("\n")
    assert heading == "What was measured", f"the last section is {heading!r}"
    assert "###" not in text and "```" not in text, "the section is a few sentences"
    keys = SHOWN.findall(text)
    assert keys, "no number of the run stands in the section"
    named = names_in(page.code)
    assert not [key for key in keys if not any(re.fullmatch(pattern, key) for pattern in named)], "glued nowhere in this chapter"


def names_in(code: str) -> list[str]:
    """Patterns of all texts in a program, ``f"{name}-share"`` as ``.+-share``, among them the keys that it glues."""
    tree = ast.parse("\n".join(line for line in code.splitlines() if not line.startswith("%")))
    whole = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    parts = [[part.value if isinstance(part, ast.Constant) else None for part in node.values]
             for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]
    made = ["".join(".+" if part is None else re.escape(part) for part in each) for each in parts if any(each)]
    return [re.escape(text) for text in whole] + [pattern for pattern in made if pattern != ".+"]


@pytest.mark.parametrize("page", CHAPTERS, ids=by_name)
def test_the_text_refers_to_its_figures_by_name(page):
    """Every named reference points at a figure or an equation of some chapter, so that numbers never go astray."""
    figures = {cell.get("mystnb", {}).get("figure", {}).get("name") for other in CHAPTERS for cell in other.cells}
    equations = {name for other in CHAPTERS for name in re.findall(r"\$\$ \(([\w-]+)\)", other.markdown)}
    assert set(re.findall(r"\{numref\}`([\w-]+)`", page.markdown)) <= figures
    assert set(re.findall(r"\{eq\}`([\w-]+)`", page.markdown)) <= equations


def test_every_figure_is_referred_to():
    """The text says where to look."""
    figures = {cell["mystnb"]["figure"]["name"] for page in CHAPTERS for cell in page.cells if "figure" in cell.get("mystnb", {})}
    named = {name for page in PAGES for name in re.findall(r"\{numref\}`([\w-]+)`", page.markdown)}
    assert not figures - named
