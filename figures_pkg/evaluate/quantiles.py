"""Mean patterns by the value of a channel: where it is high, where it is low, and in bands between."""

from __future__ import annotations

import numpy as np
import xarray as xr

from figures_pkg.data.axes import DETECTOR_DIMS
from figures_pkg.data.blocks import walk_blocks


def quantile_patterns(scan: xr.DataArray, maps: xr.DataArray, share: float = 0.05, progress: bool = False) -> xr.Dataset:
    """
    Mean patterns of the positions with the highest and the lowest values of every channel, in one pass over the scan.

    A sparse channel is zero at many more positions than the lowest share: all of them then count alike, since the first ones
    would lie along one edge of the scan.

    Parameters
    ----------
    scan
        Counts, of dask or in memory.
    maps
        (channel, scan_y, scan_x).
    share
        Of the positions, at each end; the paper takes 5 % (Methods, doi 10.1038/s41524-024-01265-y).
    progress
        Whether to show a bar on stderr.

    Returns
    -------
    xarray.Dataset
        ``high``, ``low`` and ``difference`` = high − low in counts, float64 (channel, det_y, det_x). The sign of the
        difference is that of the channel, which means nothing by itself.

    Raises
    ------
    ValueError
        If the maps and the scan differ in shape, the share is not between 0 and a half, or it holds no position.
    """
    count = int(share * maps[0].size)
    if not (0 < share <= 0.5 and count >= 1):
        raise ValueError(f"share={share!r} of {maps[0].size} positions: expected a share up to 0.5 that holds at least one")
    values = maps.values.reshape(len(maps), -1)
    ends = np.stack([_highest(values, count), _highest(-values, count)])
    high, low = mean_patterns(scan, ends.reshape(2, *maps.shape), progress)
    named = {"high": high, "low": low, "difference": high - low}
    return xr.Dataset(named, attrs=dict(scan.attrs)).assign({name: array.assign_attrs(units="counts") for name, array in named.items()})


def mean_patterns(scan: xr.DataArray, weights: np.ndarray, progress: bool = False) -> list[xr.DataArray]:
    """
    Weighted means of the patterns of a scan, in one pass.

    Each block is multiplied once by a matrix with a row for each mean, so their number hardly matters.

    Parameters
    ----------
    scan
        Counts, of dask or in memory.
    weights
        Not negative, (sets, channels, scan_y, scan_x); only their ratios count.
    progress
        Whether to show a bar on stderr.

    Returns
    -------
    list of xarray.DataArray
        One for each set: float64 (channel, det_y, det_x), in counts.

    Raises
    ------
    ValueError
        If weights and scan differ in shape.
    """
    if weights.shape[2:] != scan.shape[:2]:
        raise ValueError(f"maps of {weights.shape[2:]} positions for a scan of {scan.shape[:2]}; give maps of this scan")
    rows = weights.reshape(-1, *scan.shape[:2]).astype(np.float32)
    total = np.zeros((len(rows), scan.shape[2] * scan.shape[3]))
    for place, counts in walk_blocks(scan, progress):
        chosen = rows[(slice(None), *place)].reshape(len(rows), -1)
        used = chosen.any(axis=0)
        total += chosen[:, used] @ counts.reshape(used.size, -1)[used].astype(np.float32)
    total /= rows.sum(axis=(1, 2), dtype=float)[:, None]
    kept = {dim: scan[dim] for dim in DETECTOR_DIMS if dim in scan.coords}
    means = total.reshape(*weights.shape[:2], *scan.shape[2:])
    return [xr.DataArray(each, kept, ("channel", *DETECTOR_DIMS), attrs={"units": "counts"}) for each in means]


def band_weights(values: np.ndarray, bands: int) -> np.ndarray:
    """
    Cut positions into bands of equal shares by their value, lowest first.

    Parameters
    ----------
    values
        One channel, any shape.
    bands
        How many.

    Returns
    -------
    numpy.ndarray
        (bands, *shape of the values): how much of each position lies in each band. A position counts 1 in all, and positions
        of one value are spread alike: where more than a band is zero, those bands hold the same mixture of zeros.

    Examples
    --------
    >>> band_weights(np.array([3.0, 0.0, 0.0, 1.0]), 4)[:2]
    array([[0. , 0.5, 0.5, 0. ],
           [0. , 0.5, 0.5, 0. ]])
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
