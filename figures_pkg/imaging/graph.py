"""Hand the blocks of a scan to threads or to a cluster, and merge what comes back."""

from __future__ import annotations

import uuid

import dask
import dask.array as da
import numpy as np
import xarray as xr
from dask.delayed import Delayed
from dask.highlevelgraph import HighLevelGraph

from figures_pkg.data.blocks import block_places
from figures_pkg.workspace import available_cores

from .blocks import Partial, merge, reduce_block
from .plan import Plan

BLOCKS_PER_THREAD = 8  # of an array in memory
MEMORY_BYTES = 700e6  # what blocks in flight may take together
MERGED_AT_ONCE = 16


def run(scan: xr.DataArray, plan: Plan, labels: np.ndarray | None, threads: int | None) -> Partial:
    """
    Reduce all blocks of a scan and merge the results in a tree, so that few of them wait in memory.

    Parameters
    ----------
    scan
        The checked scan, of dask or in memory.
    plan
        What to gather.
    labels
        (scan_y, scan_x) integers, or None.
    threads
        Blocks in flight when threads do the work; None chooses. A distributed client has its own number.
    """
    data = scan.data if scan.chunks is None else scan.data.rechunk({2: -1, 3: -1})
    threads = threads or _threads(data)
    final, layer = _layer(data, plan, labels, threads)
    graph = HighLevelGraph.from_collections(final[0], layer, dependencies=[] if scan.chunks is None else [data])
    with dask.config.set(num_workers=threads):
        return Delayed(final, graph, layer=final[0]).compute()


def _layer(data, plan: Plan, labels: np.ndarray | None, threads: int) -> tuple[tuple, dict]:
    """The key of the result, and the tasks that lead from the blocks of ``data`` to it."""
    name = f"one-pass-{uuid.uuid4().hex}"
    layer = {f"{name}-plan": plan}
    for number, (block, (y, x), (ny, nx)) in enumerate(_blocks(data, threads)):
        part = None if labels is None else labels[y:y + ny, x:x + nx]
        layer[name, 0, number] = (reduce_block, block, f"{name}-plan", (y, x), part)
    keys, level = [key for key in layer if isinstance(key, tuple)], 0
    while len(keys) > 1:
        level += 1
        merged = {(name, level, k): (merge, keys[k:k + MERGED_AT_ONCE]) for k in range(0, len(keys), MERGED_AT_ONCE)}
        layer |= merged
        keys = list(merged)
    return keys[0], layer


def _blocks(data, threads: int):
    """Yield (block, first position, positions) of each block: the key of a block of dask, or a view of an array."""
    places = block_places(data, BLOCKS_PER_THREAD * threads)
    if isinstance(data, da.Array):
        blocks = ((data.name, i, j, 0, 0) for i, j in np.ndindex(data.numblocks[:2]))
    else:
        blocks = (data[place] for place in places)
    for block, place in zip(blocks, places):
        yield block, tuple(side.start for side in place), tuple(side.stop - side.start for side in place)


def _threads(data) -> int:
    """Number of blocks that may be in flight: more than processors, so that the disk never waits, while memory allows."""
    processors = available_cores()
    if not isinstance(data, da.Array):
        return processors
    largest = max(data.chunks[0]) * max(data.chunks[1]) * data.shape[2] * data.shape[3] * data.dtype.itemsize
    return max(1, min(max(processors, 4), int(MEMORY_BYTES // (1.5 * largest))))
