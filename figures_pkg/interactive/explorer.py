"""The explorer: a scan beside its patterns and maps, with a virtual detector to be dragged; HTML whose data are loaded on demand."""

from __future__ import annotations

from itertools import count
from pathlib import Path

from figures_pkg.workspace import replacing

from .explorer_data import Packed, write_script
from .page import piece

_numbers = count(1)
SCRIPTS = ("unpack.js", "patterns.js", "explorer_draw.js")
MAP = "Map over the scan. The arrow keys move the position whose pattern is shown, plus and minus resize the aperture; the list below says all numbers."
PATTERN = "Diffraction pattern at the chosen position. The arrow keys move the aperture, plus and minus resize it; the list below says all numbers."
WITHOUT = "The explorer needs JavaScript; the figure on this page shows the same scan, pattern and virtual dark-field image."
OVERLAYS = {"com": "COM as arrows", "domains": "domains", "wall": "wall", "held": "hold the position"}
READOUT = {"position": "Position", "value": "Map here", "counts": "In the aperture here", "centre": "Aperture at", "disc": "Aperture",
           "com": "COM of this pattern"}  # fmt: skip
HELP = (
    "Move over the map and the pattern follows; a click holds the position. Drag the circle on the pattern to move it, its rim to "
    "resize it; two fingers, plus and minus, or the wheel after a click resize it too. Arrow keys move what is in focus, "
    "with Shift five steps. Arrows of the COM show how far it lies from the mean of the scan, enlarged."
)


def explorer(packed: Packed, file: str, *, still: str = "", name: str | None = None) -> str:
    """
    Write the explorer as HTML.

    Nothing is loaded until its button is pressed; then `file`, a script, is added to the page, so that it also works in pages that are opened
    from a folder. Where JavaScript, a canvas or DecompressionStream are missing, or where the file is truncated, a sentence says so, and the
    figure `still` stays. What the numbers mean is said in :mod:`figures_pkg.interactive.explorer_data`.

    Parameters
    ----------
    packed
        From :func:`figures_pkg.interactive.explorer_data.read_script` or :func:`figures_pkg.interactive.explorer_data.pack`.
    file
        Address of the data file relative to the page.
    still
        Id of the static figure, which is hidden as soon as the explorer is open.
    name
        The element's id; by default ``explorer-1``, ``explorer-2``, …
    """
    name = name or f"explorer-{next(_numbers)}"
    megabytes = len(packed.script()) / 1e6
    data = {"key": packed.key, "bytes": len(packed.payload), "file": file, "still": still, "open": f"Open the explorer ({megabytes:.1f} MB)"}
    return piece("explorer", name, _stage(name), data, WITHOUT, more=SCRIPTS, after='<div data-part="start"></div>')


def write_page(packed: Packed, path: str | Path, title: str) -> Path:
    """Write a page of its own (``mine.html``) with a title and the explorer, and its data beside it (``mine.js``)."""
    path = Path(path)
    write_script(packed, path.with_suffix(".js"))
    body = explorer(packed, path.with_suffix(".js").name, name="explorer")
    start = "<!doctype html><html lang='en'><head><meta charset='utf-8'><meta name='viewport' content='width=device-width'>"
    with replacing(path) as temporary:
        text = f"{start}<title>{title}</title></head><body><main><h1>{title}</h1>{body}</main></body></html>"
        temporary.write_text(text, encoding="utf-8")
    return path


def _stage(name: str) -> str:
    boxes = "".join(f'<label><input type="checkbox" data-part="show-{key}">{text}</label>' for key, text in OVERLAYS.items())
    numbers = "".join(f'<dt>{text}</dt><dd data-part="{part}"></dd>' for part, text in READOUT.items())
    return f"""<div class="companion-row"><label for="{name}-choice">Map</label><select id="{name}-choice" data-part="choice"></select>{boxes}</div>
<div class="explorer-panels">
<figure><figcaption data-part="title"></figcaption>{_canvas(name, "map", MAP)}
<div class="explorer-scale"><span data-part="low"></span><canvas data-part="scale" role="img" aria-label="colours from low to high"></canvas>\
<span data-part="high"></span></div></figure>
<figure><figcaption>pattern at the position</figcaption>{_canvas(name, "pattern", PATTERN)}
<div class="companion-control"><label for="{name}-radius">radius</label>\
<input type="range" id="{name}-radius" data-part="radius" min="0.75" max="1" step="0.25" value="0.75"><output for="{name}-radius"></output></div>
<div class="companion-row" data-part="jumps" role="group" aria-label="Put the aperture on a reflection"></div></figure>
</div>
<dl>{numbers}</dl>
<p class="companion-unseen" aria-live="polite" data-part="said"></p>
<p>Data: <span data-part="source"></span>.</p>
<p id="{name}-help">{HELP}</p>"""


def _canvas(name: str, part: str, label: str) -> str:
    """A canvas that can be reached by keyboard."""
    return f'<canvas data-part="{part}" tabindex="0" role="application" aria-label="{label}" aria-describedby="{name}-help"></canvas>'
