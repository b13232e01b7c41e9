"""Where scans are, how they get here, and opening them as one labelled array."""

from figures_pkg.record.fetch import ensure, fetch
from figures_pkg.record.manifest import load_manifest
from figures_pkg.record.scans import locate
from figures_pkg.workspace import artefact_path, artefacts_folder, available_cores, replacing, repository

from .axes import DETECTOR_DIMS, DIMS, SCAN_DIMS, Axes, ScanFileError, check_scan
from .convert import convert
from .datasets import open_dataset
from .hspy import HspyWriter
from .scan import open_scan

__all__ = [
    "Axes",
    "DETECTOR_DIMS",
    "DIMS",
    "HspyWriter",
    "SCAN_DIMS",
    "ScanFileError",
    "artefact_path",
    "artefacts_folder",
    "available_cores",
    "check_scan",
    "convert",
    "ensure",
    "fetch",
    "load_manifest",
    "locate",
    "open_dataset",
    "open_scan",
    "replacing",
    "repository",
]
