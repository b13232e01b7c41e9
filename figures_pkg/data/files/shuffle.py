"""HDF5's byte-shuffle filter as compiled kernels that read and write a chunk inside a larger array."""

from __future__ import annotations

import numpy as np
from numba import njit


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
