"""Every picture has words in its place: in notebooks, in prose pages, and in the built pages where there are any."""

import re
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from .prose import IMAGE, chapters, prose_pages

REPOSITORY = Path(__file__).parents[2]
CHAPTERS = chapters(REPOSITORY)
DRAWS = re.compile(r"plt\.subplots\(|subplot_mosaic\(|plt\.figure\(|embedding_sheet\(")
FILE_LIKE = re.compile(r"\.(png|svg|jpe?g|gif|webp)$|^[\w./-]+$|^(image|figure|picture|output)\b[\s\w]{0,12}$", re.I)


def is_description(alt: str | None) -> bool:
    """Whether a text says in words what is seen; no text, a file's name and a single word do not."""
    return bool(alt and alt.strip()) and not FILE_LIKE.search(alt.strip()) and len(alt.split()) >= 3


@pytest.mark.parametrize("alt", [None, "", " ", "fig-2.png", "_images/a1b2c3.png", "figure", "image 3", "../picture.png", "A map.png"])
def test_names_and_silence_are_no_descriptions(alt):
    """What a converter puts there by itself is found."""
    assert not is_description(alt)


def test_words_are_a_description():
    """A sentence about what is seen passes."""
    assert is_description("Two maps of the same field, divided by a slanting line.")


@pytest.mark.parametrize("page", CHAPTERS, ids=lambda page: page.name)
def test_each_figure_of_a_chapter_has_words_a_caption_and_a_name(page):
    """Cells that draw say what is seen, are captioned, and can be referred to."""
    for cell in page.cells:
        if not DRAWS.search(cell["source"]):
            continue
        shown = cell.get("mystnb", {})
        first = cell["source"].splitlines()[0]
        assert is_description(shown.get("image", {}).get("alt")), f"alt text of the cell that begins {first!r}"
        assert shown.get("figure", {}).get("caption") and shown["figure"].get("name"), f"caption and name of the cell that begins {first!r}"


def test_names_of_figures_differ():
    """A name is given to one figure in the whole book."""
    names = [cell["mystnb"]["figure"]["name"] for page in CHAPTERS for cell in page.cells if "figure" in cell.get("mystnb", {})]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("page", [*CHAPTERS, *prose_pages(REPOSITORY)], ids=lambda page: page.name)
def test_each_picture_in_prose_has_words(page):
    """Pictures of Markdown and of the figure and image directives."""
    alts = [match["alt"] for match in IMAGE.finditer(page.markdown)]
    for block in re.findall(r"^[`:]{3,}\{(?:figure|image)\}[^\n]*\n((?::[\w-]+:[^\n]*\n)*)", page.markdown, re.M):
        found = re.search(r"^:alt:\s*(.+)$", block, re.M)
        alts.append(found[1] if found else None)
    assert all(is_description(alt) for alt in alts), alts


def shown_pictures(html: str) -> list[tuple[str, str | None]]:
    """Address and alt text of the pictures in a page, but for those that are marked as decoration."""
    tags = [tag for tag in BeautifulSoup(html, "html.parser").find_all("img") if tag.get("role") != "presentation"]
    return [(tag.get("src", ""), tag.get("alt")) for tag in tags if "logo" not in " ".join(tag.get("class", ""))]


def test_each_picture_in_the_built_pages_has_words(built):
    """The same of the HTML, whatever wrote it."""
    pages = [path for path in built.rglob("*.html") if "_static" not in path.parts]
    silent = []
    for path in pages:
        pictures = shown_pictures(path.read_text(encoding="utf-8"))
        silent += [f"{path.relative_to(built)}: {source[:60]} says {alt!r}" for source, alt in pictures if not is_description(alt)]
    assert not silent, "\n".join(silent)
