"""What can be wrong with a folder of built pages: links to nowhere, pages that nothing leads to, pages that weigh too much."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

FETCHES = {"img": ("src",), "script": ("src",), "source": ("src",), "object": ("data",), "iframe": ("src",), "link": ("href",)}
FETCHED_LINKS = {"stylesheet", "icon", "shortcut", "preload"}
GENERATED = {"genindex.html", "search.html", "py-modindex.html"}  # reached through the theme's own buttons, or not at all


@dataclass
class Page:
    """One HTML file: where it can be linked to, where it leads, and what a browser loads with it."""

    anchors: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    data_bytes: int = 0  # of the numbers that interactive figures carry inside the page


class _Reader(HTMLParser):
    """Collects a page's anchors and addresses."""

    def __init__(self):
        super().__init__()
        self.page = Page()
        self.in_data = False

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.in_data = tag == "script" and values.get("type") == "application/json"
        self.page.anchors |= {values[name] for name in ("id", "name") if values.get(name)}
        if tag == "a" and values.get("href"):
            self.page.links.append(values["href"])
        if tag == "link" and not FETCHED_LINKS & set((values.get("rel") or "").split()):
            return
        self.page.loads += [values[name] for name in FETCHES.get(tag, ()) if values.get(name)]

    def handle_endtag(self, tag):
        self.in_data = False

    def handle_data(self, data):
        if self.in_data:
            self.page.data_bytes += len(data.encode())


def read_page(path: Path) -> Page:
    """Anchors, links and loaded files of one HTML file."""
    reader = _Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    return reader.page


def _pages(html: Path) -> list[str]:
    """Pages below a folder; the theme keeps templates of its own in ``_static``."""
    names = sorted(path.relative_to(html).as_posix() for path in html.rglob("*.html"))
    return [name for name in names if not name.startswith("_static/")]


def broken_links(html: Path) -> list[str]:
    """
    Links and loaded files that lead nowhere inside a folder of pages; addresses on other hosts are not asked for.

    Parameters
    ----------
    html
        Folder with the built pages.

    Returns
    -------
    list of str
        One line each: the page, the address as written, and what is missing.
    """
    html = Path(html)
    pages = {name: read_page(html / name) for name in _pages(html)}
    found = []
    for name, page in pages.items():
        for address in dict.fromkeys(page.links + page.loads):
            problem = _problem(html, pages, name, address)
            if problem:
                found.append(f"{name}: {address}: {problem}")
    return found


def _problem(html: Path, pages: dict[str, Page], name: str, address: str) -> str:
    """What is wrong with one address on one page; empty if nothing is."""
    target = _inside(name, address)
    if target is None:
        return ""
    if not (html / target).exists() or target.startswith(".."):
        return f"there is no {target}"
    fragment = unquote(urldefrag(address).fragment)
    if fragment and target in pages and fragment not in pages[target].anchors | {"top"}:
        return f"{target} has no place called {fragment}"
    return ""


def _inside(name: str, address: str) -> str | None:
    """The file below the folder that an address on a page means; None for another host, ``data:`` and the like."""
    parts = urlsplit(address)
    if parts.scheme or parts.netloc:
        return None
    path = unquote(parts.path)
    if not path:
        return name
    target = posixpath.normpath(posixpath.join(posixpath.dirname(name), path))
    return posixpath.join(target, "index.html") if path.endswith("/") else target


def orphans(html: Path) -> list[str]:
    """Pages that no chain of links from ``index.html`` reaches, apart from those that the theme makes."""
    html = Path(html)
    names = set(_pages(html))
    reached, waiting = set(), ["index.html"]
    while waiting:
        name = waiting.pop()
        if name in reached or name not in names:
            continue
        reached.add(name)
        waiting += filter(None, (_inside(name, address) for address in read_page(html / name).links))
    return sorted(names - reached - GENERATED)


def weights(html: Path) -> dict[str, int]:
    """
    Bytes that a browser loads with each page: the page, its pictures, its scripts and its styles, each once, uncompressed.

    Parameters
    ----------
    html
        Folder with the built pages. The data of interactive figures do not count, whether a script asks for them later or
        they lie in the page (:func:`data_weights`).

    Returns
    -------
    dict
        Page -> bytes, the heaviest first.
    """
    html, found = Path(html), {}
    for name in _pages(html):
        page = read_page(html / name)
        loaded = {target for address in page.loads if (target := _inside(name, address)) and (html / target).is_file()}
        found[name] = sum((html / target).stat().st_size for target in {name, *loaded}) - page.data_bytes
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def data_weights(html: Path) -> dict[str, int]:
    """Bytes of data that interactive figures carry inside each page."""
    return {name: read_page(Path(html) / name).data_bytes for name in _pages(Path(html))}
