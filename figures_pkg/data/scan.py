"""Open a scan, whatever the file format, as one labelled lazy array."""

from __future__ import annotations

import errno
from pathlib import Path

import xarray as xr

from .axes import Axes, build_scan, check_orientation
from .files.counts import warn_about_counts
from .files.hspy import open_hspy
from .files.lazy import LazyScan
from .files.mib import open_mib
from .files.opened import Opened, ScanFileError
from .files.stores import open_npy, open_zarr

SUFFIXES = (".hspy", ".mib", ".zarr", ".npy")


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
