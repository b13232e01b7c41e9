"""The mean of some patterns of a scan, enough to show its lattice."""

import numpy as np
import xarray as xr

from figures_pkg.data.blocks import block_places, read_block

SAMPLED = 6  # blocks whose mean shows the lattice


def sampled_mean(scan: xr.DataArray, most: int = SAMPLED) -> np.ndarray:
    """Mean pattern of a few blocks spread evenly over the scan, float64 (det_y, det_x)."""
    places = block_places(scan, 8)
    total, positions = np.zeros(scan.shape[2:]), 0
    for index in np.unique(np.linspace(0, len(places) - 1, min(most, len(places))).astype(int)):
        patterns = read_block(scan, places[index])
        total += patterns.sum(axis=(0, 1), dtype=np.float64)
        positions += patterns.shape[0] * patterns.shape[1]
    return total / positions
