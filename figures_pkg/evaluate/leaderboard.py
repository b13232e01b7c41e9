"""All methods on a simulated scan in one table: each scored with its channel picked by the truth, and picked without it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import pandas as pd
import xarray as xr

from figures_pkg.model.features import Features, gather_features
from figures_pkg.model.linear import cluster_map, independent_maps, mixture_map, positive_maps, principal_maps
from figures_pkg.model.step_components import edge_channel, step_maps

from .channel_choice import choose_channel
from .single_reflections import lattice_of, reflection_maps
from .truth_scores import boundary, charge_auc, confusion, domain_auc, domain_regions, domain_scores, interior, wall_auc

Method = Callable[[Features, int], xr.DataArray]

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


def score_scan(scan: xr.DataArray, truth: xr.Dataset, methods: Mapping[str, tuple[Method, bool]] = METHODS, seeds=(0,),
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
        Name -> (``method(features, seed)``, whether the seed matters). A trained or untrained encoder is one more.
    seeds
        Of the methods, not of the scan.
    embeddings
        Name -> maps (channel, scan_y, scan_x) made elsewhere, such as those of a trained network.
    progress
        Whether to show bars on stderr.

    Returns
    -------
    pandas.DataFrame
        Two rows for each method and seed, see :func:`score_maps`, with ``cpu_s``: CPU seconds of the method on gathered
        features; gathering them, once for all methods, is the row "features".
    """
    begin = time.process_time()
    features = gather_features(scan, progress=progress)
    gathering = time.process_time() - begin
    begin = time.process_time()
    physics = reflection_maps(scan, *lattice_of(truth))
    rows = [{"method": "features", "cpu_s": gathering}]
    for name, maps in physics.items():
        rows += _rows(maps, truth, name, 0, (time.process_time() - begin) / len(physics) if name == "VDF 00l" else 0.0)
    rows += score_methods(features, truth, methods, seeds)
    for name, maps in (embeddings or {}).items():
        rows += _rows(maps, truth, name, 0, float("nan"))
    table = pd.DataFrame(rows)
    for column, key in (("scan", "preset"), ("field_seed", "seed"), ("size", "size")):
        table.insert(0, column, truth.attrs.get(key))
    return table


def score_methods(features: Features, truth: xr.Dataset, methods: Mapping[str, tuple[Method, bool]], seeds) -> list[dict]:
    """Rows of all methods on gathered features; methods without randomness run once."""
    rows = []
    for name, (method, seeded) in methods.items():
        for seed in seeds if seeded else list(seeds)[:1]:
            begin = time.process_time()
            maps = method(features, seed)
            rows += _rows(maps, truth, name, seed, time.process_time() - begin)
    return rows


def score_maps(maps: xr.DataArray, truth: xr.Dataset) -> list[dict]:
    """
    Scores of one set of channels: a row with the channels picked by the truth, and one without it.

    Parameters
    ----------
    maps
        (channel, scan_y, scan_x).
    truth
        Of the same scan.

    Returns
    -------
    list of dict
        ``picked_by`` is "truth", the optimistic row: for each of domains, walls and wall charge the best channel; or
        "rule": the domain channel by :func:`figures_pkg.evaluate.channel_choice.choose_channel`, and walls as the gradient of
        that channel. Then the scores of :func:`figures_pkg.evaluate.truth_scores.domain_scores` for the domain channel,
        ``wall_auc``, ``charge_auc`` (head-to-head against tail-to-tail), ``vortex_accuracy`` (share of positions in the
        right one of six domains, nan without a vortex), and ``evidence``, the plateau score of the channel chosen by rule.
        In a scan without domains the channel "picked by the truth" is that of the rule, and scores against domains are nan.
    """
    chosen, evidence = choose_channel(maps)
    two = len(np.unique(interior(truth))) > 1 and (interior(truth) < 0).any() and (interior(truth) > 0).any()
    best = int(np.argmax([domain_auc(image, truth) for image in maps.values])) if two else chosen
    walls = {"wall_auc": wall_auc, "charge_auc": charge_auc}
    picked = {"picked_by": "truth"} | domain_scores(maps.values[best], truth)
    picked |= {key: max(score(image, truth) for image in maps.values) for key, score in walls.items()}
    gradient = boundary(maps.values[chosen])
    free = {"picked_by": "rule"} | domain_scores(maps.values[chosen], truth)
    free |= {key: score(gradient, truth) for key, score in walls.items()}
    for row, channel in ((picked, best), (free, chosen)):
        row |= {"vortex_accuracy": _vortex_accuracy(maps.values[channel], truth), "evidence": evidence}
    return [picked, free]


def _rows(maps: xr.DataArray, truth: xr.Dataset, method: str, seed: int, cpu_s: float) -> list[dict]:
    """Score maps and say where they come from."""
    return [{"method": method, "method_seed": seed} | row | {"cpu_s": cpu_s} for row in score_maps(maps, truth)]


def _vortex_accuracy(image: np.ndarray, truth: xr.Dataset) -> float:
    """Share of the interior that lies in the right one of six domains; nan where there are fewer."""
    if len(np.unique(truth.domain_state)) < 6:
        return float("nan")
    return confusion(domain_regions(image), truth)[1]
