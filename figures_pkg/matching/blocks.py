"""Blocks of a scan: which there are, one of them as an array, and the mean of some."""

from collections.abc import Iterator

import numpy as np
import xarray as xr

SAMPLED = 6  # blocks whose mean shows the lattice


def blocks_of(scan: xr.DataArray, threads: int = 1) -> Iterator[tuple[slice, slice]]:
    """Slices (scan_y, scan_x) of the stored blocks of a scan; of rows, for an array in memory."""
    if scan.chunks is None:
        rows = max(1, -(-len(scan) // (8 * threads)))
        yield from ((slice(y, min(y + rows, len(scan))), slice(0, scan.shape[1])) for y in range(0, len(scan), rows))
        return
    edges = [np.cumsum([0, *sizes]).tolist() for sizes in scan.chunks[:2]]
    for top, bottom in zip(edges[0], edges[0][1:]):
        yield from ((slice(top, bottom), slice(left, right)) for left, right in zip(edges[1], edges[1][1:]))


def read_block(scan: xr.DataArray, block: tuple[slice, slice]) -> np.ndarray:
    """Counts of one block, shape (ny, nx, det_y, det_x), read in the calling thread."""
    data = scan.data[block]
    return np.asarray(data.compute(scheduler="synchronous") if hasattr(data, "compute") else data)


def sampled_mean(scan: xr.DataArray, most: int = SAMPLED) -> np.ndarray:
    """Mean pattern of a few blocks spread evenly over the scan, float64 (det_y, det_x)."""
    blocks = list(blocks_of(scan))
    chosen = [blocks[i] for i in np.unique(np.linspace(0, len(blocks) - 1, min(most, len(blocks))).astype(int))]
    total = np.zeros(scan.shape[2:])
    positions = 0
    for block in chosen:
        patterns = read_block(scan, block)
        total += patterns.sum(axis=(0, 1), dtype=np.float64)
        positions += patterns.shape[0] * patterns.shape[1]
    return total / positions
