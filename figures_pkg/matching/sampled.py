"""Some patterns of a scan: their mean shows its lattice, and a few of them how well a library describes it."""

import numpy as np
import xarray as xr

from figures_pkg.data.blocks import block_places, read_block

SAMPLED = 6  # blocks whose mean shows the lattice


def sampled_mean(scan: xr.DataArray, most: int = SAMPLED) -> np.ndarray:
    """Mean pattern of a few blocks spread evenly over the scan, float64 (det_y, det_x)."""
    total, positions = np.zeros(scan.shape[2:]), 0
    for patterns in _some_blocks(scan, most):
        total += patterns.sum(axis=(0, 1), dtype=np.float64)
        positions += patterns.shape[0] * patterns.shape[1]
    return total / positions


def sampled_patterns(scan: xr.DataArray, each: int = 64, most: int = SAMPLED) -> np.ndarray:
    """Patterns spread over a few blocks, ``each`` at most from one, (p, det_y, det_x)."""
    flat = (patterns.reshape(-1, *patterns.shape[2:]) for patterns in _some_blocks(scan, most))
    return np.concatenate([block[:: -(-len(block) // each)] for block in flat])


def _some_blocks(scan: xr.DataArray, most: int):
    """Counts of a few blocks spread evenly over the scan, one after another."""
    places = block_places(scan, 8)
    for index in np.unique(np.linspace(0, len(places) - 1, min(most, len(places))).astype(int)):
        yield read_block(scan, places[index])
