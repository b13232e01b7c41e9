"""The house keeps its order: imports go one way, in no circle, and a name stands in a shared room when it has a second user."""

import ast
import re
from collections import defaultdict
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from figures_pkg.code import code_cells

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "figures_pkg"
ORDER = ("code workspace crystal plotting record data diffraction imaging twin model matching evaluate inspect interactive provenance "
         "claims chapters book cli __main__").split()
ALONE = {  # public names that one chapter alone uses, or none, and why they stay in a shared room
    "figures_pkg.book.pages.broken_links": "checks a built book",
    "figures_pkg.book.pages.data_weights": "checks a built book",
    "figures_pkg.book.pages.orphans": "checks a built book",
    "figures_pkg.book.pages.weights": "checks a built book",
    "figures_pkg.book.render.setup": "Sphinx calls it",
    "figures_pkg.crystal.zone.example_cif": "gives the files that lie in its room",
    "figures_pkg.diffraction.multislice.projected_potential": "the potential whose transmission its module makes",
    "figures_pkg.diffraction.phonons.PhononBackground": "the subject of its module",
    "figures_pkg.diffraction.phonons.make_table": "makes the file that its module reads",
    "figures_pkg.imaging.centre_of_mass.com_noise": "belongs to the sums whose noise it gives",
    "figures_pkg.imaging.centre_of_mass.scatter": "belongs to the sums whose noise it gives",
    "figures_pkg.interactive.explorer_page.map_values": "reads what its module writes",
    "figures_pkg.interactive.explorer_page.read_script": "reads what its module writes",
    "figures_pkg.interactive.explorer_page.unpack": "reads what its module writes",
    "figures_pkg.matching.walls.measure_walls": "the subject of its module",
    "figures_pkg.twin.patterns.example_scan": "the function beside the class that two chapters use",
}

FILES = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in sorted((ROOT / PACKAGE).rglob("*.py"))}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in FILES.items()}


def imported(tree: ast.Module, package: list[str] = ()) -> list[tuple[str, str]]:
    """(module, name) pairs that code imports from our package, also inside functions; relative imports are seen from `package`."""
    pairs = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            origin = ".".join([*package[: len(package) - node.level + 1], *filter(None, [node.module])]) if node.level else node.module or ""
            pairs += [(origin, alias.name) for alias in node.names]
        elif isinstance(node, ast.Import):
            pairs += [(alias.name, "") for alias in node.names]
    return [(origin, alias) for origin, alias in pairs if origin.split(".")[0] == PACKAGE]


PAIRS = {name: imported(TREES[name], name.split(".") if FILES[name].name == "__init__.py" else name.split(".")[:-1]) for name in FILES}
FACES = {face: {alias: origin for origin, alias in PAIRS[face] if origin != face} for face, path in FILES.items() if path.name == "__init__.py"}


def home(origin: str, name: str) -> tuple[str, str]:
    """The module that defines a name, followed through the faces of rooms, and the name; "" for a module itself."""
    while name in FACES.get(origin, {}):
        origin = FACES[origin][name]
    return (f"{origin}.{name}", "") if f"{origin}.{name}" in FILES else (origin, name)


def uses(name: str) -> set[str]:
    """Modules whose names a module imports."""
    return {home(*pair)[0] for pair in PAIRS[name]} - {name}


def room(name: str) -> str:
    """The room of a module, or the module itself at the top."""
    return name.split(".")[1] if "." in name else ""


def public_names(name: str) -> set[str]:
    """Functions, classes and constants of a module that others may use."""
    names = set()
    for node in TREES[name].body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            names |= {each.id for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}
    return {each for each in names if not each.startswith("_")}


def names_used(tree: ast.Module, pairs: list[tuple[str, str]]) -> set[str]:
    """Dotted names of the package that code imports, or asks of a module that it imports."""
    found = {home(*pair) for pair in pairs}
    modules = {module.rpartition(".")[2]: module for module, name in found if not name}
    asked = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)]
    return {f"{module}.{name}" for module, name in found if name} | {f"{modules[node.value.id]}.{node.attr}" for node in asked if node.value.id in modules}


def users() -> dict[str, set[str]]:
    """Dotted name -> its users: the chapters, each with the module of its name, and the other modules, that in which it is defined included."""
    found = defaultdict(set)
    for path in (ROOT / "notebooks").glob("*.md"):
        tree = ast.parse("\n".join(source for _, source in code_cells(path.read_text(encoding="utf-8"))))
        for name in names_used(tree, imported(tree)):
            found[name].add(f"chapter {path.stem}")
    for module, tree in TREES.items():
        user = f"chapter {module.rpartition('.')[2].replace('_', '-')}" if room(module) == "chapters" else module
        loaded = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
        if FILES[module].name != "__init__.py":
            for name in names_used(tree, PAIRS[module]) | {f"{module}.{name}" for name in public_names(module) & loaded}:
                found[name].add(user)
    for file in ("claims.yaml", "Snakefile"):
        text = (ROOT / file).read_text(encoding="utf-8")
        whole = [f"{origin}.{name}" for origin, names in re.findall(rf"from ({PACKAGE}[\w.]*) import (.+)", text) for name in re.findall(r"\w+", names)]
        for name in [*whole, *re.findall(rf"{PACKAGE}[\w.]+", text)]:
            found[name].add(file)
    return found


def test_imports_go_one_way():
    """Each module imports from its own room and those above it, and none needs itself by way of others."""
    for name in filter(room, FILES):
        above = ORDER[: ORDER.index(room(name)) + 1]
        assert not {other for other in uses(name) if room(other) and room(other) not in above}, name
    graph = {name: uses(name) & set(FILES) for name, path in FILES.items() if path.name != "__init__.py"}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_a_shared_name_has_two_users():
    """What one chapter alone uses lives under its name in ``chapters``, and what nobody uses goes, but for what is listed with its reason."""
    found, alone = users(), set()
    for module in FILES:
        if room(module) not in ("", "chapters", "cli", "__main__"):
            for name in public_names(module):
                by = found[f"{module}.{name}"]
                if len(by) < 2 and all(user.startswith("chapter ") for user in by):
                    alone.add(f"{module}.{name}")
    assert alone == set(ALONE)
