"""The built pages gathered into one page for paper: what needs a reader's hand is replaced by what can be printed."""

from __future__ import annotations

import os
import posixpath
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

from bs4 import BeautifulSoup, Tag

UNPRINTABLE = "script, button, iframe, a.headerlink, nav, .toctree-wrapper, .d-print-none, details.hide.above-input"
MATHJAX = "mathjax"  # in the address or the text of the scripts that set equations


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
    """
    The pages of a built book in reading order, the landing page first.

    Parameters
    ----------
    html
        The folder with ``index.html``.
    """
    soup = _soup(Path(html) / "index.html")
    found, part = [Chapter("", _heading(soup), "index.html")], ""
    for tag in soup.select("nav.bd-links p.caption, nav.bd-links a.internal"):
        if tag.name == "p":
            part = tag.get_text(" ", strip=True)
            continue
        page = posixpath.normpath(unquote(urldefrag(tag["href"]).url or "index.html"))
        if (Path(html) / page).is_file() and page not in {chapter.page for chapter in found}:
            found.append(Chapter(part, tag.get_text(" ", strip=True), page))
    return found


def printed(html: Path, cover: list[str], pages: dict[str, int] | None = None) -> str:
    """
    One HTML document with a cover, a table of contents and every chapter; links between chapters stay links.

    Parameters
    ----------
    html
        The folder of the built book; pictures, styles and the script for equations are taken from there.
    cover
        Lines of the title page, the title first.
    pages
        Anchor of a chapter -> page number; without it the table of contents has room for the numbers.

    Returns
    -------
    str
        The document. Cells whose code is folded away on the page show their outputs only, and an interactive figure what
        its page shows without JavaScript.
    """
    html = Path(html).resolve()
    chapters = chapters_of(html)
    body = [_cover(cover), _contents(chapters, pages or {}), *(_article(html, chapter, chapters) for chapter in chapters)]
    return (f'<!DOCTYPE html><html lang="en" data-theme="light" data-mode="light"><head><meta charset="utf-8">'
            f"<title>{escape(cover[0])}</title>{_head(html)}</head><body>{''.join(body)}</body></html>")


def _soup(path: Path) -> BeautifulSoup:
    """A page of the book, parsed."""
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def _heading(soup: BeautifulSoup) -> str:
    """The first heading of a page, without the sign that links to it."""
    heading = soup.select_one("article h1")
    if heading is None:
        raise ValueError("a page of the book has no heading; build the book before printing it")
    return "".join(text for text in heading.find_all(string=True) if text.parent.name != "a" or text != "#").strip()


def _head(html: Path) -> str:
    """Styles of the book and the script for equations, from the landing page and ours after them."""
    kept = []
    for tag in _soup(html / "index.html").head.select("link[rel=stylesheet], script"):
        if tag.name == "script" and MATHJAX not in (tag.get("src", "") + tag.get_text()).lower():
            continue
        for name in {"href", "src"} & set(tag.attrs):
            tag[name] = (html / urlsplit(tag[name]).path).as_uri()
        kept.append(str(tag))
    return "".join(kept) + f"<style>{files(__package__).joinpath('printed.css').read_text(encoding='utf-8')}</style>"


def _cover(lines: list[str]) -> str:
    """The title page."""
    return f'<div class="cover"><p class="title">{escape(lines[0])}</p>{"".join(f"<p>{escape(line)}</p>" for line in lines[1:])}</div>'


def _contents(chapters: list[Chapter], pages: dict[str, int]) -> str:
    """The table of contents, by parts."""
    rows, part = [], ""
    for chapter in chapters:
        if chapter.part != part:
            part = chapter.part
            rows.append(f'<p class="part">{escape(part)}</p>')
        number = pages.get(chapter.anchor, "000")
        rows.append(f'<p class="entry"><a href="#{chapter.anchor}">{escape(chapter.title)}</a><span>{number}</span></p>')
    return f'<div class="contents"><p class="title">Contents</p>{"".join(rows)}</div>'


def _article(html: Path, chapter: Chapter, chapters: list[Chapter]) -> str:
    """The text of one page, with addresses that hold in the printed document."""
    article = _soup(html / chapter.page).select_one("article")
    for fallback in article.find_all("noscript"):
        _show_fallback(fallback)
    for tag in article.select(UNPRINTABLE):
        tag.decompose()
    for tag in article.find_all("details"):
        tag["open"] = ""
    known = {other.page: other for other in chapters}
    for tag in article.find_all(True):
        _move(tag, html, chapter, known)
    return f'<section class="chapter" id="{chapter.anchor}">{article.decode_contents()}</section>'


def _show_fallback(fallback: Tag) -> None:
    """Put what is shown without JavaScript in the place of the interactive figure around it."""
    fallback.name = "div"
    fallback["class"] = "fallback"
    around = fallback.parent
    if around.name != "article" and "section" not in (around.name, *around.get("class", [])):
        around.replace_with(fallback.extract())


def _move(tag: Tag, html: Path, chapter: Chapter, known: dict[str, Chapter]) -> None:
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
            tag["href"] = f"#{known[page].anchor}--{fragment}" if fragment else f"#{known[page].anchor}"
        else:
            del tag["href"]  # a file beside the pages, which paper has not
    for name in ("src", "data"):
        address = tag.get(name, "")
        if address and not urlsplit(address).scheme and tag.name in ("img", "object", "source"):
            tag[name] = Path(os.path.normpath(html / folder / unquote(urlsplit(address).path))).as_uri()
