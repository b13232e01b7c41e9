"""Copy a scan of any format into a compressed zarr store whose chunks hold whole patterns."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import math
import os
import shutil
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path

import numpy as np
import xarray as xr
import zarr
from tqdm import tqdm
from zarr.codecs import BloscCodec

from .axes import DIMS
from figures_pkg.workspace import available_cores
from .journal import Journal, open_journal, take_folder
from figures_pkg.workspace import check_target
from .scan import open_scan
from .stores import ARRAY

CHUNK_BYTES = 8e6  # of whole patterns before compression
_NOT_STORED = ("path", "format")  # attributes that belong to a file, not to the scan


def convert(path, target, *, orientation: str = "lab", axes=None, overwrite: bool = False, workers: int | None = None,
            progress: bool = True, **how_to_open) -> Path:
    """
    Stream a scan into a zarr (format 3) store: same counts bit for bit, chunks of whole patterns, zstd-compressed.

    The store grows in ``<target>.part/`` and is renamed when it is complete. After an interruption, even a killed
    process, the same call goes on with the blocks that are not yet there. Memory does not depend on the scan's size: each
    worker holds one block. The result opens with :func:`figures_pkg.data.open_scan` and with ``xarray.open_zarr``.

    Parameters
    ----------
    path
        Whatever :func:`figures_pkg.data.open_scan` opens.
    target
        Folder to make, ends in ``.zarr``.
    orientation, axes, how_to_open
        Passed to ``open_scan``; calibration and orientation are stored.
    overwrite
        Whether an existing target may be replaced, at the very end.
    workers
        Threads; by default as many as cores, at most 4, and fewer where their blocks would fill more than half a GB.
    progress
        Whether to draw a bar on stderr.

    Returns
    -------
    pathlib.Path
        The target.
    """
    target = check_target(target, ".zarr", overwrite)
    scan = open_scan(path, orientation, axes, **how_to_open)
    part = target.with_name(target.name + ".part")
    lock = take_folder(part)
    try:
        journal = open_journal(part, _identity(Path(path), scan))
        store = _open_store(part / "store.zarr", scan, fresh=not journal.entries)
        with contextlib.closing(journal):
            _copy_blocks(scan, store, journal, workers or _default_workers(scan), progress)
        if target.exists():
            shutil.rmtree(target)
        os.replace(part / "store.zarr", target)
        shutil.rmtree(part, ignore_errors=True)
    finally:
        lock.release()
    return target


def _default_workers(scan: xr.DataArray) -> int:
    """As many threads as the machine and half a gigabyte of blocks allow."""
    block = math.prod(scan.data.chunksize) * scan.dtype.itemsize
    return max(1, min(4, available_cores(), int(500e6 // block)))


def _identity(source: Path, scan: xr.DataArray) -> str:
    """A text that differs when earlier partial work belongs to another source or layout."""
    stat = os.stat(source / "zarr.json" if source.is_dir() else source)
    told = [str(source.resolve()), stat.st_size, stat.st_mtime_ns, scan.shape, str(scan.dtype), chunk_shape(scan),
            str(scan.attrs)]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def _open_store(path: Path, scan: xr.DataArray, fresh: bool) -> zarr.Array:
    """The array of counts in a new or a continued store."""
    if not fresh:
        return zarr.open_array(path, mode="r+", path=ARRAY)
    group = zarr.open_group(path, mode="w", zarr_format=3)
    for dim in DIMS:
        coordinate = group.create_array(dim, data=scan[dim].values, dimension_names=(dim,))
        coordinate.attrs.update(scan[dim].attrs)
    return group.create_array(
        ARRAY, shape=scan.shape, dtype=scan.dtype, chunks=chunk_shape(scan), dimension_names=DIMS,
        attributes=_plain_attributes(scan), compressors=BloscCodec(cname="zstd", clevel=3, shuffle="bitshuffle"), config={"write_empty_chunks": True})


def _plain_attributes(scan: xr.DataArray) -> dict:
    """The scan's attributes as JSON; nan stands for unknown and is left out, since JSON has no nan."""
    plain = {key: list(value) if isinstance(value, tuple) else value for key, value in scan.attrs.items()}
    return {key: value for key, value in plain.items() if key not in _NOT_STORED and not _has_nan(value)}


def _has_nan(value) -> bool:
    """Whether an attribute is nan or a list with a nan."""
    return any(isinstance(part, float) and math.isnan(part) for part in (value if isinstance(value, list) else [value]))


def chunk_shape(scan: xr.DataArray) -> tuple[int, int, int, int]:
    """
    Chunks of whole patterns, about ``CHUNK_BYTES`` and nearly square on the scan.

    They divide the scan's dask blocks evenly, so that two blocks never write the same chunk.
    """
    positions = max(1, int(CHUNK_BYTES // (scan.shape[2] * scan.shape[3] * scan.dtype.itemsize)))
    block_y, block_x = scan.data.chunksize[:2]
    size_x = _divisor(block_x, max(1, math.isqrt(positions), positions // block_y))
    size_y = _divisor(block_y, positions // size_x)
    return size_y, size_x, *scan.shape[2:]


def _divisor(number: int, at_most: int) -> int:
    """The largest divisor of ``number`` that is not above ``at_most``."""
    return max(size for size in range(1, max(1, min(number, at_most)) + 1) if number % size == 0)


def _copy_blocks(scan: xr.DataArray, store: zarr.Array, journal: Journal, workers: int, progress: bool) -> None:
    """Copy every block that the journal lacks; note each in the journal once it is in the store."""
    starts = [np.concatenate([[0], np.cumsum(sizes)]) for sizes in scan.data.chunks[:2]]
    boxes = [(int(y0), int(y1), int(x0), int(x1)) for (y0, y1), (x0, x1) in
             itertools.product(itertools.pairwise(starts[0]), itertools.pairwise(starts[1]))]
    todo = [box for box in boxes if (box[0], box[2]) not in journal.entries]

    def copy(box):
        y0, y1, x0, x1 = box
        block = scan.data[y0:y1, x0:x1].compute(scheduler="synchronous")
        for y in range(y0, y1, store.chunks[0]):  # zarr holds copies of all that it is given at once
            store[y:min(y + store.chunks[0], y1), x0:x1] = block[y - y0:y - y0 + store.chunks[0]]
        journal.append((y0, x0), b"")
        return block.nbytes

    done = scan.nbytes * (1 - len(todo) / len(boxes))
    with tqdm(desc="converting", total=scan.nbytes, initial=int(done), unit="B", unit_scale=True,
              disable=not progress) as bar:
        for size in _bounded(copy, todo, workers):
            bar.update(size)


def _bounded(function, items, workers: int):
    """Yield results as they come, with at most ``workers`` items in hand; stop taking new ones on any error."""
    with ThreadPoolExecutor(workers) as pool:
        running, items = set(), iter(items)
        while True:
            running |= {pool.submit(function, item) for item in itertools.islice(items, workers - len(running))}
            if not running:
                return
            finished, running = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                yield future.result()
