"""Merlin .mib files and the .hdr beside them: understood with RosettaSciIO's help, and written as a detector does."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from rsciio.quantumdetector import file_reader

from figures_pkg.workspace import replacing

from .axes import Axes, ScanFileError
from .readers import FrameReader, Opened

_TYPES = {"U08": ">u1", "U16": ">u2", "U32": ">u4"}


def open_mib(path: Path, scan_shape: tuple[int, int] | None = None) -> Opened:
    """
    Read the headers of a ``.mib`` file and lay its frames out as a scan.

    The rows in the file are in the "lab" orientation. RosettaSciIO turns them over while reading, which gives the
    "camera" orientation; the authors' converter did not. RosettaSciIO supplies only the shape of the scan, from the ``.hdr`` or from the
    pause after each line; ``scan_shape`` (rows, columns) replaces it, also to read the complete rows of an interrupted scan.
    """
    header, frame_shape, dtype = _frame_header(path)
    frames = _count_frames(path, header + int(np.prod(frame_shape)) * np.dtype(dtype).itemsize)
    shape = _given_shape(path, scan_shape, frames) if scan_shape else None
    found = _rosetta(path, shape)
    reader = FrameReader(path, (shape or _found_shape(path, found, frames)) + frame_shape, dtype, header=header)
    metadata, hdr = found["metadata"], found["original_metadata"].get("hdr_file", {})
    extra = {"dwell_time_ms": 1e3 * metadata["Acquisition_instrument"]["dwell_time"],
             "recorded": metadata["General"]["date"]}
    if "Counter Depth (number)" in hdr:
        extra["counter_bits"] = int(hdr["Counter Depth (number)"])
    return Opened(reader, Axes(), "mib", title=path.stem, extra=extra)


def _frame_header(path: Path) -> tuple[int, tuple[int, int], str]:
    """Length of a frame's header, shape and type of its counts, from the first 384 bytes."""
    with open(path, "rb") as file:
        fields = file.read(384).decode("ascii", "replace").split(",")
    try:
        if fields[0] != "MQ1":
            raise ValueError(f"it begins with {fields[0][:8]!r} instead of 'MQ1'")
        length, cols, rows, kind = int(fields[2]), int(fields[4]), int(fields[5]), fields[6]
        if min(length, cols, rows) < 1 or length < 384:
            raise ValueError(f"header of {length} bytes for {rows} x {cols} pixels")
    except (ValueError, IndexError) as error:
        raise ScanFileError(f"{path}: damaged Merlin header ({error}); expected 'MQ1,number,header bytes,chips,columns,"
                            f"rows,type,...', got {','.join(fields[:8])[:60]!r}. Copy the file again from the detector's "
                            "computer") from error
    if kind not in _TYPES:
        raise ScanFileError(f"{path}: counts of type {kind!r}, expected one of {', '.join(_TYPES)}; raw Merlin frames "
                            "(R64) must be exported by the Merlin software first")
    return length, (rows, cols), _TYPES[kind]


def _count_frames(path: Path, frame_bytes: int) -> int:
    size = path.stat().st_size
    frames, rest = divmod(size, frame_bytes)
    if rest:
        raise ScanFileError(f"{path}: {size} bytes are {frames} frames of {frame_bytes} bytes and {rest} bytes more, so "
                            "the file is truncated or damaged; copy it again, or cut it to whole frames and give scan_shape")
    return frames


def _rosetta(path: Path, shape: tuple[int, int] | None) -> dict:
    """What RosettaSciIO makes of the file and its .hdr; it counts columns first."""
    try:
        return file_reader(str(path), lazy=True, navigation_shape=shape and shape[::-1])[0]
    except (ValueError, KeyError, IndexError, TypeError, OverflowError) as error:
        hdr = path.with_suffix(".hdr")
        raise ScanFileError(f"{path}: RosettaSciIO cannot read the headers ({type(error).__name__}: {error}); compare "
                            f"{hdr.name} with that of a good file, or give scan_shape=(rows, columns)") from error


def _given_shape(path: Path, scan_shape, frames: int) -> tuple[int, int]:
    """The user's scan shape, which may leave frames of an unfinished row over but must not ask for more."""
    rows, cols = (int(size) for size in scan_shape)
    if rows < 1 or cols < 1 or rows * cols > frames:
        raise ScanFileError(f"{path}: scan_shape={tuple(scan_shape)} asks for {rows * cols} frames, the file holds "
                            f"{frames}; {frames // max(cols, 1)} complete rows of {cols} are there")
    return rows, cols


def _found_shape(path: Path, found: dict, frames: int) -> tuple[int, int]:
    """The scan shape that RosettaSciIO found, if it accounts for every frame that was ordered and recorded."""
    shape = tuple(int(size) for size in found["original_metadata"]["mib_properties"]["navigation_shape"])
    hdr = found["original_metadata"].get("hdr_file", {})
    ordered = int(hdr.get("Frames in Acquisition (Number)", frames) or frames)
    if frames < ordered:
        raise ScanFileError(f"{path}: truncated or interrupted, {frames} of {ordered} frames are there; copy it again, or "
                            "give scan_shape=(complete rows, columns)")
    if len(shape) != 2 or 1 in shape or math.prod(shape) != frames:
        raise ScanFileError(f"{path}: {frames} frames of which RosettaSciIO makes {shape}, expected the rows and columns of "
                            "a scan (4D); give scan_shape=(rows, columns), or (1, 1) for a single pattern")
    return shape


_HDR = """HDR,\t
Counter Depth (number):\t12
Frames in Acquisition (Number):\t{frames}
Frames per Trigger (Number):\t{per_line}
End\t"""
_HEAD = "MQ1,{number:06d},00384,01,{cols:04d},{rows:04d},{kind},   1x1,01,2021-05-07 18:51:10.{number:06d},0.1,"
_DATE = "MQ1A,2021-05-07T16:51:{second:02d}.905800928Z,100000000ns,12,"


def write_mib(path: str | Path, counts: np.ndarray, per_line: int = 1, ordered: int | None = None, kind: str | None = None) -> Path:
    """
    Write counts (frames, det_y, det_x) as Merlin frames: big-endian, a header of 384 bytes before each, first row first; returns ``path``.

    Such a file knows neither the step of the scan nor the size of a pixel. It exists to show and to test how such files are read;
    the numbers in the headers that no reader of ours looks at are those of one real frame.

    Parameters
    ----------
    path
        The ``.mib``; the ``.hdr`` goes beside it.
    counts
        Unsigned integers in the order of the recording.
    per_line
        Frames in a line of the scan; 1 leaves the reader to ask for the shape.
    ordered
        Frames that the ``.hdr`` claims; more than there are make an interrupted scan.
    kind
        Type in the headers, such as "U16"; by default that of the counts.
    """
    path = Path(path)
    frames, rows, cols = counts.shape
    fields = {"cols": cols, "rows": rows, "kind": kind or f"U{8 * counts.itemsize:02d}"}
    with replacing(path) as temporary, open(temporary, "wb") as file:
        for number, frame in enumerate(counts.astype(counts.dtype.newbyteorder(">")), start=1):
            head = _HEAD.format(number=number, **fields) + _DATE.format(second=10 + number % 40)
            file.write(head.encode().ljust(384) + frame.tobytes())
    path.with_suffix(".hdr").write_text(_HDR.format(frames=frames if ordered is None else ordered, per_line=per_line))
    return path
