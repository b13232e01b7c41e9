"""Open a scan of any format as one labelled lazy array; .hspy has a module of its own."""

from __future__ import annotations

import errno
import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from rsciio.quantumdetector import file_reader

from .axes import DIMS, Axes, ScanFileError, build_scan, check_orientation
from .hspy import open_hspy
from .readers import Box, FrameReader, LazyScan, Opened

ARRAY = "counts"  # name of the array in a .zarr store of ours
SUFFIXES = (".hspy", ".mib", ".zarr", ".npy")
COUNTER_LIMITS = (63, 255, 4095, 65535, 16777215)  # 6, 8, 12, 16 and 24 bits; 6, 12 and 24 are Medipix depths
_SAMPLE_BYTES = 150e6  # decoded at most for the sample; a pattern in 32^4 chunks drags 134 MB along
FEW = 8  # pixels, in the whole sample, that may look odd by chance
_MIB_TYPES = {"U08": ">u1", "U16": ">u2", "U32": ">u4"}


def open_scan(path, orientation: str = "lab", axes: Axes | dict | None = None, *, experiment: str | None = None,
              scan_shape: tuple[int, int] | None = None, stored_orientation: str | None = None,
              source: str | None = None, check_counts: bool = True) -> xr.DataArray:
    """Open a scan without reading it, except for a few patterns that tell whether the counters overflowed.

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
        How the rows lie in the file, where it differs from the rule: ``.hspy``, ``.mib`` (as bytes in the file) and ``.npy`` hold "lab",
        a ``.zarr`` of ours says it. A ``.mib`` saved as ``.hspy`` by HyperSpy 1.7 or later is "camera".
    source
        "twin", "record", "rehearsal" or "user"; by default what our own files say, else "user".
    check_counts
        Whether to read a few patterns and warn of wrapped or saturated counters.

    Returns
    -------
    xarray.DataArray
        Named "counts", dimensions (scan_y, scan_x, det_y, det_x), backed by dask blocks of whole patterns that follow the stored chunks.
        Scan coordinates are in nm and start at 0. Detector coordinates are in 1/Å, zero at the file's own origin, and grow downward and to
        the right with the pixel index. Attributes: ``beam_energy_kev``, ``orientation``, ``origin_row_col``, ``source``, ``path``,
        ``title``, ``camera_length_cm``, ``convergence_mrad``, ``format``, and what the file's writer noted beside.

    Raises
    ------
    FileNotFoundError, IsADirectoryError, PermissionError
        If there is nothing to open.
    ScanFileError
        If the file is damaged, of another kind, or not four-dimensional.
    """
    check_orientation(orientation)
    path = Path(path)
    suffix = path.suffix.lower()
    _check_path(path, suffix)
    if suffix == ".hspy":
        opened = open_hspy(path, experiment, scan_shape)
    elif suffix == ".mib":
        opened = _open_mib(path, scan_shape)
    else:
        opened = _open_npy(path, scan_shape) if suffix == ".npy" else _open_zarr(path)
    native = stored_orientation or opened.orientation
    check_orientation(native)
    flip = orientation != native
    lazy = LazyScan(opened.stored, opened.order, flip)
    known = opened.axes.flipped(lazy.shape[2]) if flip else opened.axes
    known = known.updated(Axes(**axes) if isinstance(axes, dict) else axes or Axes())
    if check_counts:
        _warn_about_counts(lazy, path)
    return build_scan(lazy.to_dask(), known, orientation=orientation, source=source or opened.source, path=str(path),
                      title=opened.title, format=opened.format, extra=opened.extra)


def _check_path(path: Path, suffix: str) -> None:
    """Raise the one clear error for a path that cannot be a scan."""
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


def _warn_about_counts(scan: LazyScan, path: Path) -> None:
    """Read up to 16 patterns along the scan's diagonal, fewer where one costs much decoding, and warn of wrapped or saturated counters."""
    if scan.dtype.kind not in "ui":
        return
    piece = [scan.stored.piece[axis] for axis in scan.order]
    cost = piece[0] * piece[1] * scan.shape[2] * scan.shape[3] * scan.dtype.itemsize
    number = int(np.clip(_SAMPLE_BYTES // cost, 1, 16))
    middle = (np.arange(number) + 0.5) / number
    places = sorted({(int(part * scan.shape[0]), int(part * scan.shape[1])) for part in middle})
    side = 4 if len(places) == 1 else 1  # neighbours come at no extra cost when a whole piece is decoded anyway
    boxes = [scan[y // side * side:y // side * side + side, x // side * side:x // side * side + side] for y, x in places]
    sample = np.concatenate([box.reshape((-1,) + scan.shape[2:]) for box in boxes])
    wrapped = wrapped_pixels(sample) if scan.dtype == np.uint8 else 0
    if wrapped > FEW:
        warnings.warn(f"{path}: uint8 counts that look wrapped modulo 256: in {len(sample)} patterns, {wrapped} dark pixels lie "
                      "enclosed by pixels brighter by 80 counts and more, as where a counter passes 255 and begins again at 0. "
                      "The converter mib2hspy casts deeper counters like this; intensities of bright spots are lost. Use the "
                      "detector's own .mib file", stacklevel=3)
    limit = int(sample.max())
    if limit in COUNTER_LIMITS:  # pile-up: more pixels at the highest count than at any of the four below it
        *lower, stuck = np.bincount(sample[sample >= limit - 4].astype(np.int64) - (limit - 4), minlength=5)
        if stuck > FEW and stuck > 4 * max(lower):
            warnings.warn(f"{path}: saturated counters: {stuck / len(sample):.0f} pixels per pattern stand at {limit}, the "
                          f"highest count, against {max(lower) / len(sample):.1f} at the next lower counts. Sums and centres of mass "
                          "over these spots are biased", stacklevel=3)


def wrapped_pixels(sample: np.ndarray) -> int:
    """Number of pixels of uint8 patterns (n, det_y, det_x) darker by more than 80 counts, five times the noise, than a closed rim around; dead ones not."""
    from scipy.ndimage import binary_fill_holes  # slow to import

    alive = (sample != 0).any(axis=0) if len(sample) > 1 else np.ones(sample.shape[1:], bool)
    total = 0
    for pattern in sample:
        holes = np.zeros(pattern.shape, bool)
        for rim in (96, 128, 160, 192, 224):
            holes |= binary_fill_holes(pattern >= rim) & (pattern < rim - 80)
        total += int((holes & alive).sum())
    return total


class ZarrReader:
    """Reads a zarr array."""

    def __init__(self, path: Path, array):
        self.path, self.array = path, array
        self.shape, self.dtype, self.piece = tuple(array.shape), array.dtype, tuple(array.chunks)

    def read_into(self, box: Box, out: np.ndarray) -> None:
        """Fill ``out`` with the values inside ``box``."""
        out[...] = self.array[tuple(slice(*edges) for edges in box)]


def _open_zarr(path: Path) -> Opened:
    """Read the labels of a ``.zarr`` store of ours, or of a bare four-dimensional array."""
    import zarr  # slow to import

    try:
        node: Any = zarr.open(path, mode="r")
    except (FileNotFoundError, ValueError, KeyError) as error:
        raise ScanFileError(f"{path}: no zarr store ({type(error).__name__}: {error}); expected a folder that `figures_pkg convert` wrote") from error
    array = node if isinstance(node, zarr.Array) else node.get(ARRAY)
    if not isinstance(array, zarr.Array):
        raise ScanFileError(f"{path}: holds {sorted(node)}, expected an array {ARRAY!r}; write it with `figures_pkg convert`")
    _check_four(path, array.shape)
    attrs = dict(array.attrs)
    known: dict = {key: attrs.pop(key) for key in ("orientation", "title", "source") if key in attrs}
    calibration: dict[str, Any] = {key: attrs.pop(key) for key in vars(Axes()) if key in attrs}
    calibration |= {key: tuple(value) for key, value in calibration.items() if isinstance(value, list)}
    return Opened(ZarrReader(path, array), Axes(**calibration), f"zarr {array.metadata.zarr_format}", extra=attrs, **known)


def _open_npy(path: Path, scan_shape: tuple[int, int] | None) -> Opened:
    """Find the counts in a ``.npy`` file; ``scan_shape`` lays out a stack of patterns (n, det_y, det_x)."""
    with open(path, "rb") as file:
        try:
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, fortran, dtype = read(file)
        except (ValueError, EOFError) as error:
            raise ScanFileError(f"{path}: damaged .npy header ({error}); write it again with numpy.save") from error
        offset = file.tell()
    if dtype.kind not in "uif" or fortran:
        raise ScanFileError(f"{path}: {dtype}{' in Fortran order' if fortran else ''}, expected numbers in C order; save numpy.ascontiguousarray(array)")
    if scan_shape and len(shape) in (2, 3) and math.prod(scan_shape) == math.prod(shape[:-2]):
        shape = tuple(scan_shape) + shape[-2:]
    _check_four(path, shape)
    expected, size = offset + math.prod(shape) * dtype.itemsize, path.stat().st_size
    if size < expected:
        raise ScanFileError(f"{path}: truncated, {size} of {expected} bytes; copy it again")
    return Opened(FrameReader(path, shape, dtype, offset), Axes(), "npy", title=path.stem)


def _check_four(path: Path, shape) -> None:
    if len(shape) != 4 or min(shape) < 1:
        raise ScanFileError(f"{path}: an array of shape {tuple(shape)}, expected four axes {DIMS}; reshape it, or give "
                            "scan_shape=(rows, columns) for a stack of patterns in a .npy file")


def _open_mib(path: Path, scan_shape: tuple[int, int] | None) -> Opened:
    """Read the headers of a ``.mib`` file and lay its frames out as a scan; ``scan_shape`` also reads the complete rows of an interrupted one.

    The rows are in the "lab" orientation. RosettaSciIO, which tells the shape, turns them over while reading: "camera"; the authors' converter did not.
    """
    header, frame_shape, dtype = _mib_header(path)
    size, frame_bytes = path.stat().st_size, header + math.prod(frame_shape) * np.dtype(dtype).itemsize
    frames, rest = divmod(size, frame_bytes)
    if rest:
        raise ScanFileError(f"{path}: {size} bytes are {frames} frames of {frame_bytes} bytes and {rest} bytes more, so "
                            "the file is truncated or damaged; copy it again, or cut it to whole frames and give scan_shape")
    if scan_shape:
        rows, cols = (int(size) for size in scan_shape)
        if rows < 1 or cols < 1 or rows * cols > frames:
            raise ScanFileError(f"{path}: scan_shape={tuple(scan_shape)} asks for {rows * cols} frames, the file holds "
                                f"{frames}; {frames // max(cols, 1)} complete rows of {cols} are there")
    try:  # RosettaSciIO counts columns first
        found = file_reader(str(path), lazy=True, navigation_shape=(cols, rows) if scan_shape else None)[0]
    except (ValueError, KeyError, IndexError, TypeError, OverflowError) as error:
        raise ScanFileError(f"{path}: RosettaSciIO cannot read the headers ({type(error).__name__}: {error}); compare "
                            f"{path.stem}.hdr with that of a good file, or give scan_shape=(rows, columns)") from error
    metadata, hdr = found["metadata"], found["original_metadata"].get("hdr_file", {})
    if scan_shape:
        shape: tuple[int, ...] = (rows, cols)
    else:
        shape = tuple(int(size) for size in found["original_metadata"]["mib_properties"]["navigation_shape"])
        ordered = int(hdr.get("Frames in Acquisition (Number)", frames) or frames)
        if frames < ordered:
            raise ScanFileError(f"{path}: truncated or interrupted, {frames} of {ordered} frames are there; copy it again, or "
                                "give scan_shape=(complete rows, columns)")
        if len(shape) != 2 or 1 in shape or math.prod(shape) != frames:
            raise ScanFileError(f"{path}: {frames} frames of which RosettaSciIO makes {shape}, expected the rows and columns of "
                                "a scan (4D); give scan_shape=(rows, columns), or (1, 1) for a single pattern")
    extra = {"dwell_time_ms": 1e3 * metadata["Acquisition_instrument"]["dwell_time"], "recorded": metadata["General"]["date"]}
    if "Counter Depth (number)" in hdr:
        extra["counter_bits"] = int(hdr["Counter Depth (number)"])
    return Opened(FrameReader(path, shape + frame_shape, dtype, header=header), Axes(), "mib", title=path.stem, extra=extra)


def _mib_header(path: Path) -> tuple[int, tuple[int, int], str]:
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
    if kind not in _MIB_TYPES:
        raise ScanFileError(f"{path}: counts of type {kind!r}, expected one of {', '.join(_MIB_TYPES)}; raw Merlin frames "
                            "(R64) must be exported by the Merlin software first")
    return length, (rows, cols), _MIB_TYPES[kind]
