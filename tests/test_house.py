"""The house keeps its order: imports go one way, in no circle, and a name stands in a shared room when it has a second user."""

import re
from collections import defaultdict
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from figures_pkg.code import Code

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "figures_pkg"
ORDER = ("code workspace crystal plotting record data diffraction imaging twin model matching evaluate inspect interactive provenance "
         "claims chapters book cli __main__").split()
ALONE = {  # public names that one chapter alone uses, or none, and why they stay in a shared room
    "book.pages.broken_links": "checks a built book",
    "book.pages.data_weights": "checks a built book",
    "book.pages.orphans": "checks a built book",
    "book.pages.weights": "checks a built book",
    "book.render.setup": "Sphinx calls it",
    "crystal.zone.example_cif": "gives the files that lie in its room",
    "diffraction.multislice.projected_potential": "the potential whose transmission its module makes",
    "diffraction.phonons.PhononBackground": "the subject of its module",
    "diffraction.phonons.make_table": "makes the file that its module reads",
    "imaging.centre_of_mass.com_noise": "belongs to the sums whose noise it gives",
    "imaging.centre_of_mass.scatter": "belongs to the sums whose noise it gives",
    "matching.walls.measure_walls": "the subject of its module",
    "twin.patterns.example_scan": "the function beside the class that two chapters use",
}
CODE = Code(ROOT, by_name=True)
MODULES = [path.relative_to(ROOT).as_posix() for path in sorted((ROOT / PACKAGE).rglob("*.py")) if path.parent.name != PACKAGE or path.name != "__init__.py"]
NOTEBOOKS = [path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "notebooks").glob("*.md"))]
NAMES = {module: [f"{module}::{name}" for name in CODE.top(module).defined] for module in MODULES}
USES = {module: {part: CODE.uses(part) for part in [*NAMES[module], *([] if module.endswith("__init__.py") else [module])]}
        for module in MODULES}  # a module itself for what it only executes; the face of a room uses nothing


def file(part: str) -> str:
    """The file that a part of the code is in."""
    return part.partition("::")[0]


def room(module: str) -> str:
    """The room of a module, or the module itself at the top."""
    return module.split("/")[1].removesuffix(".py")


def dotted(part: str) -> str:
    """A name as Python has it, without that of the package."""
    return part.removeprefix(f"{PACKAGE}/").replace("/__init__.py", ".py").replace(".py::", ".").replace("/", ".")


def users() -> dict[str, set[str]]:
    """Part -> its users: the chapters, each with the module of its name, other modules, and its own module where another name there uses it."""
    found = defaultdict(set)
    for notebook in NOTEBOOKS:
        for used in CODE.uses(notebook):
            found[dotted(used)].add(f"chapter {Path(notebook).stem}")
    for module in MODULES:
        user = f"chapter {Path(module).stem.replace('_', '-')}" if room(module) == "chapters" else module
        for part, parts in USES[module].items():
            for used in parts - {part}:
                found[dotted(used)].add(user)
    for name in ("claims.yaml", "Snakefile"):
        text = (ROOT / name).read_text(encoding="utf-8")
        imported = [f"{module}.{each}" for module, names in re.findall(rf"from {PACKAGE}\.([\w.]*) import (.+)", text) for each in re.findall(r"\w+", names)]
        for used in [*imported, *re.findall(rf"{PACKAGE}\.([\w.]+)", text)]:
            found[used].add(name)
    return found


def test_imports_go_one_way():
    """Each module imports from its own room and those above it, and none needs itself by way of others."""
    graph = {module: {file(used) for parts in USES[module].values() for used in parts} & set(MODULES) - {module} for module in MODULES}
    for module, others in graph.items():
        assert {room(other) for other in others} <= set(ORDER[: ORDER.index(room(module)) + 1]), module
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_a_shared_name_has_two_users():
    """What one chapter alone uses lives under its name in ``chapters``, and what nobody uses goes, but for what is listed with its reason."""
    found = users()
    shared = [dotted(part) for module in MODULES if room(module) not in ("chapters", "cli", "__main__") for part in NAMES[module]]
    few = {name for name in shared if len(found[name]) < 2 and all(user.startswith("chapter ") for user in found[name])}
    assert {name for name in few if not name.rpartition(".")[2].startswith("_")} == set(ALONE)
