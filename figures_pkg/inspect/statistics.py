"""Everything that a first look needs from the counts, gathered in one pass over the stored blocks in constant memory."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numba import njit
from tqdm import tqdm

from figures_pkg.data.blocks import block_places, read_block
from figures_pkg.imaging.kernels import MOMENTS
from figures_pkg.imaging.one_pass import Partial, Plan, countable, make_plan, reduce_block
from figures_pkg.workspace import available_cores

BINS = 65_536  # of the histogram; larger counts share the last one
TILES = 4  # along each side of the scan, whose mean patterns tell how the pattern drifts
SAMPLED = 32  # patterns that are kept whole
MEMORY_BYTES = 700e6  # what blocks in flight may take together


@dataclass(frozen=True)
class Statistics:
    """
    Sums and extremes of a scan.

    Attributes
    ----------
    shape : tuple
        (scan_y, scan_x, det_y, det_x).
    mean, mean_log, smallest, largest : array, shape (det_y, det_x)
        Mean counts, mean of ln(1 + counts), and the extremes of each pixel over all positions.
    total : array, shape (scan_y, scan_x)
        Counts of each pattern.
    images : dict of str to array, shape (scan_y, scan_x)
        Counts in each mask.
    tiles : array, shape (rows, columns, det_y, det_x)
        Mean patterns of equal parts of the scan, up to 4 × 4.
    histogram : array of int64, shape (65536,), or None
        How often each count occurs in the whole scan; None where counts are not whole numbers.
    sample : array, shape (n, det_y, det_x)
        Some patterns spread over the scan, as stored.
    """

    shape: tuple[int, int, int, int]
    mean: np.ndarray
    mean_log: np.ndarray
    smallest: np.ndarray
    largest: np.ndarray
    total: np.ndarray
    images: dict[str, np.ndarray]
    tiles: np.ndarray
    histogram: np.ndarray | None
    sample: np.ndarray

    @property
    def positions(self) -> int:
        """Number of patterns."""
        return self.shape[0] * self.shape[1]


@dataclass
class _Block:
    """What one block adds."""

    partial: Partial
    smallest: np.ndarray
    histogram: np.ndarray | None
    sample: np.ndarray


def gather_statistics(scan: xr.DataArray, masks: Mapping[str, np.ndarray] | None = None, *, progress: bool = False,
                      threads: int | None = None) -> Statistics:
    """
    Read a scan once.

    Parameters
    ----------
    scan
        From :func:`figures_pkg.data.open_scan`; whole numbers or floating point, nothing below zero.
    masks
        Name -> boolean mask (det_y, det_x) of pixels to add up at each position.
    progress
        Whether to show a bar on stderr.
    threads
        Blocks at a time; by default one for each core, fewer if their blocks would not fit in 0.7 GB.

    Returns
    -------
    Statistics

    Raises
    ------
    OSError
        If a stored chunk is damaged.
    """  # fmt: skip
    plan, places = make_plan(scan.shape[2:], dict(masks or {}), maximum=True, mean_log=True), block_places(scan)
    labels, each = _tile_labels(scan.shape[:2]), -(-SAMPLED // len(places))
    threads = threads or _threads(scan, places)
    whole = _Block(Partial(), np.full(scan.shape[2:], np.inf), None, np.empty((0, *scan.shape[2:]), scan.dtype))
    with ThreadPoolExecutor(threads) as pool:
        work = pool.map(lambda place: _block(read_block(scan, place, "synchronous"), place, plan, labels, each), places)
        for block in tqdm(work, "reading the scan", len(places), disable=not progress, mininterval=1.0):
            _add(whole, block)
    return _result(scan, plan, labels, whole)


def _threads(scan, places) -> int:
    """One for each core, as far as memory allows."""
    largest = max((y.stop - y.start) * (x.stop - x.start) for y, x in places) * scan.shape[2] * scan.shape[3] * scan.dtype.itemsize
    return max(1, min(available_cores(), int(MEMORY_BYTES // (1.5 * largest))))


def _tile_labels(shape: tuple[int, int]) -> np.ndarray:
    """The tile that each position belongs to, (scan_y, scan_x)."""
    row, col = (np.arange(size) * min(TILES, size) // size for size in shape)
    return row[:, None] * min(TILES, shape[1]) + col


def _block(counts: np.ndarray, place, plan: Plan, labels: np.ndarray, each: int) -> _Block:
    """Reduce one block."""
    partial = reduce_block(counts, plan, (place[0].start, place[1].start), labels[place])
    flat = counts.reshape(-1, *counts.shape[2:])
    whole_numbers = counts.dtype.kind in "ui"
    histogram = np.zeros(BINS, np.int64) if whole_numbers else None
    if whole_numbers:
        _count(countable(flat), histogram)
    chosen = np.linspace(0, len(flat) - 1, min(each, len(flat)) + 2)[1:-1].astype(int)
    return _Block(partial, flat.min(axis=0), histogram, flat[chosen])


def _add(whole: _Block, block: _Block) -> None:
    """Take over what a block adds."""
    whole.partial.add(block.partial)
    whole.smallest = np.minimum(whole.smallest, block.smallest)
    whole.sample = np.concatenate([whole.sample, block.sample])
    if block.histogram is not None:
        whole.histogram = block.histogram if whole.histogram is None else whole.histogram + block.histogram


def _result(scan: xr.DataArray, plan: Plan, labels: np.ndarray, whole: _Block) -> Statistics:
    """Sums of all blocks as means and maps."""
    partial, positions = whole.partial, scan.shape[0] * scan.shape[1]
    columns = {"total": 0} | {name: MOMENTS + index for index, name in enumerate(plan.masks)}
    maps = {name: np.empty(scan.shape[:2], next(iter(partial.maps.values()))[0].dtype) for name in columns}
    for (y, x), (exact, _) in partial.maps.items():
        for name, column in columns.items():
            maps[name][y:y + exact.shape[0], x:x + exact.shape[1]] = exact[..., column]
    sizes = np.bincount(labels.ravel())
    tiles = np.stack([partial.sums[label] / size for label, size in enumerate(sizes)])
    tiles = tiles.reshape(*(min(TILES, size) for size in scan.shape[:2]), *scan.shape[2:])
    mean, mean_log = sum(partial.sums.values()) / positions, partial.log_sum / positions
    total = maps.pop("total")
    return Statistics(scan.shape, mean, mean_log, whole.smallest, partial.largest, total, maps, tiles, whole.histogram, whole.sample)


@njit(nogil=True, cache=True)
def _count(patterns, histogram):
    """Add how often each count occurs; counts beyond the last bin go there. Four tables, because equal counts follow each other."""
    bins = histogram.size
    tables = np.zeros((4, bins), np.int64)
    for i in range(patterns.shape[0]):
        for y in range(patterns.shape[1]):
            for x in range(patterns.shape[2]):
                tables[x & 3, min(patterns[i, y, x], bins - 1)] += 1
    for table in tables:
        for value in range(bins):
            histogram[value] += table[value]
