"""Which figures of the paper the notebooks make: read from the text of the notebooks, without running them."""

import ast
import re
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from figures_pkg.workspace import repository

CELL = re.compile(r"^```\{code-cell\}[^\n]*\n(.*?)^```\s*$", re.DOTALL | re.MULTILINE)
OPTION = re.compile(r":[\w-]+: ")  # a line of metadata, where a cell has no block of it
DRAWS = "figures_pkg.plotting"


class CatalogueError(ValueError):
    """A notebook names or publishes a figure in a way that leaves its passport unclear; the message says which and where."""


@dataclass(frozen=True)
class PaperFigure:
    """A figure of the paper as its notebook announces it."""

    id: str  # name of the figure on the page, e.g. "fig-4cd"
    panel: str  # what the paper calls it, e.g. "Fig. 4c,d"
    chapter: str  # notebook without its suffix
    caption: str
    alt: str
    functions: tuple[str, ...]  # that draw it, with their modules
    own_source: str = ""  # "twin" where its chapter reads the twin in every book
    only: str = ""  # "truth" or "measured" where its cell exists for this kind of scan alone
    measured: tuple[str, str] = ("", "")  # caption and alt on a measured scan, where they differ

    def source(self, data: str) -> str:
        """The source that it is drawn from in the book on ``data``."""
        return self.own_source or data

    def drawn(self, data: str) -> bool:
        """Whether the book on ``data`` draws it."""
        return self.only != ("measured" if self.source(data) == "twin" else "truth")


    def worded(self, data: str | None) -> "PaperFigure":
        """The figure with the words that it has in the book on ``data``."""
        if data is None or self.source(data) == "twin":
            return self
        return replace(self, caption=self.measured[0] or self.caption, alt=self.measured[1] or self.alt)


def paper_figures(folder: Path | None = None, data: str | None = None) -> dict[str, PaperFigure]:
    """
    All figures of the paper: those whose cell calls ``publish``.

    Parameters
    ----------
    folder
        With the text notebooks; by default the repository's ``notebooks``.
    data
        ``"twin"`` or ``"zenodo"``: only those that the book on this source draws.

    Returns
    -------
    dict
        Id -> figure, in the order of the paper's panels.

    Raises
    ------
    CatalogueError
        For an id that two cells have, or a call of ``publish`` that does not fit the metadata of its cell.
    """
    found: dict[str, PaperFigure] = {}
    for path in _notebooks(folder):
        for figure in _published(path):
            if figure.id in found:
                raise CatalogueError(f"two figures are called {figure.id!r}, in {found[figure.id].chapter}.md and {path.name}; rename one")
            found[figure.id] = figure
    chosen = {name: figure.worded(data) for name, figure in found.items() if data is None or figure.drawn(data)}
    return dict(sorted(chosen.items(), key=lambda item: _place(item[1].panel)))


def figure_names(folder: Path | None = None) -> dict[str, str]:
    """
    Every figure with a name on the pages, of the paper or not.

    Returns
    -------
    dict
        Name -> chapter.

    Raises
    ------
    CatalogueError
        If two cells have one name.
    """
    found: dict[str, str] = {}
    for path in _notebooks(folder):
        for head, _ in _cells(path):
            name = head.get("mystnb", {}).get("figure", {}).get("name")
            if name in found:
                raise CatalogueError(f"two figures are called {name!r}, in {found[name]}.md and {path.name}; rename one")
            if name:
                found[name] = path.stem
    return found


def _notebooks(folder: Path | None) -> list[Path]:
    """The text notebooks in order of their names."""
    return sorted((folder or repository() / "notebooks").glob("*.md"))


def _cells(path: Path) -> list[tuple[dict, str]]:
    """Metadata and source of each code cell of a text notebook."""
    found = []
    for text in CELL.findall(path.read_text(encoding="utf-8")):
        head, source = text[4:].split("---\n", 1) if text.startswith("---\n") else ("", text)
        source = "\n".join(line for line in source.splitlines() if not OPTION.match(line))
        found.append((yaml.safe_load(head) or {}, source))
    return found


def _published(path: Path) -> list[PaperFigure]:
    """The figures of the paper in one notebook."""
    if "publish(" not in path.read_text(encoding="utf-8"):
        return []
    try:
        cells = [(head, _tree(source)) for head, source in _cells(path)]
    except SyntaxError as error:
        raise CatalogueError(f"{path.name}: a cell is no Python, line {error.lineno} of it reads {error.text!r} ({error.msg})") from error
    drawers, own = _drawers([tree for _, tree in cells], path.stem), _own_source(path)
    calls = [(head, tree, call) for head, tree in cells for call in _calls(tree, "publish")]
    return [_figure(path, head, tree, call, drawers, own) for head, tree, call in calls]


def _own_source(path: Path) -> str:
    """The source that a chapter names in its front matter, empty for one that follows the book."""
    text = path.read_text(encoding="utf-8")
    header = yaml.safe_load(text.split("---\n", 2)[1]) if text.startswith("---\n") else {}
    return (header.get("companion") or {}).get("data", "")


def _figure(path: Path, head: dict, tree: ast.AST, call: ast.Call, drawers: dict[str, str], own: str) -> PaperFigure:
    """One figure, from the metadata of its cell and its call of ``publish``."""
    shown = head.get("mystnb", {})
    told = {word.arg: word.value for word in call.keywords}
    constants = [node.value if isinstance(node, ast.Constant) else None for node in (*call.args[1:2], told.get("panel"))]
    name = shown.get("figure", {}).get("name")
    if len(constants) != 2 or not all(isinstance(text, str) for text in constants) or constants[0] != name:
        raise CatalogueError(f"{path.name}: {ast.unparse(call)[:80]} in the cell of the figure {name!r}; expected "
                             f"publish(figure, {name!r}, …, panel=\"Fig. …\") with both written out")  # fmt: skip
    caption, alt = shown["figure"].get("caption", ""), shown.get("image", {}).get("alt", "")
    only = next((tag for tag in head.get("tags", []) if tag in ("truth", "measured")), "")
    measured = tuple(head.get("measured", {}).get(word, "") for word in ("caption", "alt"))
    return PaperFigure(name, constants[1], path.stem, caption, alt, tuple(sorted(_used(tree, drawers))), own, only, measured)


def _tree(source: str) -> ast.AST:
    """Syntax tree of a cell; magics are left out."""
    return ast.parse("\n".join(line for line in source.splitlines() if not line.startswith(("%", "!"))))


def _drawers(trees: list[ast.AST], chapter: str) -> dict[str, str]:
    """Names in a notebook that draw: imports from the plotting room, and the notebook's own functions."""
    found = {}
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(DRAWS):
            drawn = [alias for alias in node.names if alias.name[0].islower() and alias.name not in ("stamp", "use_style")]
            found |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in drawn}
        elif isinstance(node, ast.FunctionDef):
            found[node.name] = f"{chapter}.md: {node.name}"
    return found


def _used(tree: ast.AST, drawers: dict[str, str]) -> set[str]:
    """Which of the drawing names a cell uses; of a module, the functions taken from it."""
    nodes = list(ast.walk(tree))
    parts = [node for node in nodes if isinstance(node, ast.Attribute) and getattr(node.value, "id", None) in drawers]
    modules = {node.value.id for node in parts}
    names = {node.id for node in nodes if isinstance(node, ast.Name)} & set(drawers) - modules
    return {drawers[name] for name in names} | {f"{drawers[node.value.id]}.{node.attr}" for node in parts}


def _calls(tree: ast.AST, name: str) -> list[ast.Call]:
    """Calls of a function by its bare name."""
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call) and getattr(node.func, "id", None) == name]


def _place(panel: str) -> tuple:
    """Sorts the paper's own figures before its supplement, by number and letter."""
    number = re.search(r"\d+", panel)
    return panel.startswith("Suppl"), int(number[0]) if number else 0, panel
