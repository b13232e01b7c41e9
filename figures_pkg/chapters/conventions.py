"""Frames of reference drawn onto maps and patterns, and a test card for readers, also as a file of the detector."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.image import AxesImage

from figures_pkg.data.axes import Axes as Calibration
from figures_pkg.data.hspy import HspyWriter
from figures_pkg.plotting.maps import outline
from figures_pkg.plotting.style import HIGHLIGHT
from figures_pkg.workspace import replacing


def array_axes(ax: Axes, down: str, right: str) -> None:
    """Arrows outside the upper left corner of a picture that say how its two array axes run: ``down`` for rows, ``right`` for columns."""
    arrow = {"arrowstyle": "-|>", "color": "0.25", "lw": 1.2, "shrinkA": 0, "shrinkB": 0}
    style = {"xycoords": "axes fraction", "textcoords": "axes fraction", "arrowprops": arrow}
    ax.annotate("", (0.34, 1.05), (-0.05, 1.05), **style)
    ax.annotate("", (-0.05, 0.66), (-0.05, 1.05), **style)
    ax.text(0.36, 1.05, right, transform=ax.transAxes, color="0.25", fontsize=8, va="center")
    ax.text(-0.05, 0.64, down, transform=ax.transAxes, color="0.25", fontsize=8, ha="center", va="top", rotation=90)


def crystal_axes(ax: Axes, g002, g010, length: float) -> None:
    """Arrows of a length in the unit of the axes from the direct beam along +c and +b*; the directions are (row, col), rows downward, of any length."""
    for name, direction in (("+c", g002), ("+b*", g010)):
        row, col = np.array(direction) / np.hypot(*direction) * length
        ax.annotate("", (col, row), (0, 0), arrowprops={"arrowstyle": "-|>", "color": HIGHLIGHT, "lw": 1.6})
        text = ax.annotate(name, (1.12 * col, 1.12 * row), color=HIGHLIGHT, fontsize=10, ha="center", va="center")
        text.set_path_effects([outline()])


def plain_picture(ax: Axes, image, title: str, cmap: str) -> AxesImage:
    """A small array (h, w) as it is stored, row 0 at the top, without ticks and bars."""
    drawn = ax.imshow(np.asarray(image), cmap=cmap)
    ax.set(xticks=[], yticks=[], title=title)
    ax.spines[:].set_visible(False)
    return drawn


def draw_walls(ax: Axes, truth: xr.Dataset, c_axis_yx, length_nm: float = 40.0) -> None:
    """Arrows along the polarization on both sides of each wall that crosses the middle row, +c being ``c_axis_yx`` (y downward), and the kind of wall."""
    middle = truth.isel(scan_y=truth.sizes["scan_y"] // 2)
    y, x, domain = float(middle.scan_y), middle.scan_x.values, middle.domain.values
    along = length_nm * np.array(c_axis_yx) / np.hypot(*c_axis_yx)
    for wall in np.flatnonzero(np.diff(domain)):
        kind = {1: "HH", -1: "TT", 0: "neutral"}[int(middle.wall_type[wall])]
        text = ax.annotate(kind, (x[wall], y - 0.8 * length_nm), color="white", ha="center", weight="bold")
        text.set_path_effects([outline()])
        for side in (-1, 1):
            place = np.array([y, x[wall] + side * 0.85 * length_nm])
            half = along / 2 * domain[wall + (side > 0)]
            style = {"arrowstyle": "-|>", "color": "white", "lw": 2, "mutation_scale": 14}
            ax.annotate("", (place + half)[::-1], (place - half)[::-1], arrowprops=style)


LETTER = np.array([[0, 0, 0, 0, 0, 0, 0, 0],
                   [0, 1, 1, 1, 1, 1, 0, 0],
                   [0, 1, 0, 0, 0, 0, 0, 0],
                   [0, 1, 1, 1, 0, 0, 0, 0],
                   [0, 1, 0, 0, 0, 0, 0, 0],
                   [0, 1, 0, 0, 0, 0, 0, 0],
                   [0, 0, 0, 0, 0, 0, 0, 0]], bool)  # an F, (scan_y, scan_x) = (7, 8), which no flip, turn or transposition leaves as it is
FRAME = (20, 24)  # (det_y, det_x)
ORIGIN = (9.0, 11.0)  # (row, col) at which the detector coordinates are zero
BEAM = (11, 10)  # the direct beam stands 2 rows below and 1 column left of it
SPOT = (3, 16)  # a reflection above and to the right, bright inside the F only
BEAM_COUNTS, SPOT_COUNTS = 100, 60
AXES = Calibration(scan_step_nm=1.4, det_scale_inv_angstrom=0.01, origin_row_col=ORIGIN)
HDR = """HDR,\t
Counter Depth (number):\t12
Frames in Acquisition (Number):\t{frames}
Frames per Trigger (Number):\t{per_line}
End\t"""
FRAME_HEAD = ("MQ1,{number:06d},00384,01,{cols:04d},{rows:04d},{kind},   1x1,01,2021-05-07 18:51:10.{number:06d},0.1,"
              "MQ1A,2021-05-07T16:51:{second:02d}.905800928Z,100000000ns,12,")


def letter_counts() -> np.ndarray:
    """Counts of the test card, uint16 (7, 8, 20, 24), in the "lab" orientation."""
    counts = np.zeros((*LETTER.shape, *FRAME), np.uint16)
    counts[:, :, BEAM[0], BEAM[1]] = BEAM_COUNTS
    counts[LETTER, SPOT[0], SPOT[1]] = SPOT_COUNTS
    return counts


def write_letter(path: str | Path) -> Path:
    """
    Write the test card in the format that the suffix names, as an instrument or a colleague would.

    ``.hspy`` carries its axes (``AXES``), ``.mib`` knows nothing of lengths, and ``.npy`` holds a mere stack of patterns.
    """
    path, counts = Path(path), letter_counts()
    stack = counts.reshape(-1, *FRAME)
    if path.suffix == ".mib":
        return write_mib(path, stack, per_line=LETTER.shape[1])
    if path.suffix == ".npy":
        with replacing(path) as temporary:
            np.save(temporary, stack)
        return path
    how = {"scan_step_nm": AXES.scan_step_nm, "det_scale_inv_angstrom": AXES.det_scale_inv_angstrom}
    with HspyWriter(path, counts.shape, chunks=(4, 4, 8, 8), origin_row_col=ORIGIN, **how) as writer:
        for y, x in writer.missing():
            writer.write((y, x), np.ascontiguousarray(counts[y:y + 4, x:x + 4]))
    return path



def write_mib(path: Path, counts: np.ndarray, per_line: int = 1) -> Path:
    """
    Write unsigned counts (frames, det_y, det_x) as a Merlin ``.mib`` and its ``.hdr``, first row first; returns ``path``.

    Frames are big-endian after a header of 384 bytes each. Such a file knows neither the step of the scan nor the size of a pixel. It exists to
    show and to test how such files are read; the numbers in the headers that no reader of ours looks at are those of one real frame.
    ``per_line`` are the frames in a line of the scan; 1 leaves the reader to ask for the shape.
    """
    frames, rows, cols = counts.shape
    with replacing(path) as temporary, open(temporary, "wb") as file:
        for number, frame in enumerate(counts.astype(counts.dtype.newbyteorder(">")), start=1):
            head = FRAME_HEAD.format(number=number, cols=cols, rows=rows, kind=f"U{8 * counts.itemsize:02d}", second=10 + number % 40)
            file.write(head.encode().ljust(384) + frame.tobytes())
    path.with_suffix(".hdr").write_text(HDR.format(frames=frames, per_line=per_line))
    return path
