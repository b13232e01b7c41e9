"""Every picture has words in its place: in notebooks, in prose pages, and in the built pages where there are any; figures are referred to."""

import re
from pathlib import Path

import jupytext
import pytest
import yaml
from bs4 import BeautifulSoup

REPOSITORY = Path(__file__).parents[2]
DRAWS = re.compile(r"plt\.subplots\(|subplot_mosaic\(|plt\.figure\(\(")
FILE_LIKE = re.compile(r"\.(png|svg|jpe?g|gif|webp)$|^[\w./-]+$|^(image|figure|picture|output)\b[\s\w]{0,12}$", re.I)
NOTEBOOKS = {path.stem: jupytext.read(path).cells for path in sorted((REPOSITORY / "notebooks").glob("*.md"))}
PROSE = [path for path in (REPOSITORY / "book").rglob("*.md") if not {"_build", "executed", "api"} & set(path.parts)]
TEXTS = {name: "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown") for name, cells in NOTEBOOKS.items()}
TEXTS |= {path.stem: path.read_text(encoding="utf-8") for path in (*PROSE, REPOSITORY / "README.md")}
DIFFERENCES = yaml.safe_load((REPOSITORY / "book" / "differences.yaml").read_text(encoding="utf-8"))["rows"]


def is_description(alt: str | None) -> bool:
    """Whether a text says in words what is seen; no text, a file's name and a single word do not."""
    return bool(alt and alt.strip()) and not FILE_LIKE.search(alt.strip()) and len(alt.split()) >= 3


@pytest.mark.parametrize("chapter", NOTEBOOKS)
def test_each_figure_of_a_chapter_has_words_a_caption_and_a_name(chapter):
    """Cells that draw say what is seen, are captioned, and can be referred to."""
    for cell in NOTEBOOKS[chapter]:
        if cell.cell_type == "code" and DRAWS.search(cell.source):
            shown = cell.metadata.get("mystnb", {})
            first = cell.source.splitlines()[0]
            assert is_description(shown.get("image", {}).get("alt")), f"alt text of the cell that begins {first!r}"
            assert shown.get("figure", {}).get("caption") and shown["figure"].get("name"), f"caption and name of the cell that begins {first!r}"


def test_every_figure_is_referred_to():
    """The text says where to look."""
    figures = {cell.metadata["mystnb"]["figure"]["name"] for cells in NOTEBOOKS.values() for cell in cells if "figure" in cell.metadata.get("mystnb", {})}
    texts = [*TEXTS.values(), *(row[key] for row in DIFFERENCES for key in ("item", "consequence", "book"))]
    assert not figures - {name for text in texts for name in re.findall(r"\{numref\}`([\w-]+)`", text)}


@pytest.mark.parametrize("page", TEXTS)
def test_each_picture_in_prose_has_words(page):
    """Pictures of Markdown and of the figure and image directives."""
    alts = re.findall(r"!\[([^\]]*)\]\([^)]+\)", TEXTS[page])
    for block in re.findall(r"^[`:]{3,}\{(?:figure|image)\}[^\n]*\n((?::[\w-]+:[^\n]*\n)*)", TEXTS[page], re.M):
        found = re.search(r"^:alt:\s*(.+)$", block, re.M)
        alts.append(found[1] if found else None)
    assert all(is_description(alt) for alt in alts), alts


def test_each_picture_in_the_built_pages_has_words(built):
    """The same of the HTML, whatever wrote it, but for pictures that are marked as decoration."""
    silent = []
    for path in (path for path in built.rglob("*.html") if "_static" not in path.parts):
        for tag in BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser").find_all("img"):
            decoration = tag.get("role") == "presentation" or "logo" in " ".join(tag.get("class", ""))
            if not decoration and not is_description(tag.get("alt")):
                silent.append(f"{path.relative_to(built)}: {tag.get('src', '')[:60]} says {tag.get('alt')!r}")
    assert not silent, "\n".join(silent)
