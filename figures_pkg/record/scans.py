"""Where the scans of the book lie: the twin's beside the other artefacts of a profile, the record's in the data folder."""

from __future__ import annotations

from pathlib import Path

from figures_pkg.workspace import artefacts_folder, check_source

from .fetch import MissingDataset, ensure


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
    check_source(data)
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
