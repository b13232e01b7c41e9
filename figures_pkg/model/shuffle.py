"""The order in which a training sees the patterns: random, repeatable, and kind to files that are stored in blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

WINDOW_PATTERNS = 4096  # 0.5 GB of 256 x 256 patterns in 16 bits; two windows are in memory while streaming


@dataclass(frozen=True)
class Window:
    """Blocks that are read together, and the order of their patterns when the blocks are put one after another."""

    blocks: tuple[int, ...]
    order: np.ndarray


def shuffled_windows(sizes: Sequence[int], seed: int, epoch: int, window_patterns: int = WINDOW_PATTERNS) -> Iterator[Window]:
    """
    The order of one epoch: blocks shuffled, taken together until they make a window, patterns shuffled in the window.

    A scan of at most ``window_patterns`` patterns is shuffled completely; of a larger one the neighbours in a block meet in
    the same window, never in a fixed batch.

    Parameters
    ----------
    sizes
        Patterns in each block.
    seed, epoch
        The same pair gives the same order, on every machine and whatever happened before.
    window_patterns
        Patterns that a window has at least, except the last.

    Examples
    --------
    >>> [window.blocks for window in shuffled_windows([4, 4, 4], seed=0, epoch=0, window_patterns=8)]
    [(2, 0), (1,)]
    """
    rng = np.random.default_rng((seed, epoch))
    blocks: list[int] = []
    held = 0
    for block in rng.permutation(len(sizes)).tolist():
        blocks.append(block)
        held += sizes[block]
        if held >= window_patterns:
            yield Window(tuple(blocks), rng.permutation(held))
            blocks, held = [], 0
    if blocks:
        yield Window(tuple(blocks), rng.permutation(held))
