"""Fig. 3a-c: the autoencoder and its two kinds of block, drawn from a list of stages.

A stage is anything with the attributes of :class:`figures_pkg.chapters.fig_3.Stage`; no network and no torch is needed here.
"""

from __future__ import annotations

from itertools import groupby
from math import log2

from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch, Patch, Polygon, Rectangle

COLOURS = {
    "input": "#e8e8e8", "convolution": "#f3c98b", "norm": "#b9d7a8", "relu": "#f2a7a0", "add": "#ffffff", "pool": "#9fb8dd",
    "upsample": "#b7a5d6", "dense": "#8cc7c1", "reshape": "#e8e8e8", "block": "#d3b3c6",
}  # fmt: skip
EDGE, ARROW = "0.25", {"arrowstyle": "-|>", "color": "0.25", "lw": 1.0, "shrinkA": 0, "shrinkB": 0}
STEP, ROW, WIDTH = 1.25, 4.1, 0.78  # units of the page: column to column, encoder to decoder, width of a unit
HEIGHT_PER_OCTAVE = 0.3  # drawn height of a side: this for each doubling, on top of that of side 1


def draw_network(ax: Axes, stages: list) -> dict[str, Polygon]:
    """
    Draw the main structure (Fig. 3a): the encoder from left to right, below it the decoder back.

    Parameters
    ----------
    ax
        Where to draw; its limits are set and its frame removed.
    stages
        In the order in which a pattern passes them. Stages of one unit become one shape, whose left and right height tell the
        side that enters and leaves, on a logarithmic scale.

    Returns
    -------
    dict
        The shape of each unit, by the unit's name.

    Raises
    ------
    ValueError
        For a list without a stage of the encoder and one of the decoder.
    """
    if {stage.part for stage in stages} != {"encoder", "decoder"}:
        raise ValueError(f"{len(stages)} stages without an encoder and a decoder; give those of the whole network")
    units = [list(group) for _, group in groupby(stages, key=lambda stage: (stage.part, stage.unit))]
    encoder = [unit for unit in units if unit[0].part == "encoder"]
    decoder = [unit for unit in units if unit[0].part == "decoder"]
    columns = max(len(encoder), len(decoder))
    places = [(STEP * (columns - len(encoder) + i), ROW) for i in range(len(encoder))]
    places += [(STEP * (columns - 1 - i), 0.0) for i in range(len(decoder))]
    found, entering = {}, stages[0]
    for (x, y), unit in zip(places, units):
        found[unit[0].unit] = _draw_unit(ax, x, y, unit, entering)
        entering = unit[-1]
    _connect(ax, places, len(encoder))
    x, y = places[-1]
    ax.text(x, y, "reconstruction", rotation=90, ha="center", va="center", fontsize=9)
    _draw_embedding(ax, STEP * columns, encoder[-1][-1])
    ax.set(aspect="equal", xlim=(-0.75, STEP * columns + 0.9), ylim=(-2.1, ROW + 2.05))
    ax.set_axis_off()
    return found


def draw_block(ax: Axes, block: list) -> dict[str, Patch]:
    """
    Draw the stages of one block in a row, shortcuts above them (Fig. 3b and c).

    Parameters
    ----------
    ax
        Where to draw; its limits are set and its frame removed.
    block
        The stages of one unit, in order. A shortcut from a stage outside the block starts at its entrance.

    Returns
    -------
    dict
        The shape of each stage, by the stage's name.

    Raises
    ------
    ValueError
        For an empty list.
    """
    if not block:
        raise ValueError("no stages; give those of one unit, for instance [s for s in stages if s.unit == 'MaxPool block 1']")
    found = {}
    for x, stage in enumerate(block):
        found[stage.name] = _draw_stage(ax, x, stage)
    for x, stage in enumerate(block):
        before = _half_width(block[x - 1]) if x else 0.0
        ax.annotate("", (x - _half_width(stage), 0), (x - 1 + before, 0), arrowprops=ARROW)
        if stage.added:
            names = [one.name for one in block]
            _draw_shortcut(ax, names.index(stage.added) + 0.5 if stage.added in names else -0.65, x)
    last = block[-1]
    ax.annotate("", (len(block) - 0.1, 0), (len(block) - 1 + _half_width(last), 0), arrowprops=ARROW)
    ax.text(len(block) - 0.05, 0, f"{last.channels} ×\n{last.side} × {last.side}", va="center", fontsize=9)
    ax.set(xlim=(-1.1, len(block) + 1.0), ylim=(-0.75, 1.15))
    ax.set_axis_off()
    return found


def describe(stage) -> str:
    """A stage in a few words, as in the boxes of the figure."""
    words = {
        "convolution": f"conv\n{stage.size} × {stage.size}", "norm": "Layer-\nNorm", "relu": "ReLU", "add": "+",
        "pool": f"MaxPool\n{stage.size} × {stage.size}", "upsample": f"Upsample\n× {stage.size}", "dense": "dense",
        "input": "pattern",
    }  # fmt: skip
    return words.get(stage.kind, stage.name.rpartition(".")[2])


def _height(side: int) -> float:
    """Drawn height of images of ``side`` px."""
    return HEIGHT_PER_OCTAVE * (1 + log2(side))


def _draw_unit(ax: Axes, x: float, y: float, unit: list, entering) -> Polygon:
    """One unit of Fig. 3a with its words; the decoder runs to the left."""
    first, last = unit[0], unit[-1]
    way = 1 if first.part == "encoder" else -1
    enters, leaves = (_drawn_height(stage) for stage in (entering, last))
    corners = [(-1, -enters), (-1, enters), (1, leaves), (1, -leaves)]
    page = [(x + way * side * WIDTH / 2, y + height / 2) for side, height in corners]
    usual = "block" if any(stage.added for stage in unit) else first.kind
    kind = next((stage.kind for stage in unit if stage.kind in ("pool", "upsample")), usual)
    shape = ax.add_patch(Polygon(page, facecolor=COLOURS[kind], edgecolor=EDGE, lw=1))
    ax.text(x, y + max(enters, leaves) / 2 + 0.1, _unit_words(unit), ha="center", va="bottom", fontsize=9)
    size = str(last.channels) if last.side == 1 else f"{last.channels} ×\n{last.side} × {last.side}"
    ax.text(x, y - max(enters, leaves) / 2 - 0.1, size, ha="center", va="top", fontsize=9, color="0.25")
    return shape


def _drawn_height(stage) -> float:
    """Height of what leaves a stage; a vector is as high as the square image with as many numbers."""
    return _height(stage.side if stage.side > 1 else max(1, round(stage.channels**0.5)))


def _unit_words(unit: list) -> str:
    """Name of a unit above its shape."""
    first = unit[0]
    if first.unit.rpartition(" ")[2] == first.name:
        return " +\n".join(describe(stage).replace("\n", " ") for stage in unit)
    return first.unit.replace(" block", "\nblock")


def _connect(ax: Axes, places: list[tuple[float, float]], encoder: int) -> None:
    """Arrows between neighbours of a row."""
    for number, ((x0, y), (x1, _)) in enumerate(zip(places, places[1:]), start=1):
        if number != encoder:
            way = 1 if x1 > x0 else -1
            ax.annotate("", (x1 - way * WIDTH / 2, y), (x0 + way * WIDTH / 2, y), arrowprops=ARROW)


def _draw_embedding(ax: Axes, x: float, stage) -> None:
    """The embedding as a column of one cell per channel, between the end of the encoder and the start of the decoder."""
    bottom, height = 0.55, ROW - 1.1
    for cell in range(stage.channels):
        edge = height / stage.channels
        ax.add_patch(Rectangle((x - 0.14, bottom + cell * edge), 0.28, edge, facecolor=COLOURS["dense"], edgecolor=EDGE, lw=0.4))
    start, end = x - STEP + WIDTH / 2, bottom + height
    ax.plot([start, x], [ROW, ROW], color=EDGE, lw=1)
    ax.annotate("", (x, end), (x, ROW), arrowprops=ARROW)
    ax.plot([x, x], [bottom, 0], color=EDGE, lw=1)
    ax.annotate("", (start, 0), (x, 0), arrowprops=ARROW)
    ax.text(x + 0.28, ROW / 2, f"embedding, {stage.channels} channels", rotation=90, ha="left", va="center", fontsize=9)


def _draw_stage(ax: Axes, x: float, stage) -> Patch:
    """One box of Fig. 3b or c."""
    half = _half_width(stage)
    corner, rounded = (x - half, -half), "round,pad=0,rounding_size=0.08"
    box = FancyBboxPatch(corner, 2 * half, 2 * half, rounded, facecolor=COLOURS[stage.kind], edgecolor=EDGE, lw=1)
    ax.text(x, 0, describe(stage), ha="center", va="center", fontsize=14 if stage.kind == "add" else 8.8, zorder=3)
    if stage.parameters:
        ax.text(x, -half - 0.08, f"{stage.parameters:,}", ha="center", va="top", fontsize=8, color="0.25")
    return ax.add_patch(box)


def _half_width(stage) -> float:
    """Half the width of a stage's box; an addition is small."""
    return 0.22 if stage.kind == "add" else 0.4


def _draw_shortcut(ax: Axes, start: float, end: float) -> None:
    """A line from the row up, along, and down onto an addition."""
    ax.plot([start, start, end], [0, 0.8, 0.8], color=EDGE, lw=1)
    ax.annotate("", (end, 0.22), (end, 0.8), arrowprops=ARROW)
    ax.text((start + end) / 2, 0.84, "shortcut", ha="center", va="bottom", fontsize=9, color="0.25")
