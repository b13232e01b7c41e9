"""Apply the compiled loops to one block of a scan, and merge what blocks have gathered."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .kernels import MOMENTS, accumulate, maximum, multiply_1p, split_power, sum_log1p
from .plan import Plan

# Sums of 32 bit hold 65,537 patterns of 16 bit; a longer block is taken in pieces.
LARGEST_PIECE = 65_536


@dataclass
class Partial:
    """
    What the pass has gathered so far.

    Parameters
    ----------
    maps
        (y, x) of a block's first position -> its sums over pixels, (positions_y, positions_x, columns): exact ones
        (moments and 0/1 detectors) and weighted ones.
    sums
        Label -> sum of its patterns, int64 or float64 (det_y, det_x).
    largest, log_sum
        Maximum pattern and sum of ln(1 + N), or None.
    """

    maps: dict[tuple[int, int], tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    sums: dict[int, np.ndarray] = field(default_factory=dict)
    largest: np.ndarray | None = None
    log_sum: np.ndarray | None = None

    def add(self, other: Partial) -> None:
        """Take over what ``other`` has gathered elsewhere in the scan."""
        self.maps |= other.maps
        for label, pattern in other.sums.items():
            self.sums[label] = self.sums[label] + pattern if label in self.sums else pattern
        if other.largest is not None:
            self.largest = other.largest if self.largest is None else np.maximum(self.largest, other.largest)
        if other.log_sum is not None:
            self.log_sum = other.log_sum if self.log_sum is None else self.log_sum + other.log_sum


def merge(partials: list[Partial]) -> Partial:
    """All that ``partials`` have gathered; the inputs stay as they are."""
    merged = Partial()
    for partial in partials:
        merged.add(partial)
    return merged


def reduce_block(block: np.ndarray, plan: Plan, corner: tuple[int, int], labels: np.ndarray | None = None) -> Partial:
    """
    Gather everything that ``plan`` asks for from one block.

    Parameters
    ----------
    block
        (positions_y, positions_x, det_y, det_x).
    corner
        Scan index (y, x) of the block's first position.
    labels
        Label of each position, (positions_y, positions_x) integers; one label for all by default. The patterns of each
        label are summed on their own.
    """
    if block.shape[2:] != plan.shape or (labels is not None and labels.shape != block.shape[:2]):
        raise ValueError(f"block of shape {block.shape} where patterns of {plan.shape} were promised"
                         f"{'' if labels is None else f' at {labels.shape} positions'}; the dask array states wrong chunks")
    patterns = countable(block).reshape(-1, *block.shape[2:])
    flat = np.zeros(len(patterns), np.int64) if labels is None else np.asarray(labels).ravel()
    exact = np.zeros((len(patterns), MOMENTS + len(plan.masks)), np.int64 if patterns.dtype.kind in "iu" else np.float64)
    weighted = np.zeros((len(patterns), len(plan.weights)))
    partial = Partial({corner: (exact.reshape(*block.shape[:2], -1), weighted.reshape(*block.shape[:2], -1))})
    for start in range(0, len(patterns), LARGEST_PIECE):
        piece = slice(start, start + LARGEST_PIECE)
        partial.add(_reduce_patterns(patterns[piece], plan, flat[piece], exact[piece], weighted[piece]))
    return partial


def _reduce_patterns(patterns, plan: Plan, labels, exact, weighted) -> Partial:
    """Fill ``exact`` and ``weighted`` (n, columns), and return the patterns that were gathered."""
    found, counts = np.unique(labels, return_counts=True)
    order, starts = np.argsort(labels, kind="stable"), np.concatenate([[0], np.cumsum(counts)])
    sums = np.zeros((len(found), *patterns.shape[1:]), _sum_type(patterns.dtype))
    accumulate(patterns, order, starts, plan.runs, plan.first_run, plan.spans, plan.first_span, plan.values,
               sums, exact, weighted)
    wide = sums.astype(exact.dtype)
    largest = _largest(patterns) if plan.maximum else None
    log_sum = _log_sum(patterns) if plan.mean_log else None
    return Partial({}, {int(label): pattern for label, pattern in zip(found, wide)}, largest, log_sum)


def countable(block: np.ndarray) -> np.ndarray:
    """A block as the compiled loops want it: C-contiguous, native byte order, a type that they know; copies if it must."""
    if block.dtype == bool:
        block = block.view(np.uint8)
    rare = {"f2": np.float32, "i1": np.int64, "i2": np.int64, "i4": np.int64, "u8": np.int64}  # not worth loops of their own
    dtype = rare.get(f"{block.dtype.kind}{block.dtype.itemsize}", block.dtype.newbyteorder("="))
    return np.ascontiguousarray(block, dtype)


def _sum_type(dtype: np.dtype) -> type:
    """The narrowest type in which 65,536 values of ``dtype`` can be added without overflow, or float64."""
    if dtype.kind == "u":
        return np.uint32 if dtype.itemsize <= 2 else np.uint64
    return np.int64 if dtype.kind == "i" else np.float64


def _largest(patterns: np.ndarray) -> np.ndarray:
    """Maximum over the patterns."""
    largest = patterns[0].copy()
    maximum(patterns, largest)
    return largest


def _log_sum(patterns: np.ndarray) -> np.ndarray:
    """Sum of ln(1 + N) over the patterns, float64."""
    total = np.zeros(patterns.shape[1:])
    if patterns.dtype.kind != "u":
        sum_log1p(patterns, total)
        return total
    product, power = np.ones(patterns.shape[1:]), np.zeros(patterns.shape[1:], np.int64)
    safe = 1000 // (8 * patterns.dtype.itemsize)  # so many factors of at most 2^bits stay below the largest double, 2^1024
    for start in range(0, len(patterns), safe):
        multiply_1p(patterns[start:start + safe], product)
        split_power(product.view(np.int64), power)
    return np.log(product) + np.log(2) * power
