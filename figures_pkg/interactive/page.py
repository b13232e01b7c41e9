"""What every interactive piece of the book shares: one frame of HTML with its style and script, and colours for light and dark pages."""

import json
from importlib.resources import files
from string import Template

from figures_pkg.plotting.style import MINUS_P, PLUS_P

ON_PAGE = {PLUS_P: "var(--plus)", MINUS_P: "var(--minus)", "#3d3d3d": "var(--ink)"}  # readable on a light and on a dark ground


def piece(kind: str, name: str, stage: str, data: dict, without: str, *, more: tuple[str, ...] = (), after: str = "") -> str:
    """
    Wrap an interactive piece: self-contained HTML that asks no network and no kernel.

    Parameters
    ----------
    kind
        ``"frames"``, ``"crystal"``, …: the files ``kind.css`` (optional) and ``kind.js`` lie beside this module. The script is a
        function of the kit of ``page.js`` and of what `more` makes.
    name
        The element's id.
    stage
        HTML that only a running script shows.
    data
        What the script reads, as JSON.
    without
        A sentence for readers without JavaScript; it says where the static picture is.
    more
        Further script files, each a function that makes one argument.
    after
        HTML below, shown always.

    Returns
    -------
    str
        HTML for ``IPython.display.HTML``. Ground and letters follow the theme of the page, or the system's where there is none.
    """
    style = Template(read("page.css") + read(f"{kind}.css")).substitute(name=name)
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=True).replace("</", "<\\/")
    words = {"name": name, "kind": kind, "style": style.strip(), "stage": stage, "without": without, "after": after, "data": text}
    words |= {"script": read(f"{kind}.js").strip(), "kit": read("page.js").strip()}
    words["more"] = "".join(f", ({read(file).strip()})()" for file in more)
    return Template(read("page.html")).substitute(words)


def ink(colour: str) -> str:
    """A colour of the figures as one that can be read on either ground, for a style attribute."""
    return ON_PAGE.get(colour, colour)


def read(file: str) -> str:
    """Text of a file that lies beside this module; empty for a style that a piece does not have."""
    path = files(__package__).joinpath(file)
    return path.read_text(encoding="utf-8") if path.is_file() or not file.endswith(".css") else ""
