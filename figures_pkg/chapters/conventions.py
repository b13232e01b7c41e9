"""What the chapter on conventions alone needs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from figures_pkg.data.axes import Axes as Calibration
from figures_pkg.data.hspy import HspyWriter
from figures_pkg.data.mib import write_mib
from figures_pkg.workspace import replacing

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


def letter_counts() -> np.ndarray:
    """Counts of the test card, uint16 (7, 8, 20, 24), in the "lab" orientation."""
    counts = np.zeros((*LETTER.shape, *FRAME), np.uint16)
    counts[:, :, BEAM[0], BEAM[1]] = BEAM_COUNTS
    counts[LETTER, SPOT[0], SPOT[1]] = SPOT_COUNTS
    return counts


def write_letter(path: str | Path) -> Path:
    """
    Write the test card in the format that the suffix names, as an instrument or a colleague would.

    Parameters
    ----------
    path
        ``.hspy`` carries its axes (``AXES``); ``.mib`` and ``.npy`` know nothing of lengths, and the ``.npy`` holds a stack of
        patterns, so that its reader must be told the shape of the scan.

    Returns
    -------
    pathlib.Path
        ``path``.

    Raises
    ------
    ValueError
        For another suffix.
    """
    path, counts = Path(path), letter_counts()
    stack = counts.reshape(-1, *FRAME)
    if path.suffix == ".mib":
        return write_mib(path, stack, per_line=LETTER.shape[1])
    if path.suffix == ".npy":
        with replacing(path) as temporary:
            np.save(temporary, stack)
        return path
    if path.suffix != ".hspy":
        raise ValueError(f"{path}: suffix {path.suffix!r}; the test card is written as .hspy, .mib or .npy")
    how = {"scan_step_nm": AXES.scan_step_nm, "det_scale_inv_angstrom": AXES.det_scale_inv_angstrom}
    with HspyWriter(path, counts.shape, chunks=(4, 4, 8, 8), origin_row_col=ORIGIN, **how) as writer:
        for y, x in writer.missing():
            writer.write((y, x), np.ascontiguousarray(counts[y:y + 4, x:x + 4]))
    return path
