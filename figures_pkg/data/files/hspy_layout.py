"""The groups and attributes of a HyperSpy 3.0 file as the authors' converter (mib2hspy, HyperSpy 1.5) wrote them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import h5py
import numpy as np

from ..axes import pair

AXIS_NAMES = ("y", "x", "ky", "kx")
NONE = "_None_"  # HyperSpy's word for None in an attribute
PROVENANCE = "figures_pkg"  # subgroup of original_metadata that tells where our files come from


@dataclass(frozen=True)
class Header:
    """
    What a scan file says beside its counts.

    Lengths and angles are in the units of their names; ``origin_row_col`` is the pixel with detector coordinate zero.
    ``provenance`` holds strings and numbers, for instance source, preset and seed.
    """

    shape: tuple[int, int, int, int]
    chunks: tuple[int, int, int, int]
    dtype: str
    scan_step_nm: float | tuple[float, float]
    det_scale_inv_angstrom: float | tuple[float, float]
    origin_row_col: tuple[float, float]
    beam_energy_kev: float = 200.0
    camera_length_cm: float = math.nan
    title: str = ""
    compression_level: int = 4
    provenance: dict[str, str | float] = field(default_factory=dict)


def write_header(file: h5py.File, header: Header) -> h5py.Dataset:
    """
    Write everything but the counts into an empty file and return the dataset (all its chunks still missing).

    The traps of the authors' files are kept on purpose: the beam energy in V, ``$A^{-1}$``, a convergence angle of
    nan, the format version 3.0 with ``package="pyxem"``. Readers must cope with them, so ours are tested on them.
    """
    file.attrs.update(file_format="HyperSpy", file_format_version="3.0")
    name = header.title.replace("/", "-") or "__unnamed__"
    group = file.create_group(f"Experiments/{name}")
    group.attrs.update(package="pyxem", package_version="0.12.2")
    _write_axes(group, header)
    group.create_group("learning_results")
    _write_metadata(group.create_group("metadata"), header)
    _write_original_metadata(group.create_group("original_metadata"), header)
    return group.create_dataset("data", header.shape, header.dtype, chunks=header.chunks, maxshape=(None,) * 4,
                                compression="gzip", compression_opts=header.compression_level, shuffle=True)


def _write_axes(group: h5py.Group, header: Header) -> None:
    """axis-0 to axis-3 in the order of the array."""
    scales = pair(header.scan_step_nm) + pair(header.det_scale_inv_angstrom)
    zeros = (0.0, 0.0) + tuple(header.origin_row_col)
    for index, (name, size, scale, zero) in enumerate(zip(AXIS_NAMES, header.shape, scales, zeros)):
        group.create_group(f"axis-{index}").attrs.update(
            name=name, scale=float(scale), offset=float(0.0 - zero * scale), size=np.int32(size), navigate=index < 2,
            units="nm" if index < 2 else "$A^{-1}$")


def _write_metadata(group: h5py.Group, header: Header) -> None:
    """The metadata tree of a pyxem 0.12 electron diffraction signal."""
    tem = group.create_group("Acquisition_instrument/TEM")
    tem.attrs.update(beam_energy=np.int32(round(header.beam_energy_kev * 1000)), convergence_angle=math.nan,
                     rocking_angle=math.nan, rocking_frequency=math.nan)
    tem.create_group("Detector/Diffraction").attrs["camera_length"] = float(header.camera_length_cm)
    group.create_group("General").attrs["title"] = header.title
    group.create_group("Signal").attrs.update(
        binned=False, record_by="image", signal_type="electron_diffraction", exposure_time=NONE, flyback_times=NONE,
        frames_number_skipped=NONE, scan_X=NONE)
    group.create_group("_HyperSpy/Folding").attrs.update(
        original_axes_manager=NONE, original_shape=NONE, signal_unfolded=False, unfolded=False)


def _write_original_metadata(group: h5py.Group, header: Header) -> None:
    """The converter's table of nominal and actual values, and our provenance."""
    parameters = group.create_group("Acquisition_instrument/Parameters")
    voltage = np.int32(round(header.beam_energy_kev * 1000))
    parameters.create_group("acceleration_voltage").attrs.update(Value=voltage, Units="V")
    length = float(header.camera_length_cm)
    parameters.create_group("cameralength").attrs.update({"Nominal value": length, "Actual value": length, "Units": "cm"})
    group.create_group(PROVENANCE).attrs.update(header.provenance)
