"""The command that scores all methods on simulated scans, and the table that a chapter reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import xarray as xr

from figures_pkg.data import open_scan
from figures_pkg.data.axes import SCAN_DIMS
from figures_pkg.workspace import artefact_path
from figures_pkg.workspace import check_target, replacing
from figures_pkg.twin import read_truth

from .leaderboard import score_scan

COMPARED = {"β-VAE": "beta-vae"}  # networks that stand beside the profile's


def score_file(scan: Path, out: Path, recipe: str, seeds: Sequence[int] = (0,), embeddings: Mapping[str, str | Path] | None = None,
               progress: bool = True) -> Path:
    """
    Score all methods on a simulated scan and write the table as CSV.

    Parameters
    ----------
    scan
        ``.hspy`` file with its truth beside it.
    out
        The ``.csv`` to write.
    recipe
        That the autoencoder is trained by.
    seeds
        Of the methods that depend on one.
    embeddings
        Name -> netCDF file with maps made by a network elsewhere.
    progress
        Whether to show bars on stderr.

    Raises
    ------
    ValueError
        For a name that does not end in .csv, or a file that does not hold one embedding.
    """
    out = check_target(out, ".csv", overwrite=True)
    made = {name: read_embedding(file) for name, file in (embeddings or {}).items()}
    networks = {"CA": recipe} | COMPARED
    table = score_scan(open_scan(scan), read_truth(scan), seeds=seeds, networks=networks, embeddings=made, progress=progress)
    with replacing(out) as temporary:
        table.to_csv(temporary, index=False)
    return out


def read_scores(profile: str) -> pd.DataFrame:
    """
    The scores of all scans of a profile, one row for each method, seed and way of picking the channel.

    Raises
    ------
    FileNotFoundError
        If they were not made yet; the message holds the command.
    """
    path = artefact_path("scores/table.csv", "twin", profile)
    if not path.is_file():
        raise FileNotFoundError(f"no scores at {path}; make them with `snakemake --cores 2 --config profile={profile} -- {path}`")
    return read_table(path)


def read_table(path: str | Path) -> pd.DataFrame:
    """A table of scores from a file; the scan "null" is a name there, only what is empty is missing."""
    return pd.read_csv(path, keep_default_na=False, na_values=[""])


def read_embedding(path: str | Path) -> xr.DataArray:
    """Maps (channel, scan_y, scan_x) from a netCDF file that holds them under any name and in any order of axes."""
    with xr.open_dataset(path) as dataset:
        found = [variable for variable in dataset.data_vars.values() if {"channel", *SCAN_DIMS} == set(variable.dims)]
        if len(found) != 1:
            raise ValueError(f"{path} holds {len(found)} variables on (channel, scan_y, scan_x); expected one embedding")
        return found[0].transpose("channel", *SCAN_DIMS).load()
