"""All methods on a simulated scan in one table: each scored with its channel picked by the truth, and picked without it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import xarray as xr
from tqdm import tqdm

from figures_pkg.data import open_scan
from figures_pkg.data.axes import DETECTOR_DIMS, SCAN_DIMS
from figures_pkg.data.blocks import walk_blocks
from figures_pkg.model import Autoencoder, embed, linear
from figures_pkg.model.embed import batch_size
from figures_pkg.model.recipes import Recipe, recipe_called
from figures_pkg.model.train import DeadEmbedding, first_network, train
from figures_pkg.model.transform import InputTransform, binned
from figures_pkg.twin import read_truth
from figures_pkg.workspace import artefact_path, check_target, replacing

from .channels import choose_channel, open_embedding
from .reflections import lattice_of, reflection_maps
from .scores import boundary, compared_regions, confusion, domain_regions, domain_scores, folded_auc
from .walls import charge_labels, inclination_labels, wall_contrast

COMPARED = {"β-VAE": "beta-vae"}  # networks that stand beside the profile's
SIDE_PX = 64  # of the binned patterns that all methods but single reflections work on
ROTATED = ", rotated"  # what follows the name of a network whose channels were rotated to step components
ENOUGH = 1000  # positions on which a share of variance is measured to a few per cent of itself
AT_ONCE = 128  # patterns through a small network: their images stay in the processor's cache, which halves the time and changes no bit

# Name -> method, and whether its result depends on the seed.
METHODS: dict[str, tuple[Callable[[linear.Features, int], xr.DataArray], bool]] = {
    "PCA": (linear.principal_maps, False),
    "PCA6+ICA": (partial(linear.independent_maps, components=6), True),
    "PCA8+ICA": (partial(linear.independent_maps, components=8), True),
    "NMF": (linear.positive_maps, True),
    "k-means": (linear.cluster_map, True),
    "Gaussian mixture": (linear.mixture_map, True),
    "step components": (linear.step_maps, False),
    "edge map": (linear.edge_channel, False),
}


@dataclass(frozen=True)
class MethodMaps:
    """What a method makes of a scan: maps (channel, scan_y, scan_x), None for a network whose channels died; and the further columns of its rows."""

    name: str
    maps: xr.DataArray | None
    facts: dict[str, float]
    seed: int = 0


def score_file(scan: Path, out: Path, recipe: str, seeds: Sequence[int], embeddings: Mapping[str, str | Path]) -> Path:
    """Score all methods on a simulated scan, a ``.hspy`` file with its truth beside it, and write the table as CSV; ``embeddings`` name netCDF files."""
    out = check_target(out, ".csv", overwrite=True)
    others = {name: open_embedding(file) for name, file in embeddings.items()}
    networks = {name: recipe_called(called) for name, called in ({"CA": recipe} | COMPARED).items()}
    table = score_scan(open_scan(scan), read_truth(scan), list(seeds), networks, others, progress=True)
    with replacing(out) as temporary:
        table.to_csv(temporary, index=False)
    return out


def score_scan(scan: xr.DataArray, truth: xr.Dataset, seeds: list[int], networks: Mapping[str, Recipe],
               embeddings: Mapping[str, xr.DataArray], progress: bool = False) -> pd.DataFrame:
    """
    Score all methods on one scan: two rows for each method and seed, see :func:`score_maps`, with ``cpu_s``, the CPU seconds of the method.

    Of ``networks`` (name -> recipe) the first is trained on the scan for every seed and scored beside the same network untrained, the others
    for half of the seeds, rounded down, since each costs a training. ``embeddings`` (name -> maps) were made elsewhere, for instance on
    another machine. Gathering the features, once for all methods, is the row "features". ``charge_probe`` and ``charge_placebo`` say
    whether head-to-head and tail-to-tail walls are told apart by more than where they stand (:mod:`figures_pkg.evaluate.walls`),
    ``inclination_probe`` and ``inclination_placebo`` the same of inclined and upright walls; nan where a scan has not both kinds.
    """
    begin = time.process_time()
    small = binned_scan(scan)
    features = linear.gather_features(small, bin_px=1)
    rows = [{"method": "features", "cpu_s": time.process_time() - begin}]
    given = (MethodMaps(name, maps, {}) for name, maps in embeddings.items())
    methods = chain(_reflections(scan, truth), given, _gathered(features, seeds), _trained(scan, small, networks, seeds))
    kinds = {"charge": charge_labels(truth), "inclination": inclination_labels(truth)}
    with tqdm(methods, desc=str(truth.attrs.get("preset", "scan")), unit="method", disable=not progress) as bar:
        for found in bar:
            bar.set_postfix_str(f"{found.name}, seed {found.seed}")
            head = {"method": found.name, "method_seed": found.seed}
            if found.maps is None:  # an embedding that died has a row without scores
                rows += [head | {"picked_by": how} | found.facts for how in ("truth", "rule")]
                continue
            picked, free = score_maps(found.maps, truth)
            for name, labels in kinds.items():
                contrast = wall_contrast(found.maps, truth, labels)
                picked |= {f"{name}_probe": contrast.at_wall, f"{name}_placebo": contrast.worst_placebo}
            rows += [head | picked | found.facts, head | free | found.facts]
    table = pd.DataFrame(rows)
    for column, key in (("scan", "preset"), ("field_seed", "seed"), ("size", "size")):
        table.insert(0, column, truth.attrs.get(key))
    return table


def binned_scan(scan: xr.DataArray) -> xr.DataArray:
    """The scan in memory, its patterns summed over squares of pixels to about 64 pixels along each side, so that methods share one reading."""
    bin_px = max(1, scan.shape[2] // SIDE_PX)
    axes = scan.coords.to_dataset().coarsen(dict.fromkeys(DETECTOR_DIMS, bin_px)).mean().coords
    counts = np.empty((*scan.shape[:2], *(size // bin_px for size in scan.shape[2:])), np.uint32 if scan.dtype.kind == "u" else scan.dtype)
    for place, block in walk_blocks(scan):
        counts[place] = binned(block, bin_px)
    return xr.DataArray(counts, axes, scan.dims, scan.name, scan.attrs)


def _reflections(scan: xr.DataArray, truth: xr.Dataset) -> Iterator[MethodMaps]:
    """What single reflections show; the CPU seconds of the pass stand with the first."""
    begin = time.process_time()
    physics = reflection_maps(scan, *lattice_of(truth))
    spent = time.process_time() - begin
    for number, (name, maps) in enumerate(physics.items()):
        yield MethodMaps(name, maps, {"cpu_s": 0.0 if number else spent})


def _gathered(features: linear.Features, seeds: list[int]) -> Iterator[MethodMaps]:
    """All methods on gathered features; those without randomness run once."""
    for name, (method, seeded) in METHODS.items():
        for seed in seeds if seeded else seeds[:1]:
            begin = time.process_time()
            maps = method(features, seed)
            yield MethodMaps(name, maps, {"cpu_s": time.process_time() - begin}, seed)


def _trained(scan: xr.DataArray, small: xr.DataArray, networks: Mapping[str, Recipe], seeds: list[int]) -> Iterator[MethodMaps]:
    """Networks trained for each seed; the first of all stands beside its untrained control."""
    for number, (name, recipe) in enumerate(networks.items()):
        source = small if recipe.network.pattern <= small.shape[2] else scan
        for seed in seeds[: len(seeds) // 2] if number else seeds:
            yield from trained_maps(source, recipe, seed, name, None if number else "untrained")


def trained_maps(scan: xr.DataArray, recipe: Recipe, seed: int, name: str = "CA", control: str | None = "untrained") -> Iterator[MethodMaps]:
    """
    Train a network on a scan and give its embedding as it is and its step components, then both of the untrained control.

    The control has the same first weights, from the seed, and the same input; ``control`` None leaves it out. The facts are ``cpu_s``, those of
    training and embedding, ``live_channels`` and ``unexplained``, the share of the variance that the reconstruction misses.
    """
    begin = time.process_time()
    try:
        trained = train(scan, recipe, seed=seed, progress=False)
    except DeadEmbedding:
        dead = {"live_channels": 0, "unexplained": 1.0, "cpu_s": time.process_time() - begin}
        yield from (MethodMaps(called, None, dead, seed) for called in (name, name + ROTATED))
        return
    for called, net in ((name, trained.net), (control, first_network(recipe, seed))):
        if called is None:
            return
        found = embed(net, scan, trained.transform, batch=_patterns_at_once(net))
        spent = time.process_time() - begin
        live = int((np.ptp(found.values, axis=(0, 1)) > 0).sum())
        few = (slice(None, None, max(1, int((found.shape[0] * found.shape[1] / ENOUGH) ** 0.5))),) * 2
        facts = {"live_channels": live, "unexplained": unexplained(net, scan[few], trained.transform, found[few]), "cpu_s": spent}
        maps = found.transpose("channel", *SCAN_DIMS).rename(called)
        yield MethodMaps(called, maps if live else None, facts, seed)
        if live > 1:
            yield MethodMaps(called + ROTATED, linear.rotate_steps(maps), facts, seed)
        begin = time.process_time()


def unexplained(net: Autoencoder, scan: xr.DataArray, transform: InputTransform, maps: xr.DataArray) -> float:
    """Share of the variance of a network's target that its reconstruction from ``maps`` (scan_y, scan_x, channel) misses; 1 is what the mean misses."""
    device, missed, total, mean, positions = next(net.parameters()).device, 0.0, 0.0, 0.0, 0
    with torch.inference_mode():
        for place, counts in walk_blocks(scan):
            target = transform.apply(counts).reshape(-1, net.config.pattern, net.config.pattern).astype(float)
            z = torch.from_numpy(maps.values[place].reshape(len(target), -1)).to(device)
            drawn = torch.cat([net.decode(some) for some in z.split(_patterns_at_once(net))])
            missed += float(((drawn.float().cpu().numpy() - target) ** 2).sum())
            total, mean, positions = total + float((target**2).sum()), mean + target.sum(axis=0), positions + len(target)
    return missed / (total - float((mean**2).sum()) / positions)


def _patterns_at_once(net: Autoencoder) -> int:
    device = next(net.parameters()).device
    return min(batch_size(net, device), AT_ONCE if device.type == "cpu" else sys.maxsize)


def score_maps(maps: xr.DataArray, truth: xr.Dataset) -> list[dict]:
    """
    Scores of one set of channels (channel, scan_y, scan_x): a row with the channels picked by the truth, and one without it.

    ``picked_by`` is "truth", the optimistic row: for each of domains, walls and wall charge the best channel, for walls also the gradient of
    the best domain channel; or "rule": the domain channel by :func:`figures_pkg.evaluate.channels.choose_channel`, and walls as its
    gradient. Then come :func:`figures_pkg.evaluate.scores.domain_scores`, ``wall_auc``, ``charge_auc``, ``vortex_accuracy`` (share of
    positions in the right one of six domains, nan without a vortex), and ``evidence``, the plateau score of the channel chosen by rule. In
    a scan without domains the channel "picked by the truth" is that of the rule, and scores against domains are nan.
    """
    chosen, evidence = choose_channel(maps)
    regions = compared_regions(truth)
    domains = regions.pop("domain_auc")
    best = int(np.argmax([folded_auc(image, *domains) for image in maps.values])) if all(map(np.any, domains)) else chosen
    rows = []
    for how, channel in (("truth", best), ("rule", chosen)):
        offered = [boundary(maps.values[channel])] if how == "rule" else [*maps.values, boundary(maps.values[channel])]
        row = {"picked_by": how} | domain_scores(maps.values[channel], truth)
        row |= {name: max(folded_auc(image, *pair) for image in offered) for name, pair in regions.items()}
        vortex = len(np.unique(truth.domain_state)) >= 6
        accuracy = confusion(domain_regions(maps.values[channel]), truth)[1] if vortex else float("nan")
        rows.append(row | {"vortex_accuracy": accuracy, "evidence": evidence})
    return rows


def read_scores(profile: str) -> pd.DataFrame:
    """The scores of all scans of a profile, one row for each method, seed and way of picking; a FileNotFoundError with the command if not made yet."""
    path = artefact_path("scores/table.csv", "twin", profile)
    if not path.is_file():
        raise FileNotFoundError(f"no scores at {path}; make them with `snakemake --cores 2 --config profile={profile} -- {path}`")
    return pd.read_csv(path, keep_default_na=False, na_values=[""])  # the scan "null" is a name there


def values_of(table: pd.DataFrame, column: str, method: str, picked_by: str = "rule", scans: Sequence[str] | None = None) -> np.ndarray:
    """All values of one score of a method, over scans, fields and seeds; without those that have none."""
    chosen = (table.method == method) & (table.picked_by == picked_by)
    if scans is not None:
        chosen &= table.scan.isin(list(scans))
    return table[column][chosen].dropna().to_numpy(float)
