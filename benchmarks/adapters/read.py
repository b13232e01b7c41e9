"""The yardstick: merely touch the same bytes, with as many threads, and do nothing with them."""

import os
from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np
from common import contest
from numba import njit

PIECE = 4 << 20  # small enough to stay in the processor's cache


@njit(nogil=True)
def touch(words):
    """Sum of all 64-bit words, the cheapest loop that looks at every byte."""
    total = np.uint64(0)
    for word in words:
        total += word
    return total


def memory(path, threads):
    """Sum an array that is in memory already."""
    words = np.load(path).reshape(-1).view(np.uint64)
    pool = ThreadPoolExecutor(threads)
    return lambda: sum(int(part) for part in pool.map(touch, np.array_split(words, 8 * threads))) and None


def file(path, threads):
    """Read a file piece by piece into buffers, through the system's cache or past it."""
    size = os.path.getsize(path)
    pool = ThreadPoolExecutor(threads)
    descriptor = os.open(path, os.O_RDONLY)
    buffers = [bytearray(PIECE) for _ in range(threads)]

    def lane(start):
        for offset in range(start * PIECE, size, threads * PIECE):
            os.preadv(descriptor, [buffers[start]], offset)

    return lambda: list(pool.map(lane, range(threads))) and None


def gzip(path, threads):
    """Let h5py decompress every chunk, one at a time as HDF5's lock wants it."""
    def work():
        with h5py.File(path) as handle:
            data = next(iter(handle["Experiments"].values()))["data"]
            for chunk in data.iter_chunks():
                data[chunk]
    return work


def prepare(path, case, threads):
    """The reader of a case."""
    if case == "gzip":
        return gzip(path, threads)
    return memory(path, threads) if case == "memory" else file(path, max(threads, 4) if case == "disk" else threads)


contest(prepare)
