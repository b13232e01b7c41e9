"""What a profile has made from one source, for the claims to be measured on: scans, their domains, scores and networks."""

from __future__ import annotations

from contextlib import suppress
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from figures_pkg.data import open_dataset
from figures_pkg.diffraction import Library, load_or_build
from figures_pkg.evaluate.channels import at_positions, open_embedding
from figures_pkg.evaluate.known import known_domains, known_maps
from figures_pkg.evaluate.leaderboard import read_scores, score_maps
from figures_pkg.evaluate.reflections import REFLECTIONS, first_scan_settings, lattice_of
from figures_pkg.evaluate.scores import step_nm
from figures_pkg.evaluate.walls import COARSEST_NM, walls_by_course
from figures_pkg.imaging import Disc, Lattice, descan_planes, expected_lattice, refine_lattice, remove_descan, summarise
from figures_pkg.imaging.difference import aligned_means, pearson_map, reflection_table
from figures_pkg.model import Autoencoder, load_checkpoint
from figures_pkg.model.linear import rotate_steps
from figures_pkg.model.released import VERDICTS, losses_verdict, released_network
from figures_pkg.record.fetch import MissingDataset, locate
from figures_pkg.record.manifest import load_manifest
from figures_pkg.twin import read_truth
from figures_pkg.workspace import artefact_path, artefacts_folder, check_source, load_profile, scans_of

RELEASED = {("ds1", "published"): "ca-ds1", ("ds2", "published"): "ca-ds2-domains", ("ds2", "published-walls"): "ca-ds2-walls",
            ("ds2", "published-vae"): "vae-27"}  # scan and recipe -> the released network, for instance models/zenodo/ds2-published-walls.nc
METHODS = {"CA": "published", "β-VAE": "published-vae"}  # as the scores call them -> whose they are on a measured scan


class Unavailable(RuntimeError):
    """What a claim is measured on is not here; the message says what and why, and becomes the reason of "not tested"."""


class Artefacts:
    """Everything that a profile has made from the scans of one source, opened when a claim asks for it; ``read``: those files and their time in ns."""

    def __init__(self, profile: str, data: str = "twin"):
        check_source(data)
        self.profile, self.data = profile, data
        self.recipe = load_profile(profile)["recipe"]
        self.read: dict[str, int] = {}
        for name in ("scan", "truth", "known", "lattice", "images", "delta", "embedding", "network"):
            setattr(self, name, cache(getattr(self, name)))

    def scan(self, dataset: str) -> xr.DataArray:
        """A scan by its name; one that was not made, or not fetched, is :class:`Unavailable`."""
        if self.data == "zenodo" and dataset not in load_manifest().datasets:
            raise Unavailable(f"the scan `{dataset}` exists only as a simulation")
        if self.data == "twin" and dataset not in scans_of(self.profile):
            raise Unavailable(f"the scan `{dataset}` is not made in this profile")
        try:
            path = locate(dataset, self.data, self.profile)
        except MissingDataset as error:
            where = "was not made" if self.data == "twin" else "of the authors is not on this computer"
            raise Unavailable(f"the scan `{dataset}` {where}") from error
        self._note(path)
        return open_dataset(dataset, self.data, self.profile)

    def truth(self, dataset: str) -> xr.Dataset:
        """The truth of a simulated scan."""
        if self.data != "twin":
            raise Unavailable("it needs maps that are known of simulated scans alone")
        return read_truth(self.scan(dataset).path)

    @cached_property
    def source(self) -> str:
        """Whose scans these are: "twin", or "record" or "rehearsal" as the first of them says that is here."""
        if self.data == "twin":
            return "twin"
        for dataset, entry in load_manifest().datasets.items():
            with suppress(Unavailable):
                if entry.role == "measured":
                    return self.scan(dataset).attrs["source"]
        return "record"

    def known(self, dataset: str) -> xr.Dataset:
        """The truth of a simulated scan, or what matching found in a measured one, both with domains, walls, thickness and tilts."""
        if self.data == "twin":
            return self.truth(dataset)
        scan = self.scan(dataset)
        try:
            found = known_maps(scan, dataset, self.data, self.profile)
        except FileNotFoundError as error:
            raise Unavailable(f"the domains of the scan `{dataset}` were not looked for") from error
        self._note(artefact_path(f"domains/{dataset}.nc", self.data, self.profile))
        return walls_by_course(found, self.lattice(dataset)[0].g002)

    def domains(self, dataset: str) -> np.ndarray:
        """+1 and −1 in the domains, true or matched ones, 0 within 20 nm of a wall."""
        domain = known_domains(self.known(dataset))
        if self.data != "twin" and len({*domain.ravel().tolist()} - {0}) < 2:
            raise Unavailable(f"only one domain was found in the scan `{dataset}`")
        return domain

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

    def delta(self, dataset: str) -> pd.DataFrame:
        """Reflections of a scan ranked by the share in 1 − r between the mean patterns of its domains."""
        domain, (lattice, radius) = self.domains(dataset), self.lattice(dataset)
        patterns, lattices = aligned_means(self.scan(dataset), {"+P": domain > 0, "-P": domain < 0}, lattice, radius)
        return reflection_table(pearson_map(patterns["+P"], patterns["-P"]), lattices["+P"], radius)

    @cached_property
    def scores(self) -> pd.DataFrame:
        """The scores of all methods on the twin's scans; on measured scans those of the released networks against matched domains."""
        if self.data == "twin":
            try:
                table = read_scores(self.profile)
            except FileNotFoundError as error:
                raise Unavailable("the scores of this profile are not made") from error
            self._note(artefact_path("scores/table.csv", "twin", self.profile))
            return table
        rows, reasons = [], {}
        for method, own in METHODS.items():
            for dataset in (name for name, recipe in RELEASED if recipe == own):
                try:
                    maps, known = self.embedding(dataset, own), self.known(dataset)
                    if not np.ptp(maps.values) > 0:
                        raise Unavailable(f"all channels of the released network are constant on {dataset}")
                except Unavailable as error:
                    reasons[str(error)] = None
                    continue
                known = at_positions(known, maps).assign(domain_state=known.domain * 0)
                hidden = ["wall_auc", "charge_auc"] if step_nm(maps) > COARSEST_NM else []  # what the maps do not tell
                hidden += ["leak_bend", "leak_thickness"] if known.attrs["basis"] != "matched" else []
                for name, found in ((method, maps), (f"{method}, rotated", rotate_steps(maps))):
                    named = {"scan": dataset, "field_seed": 0, "method_seed": 0, "method": name}
                    rows += [named | row | dict.fromkeys(hidden, np.nan) for row in score_maps(found, known)]
        if not rows:
            raise Unavailable("; ".join(reasons))
        return pd.DataFrame(rows)

    def embedding(self, dataset: str, recipe: str | None = None) -> xr.DataArray:
        """The channels of a network, (channel, scan_y, scan_x): the profile's own, or with recipe "published" the released one, perhaps at a grid only."""
        return open_embedding(self._model(dataset, recipe, ".nc"))

    def network(self, dataset: str, recipe: str | None = None) -> Autoencoder:
        """A trained network with its transform."""
        if (released := RELEASED.get((dataset, recipe))) is None:
            return load_checkpoint(self._model(dataset, recipe, ".safetensors"))
        try:
            return released_network(released)
        except MissingDataset as error:
            raise Unavailable(f"the released network {released} is not on this computer") from error

    def warning(self, dataset: str | None, arguments: dict) -> str:
        """What the reconstruction says against the released networks that a case of a claim is measured on; empty where it agrees."""
        methods = {METHODS.get(str(arguments.get(key)).removesuffix(", rotated")) for key in ("method", "over")}
        found = []
        for recipe in sorted({arguments.get(key) for key in ("recipe", "other")} | methods, key=str):
            with suppress(Unavailable):
                attributes = self.embedding(dataset, recipe) if self.data != "twin" and (dataset, recipe) in RELEASED else None
                if attributes is not None and "loss_as_used" in attributes.attrs and (said := losses_verdict(attributes)) != "agrees":
                    found.append(VERDICTS[said])
        return max(found, key=len, default="")

    @cached_property
    def library(self) -> Library:
        """The library of plane waves behind Fig. 4, made when it is not there."""
        path = artefacts_folder(self.profile) / "fig-4-library.npz"
        return load_or_build(path, first_scan_settings(self.profile), progress=False)

    def _model(self, dataset: str, recipe: str | None, suffix: str) -> Path:
        """Path of a network or its embedding, checked."""
        released = RELEASED.get((dataset, recipe))
        name = f"{dataset}-{recipe}" if released else f"{dataset}-{recipe or self.recipe}-seed0"
        path = artefact_path(f"models/{name}{suffix}", self.data, self.profile)
        if not path.is_file():
            raise Unavailable(f"the released network {released} was not applied to {dataset}" if released
                          else f"the network {name} is not made in this profile")
        self._note(path)
        return path

    def _note(self, path: Path) -> None:
        """Remember a file that was opened."""
        self.read[str(path)] = path.stat().st_mtime_ns if path.is_file() else 0
