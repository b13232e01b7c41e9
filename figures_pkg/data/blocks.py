"""Blocks of a scan: which there are, one of them as an array, all of them one after another, and results that come as they finish."""

from __future__ import annotations

import hashlib
import itertools
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed

import dask.array as da
import numpy as np
import xarray as xr
from tqdm import tqdm

Place = tuple[slice, slice]  # of scan_y and scan_x

BLOCK_BYTES = 64e6  # of an array in memory that is cut into blocks


def block_places(scan: xr.DataArray | da.Array | np.ndarray, parts: int = 1) -> list[Place]:
    """Slices of scan_y and scan_x of a scan's blocks, in order: those of dask, or whole rows of an array in memory, up to 64 MB, ``parts`` or more."""
    data = scan.data if isinstance(scan, xr.DataArray) else scan
    if isinstance(data, da.Array):
        edges = [np.cumsum([0, *sizes]).tolist() for sizes in data.chunks[:2]]
        return [(slice(*rows), slice(*columns)) for rows in itertools.pairwise(edges[0]) for columns in itertools.pairwise(edges[1])]
    few = max(int(BLOCK_BYTES // max(data[:1].nbytes, 1)), 1)
    rows = max(min(-(-len(data) // parts), few), 1)
    return [(slice(y, min(y + rows, len(data))), slice(0, data.shape[1])) for y in range(0, len(data), rows)]


def read_block(scan: xr.DataArray, place: Place, scheduler: str | None = None) -> np.ndarray:
    """Counts of one block, shape (ny, nx, det_y, det_x); with ``scheduler="synchronous"`` read in the calling thread."""
    data = scan.data[place]
    return np.asarray(data.compute(scheduler=scheduler) if isinstance(data, da.Array) else data)


def walk_blocks(scan: xr.DataArray, progress: bool = False) -> Iterator[tuple[Place, np.ndarray]]:
    """Yield the scan's blocks in order, (slices of scan_y and scan_x, counts); the next is read while one is worked on."""
    places = block_places(scan)
    with ThreadPoolExecutor(1) as reader, tqdm(total=len(places), desc="blocks", disable=not progress) as bar:
        waiting = reader.submit(read_block, scan, places[0])
        for number, place in enumerate(places, start=1):
            counts = waiting.result()
            if number < len(places):
                waiting = reader.submit(read_block, scan, places[number])
            yield place, counts
            bar.update()


def finished(work: Callable, items: Iterable, shared: tuple, threads: int, progress: str | None = None) -> Iterator[tuple]:
    """Yield (item, ``work(item, *shared)``) as results come, from threads or from an active ``dask.distributed`` client.

    The cluster's workers get what is `shared` once each; `work` is then a function of a module. Stopped early, what has not begun is left undone.
    """
    distributed = sys.modules.get("distributed")  # not imported for this
    try:
        client = distributed.default_client() if distributed else None
    except ValueError:  # imported, but no client was made
        client = None
    pool = client.get_executor() if client else ThreadPoolExecutor(threads)
    shared = tuple(client.scatter(list(shared), broadcast=True, hash=False)) if client and shared else shared
    tasks = {pool.submit(work, item, *shared): item for item in items}
    try:
        yield from ((tasks[task], task.result()) for task in tqdm(as_completed(tasks), progress, len(tasks), disable=progress is None, mininterval=1.0))
    finally:
        for task in tasks:
            task.cancel()
        pool.shutdown()


def scan_digest(scan: xr.DataArray) -> str:
    """Sixteen hexadecimal digits that tell scans apart, from shape, type and nine patterns; two files that differ elsewhere only have the same."""
    digest = hashlib.sha256(f"{scan.shape} {np.dtype(scan.dtype)}".encode())
    for y in sorted({0, scan.shape[0] // 2, scan.shape[0] - 1}):
        for x in sorted({0, scan.shape[1] // 2, scan.shape[1] - 1}):
            digest.update(np.ascontiguousarray(scan.data[y, x]).tobytes())
    return digest.hexdigest()[:16]
