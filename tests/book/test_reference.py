"""The reference part lists what there is; terms, citations and labels that do not exist fail the build itself."""

import importlib
import re
import types
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).parents[2]
BOOK = REPOSITORY / "book"
ROOMS = sorted(path.stem for path in (BOOK / "api").glob("*.md"))


@pytest.mark.parametrize("room", ROOMS)
def test_the_reference_lists_every_public_name_of_a_room(room):
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


def test_each_work_can_be_found():
    works = re.split(r"^@\w+\{", (BOOK / "references.bib").read_text(encoding="utf-8"), flags=re.M)[1:]
    assert works and all(re.search(r"\b(?:doi|url) = \{(?:10\.|https://)", work) for work in works)
