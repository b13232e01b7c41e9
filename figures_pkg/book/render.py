"""Render the executed notebooks and the prose into HTML that needs no other host and weighs little."""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
import yaml

from figures_pkg.workspace import artefact_path, replacing

from .chapters import CHAPTERS, front_matter
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
FOLDER = "_static"  # in the built pages; a chapter reaches it as ../_static


def render(book: Path, notebooks: list[Path], prepare: Callable[[Path], None] | None = None, notice: str = "") -> Path:
    """
    Stage executed notebooks into the book and build its HTML from clean, with warnings as errors.

    Parameters
    ----------
    book
        The folder with ``_config.yml`` and ``_toc.yml``.
    notebooks
        Executed ``.ipynb`` files; they are copied to ``book/executed``.
    prepare
        Is given that folder before the pages are built, to add what only the time of rendering knows.
    notice
        A line above the text of every page.

    Returns
    -------
    Path
        The built ``index.html``.

    Raises
    ------
    RuntimeError
        If Jupyter Book reports an error or a warning.
    FailedCell
        If a notebook holds the output of a failed cell.
    ForeignHost
        If a page fetches from another host when it is opened.
    """
    stage(book, notebooks)
    if prepare is not None:
        prepare(book / "executed")
    shutil.rmtree(book / "_build", ignore_errors=True)
    words = ["build", str(book), "--config", str(_configuration(book, notice)), "-n", "-W", "--keep-going", "--all"]
    done = subprocess.run([sys.executable, "-c", "from jupyter_book.cli.main import main; main()", *words])
    index = book / "_build" / "html" / "index.html"
    if done.returncode or not index.is_file():
        raise RuntimeError(f"Jupyter Book did not build {book}: it ended with status {done.returncode}; its messages above say why")
    refuse_foreign_hosts(index.parent)
    keep_shown_icons(index.parent)
    return index


def stage(book: Path, notebooks: list[Path]) -> None:
    """Make ``book/executed`` hold exactly these notebooks, ready to be downloaded, and the picture of the first page."""
    for path in notebooks:
        refuse_failed_cells(path)
    folder = book / "executed"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    url = repository_url(_settings(book).get("repository", {}).get("url", ""))
    for path in notebooks:
        nbformat.write(_staged(path, url), folder / path.name)
        if picture := picture_of(path, LANDING):
            (folder / f"{LANDING}.png").write_bytes(picture)


def picture_of(notebook: Path, name: str) -> bytes | None:
    """PNG that the cell with the figure of this name drew, or None where a notebook has no such figure."""
    for cell in nbformat.read(notebook, as_version=4).cells:
        if cell.metadata.get("mystnb", {}).get("figure", {}).get("name") != name:
            continue
        drawn = [output.data["image/png"] for output in cell.outputs if "image/png" in output.get("data", {})]
        return base64.b64decode(drawn[-1]) if drawn else None
    return None


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


def _staged(path: Path, url: str) -> nbformat.NotebookNode:
    """One executed notebook with lighter drawings, and with a cell for Colab where the repository is known."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            drawing = output.get("data", {}).get(SVG)
            if drawing:
                output["data"][SVG] = shorten_paths(drawing)
    if url:
        add_colab_cell(notebook, path.stem, url)
    return notebook


def refuse_failed_cells(path: Path) -> None:
    """Raise if an executed notebook holds an error output or a code cell that never ran."""
    for number, cell in enumerate(nbformat.read(path, as_version=4).cells):
        if cell.cell_type != "code" or not cell.source.strip():
            continue
        if cell.execution_count is None or any(output.output_type == "error" for output in cell.outputs):
            raise FailedCell(f"{path}, cell {number} failed or never ran; execute the notebook again before rendering")


def keep_shown_icons(html: Path) -> int:
    """Take every icon that neither a page nor a script names out of the theme's script; returns the bytes saved on every page."""
    script = Path(html) / ICONS
    if not script.is_file():
        return 0
    readers = [path for path in Path(html).rglob("*") if path.suffix in (".html", ".js") and path != script]
    shown = {name for path in readers for name in SHOWN.findall(path.read_text(encoding="utf-8"))}
    before = script.read_text(encoding="utf-8")
    after = ICON.sub(lambda icon: icon[0] if {icon[2], *re.findall(r"[\w-]+", icon[3])} & shown else "", before)
    with replacing(script) as temporary:
        temporary.write_text(after, encoding="utf-8", newline="\n")
    return len(before) - len(after)


def shorten_paths(svg: str) -> str:
    """
    Round the coordinates of a drawing's paths to a hundredth of their unit, a point as a rule.

    Examples
    --------
    >>> shorten_paths('<path d="M 1.23456 -0.001234 L 2.5 3"/>')
    '<path d="M 1.23 0 L 2.5 3"/>'
    """
    return PATH.sub(lambda path: LONG.sub(_rounded, path[0]), svg)


def _rounded(number: re.Match) -> str:
    text = f"{float(number[0]):.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def shipped_files(data: str, profile: str) -> dict[str, Path]:
    """
    What the chapters name in their front matter under ``companion: ships``, by the place that it gets in the built pages.

    What a chapter ships must be among its artefacts, so that it is made first.

    Examples
    --------
    >>> [name for name in shipped_files("twin", "smoke")]
    ['_static/explorer/ds1.js']
    """
    found = {}
    for chapter in CHAPTERS:
        wanted = front_matter(chapter).get("companion", {})
        for name in wanted.get("ships", []):
            if name not in wanted.get("artefacts", []):
                raise ValueError(f"chapter {chapter!r} ships {name!r}, which is not among its artefacts; name it there, so that it is made")
            found[f"{FOLDER}/{name}"] = artefact_path(name, wanted.get("data", data), profile)
    return found


def ship(html: Path, files: dict[str, Path]) -> None:
    """Copy files to their places in the built pages; FileNotFoundError if one was not made, since a page would offer what is not there."""
    for place, path in files.items():
        if not path.is_file():
            raise FileNotFoundError(f"{path} is to lie at {place} beside the pages, but was not made; `make book` makes it")
        (html / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, html / place)
