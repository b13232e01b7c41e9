"""Where the scans of a profile lie: the twin's beside the book's artefacts, the record's in the data folder."""

import os
from pathlib import Path

import xarray as xr

from .axes import Axes
from .files.opened import ScanFileError
from .record.fetch import MissingDataset, ensure, origin_of
from .record.manifest import load_manifest
from .scan import open_scan

SOURCES = ("twin", "zenodo")


def repository() -> Path:
    """
    The root of the checkout that this package was installed from.

    Raises
    ------
    FileNotFoundError
        If the package was installed without its repository; the book needs the notebooks beside it.
    """
    root = Path(__file__).resolve().parents[2]
    if not (root / "data_manifest.yaml").is_file():
        raise FileNotFoundError(
            f"the book's notebooks and manifest were expected in {root}; clone the repository and install with `pip install -e .`"
        )
    return root


def artefacts_folder(profile: str) -> Path:
    """Folder of everything that a profile makes; ``FIGURES_PKG_ARTEFACTS`` moves it away from the checkout."""
    return Path(os.environ.get("FIGURES_PKG_ARTEFACTS", repository() / "artefacts")) / profile


def book_folder() -> Path:
    """Folder of the book's text and its builds; ``FIGURES_PKG_BOOK`` names a copy of it, so that two books can be built side by side."""
    return Path(os.environ.get("FIGURES_PKG_BOOK", repository() / "book"))


def artefact_path(name: str, data: str, profile: str) -> Path:
    """
    Path of something computed from the scans of one source, e.g. ``"models/ds1-laptop-seed0.safetensors"``.

    Parameters
    ----------
    name
        Kind and file name with a slash between them.
    data, profile
        As for :func:`locate`; what comes from the twin and what comes from the record never share a folder.
    """
    if data not in SOURCES:
        raise ValueError(f"data is {data!r}; it must be one of {', '.join(SOURCES)}")
    kind, file = name.split("/")
    return artefacts_folder(profile) / kind / data / file


def locate(dataset: str, data: str = "twin", profile: str = "laptop", must_exist: bool = True) -> Path:
    """
    Path of a scan, from the twin or from the authors' record.

    Nothing is made and nothing is downloaded here.

    Parameters
    ----------
    dataset
        Identifier in the manifest, e.g. ``"ds1"``; the twin's preset has the same name. ``"ds1-field2"`` is the twin's with
        another random field.
    data
        ``"twin"`` for the simulated scan, ``"zenodo"`` for the authors' file.
    profile
        Decides which size of the twin is meant; without meaning for the record.
    must_exist
        Whether a missing file is an error.

    Raises
    ------
    MissingDataset
        If the file is not there; the message holds the command that makes or fetches it.
    """
    if data not in SOURCES:
        raise ValueError(f"data is {data!r}; it must be one of {', '.join(SOURCES)}")
    if data == "zenodo":
        return ensure(dataset)
    path = artefacts_folder(profile) / f"{dataset}.hspy"
    if must_exist and not path.is_file():
        preset, _, field = dataset.partition("-field")
        seed = f" --seed {field}" if field else ""
        raise MissingDataset(
            f"the twin's scan {dataset!r} is not at {path}; make it with "
            f"`figures_pkg twin {preset} --size {profile}{seed} --out {path}`"
        )
    return path


def open_dataset(dataset: str, data: str = "twin", profile: str = "laptop") -> xr.DataArray:
    """
    Open a scan of the twin or of the authors' record, in the "lab" orientation.

    The twin's file carries its own axes. For the record the manifest's values are used, whose sources and conflicts stand
    there: the authors' files are known to hold nominal axes.

    Parameters
    ----------
    dataset, data, profile
        As for :func:`locate`.

    Returns
    -------
    xarray.DataArray
        As from :func:`figures_pkg.data.open_scan`; its ``source`` attribute is ``"twin"``, ``"record"``, or ``"rehearsal"`` for a
        file that Zenodo did not vouch for or that says itself that it is simulated.

    Raises
    ------
    MissingDataset
        As :func:`locate`.
    ScanFileError
        If a file of the record has another shape than the manifest expects, so that its steps and reflections cannot be right.
    """
    path = locate(dataset, data, profile)
    if data == "twin":
        return open_scan(path)
    entry = load_manifest()[dataset]
    scan = open_scan(path, axes=recorded_axes(dataset), stored_orientation=entry.axes["orientation"].value)
    expected = tuple(entry.container["shape"].value)
    if scan.shape != expected:
        raise ScanFileError(
            f"{path} holds {_times(scan.shape)} numbers, the manifest expects {_times(expected)} of {dataset}: its steps and reflections "
            f"do not belong to this file. See what it holds with `figures_pkg inspect {dataset} --source zenodo`"
        )
    return scan.assign_attrs(source=origin_of(dataset) if scan.source == "user" else "rehearsal")


def _times(shape) -> str:
    """A shape in words."""
    return " × ".join(map(str, shape))


def recorded_axes(dataset: str) -> Axes:
    """The axes that the manifest gives for a measured scan, its conflicts left aside."""
    entry = load_manifest()[dataset]
    return Axes(
        scan_step_nm=entry.axes["scan_step_nm"].value,
        det_scale_inv_angstrom=entry.axes["det_scale_inv_angstrom"].value,
        origin_row_col=tuple(entry.axes["origin_row_col_px"].value),
        beam_energy_kev=entry.acquisition["beam_energy_kev"].value,
        camera_length_cm=entry.acquisition["camera_length_cm"].value,
        convergence_mrad=entry.acquisition["convergence_mrad"].value,
    )
