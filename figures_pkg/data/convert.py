"""Copy a scan of any format into a compressed zarr store whose chunks hold whole patterns."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import re
import shutil
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import filelock
import xarray as xr
from tqdm import tqdm

from figures_pkg.workspace import available_cores, check_target, replacing

from .axes import DIMS
from .blocks import block_places, read_block
from .scan import ARRAY, open_scan

CHUNK_BYTES = 8e6  # of whole patterns before compression
_NOT_STORED = ("path", "format")  # attributes that belong to a file, not to the scan


def convert(path, target, *, orientation: str = "lab", axes=None, overwrite: bool = False, workers: int | None = None,
            progress: bool = True, **how_to_open) -> Path:
    """Stream a scan into a zarr (format 3) store: same counts bit for bit, chunks of whole patterns, zstd-compressed.

    The store grows in ``<target>.part/`` and is renamed when it is complete. After an interruption, even a killed
    process, the same call goes on with the blocks that are not yet there. Memory does not depend on the scan's size: each
    worker holds one block. The result opens with :func:`figures_pkg.data.open_scan` and with ``xarray.open_zarr``.

    Parameters
    ----------
    path, orientation, axes, how_to_open
        As for :func:`figures_pkg.data.open_scan`; calibration and orientation are stored.
    target, overwrite
        Folder to make, ends in ``.zarr``; returned. An existing one is replaced, at the very end, if `overwrite` says so.
    workers, progress
        Threads, by default as many as cores, at most 4, and fewer where their blocks would fill more than half a GB; a bar on stderr.
    """
    target = check_target(target, ".zarr", overwrite)
    scan = open_scan(path, orientation, axes, **how_to_open)
    part = target.with_name(target.name + ".part")
    part.mkdir(parents=True, exist_ok=True)
    with _alone(part):
        source = Path(path)
        stat = os.stat(source / "zarr.json" if source.is_dir() else source)
        layout = [scan.shape, str(scan.dtype), _chunk_shape(scan), str(scan.attrs)]
        identity = hashlib.sha256(json.dumps([str(source.resolve()), stat.st_size, stat.st_mtime_ns, *layout]).encode()).hexdigest()
        finished = _finished_blocks(part / "finished.txt", identity)
        store = _open_store(part / "store.zarr", scan, fresh=not finished)
        block = math.prod(scan.data.chunksize) * scan.dtype.itemsize
        workers = workers or max(1, min(4, available_cores(), int(500e6 // block)))
        with open(part / "finished.txt", "a", encoding="utf-8") as notes:
            _copy_blocks(scan, store, finished, notes, workers, progress)
        if target.exists():
            shutil.rmtree(target)
        os.replace(part / "store.zarr", target)
        shutil.rmtree(part, ignore_errors=True)
    return target


@contextlib.contextmanager
def _alone(part: Path) -> Iterator[None]:
    """Keep a second process out of a folder of unfinished work."""
    try:
        with filelock.FileLock(part / "lock", timeout=0):
            yield
    except filelock.Timeout:
        raise RuntimeError(f"{part} is in use by another process that writes there; wait for it, or write elsewhere") from None


def _finished_blocks(notes: Path, identity: str) -> set[tuple[int, int]]:
    """First positions (y, x) of the blocks that earlier work of this identity, the first line of the notes, has copied; a line cut short is left out."""
    lines = notes.read_text(encoding="utf-8").splitlines(keepends=True) if notes.exists() else []
    if lines and lines[0] != f"{identity}\n":
        warnings.warn(f"{notes.parent} holds unfinished work of another source or layout; it is discarded", stacklevel=3)
        lines = []
    whole = [line for line in lines[1:] if re.fullmatch(r"\d+ \d+\n", line)]
    with replacing(notes) as temporary:
        temporary.write_text("".join([f"{identity}\n", *whole]), encoding="utf-8")
    return {(int(y), int(x)) for y, x in map(str.split, whole)}


def _open_store(path: Path, scan: xr.DataArray, fresh: bool):
    """The array of counts in a new or a continued store; attributes that are nan, so unknown, are left out, since JSON has no nan."""
    import zarr  # slow to import
    from zarr.codecs import BloscCodec

    if not fresh:
        return zarr.open_array(path, mode="r+", path=ARRAY)
    group = zarr.open_group(path, mode="w", zarr_format=3)
    for dim in DIMS:
        coordinate = group.create_array(dim, data=scan[dim].values, dimension_names=(dim,))
        coordinate.attrs.update(scan[dim].attrs)
    plain = {}
    for key, value in scan.attrs.items():
        parts = value if isinstance(value, tuple) else [value]
        if key not in _NOT_STORED and not any(isinstance(part, float) and math.isnan(part) for part in parts):
            plain[key] = list(value) if isinstance(value, tuple) else value
    return group.create_array(
        ARRAY, shape=scan.shape, dtype=scan.dtype, chunks=_chunk_shape(scan), dimension_names=DIMS, attributes=plain,
        compressors=BloscCodec(cname="zstd", clevel=3, shuffle="bitshuffle"), config={"write_empty_chunks": True})


def _chunk_shape(scan: xr.DataArray) -> tuple[int, ...]:
    """Chunks of whole patterns, about ``CHUNK_BYTES`` and nearly square on the scan, that divide the dask blocks evenly: two blocks never share one."""
    positions = max(1, int(CHUNK_BYTES // (scan.shape[2] * scan.shape[3] * scan.dtype.itemsize)))
    block_y, block_x = scan.data.chunksize[:2]
    size_x = _divisor(block_x, max(math.isqrt(positions), positions // block_y))
    size_y = _divisor(block_y, positions // size_x)
    return size_y, size_x, *scan.shape[2:]


def _divisor(number: int, at_most: int) -> int:
    """The largest divisor of ``number`` that is not above ``at_most``."""
    return max(size for size in range(1, max(1, min(number, at_most)) + 1) if number % size == 0)


def _copy_blocks(scan: xr.DataArray, store, finished: set, notes, workers: int, progress: bool) -> None:
    """Copy every block that is not `finished`; note each once it is in the store."""
    places = block_places(scan)
    todo = [place for place in places if (place[0].start, place[1].start) not in finished]
    lock = threading.Lock()

    def copy(place):
        rows, columns = place
        block = read_block(scan, place, scheduler="synchronous")
        for y in range(rows.start, rows.stop, store.chunks[0]):  # zarr holds copies of all that it is given at once
            store[y:min(y + store.chunks[0], rows.stop), columns] = block[y - rows.start:y - rows.start + store.chunks[0]]
        with lock:
            notes.write(f"{rows.start} {columns.start}\n")
            notes.flush()
        return block.nbytes

    done = scan.nbytes * (1 - len(todo) / len(places))
    bar = tqdm(desc="converting", total=scan.nbytes, initial=int(done), unit="B", unit_scale=True, disable=not progress)
    with bar, ThreadPoolExecutor(workers) as pool:
        try:
            for task in as_completed([pool.submit(copy, place) for place in todo]):
                bar.update(task.result())
        finally:  # after an error or Ctrl-C nothing new is begun
            pool.shutdown(cancel_futures=True)
