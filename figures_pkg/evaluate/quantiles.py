"""Mean patterns by the value of a channel, from low to high, and what the decoder draws for the same values."""

from __future__ import annotations

import numpy as np
import xarray as xr

from figures_pkg.data.axes import DETECTOR_DIMS
from figures_pkg.data.blocks import walk_blocks
from figures_pkg.model import Autoencoder
from figures_pkg.model.embed import decoded_counts

from .scores import interior


def quantile_patterns(scan: xr.DataArray, maps: xr.DataArray, share: float = 0.05) -> xr.Dataset:
    """
    Mean patterns of the positions with the highest and the lowest values of every channel, in one pass over the scan.

    ``share`` is that of the positions, at each end, up to a half; the paper takes 5 % (Methods, doi 10.1038/s41524-024-01265-y). A sparse
    channel is zero at many more positions than the lowest share: all of them then count alike, since the first ones would lie along one
    edge of the scan. ``high``, ``low`` and ``difference`` = high − low are in counts, float64 (channel, det_y, det_x); the sign of the
    difference is that of the channel, which means nothing by itself.
    """
    count = int(share * maps[0].size)
    if not (0 < share <= 0.5 and count >= 1):
        raise ValueError(f"share={share!r} of {maps[0].size} positions: expected a share up to 0.5 that holds at least one")
    values = maps.values.reshape(len(maps), -1)
    ends = np.stack([_highest(values, count), _highest(-values, count)])
    high, low = mean_patterns(scan, ends.reshape(2, *maps.shape))
    named = {"high": high, "low": low, "difference": high - low}
    return xr.Dataset(named, attrs=dict(scan.attrs)).assign({name: array.assign_attrs(units="counts") for name, array in named.items()})


def mean_patterns(scan: xr.DataArray, weights: np.ndarray) -> list[xr.DataArray]:
    """
    Weighted means of the patterns of a scan, in one pass: for each set of weights float64 (channel, det_y, det_x), in counts.

    Weights (sets, channels, scan_y, scan_x) are not negative; only their ratios count. Each block is multiplied once by a matrix with a
    row for each mean, so their number hardly matters.
    """
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
    """
    How much of each position lies in each band of equal shares by value, lowest first: (bands, *shape of the values).

    A position counts 1 in all, and positions of one value are spread alike: where more than a band is zero, those bands hold the same
    mixture of zeros.
    """
    flat = np.ravel(values)
    levels, group, size = np.unique(flat, return_inverse=True, return_counts=True)
    if not 1 <= bands <= flat.size:
        raise ValueError(f"{bands} bands for {flat.size} positions; expected 1 up to one for each position")
    ends = np.cumsum(size)
    edges = np.linspace(0, flat.size, bands + 1)
    overlap = np.minimum(ends, edges[1:, None]) - np.maximum(ends - size, edges[:-1, None])
    return (np.maximum(overlap, 0) / size)[:, group.ravel()].reshape(bands, *np.shape(values))


def _highest(values: np.ndarray, count: int) -> np.ndarray:
    """Ones at the ``count`` highest values of each row; values that tie for the last places share what is left."""
    bound = np.partition(values, -count, axis=1)[:, -count, None]
    above, ties = values > bound, values == bound
    left = count - above.sum(axis=1, keepdims=True)
    return above + ties * left / ties.sum(axis=1, keepdims=True)


def sweep_patterns(net: Autoencoder, scan: xr.DataArray, embedding: xr.DataArray, swept: xr.DataArray, bands: int = 20) -> xr.Dataset:
    """
    Sweep a channel from low to high: what the decoder draws, and what was measured where the channel has that value.

    The positions are cut into bands of equal shares by the value of the channel; 20 of them hold 5 % each.

    Parameters
    ----------
    net, scan, embedding
        The network of the embedding (channel, scan_y, scan_x), and the counts, as large as its transform expects before it bins them.
    swept
        (scan_y, scan_x): one channel of the embedding, with the coordinate ``channel`` that says which, or any other map
        made from it, such as a rotated channel, without that coordinate.

    Returns
    -------
    xarray.Dataset
        Over ``band``, the share of the positions below its middle: ``value``, the mean of the swept map; ``measured``, the
        mean pattern; ``together``, decoded from the mean of each channel in the band, so that all channels go along; and,
        for a channel, ``alone``, decoded with this channel moved and all others held at their mean over the scan. Patterns
        are in counts of binned pixels, (band, det_y, det_x).
    """
    weights = band_weights(swept.values, bands)
    flat = embedding.values.reshape(len(embedding), -1)
    shares = weights.reshape(bands, -1) / weights.sum(axis=(1, 2))[:, None]
    values = shares @ np.ravel(swept.values)
    measured = bin_pixels(mean_patterns(scan, weights[None])[0], net.transform.bin_px)
    drawn = {"together": decoded_counts(net, shares @ flat.T)}
    if "channel" in swept.coords:
        moved = np.repeat(flat.mean(axis=1)[None], bands, axis=0)
        moved[:, int(swept.channel)] = values
        drawn["alone"] = decoded_counts(net, moved)
    dims, middles = ("band", *DETECTOR_DIMS), (np.arange(bands) + 0.5) / bands
    kept = {dim: measured[dim] for dim in DETECTOR_DIMS if dim in measured.coords} | {"band": middles}
    found = {name: (dims, each, {"units": "counts"}) for name, each in (drawn | {"measured": measured.values}).items()}
    return xr.Dataset(found | {"value": ("band", values)}, kept, dict(scan.attrs))


def bin_pixels(patterns: xr.DataArray, side: int) -> xr.DataArray:
    """Sum squares of ``side`` × ``side`` pixels; the coordinates become the middles of the squares."""
    return patterns.coarsen({dim: side for dim in DETECTOR_DIMS}, boundary="trim").sum()


def end_difference(patterns: xr.DataArray) -> xr.DataArray:
    """Highest band less lowest band, (det_y, det_x)."""
    return patterns.isel(band=-1, drop=True) - patterns.isel(band=0, drop=True)


def agreement(drawn: xr.DataArray, measured: xr.DataArray) -> tuple[float, float]:
    """
    How alike two difference patterns are: Pearson's r over the pixels, and how large the first is for one of the second.

    The size is the slope of the regression of the drawn on the measured difference: 1 where the decoder neither damps nor
    exaggerates the change. A pattern that does not change at all is a ValueError.
    """
    a, b = np.ravel(drawn.values) - float(drawn.mean()), np.ravel(measured.values) - float(measured.mean())
    if not (a.any() and b.any()):
        raise ValueError("a difference pattern is constant, so it resembles nothing; the channel may be dead: pick a live one")
    return float(a @ b / np.sqrt((a @ a) * (b @ b))), float(a @ b / (b @ b))
