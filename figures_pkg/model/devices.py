"""Where and with how many bits a training computes."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import nn

from .config import NetworkConfig
from .recipe import Recipe

if TYPE_CHECKING:
    from lightning_fabric import Fabric

LEAST_FILTERS, LEAST_SIDE = 64, 128  # smaller networks are trained before they are compiled
COMPILED_PATTERNS = 32  # at once, through a compiled network: 9 GB at the paper's sizes
# One kernel for sums along and across the rows of an image, as LayerNorm's gradient needs them: in PyTorch 2.11 its results have
# a wrong shape (pytorch issue 178080, here from 64 patterns on), from 2.10 to 2.13 it can leave gradients unwritten (193061).
MIXED_SUMS = "triton.mix_order_reduction"
MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1  # of glibc's mallopt


def make_fabric(recipe: Recipe, accelerator: str = "auto", devices: int | str = 1, nodes: int = 1) -> Fabric:
    """
    A launched Fabric for a recipe, with 16-bit arithmetic where it pays.

    Parameters
    ----------
    recipe
        Its ``precision`` "auto" becomes bf16 on a GPU that has it, and on a CPU with bf16 instructions from 16 filters on
        (with 8 it was slower there); else 32 bits.
    accelerator, devices, nodes
        As for Fabric: "cpu", "cuda" or "auto"; how many. Under ``torchrun`` they describe what that started.
    """
    from lightning_fabric import Fabric  # here, not above: a second that those who only load a network need not wait

    precision = recipe.precision if recipe.precision != "auto" else _precision(recipe, accelerator)
    several = devices not in (1, "1") or nodes > 1
    strategy = "ddp" if several else "auto"
    fabric = Fabric(accelerator=accelerator, devices=devices, num_nodes=nodes, precision=precision, strategy=strategy)
    fabric.launch()
    return fabric


def _precision(recipe: Recipe, accelerator: str) -> str:
    """bf16 where the hardware computes in it."""
    if accelerator in ("auto", "cuda", "gpu") and torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"
    fast = torch.cpu._is_avx512_bf16_supported() and recipe.network.filters >= 16
    return "bf16-mixed" if fast else "32-true"


def arranged(net: nn.Module, device: torch.device) -> nn.Module:
    """
    The network as it trains fastest on a device, with the same parameters.

    On a GPU a large network is compiled, which joins what stands between the convolutions into few passes over the images,
    with the filters last in memory. Compiling takes about a minute, then a step half the time (benchmarks/README.md).

    Parameters
    ----------
    net
        The order of its weights in memory may change, nothing else.
    device
        Where it will compute.
    """
    if not is_compiled(net.config, device):
        return net
    return torch.compile(net.to(memory_format=torch.channels_last), options={MIXED_SUMS: False})


def is_compiled(config: NetworkConfig, device: torch.device) -> bool:
    """Whether networks of these sizes are compiled for a device."""
    return device.type == "cuda" and config.filters >= LEAST_FILTERS and config.pattern >= LEAST_SIDE


def usual_part(config: NetworkConfig, device: torch.device) -> int | None:
    """How many patterns go through the network at once unless told otherwise; None is the whole batch."""
    return COMPILED_PATTERNS if is_compiled(config, device) else None


@contextmanager
def deterministic(fabric: Fabric) -> Iterator[None]:
    """Deterministic kernels on a GPU while a training runs, where there are such; a CPU's are."""
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    if fabric.device.type == "cuda":
        torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])


def keep_freed_memory() -> None:
    """
    Let this process keep the memory that it frees, for its next images.

    An image inside the paper's network has 34 MB. By default the system takes such a block back when it is freed, and clears the next one
    page by page: 30 % of the processor time of the encoder. With glibc on Linux; elsewhere nothing changes.
    """
    allocator = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if allocator is not None:
        allocator(MMAP_THRESHOLD, 2**30)
        allocator(TRIM_THRESHOLD, 2**31 - 1)
