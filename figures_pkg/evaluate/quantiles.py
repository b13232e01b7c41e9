"""Difference patterns of a channel: the mean pattern where it is high less the mean pattern where it is low."""

from __future__ import annotations

import numpy as np
import xarray as xr

from figures_pkg.data.axes import DETECTOR_DIMS
from figures_pkg.model.statistics import scan_blocks


def quantile_patterns(scan: xr.DataArray, maps: xr.DataArray, share: float = 0.05, progress: bool = False) -> xr.Dataset:
    """
    Mean patterns of the positions with the highest and the lowest values of every channel, in one pass over the scan.

    Each block is multiplied once by a matrix with a row for each channel and end, so the number of channels hardly matters.

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
    if maps.shape[1:] != scan.shape[:2]:
        raise ValueError(f"maps of {maps.shape[1:]} positions for a scan of {scan.shape[:2]}; give maps of this scan")
    count = int(share * maps[0].size)
    if not (0 < share <= 0.5 and count >= 1):
        raise ValueError(f"share={share!r} of {maps[0].size} positions: expected a share up to 0.5 that holds at least one")
    weights = _ends(maps.values.reshape(len(maps), -1), count).reshape(-1, *scan.shape[:2])
    total = np.zeros((len(weights), scan.shape[2] * scan.shape[3]))
    for place, counts in scan_blocks(scan, progress):
        chosen = weights[(slice(None), *place)].reshape(len(weights), -1)
        used = chosen.any(axis=0)
        total += chosen[:, used] @ counts.reshape(used.size, -1)[used].astype(np.float32)
    means = (total / count).reshape(2, len(maps), *scan.shape[2:])
    dims = ("channel", *DETECTOR_DIMS)
    kept = {dim: scan[dim] for dim in DETECTOR_DIMS if dim in scan.coords}
    named = {"high": means[0], "low": means[1], "difference": means[0] - means[1]}
    return xr.Dataset({name: (dims, values, {"units": "counts"}) for name, values in named.items()}, kept, dict(scan.attrs))


def _ends(values: np.ndarray, count: int) -> np.ndarray:
    """Ones at the ``count`` highest, then at the ``count`` lowest values of each row: float32 (2 · rows, positions)."""
    order = np.argsort(values, axis=1, kind="stable")
    ends = np.zeros((2, *values.shape), np.float32)
    np.put_along_axis(ends[0], order[:, -count:], 1, axis=1)
    np.put_along_axis(ends[1], order[:, :count], 1, axis=1)
    return ends.reshape(-1, values.shape[1])
