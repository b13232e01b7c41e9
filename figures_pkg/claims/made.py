"""What a profile has made from one source, opened once: the scans, truths, scores and networks that claims are measured on."""

from __future__ import annotations

from functools import cache, cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from figures_pkg.data.locate import SOURCES, artefact_path, artefacts_folder, locate, open_dataset
from figures_pkg.data.profiles import load_profile, scans_of
from figures_pkg.data.record.fetch import MissingDataset
from figures_pkg.data.record.manifest import load_manifest
from figures_pkg.imaging import Disc, Lattice, descan_planes, expected_lattice, refine_lattice, remove_descan, summarise
from figures_pkg.twin import Library, load_or_build, read_truth

from figures_pkg.evaluate.delta_pairs import first_scan_settings
from figures_pkg.evaluate.domains import known_domains
from figures_pkg.evaluate.naming import open_embedding
from figures_pkg.evaluate.score_command import read_scores
from figures_pkg.evaluate.single_reflections import REFLECTIONS, lattice_of


class NotMade(RuntimeError):
    """What a claim is measured on is not here; the message says what and why, and becomes the reason of "not tested"."""


class Made:
    """
    Everything that was made from the scans of one source, opened when a claim asks for it and kept.

    Parameters
    ----------
    profile
        Name of a profile.
    data
        ``"twin"`` or ``"zenodo"``.
    """

    def __init__(self, profile: str, data: str = "twin"):
        if data not in SOURCES:
            raise ValueError(f"data is {data!r}; it must be one of {', '.join(SOURCES)}")
        self.profile, self.data = profile, data
        self.recipe = load_profile(profile)["recipe"]
        self.read: dict[str, int] = {}  # files that were opened, with the time of their last change in ns
        for name in ("scan", "truth", "lattice", "images", "embedding", "network"):
            setattr(self, name, cache(getattr(self, name)))

    def scan(self, dataset: str) -> xr.DataArray:
        """A scan by its name; one that was not made, or not fetched, is :class:`NotMade`."""
        if self.data == "zenodo" and dataset not in load_manifest().datasets:
            raise NotMade(f"the scan {dataset} is simulated and on no record")
        if self.data == "twin" and dataset not in scans_of(self.profile):
            raise NotMade(f"the scan {dataset} is not made in this profile")
        try:
            path = locate(dataset, self.data, self.profile)
        except MissingDataset as error:
            where = "was not made" if self.data == "twin" else "of the authors is not on this computer"
            raise NotMade(f"the scan {dataset} {where}") from error
        self._note(path)
        return open_dataset(dataset, self.data, self.profile)

    def truth(self, dataset: str) -> xr.Dataset:
        """The truth of a simulated scan."""
        if self.data != "twin":
            raise NotMade("it needs the truth, which only simulated scans have")
        return read_truth(self.scan(dataset).path)

    def domains(self, dataset: str) -> np.ndarray:
        """+1 and −1 in the true domains, 0 within 20 nm of a wall."""
        return known_domains(self.truth(dataset))

    def lattice(self, dataset: str) -> tuple[Lattice, float]:
        """The lattice fitted to the mean pattern of a scan, and the radius of a disc in px."""
        scan = self.scan(dataset)
        start, radius = lattice_of(self.truth(dataset)) if self.data == "twin" else expected_lattice(load_manifest()[dataset], scan)
        return refine_lattice(summarise(scan, com=False).mean_pattern.values, start, radius), radius

    def images(self, dataset: str) -> xr.Dataset:
        """Counts under 002, 00-2, 004 and 00-4, and the centre of mass without descan, from two passes."""
        scan, (lattice, radius) = self.scan(dataset), self.lattice(dataset)
        discs = {f"00{l}": Disc(tuple(lattice.position(0, l)), 1.1 * radius) for l in REFLECTIONS}
        return remove_descan(summarise(scan, detectors=discs, mean=False), descan_planes(scan, lattice, radius))

    @cached_property
    def scores(self) -> pd.DataFrame:
        """The scores of all methods on the twin's scans."""
        if self.data != "twin":
            raise NotMade("it needs scores against the truth, which only simulated scans have")
        try:
            table = read_scores(self.profile)
        except FileNotFoundError as error:
            raise NotMade("the scores of this profile are not made") from error
        self._note(artefact_path("scores/table.csv", "twin", self.profile))
        return table

    def embedding(self, dataset: str, recipe: str | None = None, seed: int = 0) -> xr.DataArray:
        """The channels of a network, (channel, scan_y, scan_x)."""
        return open_embedding(self._model(dataset, recipe, seed, ".nc"))

    def network(self, dataset: str, recipe: str | None = None, seed: int = 0):
        """A trained network with its transform."""
        from figures_pkg.model import load_checkpoint

        return load_checkpoint(self._model(dataset, recipe, seed, ".safetensors"))

    @cached_property
    def library(self) -> Library:
        """The library of plane waves behind Fig. 4, made when it is not there."""
        path = artefacts_folder(self.profile) / "fig-4-library.npz"
        return load_or_build(path, first_scan_settings(self.profile), progress=False)

    def _model(self, dataset: str, recipe: str | None, seed: int, suffix: str) -> Path:
        """Path of a network or its embedding, checked."""
        name = f"{dataset}-{recipe or self.recipe}-seed{seed}"
        path = artefact_path(f"models/{name}{suffix}", self.data, self.profile)
        if not path.is_file():
            raise NotMade(f"the network {name} is not made in this profile")
        self._note(path)
        return path

    def _note(self, path) -> None:
        """Remember a file that was opened."""
        path = Path(path)
        self.read[str(path)] = path.stat().st_mtime_ns if path.is_file() else 0
