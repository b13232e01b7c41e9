"""The house keeps its order: imports go one way, in no circle, and a name stands in a shared room when it has a second user."""

import ast
import re
from collections import defaultdict
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "figures_pkg"
ORDER = ("code workspace crystal plotting record data diffraction imaging twin model matching evaluate inspect interactive provenance "
         "claims chapters book cli __main__").split()
ALONE = {  # public names that one notebook alone uses, and why they stay in a shared room
    "figures_pkg.crystal.zone.example_cif": "gives the files that lie in its room",
    "figures_pkg.imaging.centre_of_mass.com_noise": "belongs to the sums whose noise it gives",
    "figures_pkg.imaging.centre_of_mass.scatter": "belongs to the sums whose noise it gives",
    "figures_pkg.interactive.explorer_page.read_script": "reads what its module writes",
    "figures_pkg.interactive.explorer_page.unpack": "reads what its module writes",
    "figures_pkg.matching.walls.measure_walls": "the subject of its module",
    "figures_pkg.twin.patterns.example_scan": "the function beside the class that two chapters use",
}

FILES = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in sorted((ROOT / PACKAGE).rglob("*.py"))}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in FILES.items()}


def imported(name: str) -> list[tuple[str, str]]:
    """(module, name) pairs of the package that a module imports, also inside functions."""
    base, pairs = name.split(".") if FILES[name].name == "__init__.py" else name.split(".")[:-1], []
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.ImportFrom):
            origin = ".".join([*base[: len(base) - node.level + 1], *filter(None, [node.module])]) if node.level else node.module or ""
            pairs += [(f"{origin}.{alias.name}", "") if f"{origin}.{alias.name}" in FILES else (origin, alias.name) for alias in node.names]
        elif isinstance(node, ast.Import):
            pairs += [(alias.name, "") for alias in node.names]
    return [(origin, alias) for origin, alias in pairs if origin.split(".")[0] == PACKAGE]


PAIRS = {name: imported(name) for name in FILES}
FACES = {name: dict((alias, origin) for origin, alias in PAIRS[name]) for name, path in FILES.items() if path.name == "__init__.py"}


def home(origin: str, name: str) -> str:
    """The module that defines a name, followed through the faces of rooms."""
    while name in FACES.get(origin, {}):
        origin = FACES[origin][name]
    return origin


def uses(name: str) -> set[str]:
    """Modules whose names a module imports."""
    return {home(*pair) for pair in PAIRS[name]} - {name}


def room(name: str) -> str:
    """The room of a module, or the module itself at the top."""
    return name.split(".")[1] if "." in name else ""


def public_names(name: str) -> set[str]:
    """Functions and classes of a module that others may use."""
    return {node.name for node in TREES[name].body if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")}


def users() -> dict[str, set[str]]:
    """Dotted name -> the notebooks (``notebooks/…``) and modules that use it, its own module included."""
    found = defaultdict(set)
    for path in (ROOT / "notebooks").glob("*.md"):
        code = "\n".join(re.findall(r"```\{code-cell\}[^\n]*\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL))
        for origin, names in re.findall(rf"^\s*from ({PACKAGE}[\w.]*) import ([^\n(]+|\([^)]*\))", code, re.MULTILINE):
            for name in re.findall(r"(\w+)(?: as \w+)?", re.sub(r" as \w+|#.*", "", names)):
                found[f"{home(origin, name)}.{name}"].add(f"notebooks/{path.stem}")
    for module, tree in TREES.items():
        if FILES[module].name != "__init__.py":
            for pair in PAIRS[module]:
                found[f"{home(*pair)}.{pair[1]}"].add(module)
            loaded = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
            for name in public_names(module) & loaded:
                found[f"{module}.{name}"].add(module)
    for whole in re.findall(rf"{PACKAGE}[\w.]+", (ROOT / "claims.yaml").read_text(encoding="utf-8")):
        found[whole].add("claims.yaml")
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
    """What one notebook alone uses lives under its name in ``chapters``, but for what is listed with its reason."""
    found = users()
    alone = {whole for whole, by in found.items() if len(by) == 1 and next(iter(by)).startswith("notebooks/")
             and room(whole) not in ("chapters", "") and whole.rpartition(".")[2] in public_names(whole.rpartition(".")[0])}  # fmt: skip
    assert alone == set(ALONE)
