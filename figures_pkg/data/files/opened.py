"""What the reader of each file format hands to :func:`figures_pkg.data.open_scan`."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..axes import Axes
from .lazy import Stored


@dataclass(frozen=True)
class Opened:
    """
    A file that was understood but not read.

    Parameters
    ----------
    stored
        Reader of the counts, in the file's own order.
    axes
        Calibration in the file's own orientation.
    format
        For people, such as "hspy 3.0".
    orientation
        How the rows lie in the file: "lab" or "camera".
    order
        Stored axis of each of (scan_y, scan_x, det_y, det_x).
    title, source, extra
        Attributes of the scan; ``extra`` may hold anything that a file format can keep (strings and numbers).
    """

    stored: Stored
    axes: Axes
    format: str
    orientation: str = "lab"
    order: tuple[int, int, int, int] = (0, 1, 2, 3)
    title: str = ""
    source: str = "user"
    extra: dict = field(default_factory=dict)


class ScanFileError(ValueError):
    """A file that is no scan we can open: what it holds, what was expected, what to do."""
