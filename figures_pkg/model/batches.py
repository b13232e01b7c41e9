"""Feed a training with batches of patterns: held on the device where they fit, else streamed from the file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from figures_pkg.data.axes import check_scan
from figures_pkg.data.blocks import block_places, read_block

from .transform import InputTransform, binned

WINDOW_PATTERNS = 4096  # 0.5 GB of 256 x 256 patterns in 16 bits; two windows are in memory while streaming
HOST_BYTES = 2e9  # of patterns held in memory when the device is a CPU; a GPU may fill half of what is free
READERS = 4


def shuffled_windows(sizes: Sequence[int], seed: int, epoch: int, window_patterns: int = WINDOW_PATTERNS) -> Iterator[tuple[list[int], np.ndarray]]:
    """
    The order of one epoch: blocks of these sizes shuffled, taken together until they make a window, patterns shuffled in the window.

    Yields the blocks of a window, and the order of their patterns when the blocks are put one after another. A scan of at most ``window_patterns``
    patterns is shuffled completely; of a larger one the neighbours in a block meet in the same window, never in a fixed batch. The same seed and
    epoch give the same order, on every machine.
    """
    rng = np.random.default_rng((seed, epoch))
    blocks: list[int] = []
    held = 0
    for block in rng.permutation(len(sizes)).tolist():
        blocks.append(block)
        held += sizes[block]
        if held >= window_patterns:
            yield blocks, rng.permutation(held)
            blocks, held = [], 0
    if blocks:
        yield blocks, rng.permutation(held)


class Prepare(nn.Module):
    """:meth:`figures_pkg.model.transform.InputTransform.apply` in torch, for counts that are binned already."""

    mean: Tensor | None
    components: Tensor | None
    deviation: Tensor

    def __init__(self, transform: InputTransform):
        super().__init__()
        self.stabiliser = transform.stabiliser
        for name in ("mean", "components", "deviation"):
            values = getattr(transform, name)
            self.register_buffer(name, None if values is None else torch.from_numpy(values.copy()), persistent=False)

    @torch.no_grad()
    def forward(self, counts: Tensor) -> Tensor:
        """Counts (n, height, width) in float32 to the network's input of the same shape."""
        values = torch.log1p(counts) if self.stabiliser == "log" else 2 * torch.sqrt(counts + 0.375)
        values = values if self.mean is None else values - self.mean
        if self.components is None:
            return values
        basis = self.components.flatten(1)  # (components, pixels)
        unit = (basis.shape[1] / basis.shape[0]) ** 0.5
        return (values.flatten(1) @ basis.T / self.deviation * unit @ basis).view_as(values)


class Feed:
    """
    The patterns of a scan in shuffled batches, the same ones wherever they are kept.

    An epoch visits the stored blocks in random order, a window of blocks at a time, and the patterns of a window in random order. The order follows from
    seed, epoch and the file's blocks alone, so a training that streams, one that holds everything, and several ranks together see the same batches.
    Larger patterns are binned to ``side``, which adds counts and so keeps them Poisson; ``prepare`` turns each batch of counts (n, side, side) in float32
    into the network's input. What is left at the end of an epoch is dropped, other patterns each time. At most ``memory_bytes`` are held on the device:
    by default 2 GB on a CPU and half of a GPU's free memory; 0 streams always.
    """

    def __init__(self, scan: xr.DataArray, side: int, batch_size: int, prepare: Callable[[Tensor], Tensor], *, seed: int = 0,
                 device: str | torch.device = "cpu", rank: int = 0, ranks: int = 1, memory_bytes: float | None = None):
        check_scan(scan)
        height, width = scan.shape[2:]
        if height != width or height % side:
            raise ValueError(f"patterns of {height} x {width} px cannot be binned to the network's {side} x {side}; "
                             "crop them to a square whose side is a multiple, or choose another network")
        self.scan, self.side, self.prepare, self.seed, self.batch_size = scan, side, prepare, seed, batch_size
        self.device, self.share = torch.device(device), slice(rank, None, ranks)
        self.places = block_places(scan, parts=len(scan))  # an array in memory counts as one block per row
        self.sizes = [(rows.stop - rows.start) * (columns.stop - columns.start) for rows, columns in self.places]
        patterns = sum(self.sizes)
        if batch_size > patterns:
            raise ValueError(f"a batch of {batch_size} patterns is larger than the scan, which has {patterns}; choose a smaller batch")
        if batch_size < ranks:
            raise ValueError(f"a batch of {batch_size} patterns cannot be shared by {ranks} processes; choose a larger batch")
        self.batches_per_epoch = patterns // batch_size  # whole ones
        self.dtype = np.dtype(np.uint16 if side == height and np.dtype(scan.dtype) in (np.uint8, np.uint16) else np.float32)
        if memory_bytes is None:
            memory_bytes = torch.cuda.mem_get_info(self.device)[0] / 2 if self.device.type == "cuda" else HOST_BYTES
        self.held = self._read_all() if patterns * side**2 * self.dtype.itemsize <= memory_bytes else None

    def batches(self, epoch: int) -> Iterator[Tensor]:
        """This rank's share of each batch of an epoch, transformed, on the device: (n, side, side) in float32."""
        windows = shuffled_windows(self.sizes, self.seed, epoch)
        pieces = self._streamed(windows) if self.held is None else self._indices(windows)
        for batch in _cut(pieces, self.batch_size):
            counts = batch[self.share].to(self.device) if self.held is None else self.held[batch[self.share]]
            yield self.prepare((counts.to(torch.int32) & 0xFFFF).float() if counts.dtype == torch.int16 else counts)

    def _indices(self, windows: Iterator[tuple[list[int], np.ndarray]]) -> Iterator[Tensor]:
        """Row numbers in what is held, window by window."""
        starts = np.cumsum([0, *self.sizes])
        for blocks, order in windows:
            rows = np.concatenate([np.arange(starts[k], starts[k + 1]) for k in blocks])
            yield torch.from_numpy(rows[order]).to(self.device)

    def _streamed(self, windows: Iterator[tuple[list[int], np.ndarray]]) -> Iterator[Tensor]:
        """Counts, window by window; the next window is read while this one is used."""
        with ThreadPoolExecutor(READERS) as pool:
            reading = (([pool.submit(self._read, k) for k in blocks], order) for blocks, order in windows)
            ahead = next(reading, None)
            while ahead:
                (parts, order), ahead = ahead, None
                whole = np.concatenate([part.result() for part in parts])[order]
                del parts
                ahead = next(reading, None)
                yield _packed(whole)

    def _read_all(self) -> Tensor:
        """All patterns on the device, block after block."""
        packed_type = torch.int16 if self.dtype == np.uint16 else torch.float32
        held = torch.empty((sum(self.sizes), self.side, self.side), dtype=packed_type, device=self.device)
        with ThreadPoolExecutor(READERS) as pool:
            for part, values in zip(held.split(self.sizes), pool.map(self._read, range(len(self.sizes)))):
                part[:] = _packed(values)
        return held

    def _read(self, k: int) -> np.ndarray:
        """The patterns of block ``k``, (n, side, side), uint16 as stored or float32 (exact for counts up to 2**24)."""
        block = read_block(self.scan, self.places[k], "synchronous")
        if block.dtype.kind not in "ub" and len(bad := np.argwhere(~((block >= 0) & (block < np.inf)).all((2, 3)))):
            y, x = bad[0] + [place.start for place in self.places[k]]
            raise ValueError(f"the pattern at scan_y {y}, scan_x {x} holds negative, nan or infinite values; the network takes "
                             "counts: replace them first, for instance with scan.fillna(0).clip(0)")  # fmt: skip
        return binned(block, block.shape[2] // self.side).reshape(-1, self.side, self.side).astype(self.dtype, copy=False)


def _packed(values: np.ndarray) -> Tensor:
    """An array as a tensor; 16-bit counts travel as int16 with the same bits, which every device can index."""
    return torch.from_numpy(values.view(np.int16) if values.dtype == np.uint16 else values)


def _cut(pieces: Iterator[Tensor], size: int) -> Iterator[Tensor]:
    """Cut a stream of tensors into rows of ``size``, dropping an incomplete end."""
    rest = None
    for piece in pieces:
        piece = piece if rest is None else torch.cat([rest, piece])
        whole = len(piece) - len(piece) % size
        yield from piece[:whole].split(size) if whole else ()
        rest = piece[whole:]
