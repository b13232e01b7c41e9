"""What every interactive piece of the book shares, and the simplest of them: two pictures in one place, so that the eye finds what differs."""

import base64
import io
import json
from collections import defaultdict
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from itertools import count
from string import Template

import matplotlib as mpl
import numpy as np

from figures_pkg.plotting.style import MINUS_P, PLUS_P

ON_PAGE = {PLUS_P: "var(--plus)", MINUS_P: "var(--minus)"}  # readable on a light and on a dark ground
WITHOUT = "Without JavaScript both pictures stand side by side."
_numbers = defaultdict(lambda: count(1))


def element_id(kind: str, name: str | None = None) -> str:
    """The id of a piece on its page: its name, or its kind with the next number, such as ``blink-1``."""
    return name or f"{kind}-{next(_numbers[kind])}"


def piece(kind: str, name: str, stage: str, data: dict, without: str, *, more: tuple[str, ...] = (), after: str = "") -> str:
    """Wrap an interactive piece: self-contained HTML that asks no network and no kernel, in the colours of the page's or the system's theme.

    The files ``kind.js`` and ``kind.css`` (optional) lie beside this module; the script is a function of the kit of ``page.js`` and of what the
    scripts `more` make. It reads `data` as JSON. Only a running script shows the HTML `stage`; `after` is shown always, below. The sentence
    `without` tells readers without JavaScript where the static picture is.
    """
    style = Template(_read("page.css") + _read(f"{kind}.css")).substitute(name=name)
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=True).replace("</", "<\\/")
    words = {"name": name, "kind": kind, "style": style.strip(), "stage": stage, "without": without, "after": after, "data": text}
    words |= {"script": _read(f"{kind}.js").strip(), "kit": _read("page.js").strip()}
    words["more"] = "".join(f", ({_read(file).strip()})()" for file in more)
    return Template(_read("page.html")).substitute(words)


def ink(colour: str) -> str:
    """A colour of the figures as one that can be read on either ground, for a style attribute; the text's own for none."""
    return ON_PAGE.get(colour, colour) or "var(--ink)"


def _read(file: str) -> str:
    """Text of a file that lies beside this module; empty for a style that a piece does not have."""
    path = files(__package__).joinpath(file)
    return path.read_text(encoding="utf-8") if path.is_file() or not file.endswith(".css") else ""


@dataclass(frozen=True)
class Picture:
    """One of the two pictures."""

    title: str  # a few words, shown on its button
    values: np.ndarray  # (h, w), finite
    alt: str  # what is seen, in words
    limits: tuple[float, float]  # ends of its colours
    cmap: str = "magma"
    logarithmic: bool = False  # whether equal ratios have equal steps of colour; then the lower limit is positive


def blink(first: Picture, second: Picture, *, width: int = 420, note: str = "", name: str | None = None) -> str:
    """Write two pictures of the same shape in one place as self-contained HTML; the element's id is `name`, by default ``blink-1`` and so on.

    A button, the space key on it, or a click on the picture changes between them; a slider mixes them. Nothing moves by itself, and without
    JavaScript both stand side by side, `width` px wide. `note` is a sentence below, as HTML. Pictures of different shapes, missing values, and
    limits that make no colours are a ValueError.
    """
    pictures, name = (first, second), element_id("blink", name)
    shapes = [np.shape(picture.values) for picture in pictures]
    if shapes[0] != shapes[1] or len(shapes[0]) != 2:
        raise ValueError(f"pictures have shapes {shapes[0]} and {shapes[1]}; expected two of one shape (h, w)")
    for picture in pictures:
        low, high = picture.limits
        if not np.isfinite(picture.values).all() or not low < high or (picture.logarithmic and low <= 0):
            raise ValueError(f"picture {picture.title!r} has missing values or colours from {low} to {high}; expected low < high, positive on a logarithm")
    stage = """<div class="companion-row" data-part="buttons" role="group" aria-label="Which picture is shown"></div>
<div class="companion-control"><label for="{0}-mix">{1} to {2}</label>\
<input type="range" id="{0}-mix" data-part="mix" min="0" max="100" step="5" value="0"><output for="{0}-mix"></output></div>"""
    stage = stage.format(name, *(escape(picture.title) for picture in pictures))
    after = f'<div class="blink-both" data-part="both">{"".join(_figure(picture, width) for picture in pictures)}</div>'
    after += '<p class="companion-unseen" aria-live="polite" data-part="said"></p>' + (f"<p>{note}</p>" if note else "")
    return piece("blink", name, stage, {"titles": [picture.title for picture in pictures]}, WITHOUT, after=after)


def _figure(picture: Picture, width: int) -> str:
    """The picture in its colours, one pixel for each value."""
    low, high = picture.limits
    scale = mpl.colors.LogNorm(low, high, clip=True) if picture.logarithmic else mpl.colors.Normalize(low, high, clip=True)
    values = np.maximum(picture.values, low) if picture.logarithmic else picture.values
    file = io.BytesIO()
    mpl.image.imsave(file, mpl.colormaps[picture.cmap](scale(values), bytes=True)[..., :3], format="png", metadata={"Software": None})
    return (f'<figure><figcaption style="color: {ink("")}">{escape(picture.title)}</figcaption>'
            f'<img src="data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}" '
            f'alt="{escape(picture.alt, quote=True)}" style="width: {width}px"></figure>')  # fmt: skip
