"""What a training leaves on disk: the finished network with how it was made, and the embedding of a scan."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import xarray as xr

import figures_pkg
from figures_pkg.workspace import check_target, replacing
from figures_pkg.workspace import commit

from .checkpoint import save_checkpoint
from .state import state_path
from .train import Trained


def save_trained(trained: Trained, path: str | Path, *, overwrite: bool = False) -> Path:
    """
    Write a trained network and remove the state of its training.

    Beside weights and transform the file holds recipe, seed, digest of the data, losses of each epoch, version and commit;
    :func:`figures_pkg.model.load_checkpoint` gives them back as ``net.about``.

    Parameters
    ----------
    trained
        From :func:`figures_pkg.model.train.train`.
    path
        Ends in ``.safetensors``.
    overwrite
        Replace an existing file.
    """
    path = check_target(path, ".safetensors", overwrite)
    about = {"recipe": asdict(trained.recipe), "seed": trained.seed, "data": trained.digest, "history": trained.history,
             "version": figures_pkg.__version__, "commit": commit()}
    save_checkpoint(path, trained.net, trained.transform, **about)
    state_path(path).unlink(missing_ok=True)
    return path


def save_embedding(maps: xr.DataArray, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write the embedding of a scan as netCDF (``.nc``), under a temporary name first."""
    path = check_target(path, ".nc", overwrite)
    with replacing(path) as temporary:
        maps.to_dataset(name="embedding").to_netcdf(temporary, engine="h5netcdf")
    return path
