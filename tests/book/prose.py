"""The pages of the book as text: the notebooks and the prose pages."""

import re
from dataclasses import dataclass, field
from pathlib import Path

import jupytext
import yaml

IMAGE = re.compile(r"!\[(?P<alt>[^\]]*)\]\((?P<path>[^)]+)\)")


@dataclass(frozen=True)
class Page:
    """One page: its Markdown, and for a notebook the metadata of its code cells and their code."""

    name: str
    markdown: str
    cells: list[dict] = field(default_factory=list)
    code: str = ""


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
