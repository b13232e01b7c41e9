"""Write frames as a Merlin detector does: a .mib of headers and counts, and the .hdr beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..replace import replacing

_HDR = """HDR,\t
Counter Depth (number):\t12
Frames in Acquisition (Number):\t{frames}
Frames per Trigger (Number):\t{per_line}
End\t"""
_HEAD = "MQ1,{number:06d},00384,01,{cols:04d},{rows:04d},{kind},   1x1,01,2021-05-07 18:51:10.{number:06d},0.1,"
_DATE = "MQ1A,2021-05-07T16:51:{second:02d}.905800928Z,100000000ns,12,"


def write_mib(path: str | Path, counts: np.ndarray, per_line: int = 1, ordered: int | None = None, kind: str | None = None) -> Path:
    """
    Write counts as Merlin frames: big-endian, a header of 384 bytes before each, first row first.

    Such a file knows nothing of lengths: neither the step of the scan nor the size of a pixel. It exists to show and to test
    how such files are read; the numbers in the headers that no reader of ours looks at are those of one real frame.

    Parameters
    ----------
    path
        The ``.mib``; the ``.hdr`` goes beside it.
    counts
        Unsigned integers (frames, det_y, det_x), in the order of the recording.
    per_line
        Frames in a line of the scan; 1 leaves the reader to ask for the shape.
    ordered
        Frames that the ``.hdr`` claims; by default as many as there are. More make an interrupted scan.
    kind
        Type in the headers, such as "U16"; by default that of the counts.

    Returns
    -------
    pathlib.Path
        ``path``.
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
