"""All checks on one file: open it, read it once, and hold it against the manifest and the published pictures."""

from __future__ import annotations

import time
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import xarray as xr

from figures_pkg.data.axes import ScanFileError
from figures_pkg.data.datasets import locate
from figures_pkg.data.published import box_image_numbers, chip_dead_pixels, mean_pattern_numbers
from figures_pkg.record.manifest import Dataset
from figures_pkg.record.fetch import origin_of
from figures_pkg.record.manifest import Manifest, load_manifest
from figures_pkg.data.scan import open_scan
from figures_pkg.imaging import Lattice
from figures_pkg.imaging.lattice import disc_radius_px

from .counters import KnownPixels, counter_findings
from .findings import CONFLICT, Decision, Finding, FirstLook
from .geometry import counts_finding, geometry_findings
from .labels import label_findings
from .manifest_patch import manifest_patch
from .orientation import Frame, frame_of, opposite_strengths, orientation_findings
from .pictures import box_masks, picture_findings
from .statistics import gather_statistics

OF_RECORD = ("record", "rehearsal")  # sources of files under a record's name
UNREADABLE = (ScanFileError, OSError)


def inspect_dataset(dataset: str, data: str = "twin", profile: str = "laptop", *, progress: bool = False) -> FirstLook:
    """
    The first look at a scan of the book.

    Parameters
    ----------
    dataset
        Identifier in the manifest, or that of another field of the twin, such as "ds1-field2".
    data
        "twin" or "zenodo".
    profile
        Which size of the twin.
    progress
        Whether to show a bar on stderr.

    Raises
    ------
    MissingDataset
        If the file is not there; the message holds the command that makes or fetches it.
    """
    path = locate(dataset, data, profile)
    manifest = load_manifest()
    entry = manifest[dataset] if data == "zenodo" else manifest.datasets.get(dataset.partition("-field")[0])
    origin = origin_of(dataset) if data == "zenodo" else "twin"
    return _look(path, manifest, entry, origin, progress, profile="" if data == "zenodo" else profile)


def inspect_scan(path, expect: str | None = None, *, scan_shape: tuple[int, int] | None = None, progress: bool = False) -> FirstLook:
    """
    The first look at any file that the package can open.

    Parameters
    ----------
    path
        ``.hspy``, ``.mib``, ``.zarr`` or ``.npy``.
    expect
        Entry of the manifest to hold it against; by default the one whose file has this name on the record, else none: then only what the
        file shows by itself is checked.
    scan_shape
        (rows, columns) of a ``.mib`` or ``.npy`` that does not tell; (1, 1) for a single pattern.
    progress
        Whether to show a bar on stderr.

    Raises
    ------
    FileNotFoundError, PermissionError
        If there is nothing to read.
    ManifestError
        If `expect` is not in the manifest.

    Examples
    --------
    >>> inspect_scan("mine.hspy").rows()  # doctest: +SKIP
    """
    path, manifest = Path(path), load_manifest()
    named = next((entry for entry in manifest.datasets.values() if entry.role == "measured" and path.name == entry.remote), None)
    return _look(path, manifest, manifest[expect] if expect else named, "user", progress, scan_shape=scan_shape)


def _look(path: Path, manifest: Manifest, entry: Dataset | None, origin: str, progress: bool, scan_shape=None, profile: str = "") -> FirstLook:
    """Open, read once, and collect the findings; a file that cannot be read is a finding of its own."""
    begin = time.perf_counter()
    name = entry.id if entry else ""
    try:
        stored = entry.axes["orientation"].value if entry and (origin in OF_RECORD or path.name == entry.remote) else None
        scan = _opened(path, stored, scan_shape)
        look = _held_against(scan, path, entry, _source(scan, origin), stored or "lab", progress, profile)
    except (FileNotFoundError, PermissionError, IsADirectoryError):
        raise
    except UNREADABLE as error:
        says = f"the file cannot be read: {error}"
        return FirstLook(str(path), origin, name, (Finding("file", "damaged or of another kind", "", CONFLICT, str(error), wrong=True, says=says),))
    patch = manifest_patch(manifest.path, entry, _decisions(look)) if entry and look.source != "twin" else ""
    return replace(look, patch=patch, seconds=time.perf_counter() - begin)


def _source(scan: xr.DataArray, origin: str) -> str:
    """Where a file comes from: what it says itself, else the word of who gave its checksum; a record's file that names a twin is a rehearsal."""
    if scan.source == "user":
        return origin
    return "rehearsal" if origin in OF_RECORD else scan.source


def _opened(path: Path, stored: str | None, scan_shape) -> xr.DataArray:
    """The scan with its own axes and in "lab" orientation; None leaves to the format how its rows are stored."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of missing calibrations: they are findings
        return open_scan(path, scan_shape=scan_shape, stored_orientation=stored, check_counts=False)


def _held_against(scan: xr.DataArray, path: Path, entry: Dataset | None, source: str, stored: str, progress: bool, profile: str) -> FirstLook:
    """All findings in the order of the table; `stored` is how the rows were taken to lie in the file."""
    of_record = source != "twin"
    pictures = _published(entry, scan, stored)
    lattice, radius = _expected(scan, entry)
    frame_shape = tuple(entry.container["shape"].value[2:]) if entry else scan.shape[2:]

    findings = label_findings(scan, path, entry, of_record, profile)
    statistics = gather_statistics(scan, box_masks(entry, scan.shape[2:], frame_shape), progress=progress)
    findings += counter_findings(statistics, entry.container["counter_bits"].value if entry else None, pictures["pixels"])
    frame = frame_of(statistics.mean, statistics.mean_log, lattice, radius, pictures["mean"]) if min(scan.shape[2:]) >= 32 else _no_frame()
    findings += orientation_findings(frame, statistics.mean_log, pictures["mean"], stored)
    findings += geometry_findings(scan, statistics, frame, entry) + counts_finding(statistics, entry)
    findings += picture_findings(statistics, frame, entry, pictures["images"], pictures["mean"])
    known = pictures["mean"] if frame.lattice is not None else None
    strengths = opposite_strengths(statistics.mean_log, frame.lattice, known) if known else {}
    histogram = None if statistics.histogram is None else np.trim_zeros(statistics.histogram, "b")
    return FirstLook(str(path), source, entry.id if entry else "", tuple(findings), histogram=histogram, strengths=strengths)


def _decisions(look: FirstLook) -> list[Decision]:
    """What the file decides; where it contradicts the manifest, nothing but what mends that."""
    wrong = [finding for finding in look.findings if finding.wrong]
    if any(finding.check in ("shape", "wrap-around") for finding in wrong):
        return []
    return [decision for finding in wrong or look.findings for decision in finding.decisions]


def _no_frame() -> Frame:
    """The frame of a detector that is too small for a lattice."""
    return Frame(None, None, float("nan"), float("nan"), None, "The detector has fewer than 32 pixels along an axis.")


def _published(entry: Dataset | None, scan: xr.DataArray, stored: str) -> dict:
    """The published numbers that belong to an entry and to a detector of its shape."""
    if entry is None or entry.id not in ("ds1", "ds2") or scan.shape[2:] != tuple(entry.container["shape"].value[2:]):
        return {"mean": None, "images": None, "pixels": KnownPixels()}
    images = box_image_numbers(entry.id)
    pixels = KnownPixels(tuple(chip_dead_pixels()), len(images["dark_points_row_col"]), stored)
    return {"mean": mean_pattern_numbers(entry.id), "images": images, "pixels": pixels}


def _expected(scan: xr.DataArray, entry: Dataset | None) -> tuple[Lattice | None, float | None]:
    """The lattice of the manifest and the radius of its discs in pixels, whatever the axes of the file say."""
    if entry is None or scan.shape[2:] != tuple(entry.container["shape"].value[2:]):
        return None, None
    lattice = Lattice(*(tuple(entry.axes[name].value) for name in ("origin_row_col_px", "g002_row_col_px", "g010_row_col_px")))
    pixel = entry.axes["det_scale_inv_angstrom"].value
    calibrated = scan.assign_coords(det_x=("det_x", [pixel * index for index in range(scan.sizes["det_x"])]))
    calibrated = calibrated.assign_attrs(beam_energy_kev=entry.acquisition["beam_energy_kev"].value)
    return lattice, disc_radius_px(entry.acquisition["convergence_mrad"].value, calibrated)
