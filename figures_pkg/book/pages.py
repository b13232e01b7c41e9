"""What can be wrong with a folder of built pages: links to nowhere, pages that nothing leads to, pages that weigh too much."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

from bs4 import BeautifulSoup

FETCHES = {"img": "src", "script": "src", "source": "src", "object": "data", "iframe": "src", "link": "href"}
FETCHED_LINKS = {"stylesheet", "icon", "shortcut", "preload"}
GENERATED = {"genindex.html", "search.html", "py-modindex.html"}  # reached through the theme's own buttons, or not at all


@dataclass(frozen=True)
class Page:
    """One HTML file: where it can be linked to, where it leads, and what a browser loads with it."""

    anchors: set[str]
    links: list[str]
    loads: list[str]
    data_bytes: int  # of the numbers that interactive figures carry inside the page


@cache
def read_page(path: Path) -> Page:
    """Anchors, links and loaded files of one HTML file, read once."""
    soup = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
    anchors = {tag[name] for name in ("id", "name") for tag in soup.find_all(attrs={name: True})}
    fetching = [tag for tag in soup.find_all(list(FETCHES)) if tag.name != "link" or FETCHED_LINKS & set(tag.get("rel") or ())]
    data_bytes = sum(len(tag.get_text().encode()) for tag in soup.find_all("script", type="application/json"))
    links = [tag["href"] for tag in soup.find_all("a", href=True)]
    return Page(anchors, list(filter(None, links)), [tag[FETCHES[tag.name]] for tag in fetching if tag.get(FETCHES[tag.name])], data_bytes)


def page_names(html: Path) -> list[str]:
    """Pages below a folder; the theme keeps templates of its own in ``_static``."""
    names = sorted(path.relative_to(html).as_posix() for path in html.rglob("*.html"))
    return [name for name in names if not name.startswith("_static/")]


def broken_links(html: Path) -> list[str]:
    """Links and loaded files that lead nowhere inside a folder of pages, as page, address and what is missing; other hosts are not asked."""
    pages, found = {name: read_page(html / name) for name in page_names(html)}, []
    for name, page in pages.items():
        for address in dict.fromkeys(page.links + page.loads):
            target, fragment = _inside(name, address), unquote(urldefrag(address).fragment)
            if target is None:
                continue
            if not (html / target).exists() or target.startswith(".."):
                found.append(f"{name}: {address}: there is no {target}")
            elif fragment and target in pages and fragment not in pages[target].anchors | {"top"}:
                found.append(f"{name}: {address}: {target} has no place called {fragment}")
    return found


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
    names, reached, waiting = set(page_names(html)), set(), ["index.html"]
    while waiting:
        name = waiting.pop()
        if name in names - reached:
            reached.add(name)
            waiting += filter(None, (_inside(name, address) for address in read_page(html / name).links))
    return sorted(names - reached - GENERATED)


def weights(html: Path) -> dict[str, int]:
    """Bytes that a browser loads with each page, the heaviest first, each file once and uncompressed, without the data of interactive figures."""
    found = {}
    for name in page_names(html):
        page = read_page(html / name)
        loaded = {target for address in page.loads if (target := _inside(name, address)) and (html / target).is_file()}
        found[name] = sum((html / target).stat().st_size for target in {name, *loaded}) - page.data_bytes
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def data_weights(html: Path) -> dict[str, int]:
    """Bytes of data that interactive figures carry inside each page."""
    return {name: read_page(html / name).data_bytes for name in page_names(html)}


# Attributes through which a page makes the browser fetch something by itself; <a href> is a link and may lead anywhere.
FETCHED = re.compile(
    r"""<(?:script|img|iframe|source|audio|video|embed|object)\b[^>]*?\b(?:src|data|srcset)\s*=\s*["']?((?:https?:)?//[^"'\s>]+)"""
    r"""|<link\b(?=[^>]*\brel=["']?(?:stylesheet|preload|icon|shortcut icon|modulepreload|preconnect)\b)[^>]*?\bhref\s*=\s*["']?((?:https?:)?//[^"'\s>]+)"""
    r"""|(?:@import\s+|url\()\s*["']?((?:https?:)?//[^"')\s]+)"""
    r"""|\bimport\s*\(?\s*["']((?:https?:)?//[^"']+)""",
    re.IGNORECASE,
)


def refuse_foreign_hosts(html: Path) -> None:
    """Raise if any page or style sheet below a folder fetches from another host."""
    found = set()
    for path in (*html.rglob("*.html"), *html.rglob("*.css")):
        addresses = (next(filter(None, match.groups())) for match in FETCHED.finditer(path.read_text(encoding="utf-8")))
        found |= {f"{path.relative_to(html)}: {address}" for address in addresses}
    if found:
        raise RuntimeError("these pages ask another host when they are opened; vendor what they need:\n" + "\n".join(sorted(found)))
