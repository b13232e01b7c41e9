"""Where scans are, how they get here, and opening them as one labelled array."""

from .axes import DETECTOR_DIMS, DIMS, SCAN_DIMS, Axes, check_scan
from .convert import convert
from .cores import available_cores
from .record.fetch import MissingDataset, ensure, fetch
from .files.hspy_writer import HspyWriter
from .locate import artefact_path, artefacts_folder, locate, open_dataset, repository
from .record.manifest import load_manifest
from .replace import replacing
from .files.opened import ScanFileError
from .scan import open_scan

__all__ = [
    "Axes",
    "DETECTOR_DIMS",
    "DIMS",
    "HspyWriter",
    "MissingDataset",
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
