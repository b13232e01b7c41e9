"""Pieces of HTML behind `frame_slider`: controls, canvases, bars, colours, and the tables that remain without a script."""

import base64
from html import escape

import matplotlib as mpl
import numpy as np

from .page import ink


def control_rows(name: str, axes, doses) -> str:
    """A labelled native slider for each axis, and for the dose when there is a choice."""
    rows = [_control(f"{name}-axis-{i}", axis.name, len(axis.values), axis.start) for i, axis in enumerate(axes)]
    if len(doses):
        rows.append(_control(f"{name}-dose", "dose", len(doses), 0))
        rows.append('<button type="button" class="frames-again">new noise</button>')
    return "\n".join(rows)


def _control(identity: str, label: str, length: int, start: int) -> str:
    bounds = f'min="0" max="{length - 1}" step="1" value="{start}"'
    return (
        f'<div class="companion-control"><label for="{identity}">{escape(label)}</label>'
        f'<input type="range" id="{identity}" {bounds}><output for="{identity}"></output></div>'
    )


def panel_figures(panels, shape, zoom) -> str:
    """One canvas with a caption for each panel."""
    return "".join(_panel(panel, *shape, zoom) for panel in panels)


def _panel(panel, height: int, width: int, zoom: float) -> str:
    label = f"picture of {panel.title}".removesuffix(" of ") + "; the line below says at which place of the sliders"
    return (
        f'<figure><figcaption style="color: {ink(panel.colour)}">{escape(panel.title)}</figcaption>'
        f'<canvas role="img" aria-label="{escape(label)}" width="{width}" height="{height}" style="width: {zoom * width:g}px"></canvas></figure>'
    )


def bar_rows(panels, bars) -> str:
    """A table of bars: a row for each bar, a column for each panel; the script fills in numbers and lengths."""
    if not bars:
        return ""
    cell = (
        '<td><div class="frames-track"><span class="frames-fill" style="background: {}"></span>'
        '<span class="frames-dot" hidden></span></div><span class="frames-number"></span><span class="frames-found"></span></td>'
    )
    head = "".join(f'<th scope="col">{escape(panel.title)}</th>' for panel in panels)
    cells = "".join(cell.format(ink(panel.colour)) for panel in panels)
    body = "".join(f'<tr><th scope="row">{escape(bar.name)}</th>{cells}</tr>' for bar in bars)
    return f'<table class="frames-bars"><thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table>'


def value_tables(axes, panels, bars) -> str:
    """The bars as tables inside a fold: rows run over all axes but the last, columns over the last."""
    if not bars:
        return ""
    pairs = [(bar, panel, values) for bar in bars for panel, values in zip(panels, np.asarray(bar.values), strict=True)]
    tables = [_table(axes, f"{bar.name} of {panel.title}".removesuffix(" of "), values) for bar, panel, values in pairs]
    return f"<details><summary>The bars as tables</summary>{''.join(tables)}</details>"


def _table(axes, caption: str, values) -> str:
    """One table with its caption."""
    *outer, last = axes
    names = " and ".join(_titled(axis) for axis in outer) or "value"
    head = "".join(f'<th scope="col">{_number(value)}</th>' for value in last.values)
    places = list(np.ndindex(*[len(axis.values) for axis in outer]))
    rows = [
        f'<tr><th scope="row">{", ".join(_number(axis.values[i]) for axis, i in zip(outer, place))}</th>'
        + "".join(f"<td>{signed(value)}</td>" for value in values[place])
        + "</tr>"
        for place in places
    ]
    title = f"{escape(caption)}; rows: {names}, columns: {_titled(last)}"
    return (
        f'<div class="frames-scroll" tabindex="0" role="region" aria-label="{title}"><table><caption>{title}</caption>'
        f"<thead><tr><td></td>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def signed(value: float) -> str:
    """Two decimals with a sign, as the script writes them."""
    return ("+" if value > -0.005 else "−") + f"{abs(value):.2f}"


def _titled(axis) -> str:
    return escape(f"{axis.name} ({axis.unit})" if axis.unit else axis.name)


def _number(value) -> str:
    return escape(value if isinstance(value, str) else f"{value:g}".replace("-", "−"))


def colour_codes(cmap: str) -> str:
    """The 256 colours of a colour map, red, green and blue by turns, as the script reads them."""
    colours = (255 * mpl.colormaps[cmap](np.arange(256))[:, :3]).round().astype(np.uint8)
    return base64.b64encode(colours.tobytes()).decode()
