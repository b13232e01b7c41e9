"""The whole book as one PDF: the built pages gathered into one page for paper, printed by a Chromium without a window."""

from __future__ import annotations

import logging
import os
import posixpath
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import yaml
from bs4 import BeautifulSoup, Tag
from pypdf import PdfReader, PdfWriter

import figures_pkg
from figures_pkg.workspace import check_target, replacing

PDF = "_build/pdf/companion.pdf"  # in the book's folder
BROWSER_VARIABLE = "FIGURES_PKG_CHROMIUM"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
BROWSER_FILES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "C:/Program Files/Google/Chrome/Application/chrome.exe",
    "C:/Program Files (x86)/Microsoft/Edge/Application/msedge.exe",
)
BROWSER_OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--no-pdf-header-footer")
PATIENCE_S = 1200  # a whole book on a busy machine
log = logging.getLogger(__name__)
UNPRINTABLE = "script, button, iframe, a.headerlink, nav, .toctree-wrapper, .d-print-none, details.hide.above-input"
MATHJAX = "mathjax"  # in the address or the text of the scripts that set equations


def make_pdf(book: Path, target: Path, cover: list[str]) -> Path:
    """Write the built book, in ``_build/html`` of its folder, as one PDF, with the lines of a title page, the title first.

    It is printed twice: the first time to learn on which page each chapter begins, the second with these numbers in the contents.
    FileNotFoundError if the book is not built or no browser of the Chromium family is installed, RuntimeError if the browser fails.
    """
    html, target = book / "_build" / "html", check_target(target, ".pdf", overwrite=True)
    if not (html / "index.html").is_file():
        raise FileNotFoundError(f"{html} holds no built book; run `figures_pkg book` first")
    browser = find_browser()
    if not browser:
        raise FileNotFoundError(f"no PDF can be made: Chromium is not found. Install Chromium or Chrome (set {BROWSER_VARIABLE} to its program "
                                "when it is not on the PATH); the pages in _build/html need neither")  # fmt: skip
    chapters = chapters_of(html)
    with tempfile.TemporaryDirectory(prefix="figures_pkg-pdf-") as scratch:
        page, paper = Path(scratch) / "book.html", Path(scratch) / "book.pdf"
        log.info("printing %d chapters, twice", len(chapters))
        page.write_text(printed(html, cover), encoding="utf-8")
        begins = _begins(_print(browser, page, paper), chapters)
        page.write_text(printed(html, cover, begins), encoding="utf-8")
        if _begins(_print(browser, page, paper), chapters) != begins:
            raise RuntimeError("the chapters moved while the numbers were set; the table of contents would be wrong")
        writer, parents = PdfWriter(clone_from=paper), {"": None}
        writer.add_metadata({"/Title": cover[0]})
        for chapter in chapters:  # bookmarks
            number = begins[chapter.anchor] - 1
            if chapter.part not in parents:
                parents[chapter.part] = writer.add_outline_item(title=chapter.part, page_number=number)
            writer.add_outline_item(title=chapter.title, page_number=number, parent=parents[chapter.part])
        with replacing(target) as temporary:
            writer.write(temporary)
    return target


def cover_lines(book: Path, profile: str) -> list[str]:
    """Lines of the title page: the book's title, the paper, its address, version and profile."""
    title = yaml.safe_load((book / "_config.yml").read_text(encoding="utf-8"))["title"]
    return [title, "The executable companion of Ludacka et al., npj Computational Materials 10 (2024)", "doi.org/10.1038/s41524-024-01265-y",
            f"Version {figures_pkg.__version__}, built in the {profile} profile"]  # fmt: skip


def find_browser() -> str:
    """Path of a browser of the Chromium family, empty if there is none."""
    named = os.environ.get(BROWSER_VARIABLE)
    if named:
        return shutil.which(named) or ""
    return next(filter(None, map(shutil.which, BROWSERS + BROWSER_FILES)), "")


def _print(browser: str, page: Path, paper: Path) -> Path:
    """Let the browser load one page, wait for its equations, and print it."""
    paper.unlink(missing_ok=True)
    words = [browser, *BROWSER_OPTIONS, f"--user-data-dir={paper.parent / 'browser'}", "--virtual-time-budget=120000", f"--print-to-pdf={paper}"]
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


@dataclass(frozen=True)
class Chapter:
    """One page of the book, as the navigation lists it."""

    part: str  # caption of the part, empty before the first
    title: str
    page: str  # path below the HTML folder, such as "executed/fig-2.html"

    @property
    def anchor(self) -> str:
        """What stands before the page's own anchors, and the place where the chapter begins."""
        return self.page.removesuffix(".html").replace("/", "-")


def chapters_of(html: Path) -> list[Chapter]:
    """The pages of a built book in reading order, the landing page first."""
    soup = _soup(html / "index.html")
    heading = soup.select_one("article h1")
    if heading is None:
        raise ValueError("a page of the book has no heading; build the book before printing it")
    title = "".join(text for text in heading.find_all(string=True) if text.parent.name != "a" or text != "#").strip()  # without the sign that links to it
    found, part = [Chapter("", title, "index.html")], ""
    for tag in soup.select("nav.bd-links p.caption, nav.bd-links a.internal"):
        if tag.name == "p":
            part = tag.get_text(" ", strip=True)
            continue
        page = posixpath.normpath(unquote(urldefrag(tag["href"]).url or "index.html"))
        if (html / page).is_file() and page not in {chapter.page for chapter in found}:
            found.append(Chapter(part, tag.get_text(" ", strip=True), page))
    return found


def printed(html: Path, cover: list[str], pages: dict[str, int] | None = None) -> str:
    """One HTML document with a cover, a table of contents and every chapter; links between chapters stay links.

    Folded code is left out, and an interactive figure shows what it does without JavaScript. ``pages`` has the page number of each chapter by anchor.
    """
    html = html.resolve()
    chapters, part, head = chapters_of(html), "", []
    rows = [f'<div class="cover"><p class="title">{escape(cover[0])}</p>{"".join(f"<p>{escape(line)}</p>" for line in cover[1:])}</div>',
            '<div class="contents"><p class="title">Contents</p>']  # fmt: skip
    for chapter in chapters:
        if chapter.part != part:
            part = chapter.part
            rows.append(f'<p class="part">{escape(part)}</p>')
        number = (pages or {}).get(chapter.anchor, "000")
        rows.append(f'<p class="entry"><a href="#{chapter.anchor}">{escape(chapter.title)}</a><span>{number}</span></p>')
    for tag in _soup(html / "index.html").head.select("link[rel=stylesheet], script"):  # styles, and the script for equations
        if tag.name == "link" or MATHJAX in (tag.get("src", "") + tag.get_text()).lower():
            for name in {"href", "src"} & set(tag.attrs):
                tag[name] = (html / urlsplit(tag[name]).path).as_uri()
            head.append(str(tag))
    head.append(f"<style>{files(__package__).joinpath('printed.css').read_text(encoding='utf-8')}</style>")
    body = [*rows, "</div>", *(_article(html, chapter, chapters) for chapter in chapters)]
    return (f'<!DOCTYPE html><html lang="en" data-theme="light" data-mode="light"><head><meta charset="utf-8">'
            f"<title>{escape(cover[0])}</title>{''.join(head)}</head><body>{''.join(body)}</body></html>")  # fmt: skip


def _soup(path: Path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def _article(html: Path, chapter: Chapter, chapters: list[Chapter]) -> str:
    """The text of one page, with addresses that hold in the printed document."""
    article = _soup(html / chapter.page).select_one("article")
    for fallback in article.find_all("noscript"):  # shown in the place of the interactive figure around it
        fallback.name = "div"
        fallback["class"] = "fallback"
        around = fallback.parent
        if around.name != "article" and "section" not in (around.name, *around.get("class", [])):
            around.replace_with(fallback.extract())
    for tag in article.select(UNPRINTABLE):
        tag.decompose()
    for tag in article.find_all("details"):
        tag["open"] = ""
    known = {other.page: other.anchor for other in chapters}
    for tag in article.find_all(True):
        _move(tag, html, chapter, known)
    return f'<section class="chapter" id="{chapter.anchor}">{article.decode_contents()}</section>'


def _move(tag: Tag, html: Path, chapter: Chapter, known: dict[str, str]) -> None:
    """Make ids unique in the whole document, point links at them and pictures at their files."""
    if tag.get("id"):
        tag["id"] = f"{chapter.anchor}--{tag['id']}"
    folder = posixpath.dirname(chapter.page)
    if tag.name == "a" and tag.get("href"):
        address, fragment = urldefrag(tag["href"])
        if urlsplit(address).scheme or address.startswith("//"):
            return
        page = posixpath.normpath(posixpath.join(folder, unquote(address))) if address else chapter.page
        if page in known:
            tag["href"] = f"#{known[page]}--{fragment}" if fragment else f"#{known[page]}"
        else:
            del tag["href"]  # a file beside the pages, which paper has not
    for name in ("src", "data"):
        address = tag.get(name, "")
        if address and not urlsplit(address).scheme and tag.name in ("img", "object", "source"):
            tag[name] = Path(os.path.normpath(html / folder / unquote(urlsplit(address).path))).as_uri()
