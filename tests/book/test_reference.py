"""The reference part: functions, terms and works that the book names are there."""

import ast
import importlib
import re
import types
from pathlib import Path

import pytest
import yaml

from .prose import chapters, prose_pages

REPOSITORY = Path(__file__).parents[2]
BOOK = REPOSITORY / "book"
ROOMS = sorted(path.stem for path in (BOOK / "api").glob("*.md"))
PAGES = [*chapters(REPOSITORY), *prose_pages(REPOSITORY)]
CITED = re.compile(r"\{cite:\w+\}`([^`]+)`")
TERM = re.compile(r"\{term\}`(?:[^<`]* <)?([^`>]+)>?`")


@pytest.mark.parametrize("room", ROOMS)
def test_the_reference_lists_every_public_name_of_a_room(room):
    """The table at the head of a room's page has its functions and classes, and no others."""
    module = importlib.import_module(f"figures_pkg.{room}")
    text = (BOOK / "api" / f"{room}.md").read_text(encoding="utf-8")
    listed = re.findall(r"^   (\w+)$", text.split(":nosignatures:")[1].split("```")[0], re.M)
    public = {name: getattr(module, name) for name in module.__all__}
    wanted = sorted(name for name, value in public.items() if callable(value) and not name.isupper())
    assert listed == wanted, f"write these names into book/api/{room}.md: {', '.join(wanted)}"
    modules = [name for name, value in public.items() if isinstance(value, types.ModuleType)]
    assert all(f"automodule:: figures_pkg.{room}.{name}\n" in text for name in modules)
    assert f"automodule:: figures_pkg.{room}\n" in text


def test_every_room_is_in_the_reference():
    """Rooms with public names have a page in the table of contents; `book`, `provenance` and `chapters` serve the build and have none."""
    rooms = {path.parent.name for path in (REPOSITORY / "figures_pkg").glob("*/__init__.py")} - {"book", "chapters", "provenance"}
    contents = yaml.safe_load((BOOK / "_toc.yml").read_text(encoding="utf-8"))
    entries = [chapter for part in contents["parts"] for chapter in part["chapters"]]
    sections = [section["file"] for entry in entries for section in entry.get("sections", [])]
    assert set(ROOMS) == rooms and {f"api/{room}" for room in rooms} <= set(sections)


def test_names_in_docstrings_can_be_found():
    """What a docstring points at with :func:, :class:, :mod: or :meth: and our package's name exists."""
    pointed = set()
    for path in (REPOSITORY / "figures_pkg").rglob("*.py"):
        pointed |= set(re.findall(r":(?:func|class|mod|meth):`~?(figures_pkg[\w.]+)`", path.read_text(encoding="utf-8")))
    assert len(pointed) > 10
    assert not [name for name in sorted(pointed) if not exists(name)]


def exists(name: str) -> bool:
    """Whether a dotted name is a module or an attribute of one; modules that need torch count by their text."""
    parts = name.split(".")
    for depth in range(len(parts), 0, -1):
        base = REPOSITORY.joinpath(*parts[:depth])
        path = base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
        if path.is_file():
            tree = ast.parse(path.read_text(encoding="utf-8"))
            defined = {getattr(node, "name", None) for node in ast.walk(tree)}
            defined |= {alias.asname or alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
            return all(part in defined for part in parts[depth:][:1])  # a method of an imported class stands elsewhere
    return False


def test_terms_are_in_the_glossary():
    """Each {term} of a page is an entry, and the glossary is in alphabetical order, Greek letters under their Latin ones."""
    entries = glossary()
    known = {name.lower() for names in entries for name in names}
    assert not {term for page in PAGES for term in TERM.findall(page.markdown) if term.lower() not in known}
    first = [names[0].lower().replace("β", "b") for names in entries]
    assert first == sorted(first)
    assert sum(bool(TERM.search(page.markdown)) for page in PAGES) >= 8, "terms are used where they first come up"


def glossary() -> list[list[str]]:
    """Names of each entry: lines without indent stand for the definition below them."""
    body = re.search(r"```\{glossary\}\n(.*?)```", (BOOK / "glossary.md").read_text(encoding="utf-8"), re.S)[1]
    return [[line for line in block.splitlines() if not line.startswith(" ")] for block in body.strip().split("\n\n")]


def works() -> dict[str, str]:
    """Key -> text of each entry of the bibliography."""
    parts = re.split(r"^@\w+\{", (BOOK / "references.bib").read_text(encoding="utf-8"), flags=re.M)[1:]
    return {part.split(",", 1)[0]: part for part in parts}


@pytest.mark.parametrize("key", works())
def test_each_work_can_be_found_and_is_used(key):
    """A work has a DOI or an address, and a chapter cites it or a docstring names it as a source."""
    text = works()[key]
    address = re.search(r"\b(?:doi|url) = \{([^}]+)\}", text)
    assert address, f"{key} has neither doi nor url"
    assert address[1].startswith(("10.", "https://"))
    cited = {name.strip() for page in PAGES for names in CITED.findall(page.markdown) for name in names.split(",")}
    source = address[1].split("arxiv.org/abs/")[-1]
    assert key in cited or any(source in path.read_text(encoding="utf-8") for path in (REPOSITORY / "figures_pkg").rglob("*.py"))


def test_each_citation_has_its_work():
    """No chapter cites what the bibliography lacks."""
    cited = {name.strip() for page in PAGES for names in CITED.findall(page.markdown) for name in names.split(",")}
    assert cited <= set(works())
