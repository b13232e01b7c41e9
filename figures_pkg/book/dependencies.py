"""Which of our modules stand behind a notebook, so that a changed function makes the right pages stale."""

import ast
from functools import cache
from pathlib import Path

import jupytext

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "figures_pkg"


def modules_behind(module: str) -> list[str]:
    """
    Files of this package that importing ``module`` executes, itself included, as sorted relative paths.

    Parameters
    ----------
    module
        Dotted name, e.g. ``"figures_pkg.twin"``.
    """
    found: set[Path] = set()
    _follow(module, found)
    return sorted(path.relative_to(ROOT).as_posix() for path in found | _tables(found))


def modules_behind_notebook(path: str | Path) -> list[str]:
    """
    Files of this package that the code cells of a text notebook import, directly or through each other.

    Parameters
    ----------
    path
        A notebook that jupytext can read.
    """
    notebook = jupytext.read(ROOT / path)
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    tree = ast.parse("\n".join(line for line in code.splitlines() if not line.lstrip().startswith(("%", "!"))))
    found: set[Path] = set()
    for name in _imported(tree, PACKAGE):
        _follow(name, found)
    return sorted(path.relative_to(ROOT).as_posix() for path in found | _tables(found))


def _follow(module: str, found: set[Path]) -> None:
    """Add the file of a module, its parents' files and everything that they import."""
    parts = module.split(".")
    for depth in range(1, len(parts) + 1):
        path = _file(tuple(parts[:depth]))
        if path is None or path in found:
            continue
        found.add(path)
        package = parts[:depth] if path.name == "__init__.py" else parts[: depth - 1]
        for name in _imported_by(path, ".".join(package)):
            _follow(name, found)


@cache
def _imported_by(path: Path, package: str) -> frozenset[str]:
    """Dotted names in this package that a module imports; read once in a process, since many chapters stand on the same modules."""
    return frozenset(_imported(ast.parse(path.read_text(encoding="utf-8")), package))


@cache
def _file(parts: tuple[str, ...]) -> Path | None:
    """The file of a dotted name, or None where the name is an attribute of a module."""
    base = ROOT.joinpath(*parts)
    for path in (base / "__init__.py", base.with_suffix(".py")):
        if path.is_file():
            return path
    return None


def _imported(tree: ast.AST, package: str) -> set[str]:
    """Dotted names in this package that a syntax tree imports; ``from a import b`` yields ``a.b``."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            start = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join(start + ([node.module] if node.module else []))
            names |= {f"{base}.{alias.name}" for alias in node.names}
    return {name for name in names if name.split(".")[0] == PACKAGE}


def _tables(found: set[Path]) -> set[Path]:
    """Data files that lie in the same rooms as the modules: presets, tables and page templates count as code."""
    rooms = {module.parent for module in found if module.parent.name != PACKAGE}
    return {path for room in rooms for path in _tables_in(room)}


@cache
def _tables_in(room: Path) -> list[Path]:
    """Data files of one room and the rooms below it."""
    return [path for path in room.rglob("*") if path.suffix in {".yaml", ".csv", ".html", ".js", ".css"}]
