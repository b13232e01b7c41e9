"""Sliders over precomputed pictures: one self-contained piece of HTML that needs no network and no kernel."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

import matplotlib as mpl
import numpy as np

from .page import element_id, ink, piece

LEVELS = 255  # of the stored square roots
LOW = 5e-4  # lower end of the colours, as a share of the largest pixel
PALETTE = "magma"
SEED = 1  # of the noise that the browser draws
WITHOUT = "The sliders need JavaScript; the figure and the table on this page hold the same numbers."


@dataclass(frozen=True)
class Axis:
    """A slider: its name, its unit, its values in the order of the slider, and the index at which it starts."""

    name: str
    unit: str
    values: tuple
    start: int = 0


@dataclass(frozen=True)
class Panel:
    """A picture beside others."""

    title: str
    frames: np.ndarray  # index of the frame for every place of the sliders, one dimension for each axis
    turned: bool = False  # whether the frames are shown turned by 180 degrees
    colour: str = ""  # of the title and the bars
    cmap: str = PALETTE
    limits: tuple = ()  # positive ends of its own colours; by default those of the slider


@dataclass(frozen=True)
class Bar:
    """A number between -1 and 1 for each panel and place of the sliders, shown as a bar."""

    name: str
    values: np.ndarray  # shape (panels, one length for each axis)
    windows: tuple = ()  # two of (row, col, radius) in px: where to count it in noisy pictures, the difference of both over their sum
    floors: np.ndarray = field(default_factory=lambda: np.zeros(0))  # of each frame: background in one window as a share of the beam, taken off before


def frame_slider(frames, axes, panels=None, bars=(), doses=(), *, note="", zoom=4, name=None) -> str:
    """Write sliders over a stack of pictures as HTML: four thirds of a byte for each pixel of `frames`.

    The pictures are stored as 8-bit square roots, each scaled to its largest pixel: the step of the code is then below the Poisson noise up to
    about 10^4 counts in the brightest pixel. Colours are logarithmic. With `doses`, a further slider draws Poisson counts in the browser
    (Marsaglia's xorshift128), the same at the same place until "new noise" is pressed. Every slider is a native one with a label; what it shows is
    read out. Without JavaScript a sentence points to the figure, which must stand on the same page, and the table of the bars stays.
    Negative or missing frames, and parts that do not fit one another, are a ValueError.

    Parameters
    ----------
    frames, axes
        Not negative, shape ``(n, h, w)``; with `doses`, shares of the incident beam per pixel. One to four :class:`Axis`.
    panels, bars
        :class:`Panel` side by side, by default one that shows frame after frame, the last axis fastest; :class:`Bar` below the pictures.
    doses
        Electrons; 0 means without noise.
    note, zoom, name
        A sentence below the pictures, as HTML; size of a pixel on the page; the element's id, by default ``frames-1``, ``frames-2``, …
    """
    frames, name = np.asarray(frames, np.float32), element_id("frames", name)
    shape = tuple(len(axis.values) for axis in axes)
    if panels is None:
        if len(frames) != np.prod(shape, dtype=int):
            raise ValueError(f"{len(frames)} frames do not fill sliders of {shape} places; give one frame for each place, or panels")
        panels = [Panel("", np.arange(len(frames)).reshape(shape))]
    _check(frames, shape, panels, bars, doses)
    sliders = [(f"axis-{i}", axis.name, len(axis.values), axis.start) for i, axis in enumerate(axes)] + [("dose", "dose", len(doses), 0)] * bool(len(doses))
    stage = [f'<div class="companion-control"><label for="{name}-{key}">{escape(label)}</label><input type="range" id="{name}-{key}" min="0" '
             f'max="{length - 1}" step="1" value="{start}"><output for="{name}-{key}"></output></div>' for key, label, length, start in sliders]  # fmt: skip
    stage += ['<button type="button" class="frames-again">new noise</button>'] * bool(len(doses))
    figures = "".join(_panel_figure(panel, *frames.shape[1:], zoom) for panel in panels)
    stage += [f'<div class="frames-panels">{figures}</div>', _bar_rows(panels, bars) if bars else ""]
    stage += [f'<p aria-live="polite" class="frames-status"></p><p>{note}</p>']
    tables = [_table(axes, f"{bar.name} of {panel.title}".removesuffix(" of "), values)
              for bar in bars for panel, values in zip(panels, np.asarray(bar.values), strict=True)]  # fmt: skip
    after = f"<details><summary>The bars as tables</summary>{''.join(tables)}</details>" if bars else ""
    return piece("frames", name, "\n".join(stage), _script_data(frames, axes, panels, bars, doses), WITHOUT, more=("noise.js",), after=after)


def encode(frames) -> tuple[np.ndarray, np.ndarray]:
    """Eight-bit square roots of frames (n, h, w), relative to the largest pixel of each, and these largest pixels (n,)."""
    scales = frames.max(axis=(1, 2)).astype(float)
    relative = frames / np.where(scales > 0, scales, 1)[:, None, None]
    return np.round(LEVELS * np.sqrt(relative)).astype(np.uint8), scales


def signed(value: float) -> str:
    """Two decimals with a sign, as the script writes them."""
    return ("+" if value > -0.005 else "−") + f"{abs(value):.2f}"


def colour_codes(cmap: str) -> str:
    """The 256 colours of a colour map, red, green and blue by turns, as the script reads them."""
    colours = (255 * mpl.colormaps[cmap](np.arange(256))[:, :3]).round().astype(np.uint8)
    return base64.b64encode(colours.tobytes()).decode()


def _check(frames, shape, panels: Sequence[Panel], bars: Sequence[Bar], doses) -> None:
    if frames.ndim != 3 or not frames.size or not np.isfinite(frames).all() or frames.min() < 0:
        raise ValueError(f"frames have shape {frames.shape}; expected finite pictures (n, h, w) without negative pixels")
    for panel in panels:
        index = np.asarray(panel.frames)
        if index.shape != shape or index.min() < 0 or index.max() >= len(frames):
            raise ValueError(f"panel {panel.title!r} has indices {index.shape}; expected some below {len(frames)} of shape {shape}")
        if panel.limits and not 0 < panel.limits[0] < panel.limits[1]:
            raise ValueError(f"panel {panel.title!r} has colours from {panel.limits[0]} to {panel.limits[1]}; expected 0 < low < high")
    for bar in bars:
        expected = (len(panels), *shape)
        if np.shape(bar.values) != expected or not (np.abs(bar.values) <= 1).all():
            raise ValueError(f"bar {bar.name!r} has shape {np.shape(bar.values)}; expected numbers from -1 to 1, {expected}")
        if np.size(bar.floors) not in (0, len(frames)) or len(bar.windows) not in (0, 2):
            raise ValueError(f"bar {bar.name!r} needs two windows and one floor for each of the {len(frames)} frames, or none")
    if any(dose < 0 or dose * frames.max() > 1e6 for dose in doses):
        raise ValueError(f"doses are {list(doses)}; expected numbers from 0 up to 10^6 counts in the brightest pixel")


def _script_data(frames, axes, panels, bars, doses) -> dict:
    """What the script draws: codes and scales of the frames, colours, axes, panels, bars, doses."""
    codes, scales = encode(frames)
    high = float(frames.max()) or 1.0
    shown, rows = [], []
    for panel in panels:
        low, top = panel.limits or (LOW * high, high)
        shown.append({"title": panel.title, "turned": bool(panel.turned), "frames": np.ravel(panel.frames).tolist(), "low": float(low),
                      "high": float(top), "colours": colour_codes(panel.cmap)})  # fmt: skip
    for bar in bars:
        floors = np.asarray(bar.floors, float) if np.size(bar.floors) else np.zeros(len(frames))
        rows.append({"name": bar.name, "values": np.round(np.reshape(bar.values, (len(panels), -1)), 4).tolist(),
                     "windows": [list(map(float, window)) for window in bar.windows], "floors": [float(f"{x:.5g}") for x in floors]})  # fmt: skip
    values = [[v if isinstance(v, str) else float(f"{v:.6g}") if v % 1 else int(v) for v in axis.values] for axis in axes]
    return {
        "shape": list(frames.shape[1:]),
        "codes": base64.b64encode(codes.tobytes()).decode(),
        "scales": [float(f"{scale:.6g}") for scale in scales],
        "axes": [{"name": a.name, "unit": a.unit, "values": places, "start": a.start} for a, places in zip(axes, values)],
        "panels": shown,
        "bars": rows,
        "doses": [int(dose) for dose in doses],
        "seed": SEED,
    }


def _panel_figure(panel: Panel, height: int, width: int, zoom: float) -> str:
    """A canvas with a caption."""
    label = f"picture of {panel.title}".removesuffix(" of ") + "; the line below says at which place of the sliders"
    return (f'<figure><figcaption style="color: {ink(panel.colour)}">{escape(panel.title)}</figcaption><canvas role="img" '
            f'aria-label="{escape(label)}" width="{width}" height="{height}" style="width: {zoom * width:g}px"></canvas></figure>')  # fmt: skip


def _bar_rows(panels, bars) -> str:
    """A table of bars: a row for each bar, a column for each panel; the script fills in numbers and lengths."""
    cell = ('<td><div class="frames-track"><span class="frames-fill" style="background: {}"></span>'
            '<span class="frames-dot" hidden></span></div><span class="frames-number"></span><span class="frames-found"></span></td>')  # fmt: skip
    head = "".join(f'<th scope="col">{escape(panel.title)}</th>' for panel in panels)
    cells = "".join(cell.format(ink(panel.colour)) for panel in panels)
    body = "".join(f'<tr><th scope="row">{escape(bar.name)}</th>{cells}</tr>' for bar in bars)
    return f'<table class="frames-bars"><thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table>'


def _table(axes, caption: str, values) -> str:
    """A bar of a panel as a table: rows run over all axes but the last, columns over the last."""

    def number(value) -> str:
        return escape(value if isinstance(value, str) else f"{value:g}".replace("-", "−"))

    *outer, last = axes
    head = "".join(f'<th scope="col">{number(value)}</th>' for value in last.values)
    rows = []
    for place in np.ndindex(*[len(axis.values) for axis in outer]):
        label = ", ".join(number(axis.values[i]) for axis, i in zip(outer, place))
        rows.append(f'<tr><th scope="row">{label}</th>{"".join(f"<td>{signed(value)}</td>" for value in values[place])}</tr>')
    names = [escape(f"{axis.name} ({axis.unit})" if axis.unit else axis.name) for axis in axes]
    title = f"{escape(caption)}; rows: {' and '.join(names[:-1]) or 'value'}, columns: {names[-1]}"
    return (f'<div class="frames-scroll" tabindex="0" role="region" aria-label="{title}"><table><caption>{title}</caption>'
            f"<thead><tr><td></td>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>")  # fmt: skip
