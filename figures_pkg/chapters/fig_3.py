"""What the chapter on Fig. 3 alone needs: the stages of a network listed, and the autoencoder and its two kinds of block drawn from them."""

from __future__ import annotations

import copy
from collections import Counter
from dataclasses import dataclass, replace
from itertools import groupby
from math import log2
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch, Patch, Polygon, Rectangle
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from figures_pkg.model.autoencoder import Autoencoder, Upsample

COLOURS = {
    "input": "#e8e8e8", "convolution": "#f3c98b", "norm": "#b9d7a8", "relu": "#f2a7a0", "add": "#ffffff", "pool": "#9fb8dd",
    "upsample": "#b7a5d6", "dense": "#8cc7c1", "reshape": "#e8e8e8", "block": "#d3b3c6",
}  # fmt: skip
EDGE, ARROW = "0.25", {"arrowstyle": "-|>", "color": "0.25", "lw": 1.0, "shrinkA": 0, "shrinkB": 0}
STEP, ROW, WIDTH = 1.25, 4.1, 0.78  # units of the page: column to column, encoder to decoder, width of a unit
HEIGHT_PER_OCTAVE = 0.3  # drawn height of a side: this for each doubling, on top of that of side 1


def draw_network(ax: Axes, stages: list) -> dict[str, Polygon]:
    """
    Draw the main structure (Fig. 3a) from its :func:`stages`: the encoder from left to right, below it the decoder back; shapes by unit.

    A shape's left and right height tell the side that enters and leaves, on a logarithmic scale.
    """
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
    for number, ((x0, y), (x1, _)) in enumerate(zip(places, places[1:]), start=1):
        if number != len(encoder):  # between the halves stands the embedding
            way = 1 if x1 > x0 else -1
            ax.annotate("", (x1 - way * WIDTH / 2, y), (x0 + way * WIDTH / 2, y), arrowprops=ARROW)
    x, y = places[-1]
    ax.text(x, y, "reconstruction", rotation=90, ha="center", va="center", fontsize=9)
    _draw_embedding(ax, STEP * columns, encoder[-1][-1])
    ax.set(aspect="equal", xlim=(-0.75, STEP * columns + 0.9), ylim=(-2.1, ROW + 2.05))
    ax.set_axis_off()
    return found


def draw_block(ax: Axes, block: list) -> dict[str, Patch]:
    """Draw the stages of one unit in a row, shortcuts above them (Fig. 3b and c); shapes by stage. A shortcut from outside starts at the entrance."""
    found, names = {}, [stage.name for stage in block]
    for x, stage in enumerate(block):
        half, size = _half_width(stage), 14 if stage.kind == "add" else 8.8
        style = {"boxstyle": "round,pad=0,rounding_size=0.08", "facecolor": COLOURS[stage.kind], "edgecolor": EDGE, "lw": 1}
        found[stage.name] = ax.add_patch(FancyBboxPatch((x - half, -half), 2 * half, 2 * half, **style))
        ax.text(x, 0, _describe(stage), ha="center", va="center", fontsize=size, zorder=3)
        if stage.parameters:
            ax.text(x, -half - 0.08, f"{stage.parameters:,}", ha="center", va="top", fontsize=8, color="0.25")
    for x, stage in enumerate(block):
        before = _half_width(block[x - 1]) if x else 0.0
        ax.annotate("", (x - _half_width(stage), 0), (x - 1 + before, 0), arrowprops=ARROW)
        if stage.added:  # a line from the row up, along, and down onto an addition
            start = names.index(stage.added) + 0.5 if stage.added in names else -0.65
            ax.plot([start, start, x], [0, 0.8, 0.8], color=EDGE, lw=1)
            ax.annotate("", (x, 0.22), (x, 0.8), arrowprops=ARROW)
            ax.text((start + x) / 2, 0.84, "shortcut", ha="center", va="bottom", fontsize=9, color="0.25")
    last = block[-1]
    ax.annotate("", (len(block) - 0.1, 0), (len(block) - 1 + _half_width(last), 0), arrowprops=ARROW)
    ax.text(len(block) - 0.05, 0, f"{last.channels} ×\n{last.side} × {last.side}", va="center", fontsize=9)
    ax.set(xlim=(-1.1, len(block) + 1.0), ylim=(-0.75, 1.15))
    ax.set_axis_off()
    return found


def _describe(stage) -> str:
    """A stage in a few words, as in the boxes of the figure."""
    words = {
        "convolution": f"conv\n{stage.size} × {stage.size}", "norm": "Layer-\nNorm", "relu": "ReLU", "add": "+",
        "pool": f"MaxPool\n{stage.size} × {stage.size}", "upsample": f"Upsample\n× {stage.size}", "dense": "dense",
        "input": "pattern",
    }  # fmt: skip
    return words.get(stage.kind, stage.name.rpartition(".")[2])


def _draw_unit(ax: Axes, x: float, y: float, unit: list, entering) -> Polygon:
    first, last = unit[0], unit[-1]
    way = 1 if first.part == "encoder" else -1
    enters, leaves = (_drawn_height(stage) for stage in (entering, last))
    corners = [(-1, -enters), (-1, enters), (1, leaves), (1, -leaves)]
    page = [(x + way * side * WIDTH / 2, y + height / 2) for side, height in corners]
    usual = "block" if any(stage.added for stage in unit) else first.kind
    kind = next((stage.kind for stage in unit if stage.kind in ("pool", "upsample")), usual)
    shape = ax.add_patch(Polygon(page, facecolor=COLOURS[kind], edgecolor=EDGE, lw=1))
    alone = first.unit.rpartition(" ")[2] == first.name
    words = " +\n".join(_describe(stage).replace("\n", " ") for stage in unit) if alone else first.unit.replace(" block", "\nblock")
    ax.text(x, y + max(enters, leaves) / 2 + 0.1, words, ha="center", va="bottom", fontsize=9)
    size = str(last.channels) if last.side == 1 else f"{last.channels} ×\n{last.side} × {last.side}"
    ax.text(x, y - max(enters, leaves) / 2 - 0.1, size, ha="center", va="top", fontsize=9, color="0.25")
    return shape


def _drawn_height(stage) -> float:
    """Height of what leaves a stage; a vector is as high as the square image with as many numbers."""
    return HEIGHT_PER_OCTAVE * (1 + log2(stage.side if stage.side > 1 else max(1, round(stage.channels**0.5))))


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


def _half_width(stage) -> float:
    return 0.22 if stage.kind == "add" else 0.4


MODULES = {nn.Conv2d: "convolution", nn.LayerNorm: "norm", nn.MaxPool2d: "pool", Upsample: "upsample", nn.Linear: "dense"}
OPERATIONS = {"relu": "relu", "add": "add"} | dict.fromkeys(("flatten", "unflatten", "unsqueeze", "squeeze"), "reshape")
UNIT_NAMES = {"pool": "MaxPool block", "upsample": "UpSample block"}


@dataclass(frozen=True)
class Stage:
    """One operation on the images of a pattern, with what leaves it; a vector counts as ``channels`` images of side 1."""

    name: str  # of the module in the state dict; an operation without weights is named after the block it stands in
    kind: str  # input, convolution, norm, relu, add, pool, upsample, reshape or dense
    part: str  # encoder or decoder
    channels: int  # images that leave the stage
    side: int  # px, of these images
    parameters: int = 0
    size: int = 0  # side of a kernel or pool in px, or the factor of an upsampling
    added: str = ""  # name of the stage whose output an "add" adds to that of the stage before it
    unit: str = ""  # the block of Fig. 3a that the stage belongs to


def stages(net: Autoencoder) -> list[Stage]:
    """
    All operations of an autoencoder in the order in which a pattern passes them, first the pattern itself.

    :mod:`torch.fx` traces the forward methods on a copy without memory, so they are those of the code that runs in training.
    """
    bare = copy.deepcopy(net).to("meta")  # shapes without memory
    config = net.config
    listed = [Stage("pattern", "input", "encoder", 1, config.pattern, unit="pattern")]
    with torch.enable_grad():  # without gradients the encoder takes its shortcut
        listed += _trace(bare.enc, "encoder", "enc", torch.empty(1, config.pattern, config.pattern, device="meta"), listed[-1])
        listed += _trace(bare.dec, "decoder", "dec", torch.empty(1, config.channels, device="meta"), listed[-1])
    return listed


class _Tracer(fx.Tracer):
    """Takes the upsampling for one operation, as it takes the modules of PyTorch."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, Upsample) or super().is_leaf_module(m, module_qualified_name)


def _trace(half: nn.Module, part: str, prefix: str, start: torch.Tensor, before: Stage) -> list[Stage]:
    """The stages of the encoder or the decoder; ``before`` is what it takes in."""
    traced = fx.GraphModule(half, _Tracer().trace(half))
    ShapeProp(traced).propagate(start)
    known: dict[str, Stage] = {}  # by the name of the node
    node: Any  # its arguments have as many types as Python
    for node in traced.graph.nodes:
        if node.op == "placeholder":
            known[node.name] = before
        elif node.op != "output":
            stage = _stage(traced, node, part, prefix, known)
            last = known[node.args[0].name]
            idle = stage.kind == "reshape" and (stage.channels, stage.side) == (last.channels, last.side)
            known[node.name] = last if idle else stage
    return _with_units([stage for stage in dict.fromkeys(known.values()) if stage is not before])


def _stage(traced: fx.GraphModule, node: Any, part: str, prefix: str, known: dict[str, Stage]) -> Stage:
    shape = node.meta["tensor_meta"].shape[1:]
    channels, side = (1, shape[0]) if len(shape) == 2 and shape[0] == shape[1] else (shape[0], shape[1] if len(shape) > 1 else 1)
    if node.op == "call_module":
        module = traced.get_submodule(node.target)
        count = sum(parameter.numel() for parameter in module.parameters())
        size = 0
        if isinstance(module, nn.Conv2d | nn.MaxPool2d):
            size = int(np.ravel(module.kernel_size)[0])
        elif isinstance(module, Upsample):
            size = module.scale
        return Stage(f"{prefix}.{node.target}", MODULES[type(module)], part, channels, side, count, size)
    operation = node.target if isinstance(node.target, str) else node.target.__name__
    block = known[node.args[0].name].name.rpartition(".")[0]
    block = block if block.startswith(prefix) else prefix
    added = known[node.args[1].name].name if operation == "add" else ""
    return Stage(f"{block}.{operation}", OPERATIONS[operation], part, channels, side, added=added)


def _with_units(found: list[Stage]) -> list[Stage]:
    """The same stages with their blocks: one ends with each pool and starts with each upsampling; others stand alone."""
    groups: list[list[Stage]] = []
    for stage in found:
        follows = groups and ".block_layer." in stage.name and ".block_layer." in groups[-1][-1].name
        goes_on = follows and groups[-1][-1].kind != "pool" and stage.kind != "upsample"
        if goes_on or (groups and stage.kind == "relu"):
            groups[-1].append(stage)
        else:
            groups.append([stage])
    count: Counter[str] = Counter()
    named: list[Stage] = []
    for group in groups:
        first = group[0]
        name = first.name.rpartition(".")[2] if first.kind == "reshape" else f"{first.kind} {first.name}"
        if ".block_layer." in first.name:
            name = next((UNIT_NAMES[stage.kind] for stage in group if stage.kind in UNIT_NAMES), "first block")
        count[name] += 1
        name = f"{name} {count[name]}" if name in UNIT_NAMES.values() else name
        named += [replace(stage, unit=name) for stage in group]
    return named
