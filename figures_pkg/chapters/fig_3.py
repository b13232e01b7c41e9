"""What the chapter on Fig. 3 alone needs: what happens to a pattern inside a network, step by step, read from the network itself."""

from __future__ import annotations

import copy
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from figures_pkg.model.autoencoder import Autoencoder, Upsample

MODULES = {nn.Conv2d: "convolution", nn.LayerNorm: "norm", nn.MaxPool2d: "pool", Upsample: "upsample", nn.Linear: "dense"}
OPERATIONS = {"relu": "relu", "add": "add"} | dict.fromkeys(("flatten", "unflatten", "unsqueeze", "squeeze"), "reshape")
UNIT_NAMES = {"pool": "MaxPool block", "upsample": "UpSample block"}


@dataclass(frozen=True)
class Stage:
    """
    One operation on the images of a pattern, with what leaves it.

    A vector, as the embedding is one, counts as ``channels`` images of side 1.
    """

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
    All operations of an autoencoder in the order in which a pattern passes them.

    The forward methods are traced with :mod:`torch.fx` on a copy without memory, so names, shapes, sizes and shortcuts are
    those of the code that runs. They are those of training; the shortcut that embedding takes is the same function.

    Parameters
    ----------
    net
        Of any configuration; it is not changed.

    Returns
    -------
    list of Stage
        First the pattern, of kind "input". The numbers of parameters add up to the network's.

    Raises
    ------
    TypeError
        For anything but an :class:`Autoencoder`; a β-VAE draws its embedding at random and is no chain of operations.

    Examples
    --------
    >>> from figures_pkg.model import NetworkConfig
    >>> found = stages(Autoencoder(NetworkConfig(pattern=32, filters=4, pools=(4, 2), channels=3), seed=0))
    >>> [stage.side for stage in found if stage.kind in ("input", "pool")]
    [32, 8, 4]
    """
    if type(net) is not Autoencoder:
        raise TypeError(f"the stages of a {type(net).__name__} were asked for; expected an Autoencoder")
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
    """One node of the graph as a stage."""
    shape = node.meta["tensor_meta"].shape[1:]
    channels, side = (1, shape[0]) if len(shape) == 2 and shape[0] == shape[1] else (shape[0], shape[1] if len(shape) > 1 else 1)
    if node.op == "call_module":
        module = traced.get_submodule(node.target)
        count = sum(parameter.numel() for parameter in module.parameters())
        return Stage(f"{prefix}.{node.target}", MODULES[type(module)], part, channels, side, count, _size(module))
    operation = node.target if isinstance(node.target, str) else node.target.__name__
    block = known[node.args[0].name].name.rpartition(".")[0]
    block = block if block.startswith(prefix) else prefix
    added = known[node.args[1].name].name if operation == "add" else ""
    return Stage(f"{block}.{operation}", OPERATIONS[operation], part, channels, side, added=added)


def _size(module: nn.Module) -> int:
    """Side of the kernel or pool, or factor of the upsampling; 0 for a module without one."""
    if isinstance(module, nn.Conv2d):
        return module.kernel_size[0]
    if isinstance(module, nn.MaxPool2d):
        return int(module.kernel_size)  # type: ignore[arg-type]
    return module.scale if isinstance(module, Upsample) else 0


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
        name = _unit_name(group)
        count[name] += 1
        name = f"{name} {count[name]}" if name in UNIT_NAMES.values() else name
        named += [replace(stage, unit=name) for stage in group]
    return named


def _unit_name(group: list[Stage]) -> str:
    """What the figure calls a group of stages."""
    first = group[0]
    if ".block_layer." in first.name:
        return next((UNIT_NAMES[stage.kind] for stage in group if stage.kind in UNIT_NAMES), "first block")
    return first.name.rpartition(".")[2] if first.kind == "reshape" else f"{first.kind} {first.name}"
