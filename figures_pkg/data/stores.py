"""Understand .zarr stores that we wrote and .npy arrays."""

from __future__ import annotations

import math
import threading
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from figures_pkg.data.axes import Opened, ScanFileError
from figures_pkg.data.readers import FrameReader

from .axes import DIMS, Axes
from .readers import Box

ARRAY = "counts"  # name of the array in a store of ours


class ZarrReader:
    """Reads a zarr array; opened once in each process."""

    def __init__(self, path: Path, name: str):
        self.path, self.name = Path(path), name
        self._array: zarr.Array | None = zarr.open_array(path, mode="r", path=name)
        self._lock = threading.Lock()
        self.shape, self.dtype, self.piece = tuple(self._array.shape), self._array.dtype, tuple(self._array.chunks)

    def __getstate__(self) -> dict:
        return {key: value for key, value in vars(self).items() if key not in ("_array", "_lock")}

    def __setstate__(self, state: dict) -> None:
        vars(self).update(state, _array=None, _lock=threading.Lock())

    def read_into(self, box: Box, out: np.ndarray) -> None:
        """Fill ``out`` with the values inside ``box``."""
        with self._lock:
            if self._array is None:
                self._array = zarr.open_array(self.path, mode="r", path=self.name)
        out[...] = self._array[tuple(slice(*edges) for edges in box)]


def open_zarr(path: Path) -> Opened:
    """
    Read the labels of a ``.zarr`` store written by :func:`figures_pkg.data.convert`, or of a bare four-dimensional array.

    Raises
    ------
    ScanFileError
        If the folder is no zarr store, is an unfinished one, or holds no four-dimensional array.
    """
    try:
        node = zarr.open(path, mode="r")
    except (FileNotFoundError, ValueError, KeyError) as error:
        raise ScanFileError(f"{path}: no zarr store ({type(error).__name__}: {error}); expected a folder that "
                            "`figures_pkg convert` wrote") from error
    if isinstance(node, zarr.Array):
        name, array = "", node
    else:
        name, found = ARRAY, node.get(ARRAY)
        if not isinstance(found, zarr.Array):
            raise ScanFileError(f"{path}: holds {sorted(node)}, expected an array {ARRAY!r}; write it with `figures_pkg convert`")
        array = found
    _check_four(path, array.shape)
    attrs = dict(array.attrs)
    known: dict = {key: attrs.pop(key) for key in ("orientation", "title", "source") if key in attrs}
    return Opened(ZarrReader(path, name), axes_from_attributes(attrs), f"zarr {array.metadata.zarr_format}", extra=attrs, **known)


def axes_from_attributes(attrs: dict) -> Axes:
    """Take the calibration out of the attributes that :func:`figures_pkg.data.convert` wrote."""
    known: dict[str, Any] = {key: attrs.pop(key) for key in list(vars(Axes())) if key in attrs}
    known |= {key: tuple(value) for key, value in known.items() if isinstance(value, list)}
    return Axes(**known)


def open_npy(path: Path, scan_shape: tuple[int, int] | None = None) -> Opened:
    """
    Find the counts in a ``.npy`` file; the calibration must come from the caller.

    Parameters
    ----------
    path
        The file, holding (scan_y, scan_x, det_y, det_x).
    scan_shape
        (rows, columns) for a stack of patterns (n, det_y, det_x), or (1, 1) for a single one.

    Raises
    ------
    ScanFileError
        If the header is damaged, the array is not of that kind, or bytes are missing.
    """
    with open(path, "rb") as file:
        try:
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, fortran, dtype = read(file)
        except (ValueError, EOFError) as error:
            raise ScanFileError(f"{path}: damaged .npy header ({error}); write it again with numpy.save") from error
        offset = file.tell()
    if dtype.kind not in "uif" or fortran:
        raise ScanFileError(f"{path}: {dtype}{' in Fortran order' if fortran else ''}, expected numbers in C order; "
                            "save numpy.ascontiguousarray(array)")
    if scan_shape and len(shape) in (2, 3) and math.prod(scan_shape) == math.prod(shape[:-2]):
        shape = tuple(scan_shape) + shape[-2:]
    _check_four(path, shape)
    expected, size = offset + math.prod(shape) * dtype.itemsize, path.stat().st_size
    if size < expected:
        raise ScanFileError(f"{path}: truncated, {size} of {expected} bytes; copy it again")
    return Opened(FrameReader(path, shape, dtype, offset), Axes(), "npy", title=path.stem)


def _check_four(path: Path, shape) -> None:
    """Raise unless there are four axes with something in them."""
    if len(shape) != 4 or min(shape) < 1:
        raise ScanFileError(f"{path}: an array of shape {tuple(shape)}, expected four axes {DIMS}; reshape it, or give "
                            "scan_shape=(rows, columns) for a stack of patterns in a .npy file")
