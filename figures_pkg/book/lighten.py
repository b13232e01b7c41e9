"""Fewer bytes for the same page: icons that no page shows, digits of drawings that no eye sees."""

from __future__ import annotations

import re
from pathlib import Path

from figures_pkg.workspace import replacing

ICONS = "_static/scripts/fontawesome.js"
# name: [width, height, [other names], "code", "path"] as the theme's script lists its two thousand icons
ICON = re.compile(r'("?)([\w-]+)\1:\[\d+,\d+,\[([^\]]*)\],"[0-9a-f]+",(?:"[^"]*"|\["[^"]*","[^"]*"\])\],?')
SHOWN = re.compile(r"\bfa-([a-z0-9-]+)")
PATH = re.compile(r'(?<= d=")[^"]*(?=")')
LONG = re.compile(r"-?\d+\.\d{3,}")


def keep_shown_icons(html: Path) -> int:
    """
    Take out of the theme's icon script every icon that neither a page nor a script of the book names.

    Parameters
    ----------
    html
        Folder with the built pages.

    Returns
    -------
    int
        Bytes saved, on every page; 0 where the theme has no such script.
    """
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
    """Two decimals, without zeros at the end."""
    text = f"{float(number[0]):.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
