"""Read stored patterns past the libraries that lock: frames that follow each other, and raw chunks of HDF5 files, inflated by libdeflate."""

from __future__ import annotations

import itertools
import logging
import math
import threading
from pathlib import Path

import deflate
import h5py
import numpy as np
from numcodecs.shuffle import Shuffle

from figures_pkg.data.lazy import Box, Stored

logger = logging.getLogger(__name__)

_READ_BYTES = 16 << 20  # frames with headers pass through a buffer of this size


class FrameReader:
    """
    Reads frames of equal size that follow each other, each perhaps with a header.

    Parameters
    ----------
    path
        The file.
    shape
        (scan_y, scan_x, det_y, det_x), frames in the order of the scan.
    dtype
        Type in the file, with its byte order; the values come out in the machine's own.
    offset
        Bytes before the first frame (or its header).
    header
        Bytes before the counts of each frame.
    """

    def __init__(self, path: Path, shape, dtype, offset: int = 0, header: int = 0):
        self.path, self.shape = Path(path), tuple(shape)
        self.stored_dtype, self.offset, self.header = np.dtype(dtype), offset, header
        self.dtype = self.stored_dtype.newbyteorder("=")
        self.piece = (1, 1) + self.shape[2:]

    @property
    def record(self) -> np.dtype:
        """One frame with its header, as a structured type."""
        fields = [("header", np.void, self.header)] if self.header else []
        return np.dtype(fields + [("frame", self.stored_dtype, self.shape[2:])])

    def read_into(self, box: Box, out: np.ndarray) -> None:
        """Fill ``out`` with the values inside ``box``: one read per scan row, or one for rows that follow each other."""
        (y0, y1), (x0, x1) = box[:2]
        whole_rows = (x0, x1) == (0, self.shape[1])
        runs = [(y0 * self.shape[1], (y1 - y0) * self.shape[1])] if whole_rows else [
            (y * self.shape[1] + x0, x1 - x0) for y in range(y0, y1)]
        rows = out.reshape((1, -1) + out.shape[2:]) if whole_rows and _mergeable(out) else out
        if len(rows) != len(runs):
            runs = [(y * self.shape[1], self.shape[1]) for y in range(y0, y1)]
        with open(self.path, "rb", buffering=0) as file:
            for (first, count), target in zip(runs, rows):
                self._read_run(file, first, count, box[2:], target)

    def _read_run(self, file, first: int, count: int, detector: Box, target: np.ndarray) -> None:
        """Fill ``target`` (count, rows, cols) from ``count`` frames beginning with frame number ``first``."""
        record = self.record
        start = self.offset + first * record.itemsize
        as_stored = not self.header and self.stored_dtype.isnative and target[0].shape == self.shape[2:]
        if as_stored and target.flags.c_contiguous:
            read_exactly(file, start, target)
            return
        rows, cols = (slice(*edges) for edges in detector)
        step = max(1, _READ_BYTES // record.itemsize)
        for begin in range(0, count, step):
            frames = np.empty(min(step, count - begin), record)
            read_exactly(file, start + begin * record.itemsize, frames)
            target[begin:begin + step] = frames["frame"][:, rows, cols]


def _mergeable(out: np.ndarray) -> bool:
    """Whether the first two axes of ``out`` can be seen as one without a copy."""
    return out.shape[0] == 1 or out.strides[0] == out.shape[1] * out.strides[1]


def read_exactly(file, position: int, target: np.ndarray) -> np.ndarray:
    """
    Fill the contiguous array ``target`` from ``position`` of an unbuffered file and return it.

    Raises
    ------
    OSError
        If the file ends before, because it was truncated after it had been opened.
    """
    view = memoryview(target.reshape(-1).view(np.uint8))
    file.seek(position)
    while view:
        count = file.readinto(view)
        if not count:
            raise OSError(f"{file.name}: ended {len(view)} bytes too early at byte {position}; fetch or copy the file again")
        view = view[count:]
    return target


def hdf5_reader(path: Path, name: str) -> Stored:
    """
    The fastest reader that a dataset allows.

    Chunks that are plain, gzip-compressed or byte-shuffled are read directly, and so is a contiguous dataset. Any
    other filter or byte order is left to h5py, which decodes one chunk at a time under a lock.
    """
    with h5py.File(path) as file:
        dataset = file[name]
        plain = dataset.dtype.isnative and file.userblock_size == 0 and dataset.external is None
        if plain and dataset.chunks and _filters(dataset) is not None:
            return ChunkReader(path, name)
        if plain and dataset.chunks is None and dataset.id.get_offset() is not None:
            return FrameReader(path, _four(dataset.shape), dataset.dtype, dataset.id.get_offset())
        logger.info("%s: read through h5py, because its filters or layout are not the usual ones", path)
        return H5pyReader(path, name)


def _four(sizes: tuple[int, ...]) -> tuple[int, int, int, int]:
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
    """
    Reads a chunked dataset by the positions of its chunks in the file.

    The table of positions is made on first use in each process and is not pickled, so a task graph stays small.
    """

    def __init__(self, path: Path, name: str):
        self.path, self.name = Path(path), name
        with h5py.File(path) as file:
            dataset = file[name]
            self.shape, self.dtype, self.piece = _four(dataset.shape), dataset.dtype, _four(dataset.chunks)
            self.filters, self.fill = _filters(dataset), dataset.fillvalue
        self._table, self._lock = None, threading.Lock()

    def __getstate__(self) -> dict:
        return {key: value for key, value in vars(self).items() if key not in ("_table", "_lock")}

    def __setstate__(self, state: dict) -> None:
        vars(self).update(state, _table=None, _lock=threading.Lock())

    def table(self) -> np.ndarray:
        """(position, size, skipped filters) of each stored chunk on the chunk grid, int64 (…, 3); size 0 = not stored."""
        with self._lock:
            if self._table is None:
                grid = [-(-size // chunk) for size, chunk in zip(self.shape, self.piece)]
                table = np.zeros((*grid, 3), np.int64)

                def note(info):
                    offsets = (0,) * (4 - len(info.chunk_offset)) + info.chunk_offset
                    place = tuple(offset // chunk for offset, chunk in zip(offsets, self.piece))
                    table[place] = info.byte_offset, info.size, info.filter_mask

                with h5py.File(self.path) as file:
                    file[self.name].id.chunk_iter(note)
                self._table = table
        return self._table

    def read_into(self, box: Box, out: np.ndarray) -> None:
        """Fill ``out`` with the values inside ``box``, reading chunks in the order of the file."""
        *rest, cols = [range(start // chunk, -(-stop // chunk)) for (start, stop), chunk in zip(box, self.piece)]
        bands = [[(*place, col) for col in cols] for place in itertools.product(*rest)]
        bands.sort(key=lambda band: self.table()[band[0]][0])
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
        position, size, skipped = (int(value) for value in self.table()[place])
        shape = tuple(part.stop - part.start for part in inside)
        values = room[:math.prod(shape)]
        if size == 0:  # never written
            values[:] = self.fill
            return values.reshape(shape)
        raw = read_exactly(file, position, np.empty(size, np.uint8))
        if self._applied("gzip", skipped):
            try:
                raw = np.frombuffer(deflate.zlib_decompress(raw, math.prod(self.piece) * self.dtype.itemsize), np.uint8)
            except deflate.DeflateError as error:
                raise OSError(f"{self.path}: a compressed chunk is damaged ({error}); fetch or copy the file again") from error
        if self._applied("shuffle", skipped):
            planes = raw.reshape(self.dtype.itemsize, *self.piece)[(slice(None), *inside)]
            Shuffle(self.dtype.itemsize).decode(np.ascontiguousarray(planes).reshape(-1), values.view(np.uint8))
        else:
            values.reshape(shape)[...] = raw.view(self.dtype).reshape(self.piece)[inside]
        return values.reshape(shape)

    def _applied(self, name: str, skipped: int) -> bool:
        """Whether a filter of the dataset was applied to a chunk whose mask of skipped filters is given."""
        return name in self.filters and not skipped >> self.filters.index(name) & 1


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
