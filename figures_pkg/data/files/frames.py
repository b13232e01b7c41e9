"""Read patterns that follow each other in a file without compression: .npy, Merlin .mib, contiguous HDF5."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .lazy import Box

_READ_BYTES = 16 << 20  # frames with headers pass through a buffer of this size


class FrameReader:
    """
    Reads frames of equal size that follow each other, each perhaps with a header.

    Parameters
    ----------
    path
        The file.
    shape
        (scan_y, scan_x, det_y, det_x), frames in the order of the scan.
    dtype
        Type in the file, with its byte order; the values come out in the machine's own.
    offset
        Bytes before the first frame (or its header).
    header
        Bytes before the counts of each frame.
    """

    def __init__(self, path: Path, shape, dtype, offset: int = 0, header: int = 0):
        self.path, self.shape = Path(path), tuple(shape)
        self.stored_dtype, self.offset, self.header = np.dtype(dtype), offset, header
        self.dtype = self.stored_dtype.newbyteorder("=")
        self.piece = (1, 1) + self.shape[2:]

    @property
    def record(self) -> np.dtype:
        """One frame with its header, as a structured type."""
        fields = [("header", np.void, self.header)] if self.header else []
        return np.dtype(fields + [("frame", self.stored_dtype, self.shape[2:])])

    def read_into(self, box: Box, out: np.ndarray) -> None:
        """Fill ``out`` with the values inside ``box``: one read per scan row, or one for rows that follow each other."""
        (y0, y1), (x0, x1) = box[:2]
        whole_rows = (x0, x1) == (0, self.shape[1])
        runs = [(y0 * self.shape[1], (y1 - y0) * self.shape[1])] if whole_rows else [
            (y * self.shape[1] + x0, x1 - x0) for y in range(y0, y1)]
        rows = out.reshape((1, -1) + out.shape[2:]) if whole_rows and _mergeable(out) else out
        if len(rows) != len(runs):
            runs = [(y * self.shape[1], self.shape[1]) for y in range(y0, y1)]
        with open(self.path, "rb", buffering=0) as file:
            for (first, count), target in zip(runs, rows):
                self._read_run(file, first, count, box[2:], target)

    def _read_run(self, file, first: int, count: int, detector: Box, target: np.ndarray) -> None:
        """Fill ``target`` (count, rows, cols) from ``count`` frames beginning with frame number ``first``."""
        record = self.record
        start = self.offset + first * record.itemsize
        as_stored = not self.header and self.stored_dtype.isnative and target[0].shape == self.shape[2:]
        if as_stored and target.flags.c_contiguous:
            read_exactly(file, start, target)
            return
        rows, cols = (slice(*edges) for edges in detector)
        step = max(1, _READ_BYTES // record.itemsize)
        for begin in range(0, count, step):
            frames = np.empty(min(step, count - begin), record)
            read_exactly(file, start + begin * record.itemsize, frames)
            target[begin:begin + step] = frames["frame"][:, rows, cols]


def _mergeable(out: np.ndarray) -> bool:
    """Whether the first two axes of ``out`` can be seen as one without a copy."""
    return out.shape[0] == 1 or out.strides[0] == out.shape[1] * out.strides[1]


def read_exactly(file, position: int, target: np.ndarray) -> np.ndarray:
    """
    Fill the contiguous array ``target`` from ``position`` of an unbuffered file and return it.

    Raises
    ------
    OSError
        If the file ends before, because it was truncated after it had been opened.
    """
    view = memoryview(target.reshape(-1).view(np.uint8))
    file.seek(position)
    while view:
        count = file.readinto(view)
        if not count:
            raise OSError(f"{file.name}: ended {len(view)} bytes too early at byte {position}; fetch or copy the file again")
        view = view[count:]
    return target
