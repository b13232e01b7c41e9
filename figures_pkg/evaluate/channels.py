"""The channels of an embedding: opened, compared with what is known, named, chosen; the patterns at their ends, measured and drawn."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from scipy.ndimage import binary_opening, gaussian_filter
from scipy.optimize import linear_sum_assignment

from figures_pkg.data.axes import DETECTOR_DIMS, SCAN_DIMS
from figures_pkg.data.blocks import walk_blocks
from figures_pkg.model import Autoencoder
from figures_pkg.model.embed import decoded_counts
from figures_pkg.model.linear import rotate_steps

from .scores import interior, otsu_threshold, step_nm
from .walls import wall_kinds, wall_map

TURNS = {1: "walls, phase +60°", -1: "walls, phase −60°"}
LEAST_R = 0.2  # of a channel with a map; below it the name would say nothing
FIELDS = {"thickness": "thickness_nm", "bend along b": "tilt_b_mrad", "bend along c": "tilt_c_mrad"}
REACH_NM = 11.0  # a wall in a foil of 60 nm, inclined by 5 to 11 degrees, is 5 to 12 nm wide


@dataclass(frozen=True)
class Named:
    """What a channel resembles most among the maps that are known, and Pearson's r with it; "dead" and 0 for a constant one."""

    name: str
    correlation: float

    def __str__(self) -> str:
        if self.correlation == 0:
            return self.name
        return f"{self.name}\n|r| = {abs(self.correlation):.2f}" if abs(self.correlation) >= LEAST_R else f"none of the maps\n|r| < {LEAST_R}"


def open_embedding(path: str | Path) -> xr.DataArray:
    """Read an embedding, netCDF in any order of axes, as (channel, scan_y, scan_x); the FileNotFoundError holds the command that makes it."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no embedding at {path}; `make book` makes it, or `figures_pkg train` and then `figures_pkg embed`")
    with xr.open_dataset(path) as dataset:
        found = [variable for variable in dataset.data_vars.values() if {"channel", *SCAN_DIMS} == set(variable.dims)]
        if len(found) != 1:
            raise ValueError(f"{path} holds {len(found)} variables on (channel, scan_y, scan_x); expected one embedding")
        maps = found[0].load().transpose("channel", *SCAN_DIMS)
    return maps.assign_coords(channel=np.arange(len(maps)))


def at_positions(where: xr.DataArray | xr.Dataset, maps: xr.DataArray):
    """A scan, or what is known of it, at the positions (in nm) of an embedding or a map that was made on a grid of them."""
    if all(where.sizes[dim] == maps.sizes[dim] for dim in SCAN_DIMS):
        return where
    chosen = {}
    for dim in SCAN_DIMS:  # a slice where the places are even: dask then takes them block by block
        places = where.get_index(dim).get_indexer(maps[dim].values, method="nearest")
        even = slice(int(places[0]), int(places[-1]) + 1, int(places[1] - places[0]) or 1 if len(places) > 1 else 1)
        chosen[dim] = even if np.array_equal(np.arange(where.sizes[dim])[even], places) else places
    return where.isel(chosen)


def domain_channel(maps: xr.DataArray, known: xr.Dataset | None) -> xr.DataArray:
    """
    The domain map of an embedding, found without what is known: the first channel after rotation to step components.

    What is known turns the sign alone, so that its domain +1 is high: +P, where the sign of the polarization is known. The map (scan_y, scan_x)
    has variance 1; zero is the threshold between the two domains (Otsu's).
    """
    found = rotate_steps(maps)[0].reset_coords(drop=True)
    sign = 1.0
    if known is not None:
        sign = np.sign(np.sum((found - found.mean()).values * at_positions(known, maps).domain.values)) or 1.0
    return float(sign) * (found - otsu_threshold(found.values)) / (float(found.std()) or 1.0)


def pick_channels(maps: xr.DataArray, references: list[np.ndarray]) -> tuple[list[xr.DataArray], np.ndarray]:
    """
    For each reference (scan_y, scan_x) the channel that resembles it, no channel twice, turned so that they correlate positively; and all ``|r|``.

    Each channel (scan_y, scan_x) has its number as coordinate. There are at least as many channels as references.
    """
    if len(references) > len(maps):
        raise ValueError(f"{len(references)} references for {len(maps)} channels; expected at least one channel for each")
    channels, correlation = match_channels(maps.values, np.stack(references))
    picked = [maps[int(k)] * (np.sign(r) or 1.0) for k, r in zip(channels, correlation, strict=True)]
    return picked, np.abs(correlation)


def reference_maps(known: xr.Dataset) -> dict[str, np.ndarray]:
    """
    What "domains", "walls", "head-to-head" and "tail-to-tail" walls should look like, (scan_y, scan_x) each.

    ``known`` is a truth, or from :func:`figures_pkg.evaluate.walls.walls_by_course`; with an unknown sign of P the last two may be exchanged.
    """
    kinds = {name: wall_map(known, kind) for kind, name in ((1, "head-to-head"), (-1, "tail-to-tail"))}
    return {"domains": known.polarization.values.astype(float), "walls": wall_map(known)} | kinds


def named_maps(known: xr.Dataset) -> dict[str, np.ndarray]:
    """
    The maps that a channel can resemble, by name, (scan_y, scan_x) each.

    The polarization, thickness, both directions of bend, all walls, and where there are several kinds each kind: by charge, and in a
    truth by the turn of the phase from +P to −P. Where matching does not describe the scan, its thickness and bend are left out. ``known``
    is as for :func:`reference_maps`.
    """
    plus = "±P" if known.attrs.get("sign_known", 1) else "domains"
    fields = {} if known.attrs.get("basis", "truth") == "steps" else {name: known[key].values for name, key in FIELDS.items()}
    fields = {name: np.where(np.isfinite(field), field, np.nanmedian(field)) for name, field in fields.items()}
    names = {kind: f"{name} wall" for kind, name in wall_kinds(known).items()}
    on_wall = np.abs(known.wall_distance_nm.values) <= step_nm(known)
    kinds = [kind for kind in names if (on_wall & (known.wall_type.values == kind)).any()]
    walls = {"walls" if len(kinds) > 1 else names[kinds[0]]: wall_map(known)} if kinds else {}
    walls |= {names[kind]: wall_map(known, kind) for kind in kinds if len(kinds) > 1}
    turns = np.sign(known.wall_step.values) if "wall_step" in known else np.zeros(known.domain.shape)
    if (turns > 0).any() and (turns < 0).any():
        walls |= {name: np.where(turns == sign, wall_map(known), 0.0) for sign, name in TURNS.items()}
    return {name: np.asarray(image, float) for name, image in ({plus: known.polarization.values} | fields | walls).items()}


def name_channels(maps: xr.DataArray, known: xr.Dataset | None) -> list[Named]:
    """
    Name every channel after the map of :func:`named_maps` that it correlates with most, whatever the sign; "live" or "dead" without maps.

    Several channels may bear one name. Where the maps resemble each other, as in a wedge with one wall, the name says which comes first.
    """
    if known is None:
        return [Named("live" if np.ptp(image) > 0 else "dead", 0.0) for image in maps.values]
    named = named_maps(known)
    found = correlations(maps.values, np.stack(list(named.values())))
    best = np.abs(found).argmax(axis=1)
    names = np.array(list(named))[best]
    return [Named(str(name) if np.ptp(image) > 0 else "dead", float(r[place]))
            for name, image, r, place in zip(names, maps.values, found, best, strict=True)]


def sparsity(maps: xr.DataArray) -> dict[str, float]:
    """
    How an embedding (channel, scan_y, scan_x) spends its channels.

    ``live``: channels with at least 1 % of the variance of the strongest one. ``zero`` and ``negative``: shares of the values in the live
    channels that are. ``effective``: how many live channels a position uses, the mean of (Σ|a|)² / Σa² with each channel scaled to a
    mean square of 1; nan without a live channel.
    """
    flat = maps.values.reshape(len(maps), -1).astype(float)
    spread = flat.var(axis=1)
    alive = flat[spread > 0.01 * spread.max()]
    if not len(alive):
        return {"live": 0, "zero": float("nan"), "negative": float("nan"), "effective": float("nan")}
    size = np.abs(alive) / np.sqrt((alive**2).mean(axis=1, keepdims=True))
    total, square = size.sum(axis=0), (size**2).sum(axis=0)
    used = total[square > 0] ** 2 / square[square > 0]
    return {"live": len(alive), "zero": float((alive == 0).mean()), "negative": float((alive < 0).mean()), "effective": float(used.mean())}


def match_channels(maps: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """
    Assign channels to reference maps such that the sum of ``|r|`` is largest, each channel to one reference at most.

    Returned are the index of the channel that belongs to each reference (references, scan_y, scan_x), -1 where there are fewer channels, and
    Pearson's r, 0 where there is no partner; its sign means nothing. A constant (dead) channel correlates with nothing.
    """
    r = correlations(maps, reference)
    rows, columns = linear_sum_assignment(-np.abs(r))
    channel, value = np.full(len(reference), -1), np.zeros(len(reference))
    channel[columns], value[columns] = rows, r[rows, columns]
    return channel, value


def correlations(maps: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Pearson's r of every channel with every reference, (channels, references); 0 where one of the two is constant."""
    maps, reference = np.asarray(maps, float), np.asarray(reference, float)
    if maps.shape[1:] != reference.shape[1:]:
        raise ValueError(f"maps of {maps.shape[1:]} positions, references of {reference.shape[1:]}; give maps of one scan")
    if not (np.isfinite(maps).all() and np.isfinite(reference).all()):
        raise ValueError("the maps hold values that are not finite; fill these positions, or compare a part of the scan without them")
    rows = []
    for values in (maps, reference):
        values = np.asfortranarray(values.reshape(len(values), -1))  # sums as stored results have them
        centred = values - values.mean(axis=1, keepdims=True)
        spread = centred.std(axis=1, keepdims=True)
        flat = spread <= 1e-12 * np.abs(values).max(axis=1, keepdims=True)
        rows.append(np.where(flat, 0.0, centred / np.where(flat, 1.0, spread)))
    return rows[0] @ rows[1].T / rows[0].shape[1]


def plateau_score(image: np.ndarray, step_nm: float = float("nan")) -> float:
    """
    How much a map (scan_y, scan_x) looks like two plateaus with an abrupt edge, from 0 to 1: share of variance times sharpness times breadth.

    The two classes are those of Otsu's threshold on the map smoothed over one position. The first factor is the share of the map's
    variance between them, so that noise scores nothing (two plateaus 1, a steady ramp still 0.75); the breadth is that of the smaller class, so
    that a map of walls scores nothing either. A step of the thickness scores as a wall does. With an unknown distance of the
    positions the edge is looked for within three of them.
    """
    image = np.asarray(image, float)
    smooth, reach = gaussian_filter(image, 1.0), max(2, round(REACH_NM / step_nm)) if step_nm > 0 else 3
    if not np.ptp(smooth) > 0:
        return 0.0
    upper = smooth > otsu_threshold(smooth)
    share = upper.mean()
    between = float(share * (1 - share) * (image[upper].mean() - image[~upper].mean()) ** 2 / image.var())
    return between * float(np.clip(_sharpness(smooth, upper, reach), 0, 1)) * _breadth(upper, reach)


def _sharpness(smooth: np.ndarray, upper: np.ndarray, reach: int) -> float:
    """Median rise over 2 · reach − 1 positions between neighbours of different classes over the difference of the class means; a wall gives 1."""
    rises, width = [], 2 * reach - 1
    for image, above in ((smooth, upper), (smooth.T, upper.T)):
        if len(image) > width:
            turn = np.diff(above.astype(int), axis=0)[reach - 1 : len(image) - reach]
            rises.append(((image[width:] - image[:-width]) * turn)[turn != 0])
    rise = np.concatenate([*rises, np.zeros(0)])
    return float(np.median(rise) / (smooth[upper].mean() - smooth[~upper].mean())) if rise.size else 0.0


def _breadth(upper: np.ndarray, reach: int) -> float:
    """Share of the smaller class that lies in parts wider than 2 · reach + 1 positions: 1 for domains, 0 for walls."""
    smaller = np.pad(upper if upper.mean() <= 0.5 else ~upper, 2 * reach, mode="edge")
    disc = np.hypot(*np.mgrid[-reach : reach + 1, -reach : reach + 1]) <= reach
    inner = (slice(2 * reach, -2 * reach),) * 2
    return float(binary_opening(smaller, disc)[inner].sum() / smaller[inner].sum())


def choose_channel(maps: xr.DataArray) -> tuple[int, float]:
    """
    The channel of (channel, scan_y, scan_x) to take for the domains, by the plateau rule, and its :func:`plateau_score`.

    A method that orders its channels itself, such as step components, says so in the attribute ``chosen``, and is obeyed. If every
    channel is constant, the embedding is dead: a ValueError.
    """
    axis = maps.coords.get("scan_x")
    step = float("nan") if axis is None or axis.size < 2 else abs(float(axis[1] - axis[0]))
    if not any(np.ptp(image) > 0 for image in maps.values):
        raise ValueError(f"all {len(maps)} channels of {maps.name!r} are constant: the embedding is dead; train with a smaller L1 weight")
    candidates = [int(maps.attrs["chosen"])] if "chosen" in maps.attrs else range(len(maps))
    scores = {channel: plateau_score(maps.values[channel], step) for channel in candidates}
    chosen = max(scores, key=scores.__getitem__)
    return chosen, scores[chosen]


def quantile_patterns(scan: xr.DataArray, maps: xr.DataArray, share: float = 0.05) -> xr.Dataset:
    """
    Mean patterns of the positions with the highest and the lowest values of every channel, in one pass over the scan.

    ``share`` is that of the positions, at each end, up to a half; the paper takes 5 % (Methods, doi 10.1038/s41524-024-01265-y). Positions
    that tie for it, such as the zeros of a sparse channel, all count alike. ``high``, ``low`` and ``difference`` = high − low are in
    counts, float64 (channel, det_y, det_x); the sign of the difference is that of the channel, which means nothing by itself.
    """
    count = int(share * maps[0].size)
    if not (0 < share <= 0.5 and count >= 1):
        raise ValueError(f"share={share!r} of {maps[0].size} positions: expected a share up to 0.5 that holds at least one")
    ends = []
    for values in (maps.values.reshape(len(maps), -1), -maps.values.reshape(len(maps), -1)):
        bound = np.partition(values, -count, axis=1)[:, -count, None]
        above, ties = values > bound, values == bound
        left = count - above.sum(axis=1, keepdims=True)  # places that the ties share
        ends.append(above + ties * left / ties.sum(axis=1, keepdims=True))
    high, low = mean_patterns(scan, np.stack(ends).reshape(2, *maps.shape))
    named = {"high": high, "low": low, "difference": high - low}
    return xr.Dataset(named, attrs=dict(scan.attrs)).assign({name: array.assign_attrs(units="counts") for name, array in named.items()})


def mean_patterns(scan: xr.DataArray, weights: np.ndarray) -> list[xr.DataArray]:
    """Means of the patterns of a scan, float64 (channel, det_y, det_x) in counts, for each set of weights (sets, channels, scan_y, scan_x); one pass."""
    if weights.shape[2:] != scan.shape[:2]:
        raise ValueError(f"maps of {weights.shape[2:]} positions for a scan of {scan.shape[:2]}; give maps of this scan")
    rows = weights.reshape(-1, *scan.shape[:2]).astype(np.float32)
    total = np.zeros((len(rows), scan.shape[2] * scan.shape[3]))
    for place, counts in walk_blocks(scan):
        chosen = rows[(slice(None), *place)].reshape(len(rows), -1)
        used = chosen.any(axis=0)
        total += chosen[:, used] @ counts.reshape(used.size, -1)[used].astype(np.float32)
    total /= rows.sum(axis=(1, 2), dtype=float)[:, None]
    kept = {dim: scan[dim] for dim in DETECTOR_DIMS if dim in scan.coords}
    means = total.reshape(*weights.shape[:2], *scan.shape[2:])
    return [xr.DataArray(each, kept, ("channel", *DETECTOR_DIMS), attrs={"units": "counts"}) for each in means]


def domain_difference(scan: xr.DataArray, known: xr.Dataset) -> xr.DataArray:
    """Mean pattern of +P less that of −P, away from walls, in counts (det_y, det_x)."""
    inside = interior(known)
    (plus,), (minus,) = mean_patterns(scan, np.stack([inside > 0, inside < 0])[:, None])
    return plus - minus


def band_weights(values: np.ndarray, bands: int) -> np.ndarray:
    """How much of each position lies in each band of equal shares by value, lowest first, (bands, *shape); equal values are spread alike."""
    flat = np.ravel(values)
    levels, group, size = np.unique(flat, return_inverse=True, return_counts=True)
    if not 1 <= bands <= flat.size:
        raise ValueError(f"{bands} bands for {flat.size} positions; expected 1 up to one for each position")
    ends = np.cumsum(size)
    edges = np.linspace(0, flat.size, bands + 1)
    overlap = np.minimum(ends, edges[1:, None]) - np.maximum(ends - size, edges[:-1, None])
    return (np.maximum(overlap, 0) / size)[:, group.ravel()].reshape(bands, *np.shape(values))


def sweep_patterns(net: Autoencoder, scan: xr.DataArray, embedding: xr.DataArray, swept: xr.DataArray, bands: int = 20) -> xr.Dataset:
    """
    Sweep a channel from low to high: what the decoder draws, and what was measured where the channel has that value.

    The positions are cut into bands of equal shares by the value of ``swept`` (scan_y, scan_x): one channel of the ``embedding`` (channel,
    scan_y, scan_x), with the coordinate ``channel`` that says which, or any other map made from it, without that coordinate. The
    counts of ``scan`` are as large as the transform of ``net`` expects before it bins them.

    Returns
    -------
    xarray.Dataset
        Over ``band``, the share of the positions below its middle: ``value``, the mean of the swept map; ``measured``, the
        mean pattern; ``together``, decoded from the mean of each channel in the band; and, for a channel, ``alone``, decoded
        with this channel moved and all others held at their mean over the scan. Patterns are in counts of binned
        pixels, (band, det_y, det_x).
    """
    weights = band_weights(swept.values, bands)
    flat = embedding.values.reshape(len(embedding), -1)
    shares = weights.reshape(bands, -1) / weights.sum(axis=(1, 2))[:, None]
    values = shares @ np.ravel(swept.values)
    measured = mean_patterns(scan, weights[None])[0].coarsen(dict.fromkeys(DETECTOR_DIMS, net.transform.bin_px), boundary="trim").sum()
    drawn = {"together": decoded_counts(net, shares @ flat.T)}
    if "channel" in swept.coords:
        moved = np.repeat(flat.mean(axis=1)[None], bands, axis=0)
        moved[:, int(swept.channel)] = values
        drawn["alone"] = decoded_counts(net, moved)
    dims, middles = ("band", *DETECTOR_DIMS), (np.arange(bands) + 0.5) / bands
    kept = {dim: measured[dim] for dim in DETECTOR_DIMS if dim in measured.coords} | {"band": middles}
    found = {name: (dims, each, {"units": "counts"}) for name, each in (drawn | {"measured": measured.values}).items()}
    return xr.Dataset(found | {"value": ("band", values)}, kept, dict(scan.attrs))


def end_difference(patterns: xr.DataArray) -> xr.DataArray:
    """Highest band less lowest band, (det_y, det_x)."""
    return patterns.isel(band=-1, drop=True) - patterns.isel(band=0, drop=True)


def agreement(drawn: xr.DataArray, measured: xr.DataArray) -> tuple[float, float]:
    """
    How alike two difference patterns are: Pearson's r over the pixels, and how large the first is for one of the second.

    The size, the slope of the regression, is 1 where the decoder neither damps nor exaggerates. A constant pattern is a ValueError.
    """
    a, b = np.ravel(drawn.values) - float(drawn.mean()), np.ravel(measured.values) - float(measured.mean())
    if not (a.any() and b.any()):
        raise ValueError("a difference pattern is constant, so it resembles nothing; the channel may be dead: pick a live one")
    return float(a @ b / np.sqrt((a @ a) * (b @ b))), float(a @ b / (b @ b))
