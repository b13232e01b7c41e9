"""A compiled loop over filters, shared by as many threads as PyTorch uses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch

FAST = {"contract", "reassoc", "nsz"}  # what compiled loops may do with floats: add in any order; NaN stays NaN


@contextmanager
def shared() -> Iterator[Callable]:
    """
    Call ``share(kernel, count, *arguments)`` with what this gives: ``kernel(first, last, *arguments)`` for parts of range(count).

    It returns what the kernel returned for each part. Tensors among the arguments reach the kernel as NumPy arrays. The
    parts depend on the number of threads only. The threads live no longer than the block, so a process may fork outside it.
    """
    threads = torch.get_num_threads()
    with ThreadPoolExecutor(threads) as pool:  # starts a thread only when it has work
        def share(kernel: Callable, count: int, *arguments) -> list:
            arguments = [value.detach().numpy() if isinstance(value, torch.Tensor) else value for value in arguments]
            bounds = [count * number // threads for number in range(threads + 1)]
            if threads == 1:
                return [kernel(0, count, *arguments)]
            return list(pool.map(lambda first, last: kernel(first, last, *arguments), bounds, bounds[1:]))
        yield share
