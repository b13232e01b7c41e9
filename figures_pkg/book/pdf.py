"""The whole book as one PDF: by TeX where it is installed, otherwise printed by a Chromium without a window."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from pypdf import PdfReader, PdfWriter

from figures_pkg.workspace import check_target, replacing

from .printed import Chapter, chapters_of, printed

ENGINES = ("auto", "tex", "chromium")
BROWSER_VARIABLE = "FIGURES_PKG_CHROMIUM"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
BROWSER_FILES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "C:/Program Files/Google/Chrome/Application/chrome.exe",
    "C:/Program Files (x86)/Microsoft/Edge/Application/msedge.exe",
)
QUIET = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--no-pdf-header-footer")
PATIENCE_S = 1200  # a whole book on a busy machine
log = logging.getLogger(__name__)


def make_pdf(book: Path, target: Path, cover: list[str], engine: str = "auto") -> Path:
    """
    Write the built book as one PDF.

    Parameters
    ----------
    book
        The folder with ``_config.yml``, the staged notebooks and the built pages in ``_build/html``.
    target
        Ends in ``.pdf``.
    cover
        Lines of the title page, the title first; TeX makes its own.
    engine
        ``"tex"`` needs latexmk and xelatex, ``"chromium"`` a browser of that family; ``"auto"`` takes TeX if it is there.

    Raises
    ------
    ValueError
        For an unknown engine.
    FileNotFoundError
        If the book is not built, or the engine asked for is not installed.
    RuntimeError
        If the engine fails.
    """
    book, target = Path(book), check_target(target, ".pdf", overwrite=True)
    html = book / "_build" / "html"
    if not (html / "index.html").is_file():
        raise FileNotFoundError(f"{html} holds no built book; run `figures_pkg book` first")
    chosen, browser = choose_engine(engine)
    if chosen == "tex":
        return _typeset(book, target)
    with tempfile.TemporaryDirectory(prefix="figures_pkg-pdf-") as scratch:
        _print_book(browser, html, target, cover, Path(scratch))
    return target


def choose_engine(engine: str) -> tuple[str, str]:
    """The engine to use, ``"tex"`` or ``"chromium"``, and the path of the browser (empty for TeX)."""
    if engine not in ENGINES:
        raise ValueError(f"engine is {engine!r}; it must be one of {', '.join(ENGINES)}")
    if engine != "chromium" and shutil.which("latexmk") and shutil.which("xelatex"):
        return "tex", ""
    browser = find_browser() if engine != "tex" else ""
    if not browser:
        missing = {"tex": "latexmk and xelatex are", "chromium": "Chromium is", "auto": "neither TeX (latexmk, xelatex) nor Chromium is"}
        raise FileNotFoundError(
            f"no PDF can be made: {missing[engine]} not found. Install TeX Live with latexmk, or Chromium or Chrome "
            f"(set {BROWSER_VARIABLE} to its program when it is not on the PATH); the pages in _build/html need neither"
        )
    return "chromium", browser


def find_browser() -> str:
    """Path of a browser of the Chromium family, empty if there is none."""
    named = os.environ.get(BROWSER_VARIABLE)
    if named:
        return shutil.which(named) or ""
    return next(filter(None, map(shutil.which, BROWSERS + BROWSER_FILES)), "")


def _typeset(book: Path, target: Path) -> Path:
    """Have Jupyter Book write TeX and run it."""
    shutil.rmtree(book / "_build" / "latex", ignore_errors=True)
    words = ["build", str(book), "--builder", "pdflatex", "--all"]
    done = subprocess.run([sys.executable, "-c", "from jupyter_book.cli.main import main; main()", *words])
    made = sorted((book / "_build" / "latex").glob("*.pdf"))
    if done.returncode or not made:
        raise RuntimeError(f"TeX did not typeset {book}; its messages above say why, and `--engine chromium` prints the pages instead")
    with replacing(target) as temporary:
        shutil.copyfile(made[0], temporary)
    return target


def _print_book(browser: str, html: Path, target: Path, cover: list[str], scratch: Path) -> None:
    """Print twice: the first time to learn on which page each chapter begins, the second with these numbers in the contents."""
    chapters, page, paper = chapters_of(html), scratch / "book.html", scratch / "book.pdf"
    page.write_text(printed(html, cover), encoding="utf-8")
    log.info("printing %d chapters, twice", len(chapters))
    begins = _begins(_print(browser, page, paper), chapters)
    page.write_text(printed(html, cover, begins), encoding="utf-8")
    if _begins(_print(browser, page, paper), chapters) != begins:
        raise RuntimeError("the chapters moved while the numbers were set; the table of contents would be wrong")
    with replacing(target) as temporary:
        _with_outline(paper, chapters, begins, cover[0]).write(temporary)


def _print(browser: str, page: Path, paper: Path) -> Path:
    """Let the browser load one page, wait for its equations, and print it."""
    paper.unlink(missing_ok=True)
    words = [browser, *QUIET, f"--user-data-dir={paper.parent / 'browser'}", "--virtual-time-budget=120000", f"--print-to-pdf={paper}"]
    done = subprocess.run([*words, page.as_uri()], capture_output=True, text=True, errors="replace", timeout=PATIENCE_S)
    if done.returncode or not paper.is_file():
        raise RuntimeError(f"{browser} did not print the book (status {done.returncode}): {done.stderr.strip()[-500:]}")
    return paper


def _begins(paper: Path, chapters: list[Chapter]) -> dict[str, int]:
    """Anchor -> number of the page on which a chapter begins, from 1."""
    reader = PdfReader(paper)
    places = {name.lstrip("/"): place for name, place in reader.named_destinations.items()}
    missing = [chapter.title for chapter in chapters if chapter.anchor not in places]
    if missing:
        raise RuntimeError(f"the printed book lacks {', '.join(missing)}; {len(reader.pages)} pages were printed")
    return {chapter.anchor: reader.get_destination_page_number(places[chapter.anchor]) + 1 for chapter in chapters}


def _with_outline(paper: Path, chapters: list[Chapter], begins: dict[str, int], title: str) -> PdfWriter:
    """The printed pages with a bookmark for each part and chapter."""
    writer, parents = PdfWriter(clone_from=paper), {"": None}
    writer.add_metadata({"/Title": title})
    for chapter in chapters:
        page = begins[chapter.anchor] - 1
        if chapter.part not in parents:
            parents[chapter.part] = writer.add_outline_item(title=chapter.part, page_number=page)
        writer.add_outline_item(title=chapter.title, page_number=page, parent=parents[chapter.part])
    return writer
