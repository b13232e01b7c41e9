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
from numba import njit

from figures_pkg.data.lazy import Box, Stored

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


def shuffle(chunk: np.ndarray) -> np.ndarray:
    """
    Bytes of ``chunk`` with the first bytes of all elements first, then all second bytes, and so on.

    Parameters
    ----------
    chunk
        Array (cy, cx, ky, kx), any strides, little-endian.

    Returns
    -------
    numpy.ndarray
        uint8, ``chunk.nbytes`` long. Detector counts shuffled like this compress about a third better, because the
        high bytes are nearly all zero.
    """
    out = np.empty((chunk.itemsize, chunk.size), np.uint8)
    if chunk.dtype.itemsize == 2:
        _shuffle_pairs(chunk.view(np.uint16), out)
    else:
        _shuffle_bytes(as_bytes(chunk), out)
    return out.reshape(-1)


def unshuffle_into(planes: np.ndarray, first_col: int, target: np.ndarray) -> None:
    """
    Undo :func:`shuffle` for chunks that lie side by side and put the values into ``target``.

    Neighbours are taken together because the memory of ``target`` is then written in long runs: twice as fast for
    chunks of 32 x 32 pixels as one chunk after the other.

    Parameters
    ----------
    planes
        uint8 (n, size, y, x, rows, cols): the byte planes of ``n`` inflated chunks, cut to the wanted part of the first
        three axes. Their columns follow each other.
    first_col
        Column of the first chunk at which ``target`` begins.
    target
        View (y, x, rows, any number of columns) into the output array, any strides.
    """
    if target.dtype.itemsize == 2:
        _unshuffle_pairs(planes[:, 0], planes[:, 1], first_col, target.view(np.uint16))
    else:
        _unshuffle_bytes(planes, first_col, as_bytes(target))


def as_bytes(array: np.ndarray) -> np.ndarray:
    """View with a new last axis for the bytes of each element, whatever the strides."""
    return array[..., np.newaxis].view(np.uint8)


@njit(nogil=True, cache=True)
def _shuffle_pairs(chunk, out):
    """Two-byte elements (cy, cx, ky, kx) -> (2, n) bytes: the case of all detector counts, so it has its own loop."""
    n_y, n_x, n_row, n_col = chunk.shape
    position = 0
    for y in range(n_y):
        for x in range(n_x):
            for row in range(n_row):
                for col in range(n_col):
                    value = chunk[y, x, row, col]
                    out[0, position + col] = value & 255
                    out[1, position + col] = value >> 8
                position += n_col


@njit(nogil=True, cache=True)
def _shuffle_bytes(chunk, out):
    """Elements as bytes (cy, cx, ky, kx, size) -> (size, n)."""
    n_y, n_x, n_row, n_col, size = chunk.shape
    position = 0
    for y in range(n_y):
        for x in range(n_x):
            for row in range(n_row):
                for byte in range(size):
                    for col in range(n_col):
                        out[byte, position + col] = chunk[y, x, row, col, byte]
                position += n_col


@njit(nogil=True, cache=True)
def _unshuffle_pairs(low, high, first_col, target):
    """Low and high bytes (n, y, x, rows, cols) -> two-byte elements (y, x, rows, columns of all n)."""
    n_y, n_x, n_row, n_col = target.shape
    for y in range(n_y):
        for x in range(n_x):
            for row in range(n_row):
                col, skip = 0, first_col
                for chunk in range(low.shape[0]):
                    lows, highs = low[chunk, y, x, row, skip:], high[chunk, y, x, row, skip:]
                    values = target[y, x, row, col:]
                    for step in range(min(lows.size, values.size)):
                        values[step] = np.uint16(lows[step]) | (np.uint16(highs[step]) << 8)
                    col, skip = col + lows.size, 0


@njit(nogil=True, cache=True)
def _unshuffle_bytes(planes, first_col, target):
    """Byte planes (n, size, y, x, rows, cols) -> elements as bytes (y, x, rows, columns of all n, size)."""
    n_y, n_x, n_row, n_col, size = target.shape
    for y in range(n_y):
        for x in range(n_x):
            for row in range(n_row):
                col, skip = 0, first_col
                for chunk in range(planes.shape[0]):
                    for byte in range(size):
                        stored, values = planes[chunk, byte, y, x, row, skip:], target[y, x, row, col:, byte]
                        for step in range(min(stored.size, values.size)):
                            values[step] = stored[step]
                    col, skip = col + planes.shape[5] - skip, 0


logger = logging.getLogger(__name__)


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
        table = self.table()
        *rest, cols = [range(start // chunk, -(-stop // chunk)) for (start, stop), chunk in zip(box, self.piece)]
        bands = [[(*place, col) for col in cols] for place in itertools.product(*rest)]
        bands.sort(key=lambda band: table[band[0]][0])
        planes = np.empty((len(cols), self.dtype.itemsize, *self.piece), np.uint8) if "shuffle" in self.filters else None
        with open(self.path, "rb", buffering=0) as file:
            for band in bands:
                if planes is not None and all(table[place][1] and not table[place][2] for place in band):
                    self._read_band(file, band, planes, box, out)
                else:
                    for place in band:
                        self._read_chunk(file, place, box, out)

    def _read_band(self, file, band, planes: np.ndarray, box: Box, out: np.ndarray) -> None:
        """Decode shuffled chunks that lie side by side along det_x; ``planes`` is working memory."""
        if len(band) == 1:
            planes = self._inflated(file, band[0]).reshape(planes.shape)
        else:
            for place, plane in zip(band, planes):
                plane.reshape(-1)[:] = self._inflated(file, place)
        inside, where = _overlap(band[0], self.piece, box)
        target = out[where[:3]][:, :, :, :box[3][1] - box[3][0]]
        unshuffle_into(planes[(slice(None), slice(None), *inside[:3])], inside[3].start, target)

    def _read_chunk(self, file, place, box: Box, out: np.ndarray) -> None:
        """Decode a chunk that is not shuffled, or was never written, or skipped some filters."""
        _, size, skipped = self.table()[place]
        inside, where = _overlap(place, self.piece, box)
        if size == 0:
            out[where] = self.fill
            return
        raw = self._inflated(file, place)
        if "shuffle" in self.filters and not skipped >> self.filters.index("shuffle") & 1:
            raw = np.ascontiguousarray(raw.reshape(self.dtype.itemsize, -1).T).reshape(-1)
        out[where] = raw.view(self.dtype).reshape(self.piece)[inside]

    def _inflated(self, file, place) -> np.ndarray:
        """The bytes of a chunk, decompressed if they were compressed."""
        position, size, skipped = (int(value) for value in self.table()[place])
        raw = read_exactly(file, position, np.empty(size, np.uint8))
        if "gzip" not in self.filters or skipped >> self.filters.index("gzip") & 1:
            return raw
        try:
            return np.frombuffer(deflate.zlib_decompress(raw, math.prod(self.piece) * self.dtype.itemsize), np.uint8)
        except deflate.DeflateError as error:
            raise OSError(f"{self.path}: a compressed chunk is damaged ({error}); fetch or copy the file again") from error


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
