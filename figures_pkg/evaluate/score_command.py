"""The command that scores all methods on simulated scans and writes one table."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import xarray as xr

from figures_pkg.data import open_scan
from figures_pkg.data.axes import SCAN_DIMS
from figures_pkg.twin import read_truth

from .leaderboard import score_scan


def score_scans(scans: Sequence[Path], out: Path, seeds: Sequence[int] = (0,), embeddings: Sequence[str] = (),
                progress: bool = True) -> Path:
    """
    Score all methods on simulated scans and write the table as CSV.

    Parameters
    ----------
    scans
        ``.hspy`` files with their truth beside them.
    out
        The ``.csv`` to write.
    seeds
        Of the methods that depend on one.
    embeddings
        ``NAME=FILE`` or ``NAME=FILE@SCAN``: a netCDF file with maps made by a network, and the scan (its file name without
        the suffix) that they are of; without one they are of the only scan.
    progress
        Whether to show bars on stderr.

    Raises
    ------
    ValueError
        For a name that does not end in .csv, or an embedding that belongs to no scan.
    """
    if Path(out).suffix != ".csv":
        raise ValueError(f"out is {str(out)!r}; the scores are written as .csv, so give a name that ends in it")
    wanted = _by_scan(embeddings, [Path(path).stem for path in scans])
    tables = []
    for path in map(Path, scans):
        made = {name: read_embedding(file) for name, file in wanted.get(path.stem, {}).items()}
        tables.append(score_scan(open_scan(path), read_truth(path), seeds=seeds, embeddings=made, progress=progress))
    out = Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(f".{out.name}.{os.getpid()}")
    pd.concat(tables).to_csv(temporary, index=False)
    os.replace(temporary, out)
    return out


def read_embedding(path: str | Path) -> xr.DataArray:
    """Maps (channel, scan_y, scan_x) from a netCDF file that holds them under any name and in any order of axes."""
    with xr.open_dataset(path) as dataset:
        found = [variable for variable in dataset.data_vars.values() if {"channel", *SCAN_DIMS} == set(variable.dims)]
        if len(found) != 1:
            raise ValueError(f"{path} holds {len(found)} variables on (channel, scan_y, scan_x); expected one embedding")
        return found[0].transpose("channel", *SCAN_DIMS).load()


def _by_scan(embeddings: Sequence[str], stems: list[str]) -> dict[str, dict[str, str]]:
    """Scan -> name -> file."""
    wanted: dict[str, dict[str, str]] = {}
    for text in embeddings:
        name, _, rest = text.partition("=")
        file, _, stem = rest.partition("@")
        stem = stem or (stems[0] if len(stems) == 1 else "")
        if not file or stem not in stems:
            raise ValueError(f"embedding {text!r}: expected NAME=FILE@SCAN with a scan out of {stems}")
        wanted.setdefault(stem, {})[name] = file
    return wanted
