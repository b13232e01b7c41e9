"""Render the executed notebooks and the prose into HTML that needs no other host and weighs little."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
import yaml

from figures_pkg.workspace import artefact_path, replacing

from .chapters import CHAPTERS, companion
from .execute import FailedCell
from .pages import refuse_foreign_hosts
from .theme import add_colab_cell, repository_url

SVG = "image/svg+xml"
LANDING = "fig-5cd"  # the figure on the first page, drawn by the chapter that this run executed
ICONS = "_static/scripts/fontawesome.js"
# name: [width, height, [other names], "code", "path"] as the theme's script lists its two thousand icons
ICON = re.compile(r'("?)([\w-]+)\1:\[\d+,\d+,\[([^\]]*)\],"[0-9a-f]+",(?:"[^"]*"|\["[^"]*","[^"]*"\])\],?')
SHOWN = re.compile(r"\bfa-([a-z0-9-]+)")
PATH = re.compile(r'(?<= d=")[^"]*(?=")')
LONG = re.compile(r"-?\d+\.\d{3,}")
FRAME = re.compile(r'^ *"?(?:#+ .*|\([\w-]+\)=.*|"?name": .*|name: .*|:name: .*)$', re.MULTILINE)  # headings and labels, in Markdown and in a notebook's JSON
SHARED = ("_toc.yml", "references.bib", "glossary.md")  # of the book; all pages cite entries and link terms


def render(book: Path, notebooks: list[Path], prepare: Callable[[Path], None], notice: str, clean: bool = False) -> Path:
    """
    Stage executed notebooks into ``book/executed`` and build the book's HTML, with warnings as errors; returns ``index.html``.

    After a build without errors, only pages whose files have changed are rendered again, as long as the frame around them is the same: configuration,
    contents, bibliography, glossary, names of pages, headings, labels and the code that renders. ``clean`` renders every page.

    ``prepare`` is given that folder before, to add what only the time of rendering knows; ``notice`` is a line above the text of every page.
    An error or warning of Jupyter Book, a failed cell, and a page that fetches from another host each raise.
    """
    staged, stamp = book / "executed", book / "_build" / "frame.sha256"
    before = _contents(staged)
    stage(book, notebooks)
    prepare(staged)
    configuration = _configuration(book, notice)
    for path, (digest, _) in _contents(staged).items():  # Sphinx takes a file of before for unchanged
        if path in before and before[path][0] == digest:
            os.utime(path, ns=(before[path][1], before[path][1]))
    frame = _frame(book, configuration)
    if clean or not stamp.is_file() or stamp.read_text() != frame:
        shutil.rmtree(book / "_build", ignore_errors=True)
    shutil.rmtree(book / "_build" / "pdf", ignore_errors=True)  # of other pages
    stamp.unlink(missing_ok=True)
    words = ["build", str(book), "--config", str(configuration), "-n", "-W", "--keep-going"]
    done = subprocess.run([sys.executable, "-c", "from jupyter_book.cli.main import main; main()", *words])
    index = book / "_build" / "html" / "index.html"
    if done.returncode or not index.is_file():
        raise RuntimeError(f"Jupyter Book did not build {book}: it ended with status {done.returncode}; its messages above say why")
    refuse_foreign_hosts(index.parent)
    keep_shown_icons(index.parent)
    stamp.write_text(frame)
    return index


def _contents(folder: Path) -> dict[Path, tuple[str, int]]:
    """SHA-256 and time of change of the files below a folder."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path: (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns) for path in files}


def _frame(book: Path, configuration: Path) -> str:
    """SHA-256 of what the pages show of each other or share, and of the code that renders them."""
    frame = hashlib.sha256(repr((configuration.read_text(encoding="utf-8"), repository_url())).encode())
    for path in [*(book / name for name in SHARED), *sorted(Path(__file__).parent.glob("*.py")), *sorted((book / "_static").rglob("*"))]:
        frame.update(path.read_bytes() if path.is_file() else b"")
    for path in sorted({*book.glob("*.md"), *book.glob("api/*.md"), *book.glob("executed/*.md"), *book.glob("executed/*.ipynb")}):
        frame.update(repr((path.name, FRAME.findall(path.read_text(encoding="utf-8")))).encode())
    return frame.hexdigest()


def stage(book: Path, notebooks: list[Path]) -> None:
    """
    Make ``book/executed`` hold exactly these notebooks, ready to be downloaded, and the picture of the first page.

    Drawings get lighter, and where the repository is known each notebook a cell for Colab. One that failed or never ran is refused first.
    """
    read = {path: nbformat.read(path, as_version=4) for path in notebooks}
    for path, notebook in read.items():
        _refuse_failed_cells(path, notebook)
    folder = book / "executed"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    url = repository_url(_settings(book).get("repository", {}).get("url", ""))
    for path, notebook in read.items():
        for cell in notebook.cells:
            drawn = [output["data"] for output in cell.get("outputs", []) if "data" in output]
            pictures = [data["image/png"] for data in drawn if "image/png" in data]
            if pictures and cell.metadata.get("mystnb", {}).get("figure", {}).get("name") == LANDING:
                (folder / f"{LANDING}.png").write_bytes(base64.b64decode(pictures[-1]))
            for data in (data for data in drawn if SVG in data):
                data[SVG] = shorten_paths(data[SVG])
        if url:
            add_colab_cell(notebook, path.stem, url)
        nbformat.write(notebook, folder / path.name)


def _refuse_failed_cells(path: Path, notebook: nbformat.NotebookNode) -> None:
    """Raise if an executed notebook holds an error output or a code cell that never ran."""
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type != "code" or not cell.source.strip():
            continue
        if cell.execution_count is None or any(output.output_type == "error" for output in cell.outputs):
            raise FailedCell(f"{path}, cell {number} failed or never ran; execute the notebook again before rendering")


def _settings(book: Path) -> dict:
    path = book / "_config.yml"
    return yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _configuration(book: Path, notice: str) -> Path:
    """The book's configuration file, or beside the staged notebooks a copy that puts a line above every page."""
    if not notice:
        return book / "_config.yml"
    settings, path = _settings(book), book / "executed" / "_config.yml"
    theme = settings.setdefault("sphinx", {}).setdefault("config", {}).setdefault("html_theme_options", {})
    theme["announcement"] = notice  # here, since these options take the place of those under `html`
    path.write_text(yaml.safe_dump(settings, allow_unicode=True), encoding="utf-8")
    return path


def keep_shown_icons(html: Path) -> None:
    """Take every icon that neither a page nor a script names out of the theme's script, which every page loads."""
    script = html / ICONS
    if not script.is_file():
        return
    readers = [path for path in html.rglob("*") if path.suffix in (".html", ".js") and path != script]
    shown = {name for path in readers for name in SHOWN.findall(path.read_text(encoding="utf-8"))}
    after = ICON.sub(lambda icon: icon[0] if {icon[2], *re.findall(r"[\w-]+", icon[3])} & shown else "", script.read_text(encoding="utf-8"))
    with replacing(script) as temporary:
        temporary.write_text(after, encoding="utf-8", newline="\n")


def shorten_paths(svg: str) -> str:
    """Round the coordinates of a drawing's paths to a hundredth of their unit, a point as a rule."""
    return PATH.sub(lambda path: LONG.sub(_rounded, path[0]), svg)


def _rounded(number: re.Match) -> str:
    text = f"{float(number[0]):.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def shipped_files(data: str, profile: str) -> dict[str, Path]:
    """
    What the chapters name in their front matter under ``companion: ships``, by the place that it gets in the built pages.

    What a chapter ships must be among its artefacts, so that it is made first.
    """
    found = {}
    for chapter in CHAPTERS:
        wanted = companion(chapter)
        for name in wanted.get("ships", []):
            if name not in wanted.get("artefacts", []):
                raise ValueError(f"chapter {chapter!r} ships {name!r}, which is not among its artefacts; name it there, so that it is made")
            found[f"_static/{name}"] = artefact_path(name, wanted.get("data", data), profile)
    return found


def ship(html: Path, files: dict[str, Path]) -> None:
    """Copy files to their places in the built pages; FileNotFoundError if one was not made, since a page would offer what is not there."""
    for place, path in files.items():
        if not path.is_file():
            raise FileNotFoundError(f"{path} is to lie at {place} beside the pages, but was not made; `make book` makes it")
        (html / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, html / place)
