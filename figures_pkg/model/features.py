"""What the linear methods work on: principal component scores and small patterns of a scan, gathered in two passes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from figures_pkg.data.axes import SCAN_DIMS
from figures_pkg.data.blocks import walk_blocks

from .statistics import Components, binned, principal_components, scan_statistics, stabilise


@dataclass(frozen=True)
class Features:
    """
    A scan reduced to what fits in memory; made by :func:`gather_features`.

    Parameters
    ----------
    scan
        The scan itself, for methods that read it their own way.
    scores
        (components, scan_y, scan_x) float32, strongest first. With the Anscombe transform their noise has a standard
        deviation near 1, so a score of 10 is ten times the noise.
    components
        What the scores are of.
    patterns
        (scan_y, scan_x, height, width) float32, stabilised patterns in squares of pixels twice as wide as those of the scores.
    """

    scan: xr.DataArray
    scores: np.ndarray
    components: Components
    patterns: np.ndarray

    def whitened(self, count: int) -> np.ndarray:
        """The first ``count`` scores with variance 1, (positions, count)."""
        chosen = self.scores[:count].reshape(len(self.scores[:count]), -1).T
        return (chosen - chosen.mean(axis=0)) / chosen.std(axis=0)

    def maps(self, columns: np.ndarray, method: str, **attrs) -> xr.DataArray:
        """Columns (positions, channels) as maps (channel, scan_y, scan_x) with the scan's coordinates."""
        return as_maps(columns.T.reshape(-1, *self.scan.shape[:2]), self.scan, method, **attrs)


def as_maps(channels: np.ndarray, scan: xr.DataArray, method: str, **attrs) -> xr.DataArray:
    """Maps (channel, scan_y, scan_x) with the scan's coordinates and the name of the method that made them."""
    kept = {dim: scan[dim] for dim in SCAN_DIMS if dim in scan.coords}
    return xr.DataArray(np.asarray(channels, np.float64), kept, ("channel", *SCAN_DIMS), name=method, attrs=attrs)


def gather_features(scan: xr.DataArray, stabiliser: str = "anscombe", bin_px: int = 4, components: int = 48,
                    progress: bool = False) -> Features:
    """
    Principal component scores and small patterns of a scan.

    Parameters
    ----------
    scan
        Of dask or in memory; read twice.
    stabiliser
        "anscombe", or "log" as in the paper.
    bin_px
        Side of the squares of pixels that are summed for the scores; 4 makes 64 × 64 pixels of 256 × 256.
    components
        How many scores to keep, whether they rise above the noise or not.
    progress
        Whether to show a bar on stderr.

    Raises
    ------
    ValueError
        For counts that are NaN or negative, or squares that do not tile the patterns.
    """
    statistics = scan_statistics(scan, stabiliser, bin_px, progress)
    found = principal_components(statistics, components)
    scores = np.empty((len(found.images), *scan.shape[:2]), np.float32)
    patterns = np.empty((*scan.shape[:2], *(size // (2 * bin_px) for size in scan.shape[2:])), np.float32)
    mean = statistics.mean.astype(np.float32)
    for place, counts in walk_blocks(scan, progress):
        small = binned(counts, bin_px)
        patterns[place] = stabilise(small, stabiliser, 2)
        projected = np.tensordot(stabilise(small, stabiliser) - mean, found.images, ((2, 3), (1, 2)))
        scores[(slice(None), *place)] = np.moveaxis(projected, -1, 0)
    return Features(scan, scores, found, patterns)
