"""Render the executed notebooks and the prose into HTML that needs no other host."""

import base64
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
import yaml

from .execute import FailedCell
from .launch import add_colab_cell, repository_url
from .lighten import keep_shown_icons, shorten_paths

# Attributes through which a page makes the browser fetch something by itself; <a href> is a link and may lead anywhere.
FETCHED = re.compile(
    r"""<(?:script|img|iframe|source|audio|video|embed|object)\b[^>]*?\b(?:src|data|srcset)\s*=\s*["']?((?:https?:)?//[^"'\s>]+)"""
    r"""|<link\b(?=[^>]*\brel=["']?(?:stylesheet|preload|icon|shortcut icon|modulepreload|preconnect)\b)[^>]*?\bhref\s*=\s*["']?((?:https?:)?//[^"'\s>]+)"""
    r"""|(?:@import\s+|url\()\s*["']?((?:https?:)?//[^"')\s]+)"""
    r"""|\bimport\s*\(?\s*["']((?:https?:)?//[^"']+)""",
    re.IGNORECASE,
)

SVG = "image/svg+xml"
LANDING = "fig-5cd"  # the figure on the first page, drawn by the chapter that this run executed


class ForeignHost(RuntimeError):
    """A built page would ask another host for something when it is opened."""


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
    """The book's configuration, empty if it has none."""
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


def foreign_requests(text: str) -> list[str]:
    """Addresses on other hosts that a page or a style sheet fetches by itself."""
    return [next(filter(None, match.groups())) for match in FETCHED.finditer(text)]


def refuse_foreign_hosts(html: Path) -> None:
    """Raise if any page or style sheet below a folder fetches from another host."""
    found = {
        f"{path.relative_to(html)}: {address}"
        for path in [*html.rglob("*.html"), *html.rglob("*.css")]
        for address in foreign_requests(path.read_text(encoding="utf-8"))
    }
    if found:
        raise ForeignHost("these pages ask another host when they are opened; vendor what they need:\n" + "\n".join(sorted(found)))
