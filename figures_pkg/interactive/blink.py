"""Two pictures in one place that change by a button or a slider, so that the eye finds what differs."""

import base64
import io
from dataclasses import dataclass
from html import escape
from itertools import count

import matplotlib as mpl
import numpy as np

from .page import ink, piece

_numbers = count(1)
WITHOUT = "Without JavaScript both pictures stand side by side."


@dataclass(frozen=True)
class Picture:
    """
    One of the two pictures.

    Attributes
    ----------
    title : str
        A few words, shown on its button.
    values : array, shape (h, w)
        Finite.
    alt : str
        What is seen, in words.
    limits : pair of floats
        Ends of its colours.
    cmap : str
    logarithmic : bool
        Whether equal ratios have equal steps of colour; then the lower limit is positive.
    colour : str
        Of the title.
    """

    title: str
    values: np.ndarray
    alt: str
    limits: tuple[float, float]
    cmap: str = "magma"
    logarithmic: bool = False
    colour: str = "#3d3d3d"


def blink(first: Picture, second: Picture, *, width: int = 420, note: str = "", name: str | None = None) -> str:
    """
    Write two pictures in one place as HTML.

    A button, the space key on it, or a click on the picture changes between them; a slider mixes them. Nothing moves by itself.
    Without JavaScript both stand side by side.

    Parameters
    ----------
    first, second
        Of the same shape.
    width
        On the page, in px; small pictures are enlarged without smoothing.
    note
        A sentence below, as HTML.
    name
        The element's id; by default ``blink-1``, ``blink-2``, …

    Returns
    -------
    str
        HTML for ``IPython.display.HTML``, self-contained.

    Raises
    ------
    ValueError
        For pictures of different shapes, missing values, or limits that make no colours.

    Examples
    --------
    >>> pair = [Picture(title, np.eye(4), f"a diagonal, {title}", (0, 1)) for title in ("twin", "record")]
    >>> page = blink(*pair, name="both")
    >>> page.count("<img"), "http" in page
    (2, False)
    """
    pictures, name = (first, second), name or f"blink-{next(_numbers)}"
    _check(pictures)
    stage = """<div class="companion-row" data-part="buttons" role="group" aria-label="Which picture is shown"></div>
<div class="companion-control"><label for="{0}-mix">{1} to {2}</label><input type="range" id="{0}-mix" data-part="mix" min="0" max="100" step="5" value="0"><output for="{0}-mix"></output></div>"""
    stage = stage.format(name, *(escape(picture.title) for picture in pictures))
    after = f'<div class="blink-both" data-part="both">{"".join(_figure(picture, width) for picture in pictures)}</div>'
    after += '<p class="companion-unseen" aria-live="polite" data-part="said"></p>' + (f"<p>{note}</p>" if note else "")
    return piece("blink", name, stage, {"titles": [picture.title for picture in pictures]}, WITHOUT, after=after)


def _figure(picture: Picture, width: int) -> str:
    """A picture with its title."""
    return (
        f'<figure><figcaption style="color: {ink(picture.colour)}">{escape(picture.title)}</figcaption>'
        f'<img src="data:image/png;base64,{_png(picture)}" alt="{escape(picture.alt, quote=True)}" style="width: {width}px"></figure>'
    )


def _png(picture: Picture) -> str:
    """The picture in its colours, one pixel for each value, as base64."""
    low, high = picture.limits
    scale = mpl.colors.LogNorm(low, high, clip=True) if picture.logarithmic else mpl.colors.Normalize(low, high, clip=True)
    values = np.maximum(picture.values, low) if picture.logarithmic else picture.values
    file = io.BytesIO()
    mpl.image.imsave(file, mpl.colormaps[picture.cmap](scale(values), bytes=True)[..., :3], format="png", metadata={"Software": None})
    return base64.b64encode(file.getvalue()).decode()


def _check(pictures) -> None:
    """Refuse pictures that cannot lie on each other or have no colours."""
    shapes = [np.shape(picture.values) for picture in pictures]
    if shapes[0] != shapes[1] or len(shapes[0]) != 2:
        raise ValueError(f"pictures have shapes {shapes[0]} and {shapes[1]}; expected two of one shape (h, w)")
    for picture in pictures:
        low, high = picture.limits
        if not np.isfinite(picture.values).all() or not low < high or (picture.logarithmic and low <= 0):
            raise ValueError(f"picture {picture.title!r} has missing values or colours from {low} to {high}; expected low < high, positive on a logarithm")
