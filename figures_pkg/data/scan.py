"""Open a scan of any format as one labelled lazy array."""

from __future__ import annotations

import errno
import warnings
from pathlib import Path

import numpy as np
import xarray as xr
from scipy import ndimage

from .axes import Axes, Opened, ScanFileError, build_scan, check_orientation
from .hspy import open_hspy
from .mib import open_mib
from .readers import LazyScan
from .stores import open_npy, open_zarr

SUFFIXES = (".hspy", ".mib", ".zarr", ".npy")
COUNTER_LIMITS = (63, 255, 4095, 65535, 16777215)  # 6, 8, 12, 16 and 24 bits; 6, 12 and 24 are Medipix depths
_SAMPLE_BYTES = 150e6  # decoded at most for the sample; a pattern in 32^4 chunks drags 134 MB along
_FEW = 8  # pixels, in the whole sample, that may look odd by chance


def open_scan(path, orientation: str = "lab", axes: Axes | dict | None = None, *, experiment: str | None = None,
              scan_shape: tuple[int, int] | None = None, stored_orientation: str | None = None,
              source: str | None = None, check_counts: bool = True) -> xr.DataArray:
    """
    Open a scan without reading it, except for a few patterns that tell whether the counters overflowed.

    Parameters
    ----------
    path
        A ``.hspy`` file (HyperSpy formats 3.0 to 3.3), a Merlin ``.mib`` file with its ``.hdr`` beside it, a ``.zarr``
        folder written by :func:`figures_pkg.data.convert`, or a ``.npy`` array.
    orientation
        "lab" has the detector rows as in the authors' ``.hspy`` files and the published pictures, "camera" as
        RosettaSciIO reads a ``.mib``: upside down relative to "lab". The sign of P along the c axis hangs on it.
    axes
        Calibration, as :class:`figures_pkg.data.Axes` or its keywords in a dict, for the orientation asked for. It takes
        the place of what the file says; formats without calibration (``.mib``, ``.npy``) need it, or count in pixels.
    experiment
        Name of the signal when a ``.hspy`` file holds several.
    scan_shape
        (rows, columns) of a ``.mib`` whose headers do not tell, or of a stack of patterns in a ``.npy``. A single
        pattern is refused unless ``scan_shape=(1, 1)`` says that it is meant as a scan of one position.
    stored_orientation
        How the rows lie in the file, where it differs from the rule: ``.hspy``, ``.mib`` (as bytes in the file) and
        ``.npy`` hold "lab", a ``.zarr`` of ours says it. A ``.mib`` saved as ``.hspy`` by HyperSpy 1.7 or later
        is "camera".
    source
        "twin", "record", "rehearsal" or "user"; by default what our own files say, else "user".
    check_counts
        Whether to read a few patterns and warn of wrapped or saturated counters.

    Returns
    -------
    xarray.DataArray
        Named "counts", dimensions (scan_y, scan_x, det_y, det_x), backed by dask blocks of whole patterns that follow
        the stored chunks. Scan coordinates are in nm and start at 0. Detector coordinates are in 1/Å, zero at the
        file's own origin, and grow downward and to the right with the pixel index. Attributes: ``beam_energy_kev``,
        ``orientation``, ``origin_row_col``, ``source``, ``path``, ``title``, ``camera_length_cm``, ``convergence_mrad``,
        ``format``, and what the file's writer noted beside.

    Raises
    ------
    FileNotFoundError, IsADirectoryError, PermissionError
        If there is nothing to open.
    ScanFileError
        If the file is damaged, of another kind, or not four-dimensional.

    Examples
    --------
    >>> scan = open_scan("ds1.hspy")  # doctest: +SKIP
    >>> pattern = scan.isel(scan_y=10, scan_x=20).compute()  # doctest: +SKIP
    """
    check_orientation(orientation)
    path = _check_path(Path(path))
    opened = _open(path, experiment, scan_shape)
    native = stored_orientation or opened.orientation
    check_orientation(native)
    flip = orientation != native
    lazy = LazyScan(opened.stored, opened.order, flip)
    known = opened.axes.flipped(lazy.shape[2]) if flip else opened.axes
    known = known.updated(Axes(**axes) if isinstance(axes, dict) else axes or Axes())
    if check_counts:
        warn_about_counts(lazy, path)
    return build_scan(lazy.to_dask(), known, orientation=orientation, source=source or opened.source, path=str(path),
                      title=opened.title, format=opened.format, extra=opened.extra)


def _open(path: Path, experiment, scan_shape) -> Opened:
    """Hand the file to the reader of its format."""
    suffix = path.suffix.lower()
    if suffix == ".hspy":
        return open_hspy(path, experiment, scan_shape)
    if suffix == ".mib":
        return open_mib(path, scan_shape)
    return open_npy(path, scan_shape) if suffix == ".npy" else open_zarr(path)


def _check_path(path: Path) -> Path:
    """Raise the one clear error for a path that cannot be a scan."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        hint = "; give the .mib beside it" if suffix == ".hdr" else ""
        raise ScanFileError(f"{path}: suffix {path.suffix!r}, expected one of {', '.join(SUFFIXES)}{hint}")
    try:
        size = path.stat().st_size
        if path.is_dir() != (suffix == ".zarr"):
            kinds = ("a folder", "a file") if path.is_dir() else ("a file", "a folder")
            raise IsADirectoryError(errno.EISDIR, "is {}, expected {}".format(*kinds), str(path))
        if not path.is_dir():
            path.open("rb").close()
    except FileNotFoundError:
        hint = "no such scan; check the path, or fetch or make the dataset first"
        raise FileNotFoundError(errno.ENOENT, hint, str(path)) from None
    except PermissionError:
        hint = "no permission to read this scan; change its mode or ask its owner"
        raise PermissionError(errno.EACCES, hint, str(path)) from None
    if size == 0:
        raise ScanFileError(f"{path}: empty (0 bytes); fetch or copy it again")
    return path


def warn_about_counts(scan: LazyScan, path) -> None:
    """Read up to 16 patterns and warn, with the evidence, of wrapped or saturated counters."""
    if scan.dtype.kind not in "ui":
        return
    sample = sample_patterns(scan)
    wrapped = wrapped_pixels(sample) if scan.dtype == np.uint8 else 0
    if wrapped > _FEW:
        warnings.warn(f"{path}: uint8 counts that look wrapped modulo 256: in {len(sample)} patterns, {wrapped} dark pixels lie "
                      "enclosed by pixels brighter by 80 counts and more, as where a counter passes 255 and begins again at 0. "
                      "The converter mib2hspy casts deeper counters like this; intensities of bright spots are lost. Use the "
                      "detector's own .mib file", stacklevel=3)
    limit, stuck, below = saturated_pixels(sample)
    if stuck > _FEW and stuck > 4 * below:
        warnings.warn(f"{path}: saturated counters: {stuck / len(sample):.0f} pixels per pattern stand at {limit}, the "
                      f"highest count, against {below / len(sample):.1f} at the next lower counts. Sums and centres of mass "
                      "over these spots are biased", stacklevel=3)


def sample_patterns(scan: LazyScan) -> np.ndarray:
    """Up to 16 patterns (n, det_y, det_x) along the scan's diagonal; fewer where one costs much decoding."""
    piece = [scan.stored.piece[axis] for axis in scan.order]
    cost = piece[0] * piece[1] * scan.shape[2] * scan.shape[3] * scan.dtype.itemsize
    number = int(np.clip(_SAMPLE_BYTES // cost, 1, 16))
    middle = (np.arange(number) + 0.5) / number
    places = sorted({(int(part * scan.shape[0]), int(part * scan.shape[1])) for part in middle})
    side = 4 if len(places) == 1 else 1  # neighbours come at no extra cost when a whole piece is decoded anyway
    boxes = [scan[y // side * side:y // side * side + side, x // side * side:x // side * side + side] for y, x in places]
    return np.concatenate([box.reshape((-1,) + scan.shape[2:]) for box in boxes])


def wrapped_pixels(sample: np.ndarray) -> int:
    """
    Number of pixels that are darker by more than 80 counts than a closed rim around them.

    A bright spot has no hole, except where the counter wrapped (or a pixel is dead: pixels that are zero in every
    pattern are left out). The difference of 80 is five times the Poisson noise at 255.

    Parameters
    ----------
    sample
        uint8 patterns (n, det_y, det_x).
    """
    alive = (sample != 0).any(axis=0) if len(sample) > 1 else np.ones(sample.shape[1:], bool)
    total = 0
    for pattern in sample:
        holes = np.zeros(pattern.shape, bool)
        for rim in (96, 128, 160, 192, 224):
            holes |= ndimage.binary_fill_holes(pattern >= rim) & (pattern < rim - 80)
        total += int((holes & alive).sum())
    return total


def saturated_pixels(sample: np.ndarray) -> tuple[int, int, int]:
    """
    Pile-up of counts at the limit of a counter.

    Returns
    -------
    limit
        The highest count of the sample, if it is the limit of a counter, else 0.
    stuck
        Pixels at that limit, in the whole sample.
    below
        The largest number of pixels at any of the four counts just below it.
    """
    limit = int(sample.max())
    if limit not in COUNTER_LIMITS:
        return 0, 0, 0
    near = sample[sample >= limit - 4].astype(np.int64)
    number = np.bincount(near - (limit - 4), minlength=5)
    return limit, int(number[4]), int(number[:4].max())
