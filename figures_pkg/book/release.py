"""What others take away: the notebooks of a course, and a release of pages, notebooks and PDF with their checksums."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

import jupytext
import nbformat

import figures_pkg
from figures_pkg.provenance.figures import sha256
from figures_pkg.workspace import check_target, replacing

from .chapters import CHAPTERS, chapter_path
from .execute import for_source
from .render import add_colab_cell, repository_url

STEM = f"companion-{figures_pkg.__version__}"  # how the names of a release begin
DATE = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can hold
SUMS = "SHA256SUMS"
ANSWER = re.compile(r"^(`{3,}|:{3,})\{dropdown\}.*\banswers?\b", re.IGNORECASE)
YOURS = "**Your answer:**\n\n…"
README = """# Course: scanning electron diffraction of ferroelectric domains

One notebook a chapter, without outputs: `student/` has no answers to the exercises, `teacher/` has them. Set-up, once, in a
clone of the companion (Python 3.11 or newer):

    python -m venv .venv
    .venv/bin/python -m pip install -c constraints.txt -e '.[book,model]' jupyterlab

Before a chapter, make the simulated scans and trained networks that it reads; `smoke` is coarse and takes minutes, `laptop`
is what the book shows. The first code cell of a notebook says which of the two it opens.

| notebook | chapter | its data |
| --- | --- | --- |
{rows}

Then `.venv/bin/jupyter lab`, from any folder. With make: `make course` writes this archive again.
"""


def write_zip(path: Path, files: Mapping[str, str | Path]) -> Path:
    """Write an archive (name inside -> text, or the file to take in) whose bytes depend on names and contents only; one of before is replaced."""
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, DATE)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            content = files[name]
            archive.writestr(entry, content.read_bytes() if isinstance(content, Path) else content.encode())
    return path


def write_release(folder: Path, stem: str, book: Path, pdf: Path) -> list[Path]:
    """Gather pages, executed notebooks, the PDF and the checksums of all that lies in a folder; names begin with ``stem``, as "companion-0.1.0"."""
    parts = {"html": book / "_build" / "html", "notebooks": book / "executed"}
    missing = [path for path in (parts["html"] / "index.html", parts["notebooks"], pdf) if not path.exists()]
    if missing:
        raise FileNotFoundError(f"{missing[0]} is not there; run `figures_pkg book` and `figures_pkg pdf` before a release")
    for part, source in parts.items():
        inside = {f"{stem}-{part}/{path.relative_to(source).as_posix()}": path for path in source.rglob("*") if path.is_file()}
        write_zip(folder / f"{stem}-{part}.zip", inside)
    with replacing(folder / f"{stem}.pdf") as temporary:
        temporary.write_bytes(pdf.read_bytes())
    handed_out = sorted(path for path in folder.iterdir() if path.is_file() and path.name != SUMS)
    with replacing(folder / SUMS) as temporary:  # the list that `sha256sum --check` reads
        temporary.write_text("".join(f"{sha256(path)}  {path.name}\n" for path in handed_out), encoding="utf-8", newline="\n")
    return [*handed_out, folder / SUMS]


def write_course(target: Path, toc: Path, profile: str = "smoke") -> Path:
    """Write the archive of a course; chapters are numbered in the order of the table of contents, and open the scans of a profile."""
    target = check_target(target, ".zip", overwrite=True)
    files, rows = {}, []
    for number, chapter in enumerate(chapters_in_order(toc), 1):
        name = f"{number:02d}-{chapter}.ipynb"
        notebook = course_notebook(chapter, profile)
        title = re.search(r"^# (.+)$", "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown"), re.MULTILINE)[1]
        files[f"teacher/{name}"] = nbformat.writes(nbformat.from_dict(notebook), version=4)
        files[f"student/{name}"] = nbformat.writes(nbformat.from_dict(without_answers(notebook)), version=4)
        rows.append(f"| `{name}` | {title} | `.venv/bin/python -m figures_pkg prepare {chapter} --profile {profile}` |")
    write_zip(target, files | {"README.md": README.format(rows="\n".join(rows))})
    return target


def chapters_in_order(toc: Path) -> list[str]:
    """Names of the notebooks that a table of contents lists, in its order; pages made from other pages are left out."""
    listed = re.findall(r"\bfile: *executed/([\w-]+)", toc.read_text(encoding="utf-8"))
    return [name for name in listed if name in CHAPTERS]


def course_notebook(chapter: str, profile: str) -> nbformat.NotebookNode:
    """A chapter without outputs that opens the scans of a profile."""
    notebook = for_source(jupytext.read(chapter_path(chapter)), truth_known=True)
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"  # the same archive from the same text
        if "parameters" in cell.metadata.get("tags", []):
            cell.source = re.sub(r"""^profile = ["']\w+["']""", f'profile = "{profile}"', cell.source, flags=re.MULTILINE)
    if url := repository_url():
        add_colab_cell(notebook, chapter, url)
    return notebook


def without_answers(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The notebook with room for an answer wherever one was folded away."""
    for cell in (cell for cell in notebook.cells if cell.cell_type == "markdown"):
        kept, fence = [], ""
        for line in cell.source.splitlines():
            if fence:
                fence = "" if line.strip() == fence else fence
            elif opened := ANSWER.match(line):
                fence = opened[1]
                kept.append(YOURS)
            else:
                kept.append(line)
        if fence:
            raise ValueError(f"an answer opens with {fence} and never ends; close it with {fence} on a line of its own")
        cell.source = "\n".join(kept)
    return notebook
