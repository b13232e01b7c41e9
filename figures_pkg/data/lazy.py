"""Turn a reader of stored patterns into a dask array whose blocks follow what is stored together."""

from __future__ import annotations

import logging
import math
import os
from pathlib import Path
from typing import Protocol

import dask.array as da
import numpy as np
from dask.base import tokenize

logger = logging.getLogger(__name__)

BLOCK_BYTES = 48e6  # large enough to hide the cost of a task, small enough for many threads in 1 GB
LARGEST_BLOCK_BYTES = 300e6  # a block of 32 x 32 whole patterns of 256 x 256 uint16 has 134 MB
Box = tuple[tuple[int, int], ...]  # (start, stop) per stored axis


class Stored(Protocol):
    """
    Four-dimensional data in a file. Readers are small, picklable, and open the file in the process that reads.

    ``piece`` is the shape that is stored together, (1, 1, det_y, det_x) where patterns simply follow each other.
    ``read_into(box, out)`` fills ``out``, a view with any strides, with the values inside ``box``.
    """

    path: Path
    shape: tuple[int, int, int, int]
    dtype: np.dtype
    piece: tuple[int, int, int, int]

    def read_into(self, box: Box, out: np.ndarray) -> None: ...


class LazyScan:
    """
    A stored array seen with the scan axes first and the rows in the wanted order; slicing it reads from the file.

    Parameters
    ----------
    stored
        The reader.
    order
        Stored axis of each of (scan_y, scan_x, det_y, det_x).
    flip
        Whether the detector rows are turned upside down. Readers write through a reversed view, so it costs nothing.
    """

    def __init__(self, stored: Stored, order=(0, 1, 2, 3), flip: bool = False):
        self.stored, self.order, self.flip = stored, tuple(order), flip
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

    def blocks(self) -> tuple[tuple[int, ...], ...]:
        """Sizes of the dask blocks: whole patterns, whole stored pieces."""
        piece = [self.stored.piece[axis] for axis in self.order]
        return scan_blocks(self.shape, piece[:2], self.dtype.itemsize) + ((self.shape[2],), (self.shape[3],))

    def to_dask(self) -> da.Array:
        """The dask array. Its name depends on the file's size and time, so equal files give equal graphs."""
        stat = os.stat(self.stored.path)
        token = tokenize(str(self.stored.path), stat.st_mtime_ns, stat.st_size, type(self.stored).__name__,
                         self.shape, str(self.dtype), self.order, self.flip)
        return da.from_array(self, chunks=self.blocks(), name=f"scan-{token}", asarray=False,
                             meta=np.empty((0,) * 4, self.dtype))


def box_and_rest(key, shape) -> tuple[Box, tuple]:
    """
    Split an index of slices, integers and lists into the box to read and the index that remains within the box.

    dask hands slices of its arrays down to the reader, so one pattern of a scan is read without the rest of its block.

    Returns
    -------
    box
        (start, stop) per axis.
    rest
        What to take from the array read from the box, to be applied axis by axis.
    """
    key = key if isinstance(key, tuple) else (key,)
    if Ellipsis in key:
        at = key.index(Ellipsis)
        key = key[:at] + (slice(None),) * (len(shape) - len(key) + 1) + key[at + 1:]
    key = key + (slice(None),) * (len(shape) - len(key))
    box, rest = [], []
    for item, size in zip(key, shape):
        if isinstance(item, slice):
            taken = range(size)[item]
            low, high = (min(taken[0], taken[-1]), max(taken[0], taken[-1]) + 1) if len(taken) else (0, 0)
            rest.append(slice(None, None, taken.step))
        elif np.ndim(item):
            taken = np.arange(size)[item]
            low, high = (int(taken.min()), int(taken.max()) + 1) if taken.size else (0, 0)
            rest.append(taken - low)
        else:
            low = range(size)[item]
            high = low + 1
            rest.append(0)
        box.append((low, high))
    return tuple(box), tuple(rest)


def scan_blocks(shape, piece, itemsize: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """
    Block sizes along scan_y and scan_x: multiples of ``piece`` that hold about ``BLOCK_BYTES`` of whole patterns.

    Small scans get at least about sixteen blocks, so that threads have something to share. A piece that would need
    more than ``LARGEST_BLOCK_BYTES`` is split, which means that its stored chunks are read more than once.
    """
    pattern = shape[2] * shape[3] * itemsize
    target = min(BLOCK_BYTES, max(shape[0] * shape[1] * pattern / 16, 1e6))
    size_y, size_x = min(piece[0], shape[0]), min(piece[1], shape[1])
    if size_y * size_x * pattern > LARGEST_BLOCK_BYTES:
        size_y, size_x = _split(size_y, size_x, int(LARGEST_BLOCK_BYTES // pattern))
        logger.warning("stored chunks span %s scan positions, too many for one block; blocks of %s are read and each chunk "
                       "is decoded more than once. `figures_pkg convert` makes a faster copy", tuple(piece), (size_y, size_x))
    else:
        size_x = _grow(size_x, shape[1], target / (size_y * pattern))
        size_y = _grow(size_y, shape[0], target / (size_x * pattern)) if size_x >= shape[1] else size_y
    return _cuts(shape[0], size_y), _cuts(shape[1], size_x)


def _split(size_y: int, size_x: int, positions: int) -> tuple[int, int]:
    """A smaller block of at most ``positions`` scan positions, narrower along y first."""
    size_y = max(1, min(size_y, positions // size_x))
    return size_y, max(1, min(size_x, positions // size_y))


def _grow(piece: int, length: int, wanted: float) -> int:
    """The largest multiple of ``piece`` up to ``wanted``, or a little less to cut ``length`` into even blocks."""
    pieces = math.ceil(length / piece)
    blocks = math.ceil(pieces / max(1, int(wanted // piece)))
    return min(math.ceil(pieces / blocks) * piece, length)


def _cuts(length: int, size: int) -> tuple[int, ...]:
    """``length`` as a sum of ``size`` and a rest."""
    whole, rest = divmod(length, size)
    return (size,) * whole + ((rest,) if rest else ())
