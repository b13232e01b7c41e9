"""The names, units and calibration of a scan's four axes, stated once for the whole package."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

SCAN_DIMS = ("scan_y", "scan_x")
DETECTOR_DIMS = ("det_y", "det_x")
DIMS = SCAN_DIMS + DETECTOR_DIMS
ORIENTATIONS = ("lab", "camera")
SOURCES = ("twin", "record", "rehearsal", "user")


class ScanFileError(ValueError):
    """A file that is no scan we can open: what it holds, what was expected, what to do."""


@dataclass(frozen=True)
class Axes:
    """Calibration of a scan; ``None`` means "not known here", so that two sources can be merged.

    Parameters
    ----------
    scan_step_nm, det_scale_inv_angstrom
        Distance between scan positions, and reciprocal size of a detector pixel: one number or a pair (y, x).
    origin_row_col
        Pixel (row, col), with fractions, at which the detector coordinates are zero; rows count downward in the orientation in which the scan is opened.
    beam_energy_kev, convergence_mrad, camera_length_cm
        Energy of the electrons, half angle of the probe, and the nominal camera length, as in the file names of the record ("CL12").
    """

    scan_step_nm: float | tuple[float, float] | None = None
    det_scale_inv_angstrom: float | tuple[float, float] | None = None
    origin_row_col: tuple[float, float] | None = None
    beam_energy_kev: float | None = None
    camera_length_cm: float | None = None
    convergence_mrad: float | None = None

    def __post_init__(self):
        for name in ("scan_step_nm", "det_scale_inv_angstrom", "beam_energy_kev", "camera_length_cm"):
            value = getattr(self, name)
            if value is not None and not np.all(np.isfinite(value) & (np.abs(value) > 0)):
                raise ValueError(f"{name}={value!r}: expected a finite number other than zero; leave it out if unknown")
        for name in ("scan_step_nm", "det_scale_inv_angstrom", "origin_row_col"):
            value = getattr(self, name)
            if value is not None and np.size(value) not in ((2,) if name == "origin_row_col" else (1, 2)):
                raise ValueError(f"{name}={value!r}: expected two numbers, first along y (rows), then along x (columns)")

    def updated(self, other: Axes) -> Axes:
        """These axes with every value that ``other`` knows put in place of our own."""
        return replace(self, **{name: value for name, value in vars(other).items() if value is not None})

    def flipped(self, rows: int) -> Axes:
        """These axes after the detector's ``rows`` have been put upside down."""
        if self.origin_row_col is None:
            return self
        row, col = self.origin_row_col
        return replace(self, origin_row_col=(rows - 1 - row, col))

    @property
    def missing(self) -> list[str]:
        """Names of the calibrations without which coordinates count pixels."""
        return [name for name in ("scan_step_nm", "det_scale_inv_angstrom") if getattr(self, name) is None]


def pair(value) -> tuple[float, float]:
    """A number as (number, number); a pair stays a pair."""
    first, second = np.broadcast_to(np.asarray(value, dtype=float), (2,))
    return float(first), float(second)


def check_scan(scan: xr.DataArray) -> None:
    """Raise a TypeError or ValueError unless ``scan`` is a DataArray with the dimensions (scan_y, scan_x, det_y, det_x) in this order."""
    if not isinstance(scan, xr.DataArray):
        raise TypeError(f"expected an xarray.DataArray with dimensions {DIMS}, got {type(scan).__name__}; open files with figures_pkg.data.open_scan")
    if scan.dims == DIMS:
        return
    repair = "transpose it: scan.transpose(*DIMS)" if set(scan.dims) == set(DIMS) else "open files with open_scan"
    raise ValueError(f"expected dimensions {DIMS}, got {scan.dims}; {repair}")


def check_orientation(orientation: str) -> None:
    """Raise unless ``orientation`` is "lab" or "camera"."""
    if orientation not in ORIENTATIONS:
        raise ValueError(f"orientation={orientation!r}: expected one of {ORIENTATIONS}; 'lab' has the rows as in the "
                         "authors' .hspy files and published pictures, 'camera' is upside down relative to it")


def build_scan(data, axes: Axes, *, orientation: str, source: str, path: str, title: str, format: str, extra: dict | None = None) -> xr.DataArray:
    """Put the labels on a 4D array: the one place where the travelling object is made.

    Coordinates are in nm from the first position and in 1/Å from the origin pixel. A pair of axes without a calibration counts in pixels
    (``units="px"``, and a warning); an unknown origin is half the detector (128 of 256 pixels), as in the authors' converter.

    Parameters
    ----------
    data, axes
        Array (scan_y, scan_x, det_y, det_x), normally of dask; its calibration, where the attributes have nan for what is not known.
    orientation, source, path, title, format, extra
        Attributes of the result, described in :func:`figures_pkg.data.open_scan`, and further ones where they do not clash with these.
    """
    if source not in SOURCES:
        raise ValueError(f"source={source!r}: expected one of {SOURCES}")
    if axes.missing:
        warnings.warn(f"{path}: {' and '.join(axes.missing)} unknown, so these coordinates count pixels (units 'px'); "
                      f"pass axes=Axes({axes.missing[0]}=...) to open_scan", stacklevel=3)
    origin = axes.origin_row_col or (data.shape[2] / 2, data.shape[3] / 2)
    known = {name: float("nan") if value is None else value for name, value in vars(axes).items()}
    attrs = dict(extra or {}) | {
        "beam_energy_kev": float(known["beam_energy_kev"]), "orientation": orientation, "origin_row_col": pair(origin),
        "source": source, "path": path, "title": title,
        "scan_step_nm": pair(known["scan_step_nm"]), "det_scale_inv_angstrom": pair(known["det_scale_inv_angstrom"]),
        "camera_length_cm": float(known["camera_length_cm"]), "convergence_mrad": float(known["convergence_mrad"]), "format": format,
    }  # fmt: skip
    coordinates = {}
    for dims, step, start, unit in ((SCAN_DIMS, axes.scan_step_nm, (0.0, 0.0), "nm"),
                                    (DETECTOR_DIMS, axes.det_scale_inv_angstrom, origin, "1/angstrom")):  # fmt: skip
        units = {"units": "px" if step is None else unit}
        for dim, one_step, zero in zip(dims, pair(1.0 if step is None else step), start):
            coordinates[dim] = xr.Variable(dim, (np.arange(data.shape[DIMS.index(dim)]) - zero) * one_step, units)
    return xr.DataArray(data, coordinates, DIMS, name="counts", attrs=attrs)
