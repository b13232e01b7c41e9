"""Trained networks as methods among others: what they find on a scan, raw and rotated, beside the same network untrained."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr

from figures_pkg.data.axes import SCAN_DIMS
from figures_pkg.data.blocks import walk_blocks
from figures_pkg.model import Autoencoder, embed
from figures_pkg.model.linear import rotate_steps
from figures_pkg.model.recipes import Recipe, recipe_called
from figures_pkg.model.train import DeadEmbedding, first_network, train
from figures_pkg.model.transform import InputTransform

RAW, ROTATED = "", ", rotated"  # what follows the name of a network
ENOUGH = 1000  # positions on which a share of variance is measured to a few per cent of itself


@dataclass(frozen=True)
class MethodMaps:
    """
    What a method makes of a scan: maps (channel, scan_y, scan_x), None for a network whose channels died, under its name.

    The name of a network says how its channels were treated. ``facts`` holds ``cpu_s``, its CPU seconds; for a network those of training
    and embedding, with ``live_channels`` and ``unexplained`` (see :func:`unexplained`).
    """

    name: str
    maps: xr.DataArray | None
    facts: dict[str, float]


def trained_maps(scan: xr.DataArray, recipe: str | Recipe, seed: int, name: str = "CA", control: str | None = "untrained") -> Iterator[MethodMaps]:
    """
    Train a network on a scan and give its embedding as it is and its step components, then both of the untrained control.

    The scan is binned already, or as large as it was recorded. The control has the same first weights, from the seed, and the same
    input; ``control`` None leaves it out.
    """
    recipe, begin = recipe_called(recipe) if isinstance(recipe, str) else recipe, time.process_time()
    try:
        trained = train(scan, recipe, seed=seed, progress=False)
    except DeadEmbedding:
        dead = {"live_channels": 0, "unexplained": 1.0, "cpu_s": time.process_time() - begin}
        yield from (MethodMaps(name + treated, None, dead) for treated in (RAW, ROTATED))
        return
    yield from _both(trained.net, scan, trained.transform, name, begin)
    if control is not None:
        yield from _both(first_network(recipe, seed), scan, trained.transform, control, time.process_time())


def unexplained(net: Autoencoder, scan: xr.DataArray, transform: InputTransform, maps: xr.DataArray) -> float:
    """
    Share of the variance of a network's target that its reconstruction misses; 1 is what the mean pattern misses.

    The target is the transform of the counts of a scan, ``maps`` (scan_y, scan_x, channel) their embedding.
    """
    device, missed, total, mean, positions = next(net.parameters()).device, 0.0, 0.0, 0.0, 0
    with torch.inference_mode():
        for place, counts in walk_blocks(scan):
            target = transform.apply(counts).reshape(-1, net.config.pattern, net.config.pattern).astype(float)
            z = torch.from_numpy(maps.values[place].reshape(len(target), -1)).to(device)
            missed += float(((net.decode(z).float().cpu().numpy() - target) ** 2).sum())
            total, mean, positions = total + float((target**2).sum()), mean + target.sum(axis=0), positions + len(target)
    return missed / (total - float((mean**2).sum()) / positions)


def _both(net: Autoencoder, scan: xr.DataArray, transform: InputTransform, name: str, begin: float) -> Iterator[MethodMaps]:
    """The embedding as it is and rotated."""
    found = embed(net, scan, transform)
    spent = time.process_time() - begin
    live = int((np.ptp(found.values, axis=(0, 1)) > 0).sum())
    few = (slice(None, None, max(1, int((found.shape[0] * found.shape[1] / ENOUGH) ** 0.5))),) * 2
    facts = {"live_channels": live, "unexplained": unexplained(net, scan[few], transform, found[few]), "cpu_s": spent}
    maps = found.transpose("channel", *SCAN_DIMS).rename(name)
    yield MethodMaps(name + RAW, maps if live else None, facts)
    if live > 1:
        yield MethodMaps(name + ROTATED, rotate_steps(maps), facts)
