"""Chapters open and close alike, terms are spelt alike, and what the text refers to is there."""

import ast
import re
from pathlib import Path

import pytest

from .prose import chapters, plain, prose_pages

REPOSITORY = Path(__file__).parents[2]
CHAPTERS = chapters(REPOSITORY)
PAGES = [*CHAPTERS, *prose_pages(REPOSITORY)]
SHOWN = re.compile(r"\{glue:text\}`(?:[^`]*::)?([^`:]+)(?::[^`]*)?`")

# What is not written -> what is. Patterns are searched in prose and captions only, without code and mathematics.
PREFERRED = {
    r"[Cc]enter[ -]of[ -]mass|[Cc]entre-of-mass": "centre of mass",
    r"[Hh]ead to head\b|[Hh]ead-to head|\bH-H\b": "head-to-head",
    r"[Tt]ail to tail\b|[Tt]ail-to tail|\bT-T\b": "tail-to-tail",
    r"[Dd]omain-wall\b(?! \w)|[Dd]omainwall": "domain wall",
    r"[Tt]ickness|[Tt]hicknes\b|[Tt]hickness-es": "thickness",
    r"ErMnO3|Er\(Mn,Ti\)O3|YMnO3|LuMnO3|PbTiO3": "ErMnO₃ and its relatives, with subscripts",
    r"\bvdf\b|\bVdf\b|[Vv]irtual dark-field detector|[Vv]irtual darkfield": "VDF, virtual dark field",
    r"[Aa]uto-encoder|[Aa]uto encoder": "autoencoder",
    r"4D STEM|4DSTEM|4d-stem|4D–STEM": "4D-STEM",
    r"(?<![\w/.=-])-P\b": "−P, with a minus and no hyphen",
    r"\+/-P|\+-P|± P\b": "±P",
    r"(?<![\w=./-])-\d+(?:\.\d+)? (?:nm|mrad|Å|px|°|%)": "−1 nm, with a minus and no hyphen",
    r"\bAngstrom|\bangstrom|Ångström": "Å",
    r"\bcolor|\bgray\b|\bbehavior|\bcenter(?:ed|s)?\b|\bmodeling\b|\bneighbor|\bartifact|\bdata set": "British spelling",
    r"[Mm]ulti-slice": "multislice",
    r"beta-VAE|\bbVAE|β VAE": "β-VAE",
    r"sub-pixel|[Dd]ataset-s": "subpixel",
    r"[Zz]one-axis\b(?! \w)": "zone axis",
    r"[Cc]onvergent-beam angle|[Cc]onvergence-angle\b(?! \w)": "convergence angle",
    r"[Mm]illi-?radian": "mrad (a word only in alt texts: milliradian)",
}
SPOKEN = {"mrad (a word only in alt texts: milliradian)", "−P, with a minus and no hyphen", "Å"}  # alt texts are read aloud


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


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_terms_are_spelt_alike(page):
    """One form for each term of the field, in prose and captions."""
    alts = {plain(cell.get("mystnb", {}).get("image", {}).get("alt", "")) for cell in page.cells}
    read = page.words
    wrong = [f"{found[0]!r} should be {form}" for pattern, form in PREFERRED.items() if form not in SPOKEN
             for found in re.finditer(pattern, read)]
    seen = "\n\n".join(part for part in read.split("\n\n") if part not in alts)
    wrong += [f"{found[0]!r} should be {form}" for pattern, form in PREFERRED.items() if form in SPOKEN
              for found in re.finditer(pattern, seen)]
    assert not wrong


def test_the_table_of_forms_can_fail():
    """Each pattern finds a wrong form, and none finds a right one or a piece of code."""
    wrong = "center of mass, head to head, tail to tail, ErMnO3, vdf, auto-encoder, 4DSTEM, of -P, +/-P, -3 mrad, multi-slice, beta-VAE"
    assert sum(bool(re.search(pattern, plain(wrong))) for pattern in PREFERRED) >= 12
    right = "The centre of mass of −P in ErMnO₃ by 4D-STEM, head-to-head; a domain-wall study at −3 mrad. `--state=-P` and `ErMnO3`."
    assert not [pattern for pattern in PREFERRED if re.search(pattern, plain(right))]


def test_code_is_no_prose():
    """Code, mathematics and roles are left out; admonitions and terms stay."""
    text = plain("A {term}`COM` $x_{center}$.\n\n```{admonition} Exercise\n:class: tip\nA vortex.\n```\n\n```python\ncolor = 1\n```\n")
    assert "COM" in text and "vortex" in text and "Exercise" in text
    assert "color" not in text and "center" not in text and "tip" not in text


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
