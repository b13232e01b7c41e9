"""The scans of the book by name: the twin's beside the other artefacts of a profile, the record's in the data folder."""

from __future__ import annotations

from pathlib import Path

import xarray as xr

from figures_pkg.record.fetch import MissingDataset, ensure, origin_of
from figures_pkg.record.manifest import load_manifest
from figures_pkg.workspace import SOURCES, artefacts_folder

from .axes import Axes, ScanFileError
from .scan import open_scan


def locate(dataset: str, data: str = "twin", profile: str = "laptop", must_exist: bool = True) -> Path:
    """
    Path of a scan, from the twin or from the authors' record; nothing is made and nothing is downloaded.

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
    Open a scan of the twin or of the authors' record, in the "lab" orientation; the parameters are those of :func:`locate`.

    The twin's file carries its own axes. For the record the manifest's values are used: the authors' files are known to hold nominal axes.
    The ``source`` attribute is ``"twin"``, ``"record"``, or ``"rehearsal"`` for a file that Zenodo did not vouch for or that says itself
    that it is simulated.

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
    manifest = load_manifest()
    entry = manifest[dataset]
    axes = Axes(
        scan_step_nm=entry.axes["scan_step_nm"].value,
        det_scale_inv_angstrom=entry.axes["det_scale_inv_angstrom"].value,
        origin_row_col=tuple(entry.axes["origin_row_col_px"].value),
        **{name: entry.acquisition[name].value for name in ("beam_energy_kev", "camera_length_cm", "convergence_mrad")},
    )
    scan = open_scan(path, axes=axes, stored_orientation=entry.axes["orientation"].value)
    expected = tuple(entry.container["shape"].value)
    if scan.shape != expected:
        found, wanted = (" × ".join(map(str, shape)) for shape in (scan.shape, expected))
        raise ScanFileError(
            f"{path} holds {found} numbers, the manifest expects {wanted} of {dataset}: its steps and reflections "
            f"do not belong to this file. See what it holds with `figures_pkg inspect {dataset} --source zenodo`"
        )
    return scan.assign_attrs(source=origin_of(dataset, manifest) if scan.source == "user" else "rehearsal")
