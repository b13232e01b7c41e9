"""All methods on a simulated scan in one table: each scored with its channel picked by the truth, and picked without it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from tqdm import tqdm

from figures_pkg.data import open_scan
from figures_pkg.data.axes import DETECTOR_DIMS
from figures_pkg.model.linear import (
    Features,
    cluster_map,
    edge_channel,
    gather_features,
    independent_maps,
    mixture_map,
    positive_maps,
    principal_maps,
    step_maps,
)
from figures_pkg.model.recipes import Recipe, recipe_called
from figures_pkg.twin import read_truth
from figures_pkg.workspace import artefact_path, check_target, replacing

from .channels import choose_channel, open_embedding
from .networks import MethodMaps, trained_maps
from .reflections import lattice_of, reflection_maps
from .scores import boundary, charge_auc, confusion, domain_auc, domain_regions, domain_scores, interior, wall_auc
from .walls import charge_labels, inclination_labels, wall_contrast

Method = Callable[[Features, int], xr.DataArray]
COMPARED = {"β-VAE": "beta-vae"}  # networks that stand beside the profile's
SIDE_PX = 64  # of the binned patterns that all methods but single reflections work on

# Name -> method, and whether its result depends on the seed.
METHODS: dict[str, tuple[Method, bool]] = {
    "PCA": (principal_maps, False),
    "PCA6+ICA": (partial(independent_maps, components=6), True),
    "PCA8+ICA": (partial(independent_maps, components=8), True),
    "NMF": (positive_maps, True),
    "k-means": (cluster_map, True),
    "Gaussian mixture": (mixture_map, True),
    "step components": (step_maps, False),
    "edge map": (edge_channel, False),
}


def score_file(scan: Path, out: Path, recipe: str, seeds: Sequence[int], embeddings: Mapping[str, str | Path]) -> Path:
    """
    Score all methods on a simulated scan, a ``.hspy`` file with its truth beside it, and write the table as CSV.

    ``recipe`` trains the autoencoder, ``seeds`` are those of the methods that depend on one, and ``embeddings`` name netCDF files with maps
    made by a network elsewhere.
    """
    out = check_target(out, ".csv", overwrite=True)
    others = {name: open_embedding(file) for name, file in embeddings.items()}
    table = score_scan(open_scan(scan), read_truth(scan), seeds, {"CA": recipe} | COMPARED, others, progress=True)
    with replacing(out) as temporary:
        table.to_csv(temporary, index=False)
    return out


def score_scan(scan: xr.DataArray, truth: xr.Dataset, seeds: Sequence[int], networks: Mapping[str, str | Recipe],
               embeddings: Mapping[str, xr.DataArray], progress: bool = False) -> pd.DataFrame:
    """
    Score all methods on one scan: two rows for each method and seed, see :func:`score_maps`, with ``cpu_s``, the CPU seconds of the method.

    Of ``networks`` (name -> recipe) the first is trained on the scan for every seed and scored beside the same network untrained, the others
    for half of the seeds, rounded down, since each costs a training; they have ``live_channels`` and ``unexplained`` besides, see
    :class:`MethodMaps`. ``embeddings`` (name -> maps) were made elsewhere, for instance on another machine. Gathering the features,
    once for all methods, is the row "features".
    """
    begin = time.process_time()
    small = binned_scan(scan)
    features = gather_features(small, bin_px=1)
    rows = [{"method": "features", "cpu_s": time.process_time() - begin}]
    given = ((MethodMaps(name, maps, {}), 0) for name, maps in embeddings.items())
    runs = [_reflections(scan, truth), given, _gathered(features, seeds)]
    runs += [_trained(scan, small, name, recipe, seeds, first=number == 0) for number, (name, recipe) in enumerate(networks.items())]
    with tqdm(desc=str(truth.attrs.get("preset", "scan")), unit="method", disable=not progress) as bar:
        for run in runs:
            for found, seed in run:
                bar.set_postfix_str(f"{found.name}, seed {seed}")
                rows += _rows(found, seed, truth)
                bar.update()
    table = pd.DataFrame(rows)
    for column, key in (("scan", "preset"), ("field_seed", "seed"), ("size", "size")):
        table.insert(0, column, truth.attrs.get(key))
    return table


def binned_scan(scan: xr.DataArray) -> xr.DataArray:
    """
    The scan in memory, its patterns summed over squares of pixels to about 64 pixels along each side.

    All methods then share one reading of the file. Sums of Poisson counts are Poisson counts, so nothing else changes for
    a method that bins by a multiple of it anyhow.
    """
    bin_px = max(1, scan.shape[2] // SIDE_PX)
    summed = scan.astype(np.uint32 if scan.dtype.kind == "u" else scan.dtype)
    return summed.coarsen(dict.fromkeys(DETECTOR_DIMS, bin_px)).sum().astype(summed.dtype).compute()


def _reflections(scan: xr.DataArray, truth: xr.Dataset) -> Iterator[tuple[MethodMaps, int]]:
    """What single reflections show; the CPU seconds of the pass stand with the first."""
    begin = time.process_time()
    physics = reflection_maps(scan, *lattice_of(truth))
    spent = time.process_time() - begin
    for number, (name, maps) in enumerate(physics.items()):
        yield MethodMaps(name, maps, {"cpu_s": 0.0 if number else spent}), 0


def _gathered(features: Features, seeds: Sequence[int]) -> Iterator[tuple[MethodMaps, int]]:
    """All methods on gathered features; those without randomness run once."""
    for name, (method, seeded) in METHODS.items():
        for seed in seeds if seeded else list(seeds)[:1]:
            begin = time.process_time()
            maps = method(features, seed)
            yield MethodMaps(name, maps, {"cpu_s": time.process_time() - begin}), seed


def _trained(scan: xr.DataArray, small: xr.DataArray, name: str, recipe: str | Recipe, seeds: Sequence[int],
             first: bool) -> Iterator[tuple[MethodMaps, int]]:
    """A network trained for each seed; the first of all stands beside its untrained control."""
    recipe = recipe_called(recipe) if isinstance(recipe, str) else recipe
    source = small if recipe.network.pattern <= small.shape[2] else scan
    for seed in seeds if first else list(seeds)[: len(seeds) // 2]:
        for found in trained_maps(source, recipe, seed, name, "untrained" if first else None):
            yield found, seed


def _rows(found: MethodMaps, seed: int, truth: xr.Dataset) -> list[dict]:
    """Both rows of one set of maps, or one row without scores for an embedding that died."""
    head = {"method": found.name, "method_seed": seed}
    if found.maps is None:
        return [head | {"picked_by": how} | found.facts for how in ("truth", "rule")]
    picked, free = score_maps(found.maps, truth)
    return [head | picked | wall_rows(found.maps, truth) | found.facts, head | free | found.facts]


def score_maps(maps: xr.DataArray, truth: xr.Dataset) -> list[dict]:
    """
    Scores of one set of channels (channel, scan_y, scan_x): a row with the channels picked by the truth, and one without it.

    ``picked_by`` is "truth", the optimistic row: for each of domains, walls and wall charge the best channel, for walls
    also the gradient of the best domain channel; or "rule": the domain channel by
    :func:`figures_pkg.evaluate.channels.choose_channel`, and walls as the gradient of that channel. Then the
    scores of :func:`figures_pkg.evaluate.scores.domain_scores` for the domain channel, ``wall_auc``,
    ``charge_auc`` (head-to-head against tail-to-tail), ``vortex_accuracy`` (share of positions in the right one of six
    domains, nan without a vortex), and ``evidence``, the plateau score of the channel chosen by rule. In a scan without
    domains the channel "picked by the truth" is that of the rule, and scores against domains are nan.
    """
    chosen, evidence = choose_channel(maps)
    two = (interior(truth) < 0).any() and (interior(truth) > 0).any()
    best = int(np.argmax([domain_auc(image, truth) for image in maps.values])) if two else chosen
    walls = {"wall_auc": wall_auc, "charge_auc": charge_auc}
    offered = [*maps.values, boundary(maps.values[best])]
    picked = {"picked_by": "truth"} | domain_scores(maps.values[best], truth)
    picked |= {key: max(score(image, truth) for image in offered) for key, score in walls.items()}
    gradient = boundary(maps.values[chosen])
    free = {"picked_by": "rule"} | domain_scores(maps.values[chosen], truth)
    free |= {key: score(gradient, truth) for key, score in walls.items()}
    vortex = len(np.unique(truth.domain_state)) >= 6
    for row, channel in ((picked, best), (free, chosen)):
        accuracy = confusion(domain_regions(maps.values[channel]), truth)[1] if vortex else float("nan")
        row |= {"vortex_accuracy": accuracy, "evidence": evidence}
    return [picked, free]


def wall_rows(maps: xr.DataArray, truth: xr.Dataset) -> dict[str, float]:
    """
    Whether kinds of walls are told apart by more than where they stand, see :mod:`figures_pkg.evaluate.walls`.

    ``charge_probe`` and ``charge_placebo`` for head-to-head against tail-to-tail, ``inclination_probe`` and
    ``inclination_placebo`` for inclined against upright walls; nan where a scan has not both kinds.
    """
    row = {}
    for name, labels in (("charge", charge_labels(truth)), ("inclination", inclination_labels(truth))):
        contrast = wall_contrast(maps, truth, labels)
        row |= {f"{name}_probe": contrast.at_wall, f"{name}_placebo": contrast.worst_placebo}
    return row


def read_scores(profile: str) -> pd.DataFrame:
    """
    The scores of all scans of a profile, one row for each method, seed and way of picking the channel.

    If they were not made yet, the FileNotFoundError holds the command.
    """
    path = artefact_path("scores/table.csv", "twin", profile)
    if not path.is_file():
        raise FileNotFoundError(f"no scores at {path}; make them with `snakemake --cores 2 --config profile={profile} -- {path}`")
    return read_table(path)


def read_table(path: str | Path) -> pd.DataFrame:
    """A table of scores from a file; the scan "null" is a name there, only what is empty is missing."""
    return pd.read_csv(path, keep_default_na=False, na_values=[""])


def values_of(table: pd.DataFrame, column: str, method: str, picked_by: str = "rule",
              scans: Sequence[str] | None = None) -> np.ndarray:
    """All values of one score of a method, over scans, fields and seeds; without those that have none."""
    chosen = (table.method == method) & (table.picked_by == picked_by)
    if scans is not None:
        chosen &= table.scan.isin(list(scans))
    return table[column][chosen].dropna().to_numpy(float)
