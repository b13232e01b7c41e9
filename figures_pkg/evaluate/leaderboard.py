"""All methods on a simulated scan in one table: each scored with its channel picked by the truth, and picked without it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd
import xarray as xr
from tqdm import tqdm

from figures_pkg.data.axes import DETECTOR_DIMS
from figures_pkg.model.linear import Features, gather_features
from figures_pkg.model.linear import cluster_map, independent_maps, mixture_map, positive_maps, principal_maps
from figures_pkg.model.recipes import Recipe
from figures_pkg.model.recipes import recipe_called
from figures_pkg.model.step_components import edge_channel, step_maps

from .networks import Found, trained_maps
from .single_reflections import lattice_of, reflection_maps
from .table_rows import score_maps, wall_rows

Method = Callable[[Features, int], xr.DataArray]
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


def score_scan(scan: xr.DataArray, truth: xr.Dataset, methods: Mapping[str, tuple[Method, bool]] | None = None,
               seeds: Sequence[int] = (0,), networks: Mapping[str, str | Recipe] | None = None,
               embeddings: Mapping[str, xr.DataArray] | None = None, progress: bool = False) -> pd.DataFrame:
    """
    Score all methods on one scan.

    Parameters
    ----------
    scan
        Counts.
    truth
        Of the same scan, from :func:`figures_pkg.twin.read_truth`.
    methods
        Name -> (``method(features, seed)``, whether the seed matters); ``METHODS`` by default.
    seeds
        Of the methods, not of the scan.
    networks
        Name -> recipe; the first is trained on the scan for every seed and scored beside the same network untrained, the others
        for half of the seeds, rounded down, since each costs a training.
    embeddings
        Name -> maps (channel, scan_y, scan_x) made elsewhere, such as those of a network trained on another machine.
    progress
        Whether to show bars on stderr.

    Returns
    -------
    pandas.DataFrame
        Two rows for each method and seed, see :func:`figures_pkg.evaluate.table_rows.score_maps`, with ``cpu_s``: CPU seconds
        of the method on gathered features; gathering them, once for all methods, is the row "features". Networks have
        ``live_channels`` and ``unexplained`` besides, see :class:`figures_pkg.evaluate.networks.Found`.
    """
    begin = time.process_time()
    small = binned_scan(scan)
    features = gather_features(small, bin_px=1)
    rows = [{"method": "features", "cpu_s": time.process_time() - begin}]
    runs = [_reflections(scan, truth), _made(embeddings or {}), _gathered(features, METHODS if methods is None else methods, seeds)]
    runs += [_trained(scan, small, name, recipe, seeds, first=number == 0)
             for number, (name, recipe) in enumerate((networks or {}).items())]
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


def binned_scan(scan: xr.DataArray, side_px: int = SIDE_PX) -> xr.DataArray:
    """
    The scan in memory, its patterns summed over squares of pixels to about ``side_px`` pixels along each side.

    All methods then share one reading of the file. Sums of Poisson counts are Poisson counts, so nothing else changes for
    a method that bins by a multiple of it anyhow.
    """
    bin_px = max(1, scan.shape[2] // side_px)
    summed = scan.astype(np.uint32 if scan.dtype.kind == "u" else scan.dtype)
    return summed.coarsen(dict.fromkeys(DETECTOR_DIMS, bin_px)).sum().astype(summed.dtype).compute()


def _reflections(scan: xr.DataArray, truth: xr.Dataset) -> Iterator[tuple[Found, int]]:
    """What single reflections show; the CPU seconds of the pass stand with the first."""
    begin = time.process_time()
    physics = reflection_maps(scan, *lattice_of(truth))
    spent = time.process_time() - begin
    for number, (name, maps) in enumerate(physics.items()):
        yield Found(name, maps, {"cpu_s": 0.0 if number else spent}), 0


def _made(embeddings: Mapping[str, xr.DataArray]) -> Iterator[tuple[Found, int]]:
    """Maps made elsewhere."""
    for name, maps in embeddings.items():
        yield Found(name, maps, {}), 0


def _gathered(features: Features, methods: Mapping[str, tuple[Method, bool]], seeds: Sequence[int]) -> Iterator[tuple[Found, int]]:
    """All methods on gathered features; those without randomness run once."""
    for name, (method, seeded) in methods.items():
        for seed in seeds if seeded else list(seeds)[:1]:
            begin = time.process_time()
            maps = method(features, seed)
            yield Found(name, maps, {"cpu_s": time.process_time() - begin}), seed


def _trained(scan: xr.DataArray, small: xr.DataArray, name: str, recipe: str | Recipe, seeds: Sequence[int],
             first: bool) -> Iterator[tuple[Found, int]]:
    """A network trained for each seed; the first of all stands beside its untrained control."""
    recipe = recipe_called(recipe) if isinstance(recipe, str) else recipe
    source = small if recipe.network.pattern <= small.shape[2] else scan
    for seed in seeds if first else list(seeds)[: len(seeds) // 2]:
        for found in trained_maps(source, recipe, seed, name, "untrained" if first else None):
            yield found, seed


def _rows(found: Found, seed: int, truth: xr.Dataset) -> list[dict]:
    """Both rows of one set of maps, or one row without scores for an embedding that died."""
    head = {"method": found.name, "method_seed": seed}
    if found.maps is None:
        return [head | {"picked_by": how} | found.facts for how in ("truth", "rule")]
    picked, free = score_maps(found.maps, truth)
    return [head | picked | wall_rows(found.maps, truth) | found.facts, head | free | found.facts]
