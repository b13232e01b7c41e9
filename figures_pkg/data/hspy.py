"""HyperSpy .hspy files: those of the formats 3.0 to 3.3 are understood with h5py alone, new ones written block by block as 3.0."""

from __future__ import annotations

import itertools
import logging
import math
import re
import threading
from contextlib import ExitStack
from pathlib import Path

import deflate
import h5py
import numpy as np
from numcodecs.shuffle import Shuffle

from figures_pkg.workspace import check_target, replacing

from .axes import Axes, ScanFileError, pair
from .readers import Opened, hdf5_reader
from .units import energy_in_kev, length_in_nm, reciprocal_in_inv_angstrom

logger = logging.getLogger(__name__)

AXIS_NAMES = ("y", "x", "ky", "kx")
NONE = "_None_"  # HyperSpy's word for None in an attribute
PROVENANCE = "figures_pkg"  # subgroup of original_metadata that tells where our files come from


def open_hspy(path: Path, experiment: str | None = None, scan_shape: tuple[int, int] | None = None) -> Opened:
    """Read the labels of a ``.hspy`` file and find the fastest way to its counts; ``scan_shape=(1, 1)`` opens a single pattern.

    Axes are taken in the order of the array; those that the file calls navigation become the scan, wherever they stand.
    """
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        if found := re.search(r"eof = (\d+).*stored_eof = (\d+)", str(error)):
            damage = f"truncated: it has {found[1]} of {found[2]} bytes"
        elif "signature not found" in str(error):
            damage = "its header is not HDF5's, so it is damaged or not a .hspy file"
        else:
            damage = f"HDF5 cannot open it ({error})"
        raise ScanFileError(f"{path}: {damage}; fetch or copy it again") from error
    with file:
        version = _check_version(path, file)
        group = _choose(path, file, experiment)
        data = group.get("data")
        if not isinstance(data, h5py.Dataset) or data.dtype.kind not in "uif":
            raise ScanFileError(f"{path}: signal {group.name!r} holds no array of numbers; the file is incomplete or of another kind")
        missing = [f"axis-{index}" for index in range(data.ndim) if f"axis-{index}" not in group]
        if missing:
            raise ScanFileError(f"{path}: signal {group.name!r} lacks {', '.join(missing)}; the file is incomplete, fetch it again")
        labels = [{key: _plain(value) for key, value in group[f"axis-{index}"].attrs.items()} for index in range(data.ndim)]
        order = _order(path, data, labels, scan_shape)
        axes, name = _calibration(group, labels, order), data.name
        title = _text(_attributes(group, "metadata/General").get("title", "")) or group.name.split("/")[-1].replace("__unnamed__", "")
        noted = {key: _plain(value) for key, value in _attributes(group, f"original_metadata/{PROVENANCE}").items()}
    extra = {key: value for key, value in noted.items() if value != ""}
    source = extra.pop("source", "user")
    return Opened(hdf5_reader(path, name), axes, f"hspy {version}", order=order, title=title, source=source, extra=extra)


def _check_version(path: Path, file: h5py.File) -> str:
    """The format version; refuse files that HyperSpy did not write or wrote before 3.0."""
    kind, version = _text(file.attrs.get("file_format", "")), _text(file.attrs.get("file_format_version", "0"))
    if kind.lower() != "hyperspy" or "Experiments" not in file:
        raise ScanFileError(f"{path}: an HDF5 file, but not one of HyperSpy's (file_format={kind!r}); expected a .hspy file "
                            "of format 3.0 to 3.3. Export it from the program that wrote it")
    try:
        number = tuple(int(part) for part in version.split("."))
    except ValueError:
        number = (0,)
    if number < (3,):
        raise ScanFileError(f"{path}: HyperSpy format {version!r}, expected 3.0 to 3.3; load it in HyperSpy and save it again")
    if number >= (3, 4):
        logger.warning("%s: HyperSpy format %s is newer than 3.3, the newest that was tested", path, version)
    return version


def _choose(path: Path, file: h5py.File, experiment: str | None) -> h5py.Group:
    names = list(file["Experiments"])
    if experiment is None and len(names) == 1:
        return file["Experiments"][names[0]]
    if experiment in names:
        return file["Experiments"][experiment]
    shapes = {name: getattr(file["Experiments"][name].get("data"), "shape", None) for name in names}
    wanted = "none was chosen" if experiment is None else f"there is no {experiment!r}"
    raise ScanFileError(f"{path} holds {len(names)} signals and {wanted}: {shapes}; choose with experiment=\"...\"")


def _order(path: Path, data: h5py.Dataset, labels: list[dict], scan_shape) -> tuple[int, ...]:
    """Stored axis of each of our four; a lone pattern gets two leading axes of size one."""
    if data.ndim == 2 and tuple(scan_shape or ()) == (1, 1):
        return (0, 1, 2, 3)
    names = [f"{label.get('name')} ({size})" for label, size in zip(labels, data.shape)]
    if data.ndim != 4:
        raise ScanFileError(f"{path}: {data.ndim} axes {names}, expected the four of a scan (scan_y, scan_x, det_y, det_x)"
                            + ("; scan_shape=(1, 1) opens a single pattern" if data.ndim == 2 else ""))
    scan = [index for index, label in enumerate(labels) if label.get("navigate")]
    if len(scan) != 2:
        raise ScanFileError(f"{path}: {len(scan)} of the axes {names} are marked as navigation, expected 2; in HyperSpy, "
                            "save signal.transpose(signal_axes=2)")
    order = tuple(scan + [index for index in range(4) if index not in scan])
    for first, second in (order[:2], order[2:]):
        if str(labels[first].get("name")).endswith("x") and str(labels[second].get("name")).endswith("y"):
            logger.warning("%s: axes are named %s; the order of the array is kept, so the first counts as y", path, names)
    return order


def _calibration(group: h5py.Group, labels: list[dict], order) -> Axes:
    tem = _attributes(group, "metadata/Acquisition_instrument/TEM")
    parameters = "original_metadata/Acquisition_instrument/Parameters"
    energy = energy_in_kev(_number(tem.get("beam_energy")))
    if energy is None:
        energy = energy_in_kev(_number(_attributes(group, f"{parameters}/acceleration_voltage").get("Value")))
    nominal = _number(_attributes(group, f"{parameters}/cameralength").get("Nominal value"))
    length = _number(_attributes(group, "metadata/Acquisition_instrument/TEM/Detector/Diffraction").get("camera_length"))
    scan = [labels[axis] for axis in order[:2]] if len(labels) == 4 else []
    detector = [labels[axis] for axis in order[2:]] if len(labels) == 4 else labels
    zeros = []
    for label in detector:
        offset, scale = _number(label.get("offset")), _number(label.get("scale"))
        if offset is not None and scale:
            zeros.append(0.0 - offset / scale)
    return Axes(scan_step_nm=_steps(scan, length_in_nm),
                det_scale_inv_angstrom=_steps(detector, lambda unit: reciprocal_in_inv_angstrom(unit, energy)),
                origin_row_col=(zeros[0], zeros[1]) if len(zeros) == 2 else None, beam_energy_kev=energy,
                camera_length_cm=nominal or length, convergence_mrad=_number(tem.get("convergence_angle")))


def _steps(labels: list[dict], convert) -> tuple[float, float] | None:
    """Steps of two axes in our units, or None where one of them has no calibration."""
    factors = [convert(_text(label.get("units", ""))) for label in labels]
    scales = [_number(label.get("scale")) for label in labels]
    if not labels or None in factors or not all(scales):
        return None
    first, second = (scale * factor for scale, factor in zip(scales, factors))
    return first, second


def _attributes(group: h5py.Group, path: str) -> dict:
    return dict(group[path].attrs) if path in group else {}


def _text(value) -> str:
    """A string attribute, which old files store as bytes; HyperSpy's None is empty."""
    value = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return "" if value == NONE else value


def _number(value) -> float | None:
    """A finite number, or None: files hold nan and "_None_" for what was not noted."""
    if not isinstance(value, (int, float, np.number)) or not math.isfinite(value):
        return None
    return float(value)


def _plain(value):
    """A NumPy scalar as its Python value, bytes as text."""
    return value.item() if isinstance(value, np.generic) else _text(value) if isinstance(value, bytes) else value


def _write_labels(file: h5py.File, shape, axes: Axes, title: str, provenance: dict) -> h5py.Group:
    """Write all but the counts and return the signal's group; V, ``$A^{-1}$``, nan and version 3.0 are the traps of the authors' files."""
    volts = np.int32(round((axes.beam_energy_kev or 0) * 1000))
    length = math.nan if axes.camera_length_cm is None else float(axes.camera_length_cm)
    file.attrs.update(file_format="HyperSpy", file_format_version="3.0")
    group = file.create_group(f"Experiments/{title.replace('/', '-') or '__unnamed__'}")
    group.attrs.update(package="pyxem", package_version="0.12.2")
    scales = pair(axes.scan_step_nm) + pair(axes.det_scale_inv_angstrom)
    zeros = (0.0, 0.0) + pair(axes.origin_row_col)
    for index, (name, size, scale, zero) in enumerate(zip(AXIS_NAMES, shape, scales, zeros)):
        group.create_group(f"axis-{index}").attrs.update(
            name=name, scale=scale, offset=0.0 - zero * scale, size=np.int32(size), navigate=index < 2,
            units="nm" if index < 2 else "$A^{-1}$")  # fmt: skip
    group.create_group("learning_results")
    metadata = group.create_group("metadata")
    tem = metadata.create_group("Acquisition_instrument/TEM")
    tem.attrs.update(beam_energy=volts, convergence_angle=math.nan, rocking_angle=math.nan, rocking_frequency=math.nan)
    tem.create_group("Detector/Diffraction").attrs["camera_length"] = length
    metadata.create_group("General").attrs["title"] = title
    metadata.create_group("Signal").attrs.update(
        binned=False, record_by="image", signal_type="electron_diffraction", exposure_time=NONE, flyback_times=NONE,
        frames_number_skipped=NONE, scan_X=NONE)  # fmt: skip
    metadata.create_group("_HyperSpy/Folding").attrs.update(original_axes_manager=NONE, original_shape=NONE, signal_unfolded=False, unfolded=False)
    original = group.create_group("original_metadata")
    parameters = original.create_group("Acquisition_instrument/Parameters")
    parameters.create_group("acceleration_voltage").attrs.update(Value=volts, Units="V")
    parameters.create_group("cameralength").attrs.update({"Nominal value": length, "Actual value": length, "Units": "cm"})
    original.create_group(PROVENANCE).attrs.update(provenance)
    return group


class HspyWriter:
    """Write a scan block by block into a HyperSpy 3.0 ``.hspy`` file laid out like those of the authors.

    Blocks go, compressed, into a file under a temporary name, which :meth:`close` renames: the target is absent, the old
    one, or complete. Leaving the ``with`` block by an error removes the temporary file. Threads may call :meth:`write`;
    the compression runs outside any lock and releases the GIL.

    Parameters
    ----------
    path
        Target, ends in ``.hspy``.
    shape
        (scan_y, scan_x, det_y, det_x).
    chunks
        HDF5 chunks (cy, cx, ky, kx), for instance (32, 32, 32, 32) as the authors' converter makes them.
    scan_step_nm, det_scale_inv_angstrom, origin_row_col, beam_energy_kev, camera_length_cm
        As in :class:`figures_pkg.data.Axes`, in the "lab" orientation; the energy is stored in V, as in the authors' files.
    title, dtype
        Name of the signal, and type of the counts.
    compression_level
        gzip level, 1 to 9.
    extra, fingerprint
        Strings and numbers for ``original_metadata``, for instance ``source="twin"``, preset and seed, and what the content depends on.
    """

    def __init__(self, path, shape, *, chunks, scan_step_nm, det_scale_inv_angstrom, origin_row_col,
                 beam_energy_kev=200.0, camera_length_cm=math.nan, title="", dtype=np.uint16, compression_level=4,
                 extra: dict[str, str | float] | None = None, fingerprint: str = ""):
        self.path = check_target(path, ".hspy", overwrite=True)
        self.shape, self.dtype, self._level = tuple(map(int, shape)), np.dtype(dtype), compression_level
        self.chunks = tuple(min(int(c), s) for c, s in zip(chunks, self.shape, strict=True))
        if len(self.shape) != 4 or min(self.shape) < 1 or min(self.chunks) < 1:
            raise ValueError(f"shape={self.shape}, chunks={self.chunks}: expected four positive sizes each")
        if self.dtype.kind not in "ui" or self.dtype.byteorder == ">":
            raise ValueError(f"dtype={self.dtype.str!r}: expected a little-endian integer type for counts, such as uint16")
        if not 1 <= compression_level <= 9:
            raise ValueError(f"compression_level={compression_level}: expected 1 to 9")
        axes = Axes(scan_step_nm, det_scale_inv_angstrom, tuple(origin_row_col), beam_energy_kev, None if math.isnan(camera_length_cm) else camera_length_cm)
        self._stack, self._lock = ExitStack(), threading.Lock()
        self._written: set[tuple[int, int]] = set()
        temporary = self._stack.enter_context(replacing(self.path))
        file = self._stack.enter_context(h5py.File(temporary, "w"))
        group = _write_labels(file, self.shape, axes, title, dict(extra or {}) | {"fingerprint": fingerprint})
        self._dataset = group.create_dataset("data", self.shape, self.dtype, chunks=self.chunks, maxshape=(None,) * 4,
                                             compression="gzip", compression_opts=compression_level, shuffle=True)  # fmt: skip

    def missing(self) -> list[tuple[int, int]]:
        """Scan origins (y, x), multiples of the chunk, of the chunk columns that are not yet written."""
        (n_y, n_x), (cy, cx) = self.shape[:2], self.chunks[:2]
        return [origin for origin in itertools.product(range(0, n_y, cy), range(0, n_x, cx)) if origin not in self._written]

    def write(self, origin_yx: tuple[int, int], block: np.ndarray) -> None:
        """Store patterns from ``origin_yx`` onward, (n_y, n_x, det_y, det_x): whole chunks on the chunk grid; only at the scan's end a block may be shorter."""
        if block.dtype != self.dtype:
            raise TypeError(f"block of {block.dtype}: expected {self.dtype}; convert it, minding the range")
        if block.ndim != 4 or block.shape[2:] != self.shape[2:]:
            raise ValueError(f"block of shape {block.shape}: expected (n_y, n_x) + {self.shape[2:]}")
        for start, count, size, chunk in zip(origin_yx, block.shape, self.shape, self.chunks):
            whole = count % chunk == 0 or start + count == size
            if start % chunk or not whole or not 0 <= start <= start + count <= size or count == 0:
                raise ValueError(f"block of {block.shape[:2]} positions at {tuple(origin_yx)}: expected whole chunks of "
                                 f"{self.chunks[:2]} inside the scan {self.shape[:2]}, starting on that grid")
        cy, cx = self.chunks[:2]
        for y, x in itertools.product(range(0, block.shape[0], cy), range(0, block.shape[1], cx)):
            origin, pieces = (origin_yx[0] + y, origin_yx[1] + x), self._compressed(block[y:y + cy, x:x + cx])
            with self._lock:
                for corner, piece in pieces:
                    self._dataset.id.write_direct_chunk(origin + corner, piece)
                self._written.add(origin)

    def _compressed(self, column: np.ndarray) -> list[tuple[tuple[int, int], bytearray]]:
        """The chunks of one column (≤cy, ≤cx, det_y, det_x), each with its corner on the detector."""
        shape, chunks = self.shape, self.chunks
        pieces, shuffle = [], Shuffle(self.dtype.itemsize)
        for row, col in itertools.product(range(0, shape[2], chunks[2]), range(0, shape[3], chunks[3])):
            piece = column[:, :, row:row + chunks[2], col:col + chunks[3]]
            if piece.shape != chunks:  # HDF5 stores whole chunks also where the data end
                piece = np.pad(piece, [(0, c - p) for c, p in zip(chunks, piece.shape)])
            pieces.append(((row, col), deflate.zlib_compress(shuffle.encode(np.ascontiguousarray(piece)), self._level)))
        return pieces

    def close(self) -> Path:
        """Give the file its name; a RuntimeError if blocks are missing, and then nothing is left on the disk."""
        with self._stack:
            if missing := self.missing():
                raise RuntimeError(f"{self.path}: {len(missing)} blocks are missing, the first at {missing[0]}; write them before closing")
        return self.path

    def __enter__(self) -> HspyWriter:
        return self

    def __exit__(self, kind, error, trace) -> None:
        if kind is None:
            self.close()
        else:
            self._stack.__exit__(kind, error, trace)
