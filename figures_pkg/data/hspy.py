"""Understand HyperSpy .hspy files of the formats 3.0 to 3.3 with h5py alone."""

from __future__ import annotations

import logging
import math
import re
from pathlib import Path

import h5py
import numpy as np

from .axes import Axes
from figures_pkg.data.readers import hdf5_reader
from .hspy_writer import NONE, PROVENANCE
from figures_pkg.data.axes import Opened, ScanFileError
from figures_pkg.data.units import energy_in_kev, length_in_nm, reciprocal_in_inv_angstrom

logger = logging.getLogger(__name__)


def open_hspy(path: Path, experiment: str | None = None, scan_shape: tuple[int, int] | None = None) -> Opened:
    """
    Read the labels of a ``.hspy`` file and find the fastest way to its counts.

    Axes are taken in the order of the array; those that the file calls navigation become the scan, wherever they
    stand. The beam energy may be in V or keV, the camera length is the nominal one if the file names it.

    Parameters
    ----------
    path
        The file.
    experiment
        Which signal, when the file holds several.
    scan_shape
        (1, 1) opens a single pattern, a two-dimensional signal, as a scan of one position.

    Raises
    ------
    ScanFileError
        If the file is damaged, is not HyperSpy's, holds several signals, or the signal is not four-dimensional.
    """
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise ScanFileError(f"{path}: {_damage(path, error)}") from error
    with file:
        version = _check_version(path, file)
        group = _choose(path, file, experiment)
        data = _dataset(path, group)
        labels = _axis_labels(path, group, data.ndim)
        order = _order(path, data, labels, scan_shape)
        axes, title = _calibration(group, labels, order), _title(group)
        extra = _provenance(group)
        name = data.name
    source = extra.pop("source", "user")
    return Opened(hdf5_reader(path, name), axes, f"hspy {version}", order=order, title=title, source=source, extra=extra)


def _damage(path: Path, error: OSError) -> str:
    """Say in our words why HDF5 refused a file."""
    found = re.search(r"eof = (\d+).*stored_eof = (\d+)", str(error))
    if found:
        return f"truncated: it has {found[1]} of {found[2]} bytes; fetch or copy it again"
    if "signature not found" in str(error):
        return "its header is not HDF5's, so it is damaged or not a .hspy file; fetch or copy it again"
    return f"HDF5 cannot open it ({error}); fetch or copy it again"


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
    """The signal asked for, or the only one."""
    names = list(file["Experiments"])
    if experiment is None and len(names) == 1:
        return file["Experiments"][names[0]]
    if experiment in names:
        return file["Experiments"][experiment]
    shapes = {name: getattr(file["Experiments"][name].get("data"), "shape", None) for name in names}
    wanted = "none was chosen" if experiment is None else f"there is no {experiment!r}"
    raise ScanFileError(f"{path} holds {len(names)} signals and {wanted}: {shapes}; choose with experiment=\"...\"")


def _dataset(path: Path, group: h5py.Group) -> h5py.Dataset:
    """The counts of a signal."""
    data = group.get("data")
    if not isinstance(data, h5py.Dataset) or data.dtype.kind not in "uif":
        raise ScanFileError(f"{path}: signal {group.name!r} holds no array of numbers; the file is incomplete or of "
                            "another kind")
    return data


def _axis_labels(path: Path, group: h5py.Group, ndim: int) -> list[dict]:
    """The attributes of axis-0, axis-1, … as plain Python values."""
    missing = [f"axis-{index}" for index in range(ndim) if f"axis-{index}" not in group]
    if missing:
        raise ScanFileError(f"{path}: signal {group.name!r} lacks {', '.join(missing)}; the file is incomplete, fetch it again")
    return [{key: _plain(value) for key, value in group[f"axis-{index}"].attrs.items()} for index in range(ndim)]


def _order(path: Path, data: h5py.Dataset, labels: list[dict], scan_shape) -> tuple[int, int, int, int]:
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
    """Steps, origin, energy and optics of a signal."""
    tem = _attributes(group, "metadata/Acquisition_instrument/TEM")
    parameters = "original_metadata/Acquisition_instrument/Parameters"
    energy = energy_in_kev(_number(tem.get("beam_energy")))
    if energy is None:
        energy = energy_in_kev(_number(_attributes(group, f"{parameters}/acceleration_voltage").get("Value")))
    nominal = _number(_attributes(group, f"{parameters}/cameralength").get("Nominal value"))
    length = _number(_attributes(group, "metadata/Acquisition_instrument/TEM/Detector/Diffraction").get("camera_length"))
    scan = [labels[axis] for axis in order[:2]] if len(labels) == 4 else []
    detector = [labels[axis] for axis in order[2:]] if len(labels) == 4 else labels
    return Axes(scan_step_nm=_steps(scan, length_in_nm),
                det_scale_inv_angstrom=_steps(detector, lambda unit: reciprocal_in_inv_angstrom(unit, energy)),
                origin_row_col=_origin(detector), beam_energy_kev=energy, camera_length_cm=nominal or length,
                convergence_mrad=_number(tem.get("convergence_angle")))


def _steps(labels: list[dict], convert) -> tuple[float, float] | None:
    """Steps of two axes in our units, or None where one of them has no calibration."""
    factors = [convert(_text(label.get("units", ""))) for label in labels]
    scales = [_number(label.get("scale")) for label in labels]
    if not labels or None in factors or not all(scales):
        return None
    return tuple(scale * factor for scale, factor in zip(scales, factors))


def _origin(labels: list[dict]) -> tuple[float, float] | None:
    """Pixel (row, col) at which both detector axes are zero."""
    pairs = [(_number(label.get("offset")), _number(label.get("scale"))) for label in labels]
    if not all(scale and offset is not None for offset, scale in pairs):
        return None
    return tuple(0.0 - offset / scale for offset, scale in pairs)


def _title(group: h5py.Group) -> str:
    """The title in the metadata, or the name of the group."""
    name = group.name.split("/")[-1].replace("__unnamed__", "")
    return _text(_attributes(group, "metadata/General").get("title", "")) or name


def _provenance(group: h5py.Group) -> dict:
    """What our own writer noted: source, preset, seed, fingerprint."""
    told = {key: _plain(value) for key, value in _attributes(group, f"original_metadata/{PROVENANCE}").items()}
    return {key: value for key, value in told.items() if value != ""}


def _attributes(group: h5py.Group, path: str) -> dict:
    """The attributes of a subgroup; none if it is absent."""
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
