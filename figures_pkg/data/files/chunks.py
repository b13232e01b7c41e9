"""Read HDF5 datasets past the HDF5 library: raw chunks from the file, inflated by libdeflate without any lock."""

from __future__ import annotations

import itertools
import logging
import math
import threading
from pathlib import Path

import deflate
import h5py
import numpy as np

from .frames import FrameReader, read_exactly
from .lazy import Box, Stored
from .shuffle import unshuffle_into

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
