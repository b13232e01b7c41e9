"""The words of the book, without its code: what a reader reads on the pages, from the notebooks and the prose pages."""

import re
from dataclasses import dataclass, field
from pathlib import Path

import jupytext
import yaml

PROSE_DIRECTIVES = {"admonition", "dropdown", "note", "tip", "warning", "important", "figure", "grid", "grid-item-card", "glossary"}
FENCE = re.compile(r"^(?P<mark>`{3,}|:{3,})(?:\{(?P<name>[\w-]+)\}(?P<title>[^\n]*))?[^\n]*\n(?P<body>.*?)^(?P=mark)[ \t]*$", re.M | re.S)
IMAGE = re.compile(r"!\[(?P<alt>[^\]]*)\]\((?P<path>[^)]+)\)")
UNSEEN = [
    (re.compile(r"\$\$.*?\$\$(?: \([\w-]+\))?|\$[^$\n]+\$", re.S), " "),  # mathematics
    (re.compile(r"\{(?!term|numref)[\w:+-]+\}`[^`]*`"), " "),  # roles whose text is a target or a value
    (re.compile(r"\{[\w:+-]+\}`(?:([^<`]*) <)?([^`>]*)>?`"), r"\1 \2"),  # {term}`words` and {term}`words <target>`
    (re.compile(r"`[^`]*`"), " "),
    (re.compile(r"<https?:[^>]*>|\]\([^)]*\)|https?:\S+"), " "),  # addresses and targets of links
    (re.compile(r"^[ \t]*:[\w-]+:.*$", re.M), " "),  # options of a directive
    (re.compile(r"^\([\w-]+\)=$", re.M), " "),  # names of places
    (re.compile(r"<[^>\n]+>"), " "),
]


@dataclass(frozen=True)
class Page:
    """One page: its Markdown, and for a notebook the metadata of its code cells and their code."""

    name: str
    markdown: str
    cells: list[dict] = field(default_factory=list)
    code: str = ""

    @property
    def captions(self) -> list[str]:
        """Captions and alt texts of the figures that the cells draw."""
        shown = [cell.get("mystnb", {}) for cell in self.cells]
        texts = [part.get(key, "") for cell in shown for part, key in ((cell.get("figure", {}), "caption"), (cell.get("image", {}), "alt"))]
        return [text for text in texts if text]

    @property
    def words(self) -> str:
        """What is read: prose and captions, without code, mathematics, names of functions and targets of links."""
        return "\n\n".join(plain(text) for text in (self.markdown, *self.captions))


def plain(markdown: str) -> str:
    """Markdown without code; the bodies of admonitions and of other directives that hold prose stay."""
    text = markdown
    while True:
        stripped = FENCE.sub(_kept, text)
        if stripped == text:
            break
        text = stripped
    for pattern, put in UNSEEN:
        text = pattern.sub(put, text)
    return text


def _kept(match: re.Match) -> str:
    """What stays of a fenced block."""
    if match["name"] in PROSE_DIRECTIVES:
        return f"{match['title']}\n{match['body']}"
    return "\n"


def chapters(repository: Path) -> list[Page]:
    """All notebooks."""
    pages = []
    for path in sorted((repository / "notebooks").glob("*.md")):
        cells = jupytext.read(path).cells
        markdown = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
        code = [cell for cell in cells if cell.cell_type == "code"]
        metadata = [dict(cell.metadata) | {"source": cell.source} for cell in code]
        pages.append(Page(path.stem, markdown, metadata, "\n".join(cell.source for cell in code)))
    return pages


def prose_pages(repository: Path) -> list[Page]:
    """The pages that are no notebooks, with the list of differences and the README."""
    folder = repository / "book"
    found = [path for path in sorted(folder.rglob("*.md")) if not {"_build", "executed", "api"} & set(path.relative_to(folder).parts)]
    pages = [Page(path.stem, path.read_text(encoding="utf-8")) for path in (*found, repository / "README.md")]
    rows = yaml.safe_load((folder / "differences.yaml").read_text(encoding="utf-8"))["rows"]
    ours = "\n\n".join(f"{row['item']}\n{row['consequence']}\n{row['book']}" for row in rows)
    return [*pages, Page("differences.yaml", ours)]
