"""Which figures of the paper the notebooks make: their front matter names them, and the metadata of their cells describe them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from figures_pkg.workspace import read_front_matter, repository

CELL = re.compile(r"^```\{code-cell\}[^\n]*\n(?:---\n(.*?)^---\n)?(.*?)^```\s*$", re.DOTALL | re.MULTILINE)  # block of metadata, source
DRAWING = re.compile(r"^from (figures_pkg\.(?:plotting|chapters)[\w.]*) import ([^\n(]+|\([^)]*\))", re.MULTILINE)


class CatalogueError(ValueError):
    """The notebooks announce a figure in a way that leaves its passport unclear; the message says which and where."""


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

    def worded(self, data: str) -> "PaperFigure":
        """The figure with the words that it has in the book on ``data``."""
        if self.source(data) == "twin":
            return self
        return replace(self, caption=self.measured[0] or self.caption, alt=self.measured[1] or self.alt)


def paper_figures(folder: Path | None = None, data: str | None = None) -> dict[str, PaperFigure]:
    """
    All figures of the paper by id, in the order of its panels: those that a notebook's front matter lists under ``companion: figures``.

    With ``data``, ``"twin"`` or ``"zenodo"``, only those that the book on this source draws, in its words. :class:`CatalogueError` for an id that
    two notebooks announce, or one that no cell of its notebook has. ``folder`` has the text notebooks; by default the repository's.
    """
    announced: dict[str, PaperFigure] = {}
    for path in _notebooks(folder):
        for figure in _announced_in(path):
            if figure.id in announced:
                raise CatalogueError(f"two figures are called {figure.id!r}, in {announced[figure.id].chapter}.md and {path.name}; rename one")
            announced[figure.id] = figure
    if data is not None:
        announced = {name: figure.worded(data) for name, figure in announced.items() if figure.drawn(data)}
    return dict(sorted(announced.items(), key=lambda item: _place(item[1].panel)))


def figure_names(folder: Path | None = None) -> dict[str, str]:
    """Every figure with a name on the pages, of the paper or not: name -> chapter; raises :class:`CatalogueError` if two cells have one name."""
    chapters: dict[str, str] = {}
    for path in _notebooks(folder):
        for name, *_ in _named_cells(path.read_text(encoding="utf-8")):
            if name in chapters:
                raise CatalogueError(f"two figures are called {name!r}, in {chapters[name]}.md and {path.name}; rename one")
            chapters[name] = path.stem
    return chapters


def _notebooks(folder: Path | None) -> list[Path]:
    return sorted((folder or repository() / "notebooks").glob("*.md"))


def _named_cells(text: str) -> Iterator[tuple[str, dict, str]]:
    """Name of the figure, metadata and source of each code cell whose figure has a name."""
    for head, source in CELL.findall(text):
        metadata = yaml.safe_load(head) if "figure:" in head else None
        if name := ((metadata or {}).get("mystnb", {}).get("figure") or {}).get("name"):
            yield name, metadata, source


def _announced_in(path: Path) -> list[PaperFigure]:
    companion = read_front_matter(path).get("companion") or {}
    if "figures" not in companion:
        return []
    text = path.read_text(encoding="utf-8")
    cells = {name: (metadata, source) for name, metadata, source in _named_cells(text)}
    if missing := sorted(set(companion["figures"]) - set(cells)):
        raise CatalogueError(f"{path.name} announces the figure {missing[0]!r} under `companion: figures`, but no cell has this name in its metadata")
    drawers = _drawers(text, path.stem)
    return [_figure(name, panel, path.stem, *cells[name], drawers, companion.get("data", "")) for name, panel in companion["figures"].items()]


def _figure(name: str, panel: str, chapter: str, metadata: dict, source: str, drawers: dict[str, str], own_source: str) -> PaperFigure:
    shown, measured = metadata["mystnb"], metadata.get("measured", {})
    functions = tuple(sorted(drawers[word] for word in set(re.findall(r"\w+", source)) & set(drawers)))
    only = next((tag for tag in metadata.get("tags", []) if tag in ("truth", "measured")), "")
    caption, alt = shown["figure"].get("caption", ""), shown.get("image", {}).get("alt", "")
    return PaperFigure(name, panel, chapter, caption, alt, functions, own_source, only, (measured.get("caption", ""), measured.get("alt", "")))


def _drawers(text: str, chapter: str) -> dict[str, str]:
    """Functions that draw: imported from the plotting room or the chapter's own module, or defined in the notebook."""
    imported = {name: f"{module}.{name}" for module, names in DRAWING.findall(text) for name in re.findall(r"\b[a-z]\w*", names)}
    own = {name: f"{chapter}.md: {name}" for name in re.findall(r"^def (\w+)", text, re.MULTILINE)}
    return {name: origin for name, origin in (imported | own).items() if name not in ("stamp", "use_style")}


def _place(panel: str) -> tuple:
    """Sorts the paper's own figures before its supplement, by number and letter."""
    number = re.search(r"\d+", panel)
    return panel.startswith("Suppl"), int(number[0]) if number else 0, panel
