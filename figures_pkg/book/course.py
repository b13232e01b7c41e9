"""The chapters as notebooks for a course: for students without the answers, for teachers with them, in one archive."""

from __future__ import annotations

import re
from pathlib import Path

import jupytext
import nbformat
import yaml

from figures_pkg.workspace import check_target

from .bundle import write_zip
from .chapters import CHAPTERS, chapter_path
from .conditional import for_source
from .launch import add_colab_cell, repository_url

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


def write_course(target: Path, toc: Path, profile: str = "smoke") -> Path:
    """
    Write the archive of a course.

    Parameters
    ----------
    target
        Ends in ``.zip``.
    toc
        The book's table of contents; chapters are numbered in its order.
    profile
        What the notebooks open unless they are told otherwise.

    Returns
    -------
    Path
        ``target``.
    """
    target = check_target(target, ".zip", overwrite=True)
    files, rows = {}, []
    for number, chapter in enumerate(chapters_in_order(toc), 1):
        name = f"{number:02d}-{chapter}.ipynb"
        teacher, student = course_notebook(chapter, profile), without_answers(course_notebook(chapter, profile))
        files |= {f"teacher/{name}": _text(teacher), f"student/{name}": _text(student)}
        rows.append(f"| `{name}` | {_title(teacher)} | `.venv/bin/python -m figures_pkg prepare {chapter} --profile {profile}` |")
    write_zip(target, files | {"README.md": README.format(rows="\n".join(rows))})
    return target


def chapters_in_order(toc: Path) -> list[str]:
    """Names of the notebooks that a table of contents lists, in its order; pages made from other pages are left out."""
    listed = [Path(file).name for file in _files(yaml.safe_load(Path(toc).read_text(encoding="utf-8"))) if file.startswith("executed/")]
    return [name for name in listed if name in CHAPTERS]


def _files(node) -> list[str]:
    """Values of every ``file:`` below a node, in order."""
    if isinstance(node, list):
        return [file for part in node for file in _files(part)]
    if not isinstance(node, dict):
        return []
    own = [node["file"]] if "file" in node else []
    return own + [file for part in node.values() for file in _files(part)]


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
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = _strip(cell.source.splitlines())
    return notebook


def _strip(lines: list[str]) -> str:
    """Text without the blocks that hold answers."""
    kept, fence = [], ""
    for line in lines:
        if fence:
            fence = "" if line.strip() == fence else fence
        elif opened := ANSWER.match(line):
            fence = opened[1]
            kept.append(YOURS)
        else:
            kept.append(line)
    if fence:
        raise ValueError(f"an answer opens with {fence} and never ends; close it with {fence} on a line of its own")
    return "\n".join(kept)


def _title(notebook: nbformat.NotebookNode) -> str:
    """The first heading."""
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    return re.search(r"^# (.+)$", text, re.MULTILINE)[1]


def _text(notebook: nbformat.NotebookNode) -> str:
    """A notebook as it is written to a file."""
    return nbformat.writes(nbformat.from_dict(notebook), version=4)
