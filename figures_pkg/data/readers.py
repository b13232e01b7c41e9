"""Read stored patterns in blocks that follow what is stored together, past the libraries that lock, and hand them to dask."""

from __future__ import annotations

import itertools
import logging
import math
import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Protocol

import dask.array as da
import deflate
import h5py
import numpy as np
from dask.array.core import normalize_chunks
from dask.base import tokenize
from numcodecs.shuffle import Shuffle

from .axes import Axes

logger = logging.getLogger(__name__)

BLOCK_BYTES = 48e6  # large enough to hide the cost of a task, small enough for many threads in 1 GB
LARGEST_BLOCK_BYTES = 300e6  # a block of 32 x 32 whole patterns of 256 x 256 uint16 has 134 MB
Box = tuple[tuple[int, int], ...]  # (start, stop) per stored axis
_READ_BYTES = 16 << 20  # frames with headers pass through a buffer of this size


class Stored(Protocol):
    """Four-dimensional data in a file. Readers are small, picklable, and open the file in the process that reads."""

    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype
    piece: tuple[int, ...]  # what is stored together, (1, 1, det_y, det_x) where patterns simply follow each other

    def read_into(self, box: Box, out: np.ndarray) -> None:
        """Fill ``out``, a view with any strides, with the values inside ``box``."""


@dataclass(frozen=True)
class Opened:
    """A file that was understood but not read: the reader of its counts, its calibration in the file's own orientation, and its labels."""

    stored: Stored
    axes: Axes
    format: str  # for people, such as "hspy 3.0"
    orientation: str = "lab"
    order: tuple[int, ...] = (0, 1, 2, 3)  # the stored axis of each of (scan_y, scan_x, det_y, det_x)
    title: str = ""
    source: str = "user"
    extra: dict = field(default_factory=dict)


class LazyScan:
    """A stored array seen with the scan axes first, with ``flip`` with the rows upside down, for nothing; slicing it reads from the file."""

    def __init__(self, stored: Stored, order: tuple[int, ...], flip: bool):
        self.stored, self.order, self.flip = stored, order, flip
        self.shape = tuple(stored.shape[axis] for axis in order)
        self.dtype, self.ndim = stored.dtype, 4

    def __getitem__(self, key) -> np.ndarray:
        box, rest = box_and_rest(key, self.shape)
        out = np.empty([stop - start for start, stop in box], self.dtype)
        view, inside = out, list(box)
        if self.flip:
            view, rows = out[:, :, ::-1], self.shape[2]
            inside[2] = (rows - box[2][1], rows - box[2][0])
        if out.size:
            inverse = np.argsort(self.order)
            self.stored.read_into(tuple(inside[axis] for axis in inverse), view.transpose(inverse))
        for axis in reversed(range(4)):  # from the last, so that dropped axes do not renumber those still to come
            out = out[(slice(None),) * axis + (rest[axis],)]
        return out

    def to_dask(self) -> da.Array:
        """The dask array. Its name depends on the file's size and time, so equal files give equal graphs."""
        stat = os.stat(self.stored.path)
        token = tokenize(str(self.stored.path), stat.st_mtime_ns, stat.st_size, type(self.stored).__name__, self.shape, str(self.dtype), self.order, self.flip)
        blocks = scan_blocks(self.shape, [self.stored.piece[axis] for axis in self.order[:2]], self.dtype.itemsize)
        return da.from_array(self, chunks=(*blocks, *self.shape[2:]), name=f"scan-{token}", asarray=False, meta=np.empty((0,) * 4, self.dtype))


def box_and_rest(key, shape) -> tuple[Box, tuple]:
    """Split an index of slices, integers and lists into the box to read, (start, stop) per axis, and what to take from that box, axis by axis."""
    key = key if isinstance(key, tuple) else (key,)
    if Ellipsis in key:
        at = key.index(Ellipsis)
        key = key[:at] + (slice(None),) * (len(shape) - len(key) + 1) + key[at + 1:]
    key = key + (slice(None),) * (len(shape) - len(key))
    box: list[tuple[int, int]] = []
    rest: list = []
    for item, size in zip(key, shape):
        taken = np.arange(size)[item]
        low, high = (int(taken.min()), int(taken.max()) + 1) if taken.size else (0, 0)
        box.append((low, high))
        rest.append(slice(None, None, item.step) if isinstance(item, slice) else taken - low)
    return tuple(box), tuple(rest)


def scan_blocks(shape, piece, itemsize: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Block sizes along scan_y and scan_x: multiples of ``piece`` of about 48 MB, at least sixteen blocks, so that threads have something to share."""
    pattern = shape[2] * shape[3] * itemsize
    target = min(BLOCK_BYTES, max(shape[0] * shape[1] * pattern / 16, 1e6))
    size_y, size_x = min(piece[0], shape[0]), min(piece[1], shape[1])
    if size_y * size_x * pattern > LARGEST_BLOCK_BYTES:  # narrower along y first
        positions = int(LARGEST_BLOCK_BYTES // pattern)
        size_y = max(1, min(size_y, positions // size_x))
        size_x = max(1, min(size_x, positions // size_y))
        logger.warning("stored chunks span %s scan positions, too many for one block; blocks of %s are read and each chunk "
                       "is decoded more than once. `figures_pkg convert` makes a faster copy", tuple(piece), (size_y, size_x))
    else:
        size_x = _grow(size_x, shape[1], target / (size_y * pattern))
        size_y = _grow(size_y, shape[0], target / (size_x * pattern)) if size_x >= shape[1] else size_y
    return normalize_chunks((size_y, size_x), shape[:2])


def _grow(piece: int, length: int, wanted: float) -> int:
    """The largest multiple of ``piece`` up to ``wanted``, or a little less to cut ``length`` into even blocks."""
    pieces = math.ceil(length / piece)
    blocks = math.ceil(pieces / max(1, int(wanted // piece)))
    return min(math.ceil(pieces / blocks) * piece, length)


class FrameReader:
    """Reads frames that follow each other in the order of the scan, after ``offset`` bytes and a ``header`` each, in the machine's byte order."""

    def __init__(self, path: Path, shape, dtype, offset: int = 0, header: int = 0):
        self.path, self.shape = Path(path), tuple(shape)
        self.stored_dtype, self.offset, self.header = np.dtype(dtype), offset, header
        self.dtype = self.stored_dtype.newbyteorder("=")
        self.piece = (1, 1) + self.shape[2:]

    def read_into(self, box: Box, out: np.ndarray) -> None:
        """Fill ``out`` with the values inside ``box``, one read per scan row."""
        (y0, y1), (x0, x1), rows, cols = box
        fields = [("header", np.void, self.header)] if self.header else []
        record = np.dtype(fields + [("frame", self.stored_dtype, self.shape[2:])])
        as_stored = not self.header and self.stored_dtype.isnative and out.shape[2:] == self.shape[2:]
        step = max(1, _READ_BYTES // record.itemsize)
        with open(self.path, "rb", buffering=0) as file:
            for y, target in zip(range(y0, y1), out):
                start = self.offset + (y * self.shape[1] + x0) * record.itemsize
                if as_stored and target.flags.c_contiguous:
                    read_exactly(file, start, target)
                    continue
                for begin in range(0, x1 - x0, step):
                    frames = np.empty(min(step, x1 - x0 - begin), record)
                    read_exactly(file, start + begin * record.itemsize, frames)
                    target[begin:begin + step] = frames["frame"][:, slice(*rows), slice(*cols)]


def read_exactly(file, position: int, target: np.ndarray) -> np.ndarray:
    """Fill the contiguous array ``target`` from ``position`` of an unbuffered file and return it; OSError if the file has shrunk meanwhile."""
    view = memoryview(target.reshape(-1).view(np.uint8).data)
    file.seek(position)
    while view:
        count = file.readinto(view)
        if not count:
            raise OSError(f"{file.name}: ended {len(view)} bytes too early at byte {position}; fetch or copy the file again")
        view = view[count:]
    return target


def hdf5_reader(path: Path, name: str) -> Stored:
    """The fastest reader that a dataset allows: direct, or through h5py, which locks, for unusual filters, layouts or byte orders."""
    with h5py.File(path) as file:
        dataset = file[name]
        plain = dataset.dtype.isnative and file.userblock_size == 0 and dataset.external is None
        if plain and dataset.chunks and _filters(dataset) is not None:
            return ChunkReader(path, name)
        if plain and dataset.chunks is None and dataset.id.get_offset() is not None:
            return FrameReader(path, _four(dataset.shape), dataset.dtype, dataset.id.get_offset())
        logger.info("%s: read through h5py, because its filters or layout are not the usual ones", path)
        return H5pyReader(path, name)


def _four(sizes: tuple[int, ...]) -> tuple[int, ...]:
    """Sizes with leading ones: a lone pattern is a scan of one position."""
    return (1,) * (4 - len(sizes)) + tuple(sizes)


def _filters(dataset: h5py.Dataset) -> tuple[str, ...] | None:
    """("shuffle", "gzip") or a part of it, in the order of writing; None when there are others."""
    names = {h5py.h5z.FILTER_SHUFFLE: "shuffle", h5py.h5z.FILTER_DEFLATE: "gzip"}
    plist = dataset.id.get_create_plist()
    codes = [plist.get_filter(index)[0] for index in range(plist.get_nfilters())]
    filters = tuple(names.get(code, "other") for code in codes)
    return filters if filters in ((), ("shuffle",), ("gzip",), ("shuffle", "gzip")) else None


class ChunkReader:
    """Reads a chunked dataset by the positions of its chunks in the file, a table that each process makes on first use."""

    def __init__(self, path: Path, name: str):
        self.path, self.name = Path(path), name
        with h5py.File(path) as file:
            dataset = file[name]
            self.shape, self.dtype, self.piece = _four(dataset.shape), dataset.dtype, _four(dataset.chunks)
            self.filters, self.fill = _filters(dataset) or (), dataset.fillvalue

    def __getstate__(self) -> dict:
        return {key: value for key, value in vars(self).items() if key != "table"}

    @cached_property
    def table(self) -> np.ndarray:
        """(position, size, skipped filters) of each stored chunk on the chunk grid, int64 (…, 3); size 0 = not stored."""
        table = np.zeros((*(-(-size // chunk) for size, chunk in zip(self.shape, self.piece)), 3), np.int64)

        def note(info):
            """Enter one stored chunk."""
            offsets = (0,) * (4 - len(info.chunk_offset)) + info.chunk_offset
            place = tuple(offset // chunk for offset, chunk in zip(offsets, self.piece))
            table[place] = info.byte_offset, info.size, info.filter_mask

        with h5py.File(self.path) as file:
            file[self.name].id.chunk_iter(note)
        return table

    def read_into(self, box: Box, out: np.ndarray) -> None:
        """Fill ``out`` with the values inside ``box``, reading chunks in the order of the file."""
        *rest, cols = [range(start // chunk, -(-stop // chunk)) for (start, stop), chunk in zip(box, self.piece)]
        bands = [[(*place, col) for col in cols] for place in itertools.product(*rest)]
        bands.sort(key=lambda band: self.table[band[0]][0])
        memory = np.empty((len(cols), math.prod(self.piece)), self.dtype)
        with open(self.path, "rb", buffering=0) as file:
            for band in bands:
                inside, where = zip(*(_overlap(place, self.piece, box) for place in band))
                parts = [self._decode(file, place, part, room) for place, part, room in zip(band, inside, memory)]
                if len({part.shape for part in parts}) == 1:  # side by side along det_x: one copy in long runs, twice as fast as chunk by chunk
                    y, x, rows, col = parts[0].shape
                    target = out[where[0][:3]].reshape(y, x, rows, len(parts), col, copy=False)
                    target[...] = memory[:, :parts[0].size].reshape(len(parts), y, x, rows, col).transpose(1, 2, 3, 0, 4)
                else:
                    for part, place in zip(parts, where):
                        out[place] = part

    def _decode(self, file, place, inside, room: np.ndarray) -> np.ndarray:
        """The values of a chunk within the slices ``inside``, put into the beginning of ``room``."""
        position, size, skipped = (int(value) for value in self.table[place])
        shape = tuple(part.stop - part.start for part in inside)
        values = room[:math.prod(shape)]
        if size == 0:  # never written
            values[:] = self.fill
            return values.reshape(shape)
        raw = read_exactly(file, position, np.empty(size, np.uint8))
        applied = [name for bit, name in enumerate(self.filters) if not skipped >> bit & 1]
        if "gzip" in applied:
            try:
                raw = np.frombuffer(deflate.zlib_decompress(raw, math.prod(self.piece) * self.dtype.itemsize), np.uint8)
            except deflate.DeflateError as error:
                raise OSError(f"{self.path}: a compressed chunk is damaged ({error}); fetch or copy the file again") from error
        if "shuffle" in applied:
            planes = raw.reshape(self.dtype.itemsize, *self.piece)[(slice(None), *inside)]
            Shuffle(self.dtype.itemsize).decode(np.ascontiguousarray(planes).reshape(-1), values.view(np.uint8))
        else:
            values.reshape(shape)[...] = raw.view(self.dtype).reshape(self.piece)[inside]
        return values.reshape(shape)


def _overlap(place, piece, box: Box) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """The part of the chunk at ``place`` of the chunk grid that lies in ``box``: within the chunk, and within the box."""
    inside, where = [], []
    for index, chunk, (start, stop) in zip(place, piece, box):
        first, low, high = index * chunk, max(index * chunk, start), min((index + 1) * chunk, stop)
        inside.append(slice(low - first, high - first))
        where.append(slice(low - start, high - start))
    return tuple(inside), tuple(where)


class H5pyReader:
    """Reads through h5py: any filter that the library knows, one thread at a time."""

    def __init__(self, path: Path, name: str):
        self.path, self.name = Path(path), name
        with h5py.File(path) as file:
            dataset = file[name]
            self.shape, self.dtype = _four(dataset.shape), dataset.dtype.newbyteorder("=")
            self.piece = _four(dataset.chunks) if dataset.chunks else (1, 1) + self.shape[2:]

    def read_into(self, box: Box, out: np.ndarray) -> None:
        """Fill ``out`` with the values inside ``box``."""
        with h5py.File(self.path, rdcc_nbytes=256 << 20) as file:
            dataset = file[self.name]
            out[...] = dataset[tuple(slice(*edges) for edges in box[4 - dataset.ndim:])]
