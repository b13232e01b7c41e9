"""
Classical methods beside the autoencoder, all from scikit-learn: each turns the features of a scan into maps.

Features are principal component scores and small patterns, gathered in two passes over the scan.
Every method has the form ``method(features, seed) -> maps`` with maps of dimensions (channel, scan_y, scan_x). The sign of
a channel, and the order of those of ICA and NMF, mean nothing.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import xarray as xr
from sklearn.cluster import KMeans
from sklearn.decomposition import NMF, FastICA
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from figures_pkg.data.axes import SCAN_DIMS
from figures_pkg.data.blocks import walk_blocks

from .transform import Components, binned, principal_components, scan_statistics, stabilise


@dataclass(frozen=True)
class Features:
    """
    A scan reduced to what fits in memory; made by :func:`gather_features`.

    With the Anscombe transform the noise of the scores has a standard deviation near 1, so a score of 10 is ten times the noise.
    """

    scan: xr.DataArray  # the scan itself, for methods that read it their own way
    scores: np.ndarray  # (components, scan_y, scan_x) float32, strongest first
    components: Components  # what the scores are of
    patterns: np.ndarray  # (scan_y, scan_x, height, width) float32, stabilised, in squares of pixels twice as wide as those of the scores

    def whitened(self, count: int) -> np.ndarray:
        """The first ``count`` scores with variance 1, (positions, count)."""
        chosen = self.scores[:count].reshape(len(self.scores[:count]), -1).T
        return (chosen - chosen.mean(axis=0)) / chosen.std(axis=0)

    def maps(self, columns: np.ndarray, method: str) -> xr.DataArray:
        """Columns (positions, channels) as maps (channel, scan_y, scan_x) with the scan's coordinates."""
        return as_maps(columns.T.reshape(-1, *self.scan.shape[:2]), self.scan, method)


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
        Of dask or in memory; read twice. Its counts are neither NaN nor negative.
    stabiliser
        "anscombe", or "log" as in the paper.
    bin_px
        Side of the squares of pixels that are summed for the scores; 4 makes 64 × 64 pixels of 256 × 256.
    components
        How many scores to keep, whether they rise above the noise or not.
    progress
        Whether to show a bar on stderr.
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


def principal_maps(features: Features, seed: int = 0, components: int = 16) -> xr.DataArray:
    """Scores of the strongest principal components; ``seed`` changes nothing."""
    chosen = features.scores[:components]
    return features.maps(chosen.reshape(len(chosen), -1).T, "PCA")


def independent_maps(features: Features, seed: int = 0, components: int = 6) -> xr.DataArray:
    """
    Rotation of the whitened principal components towards independent, least Gaussian channels (FastICA).

    The rotation found depends on the start. Few components work best: more of them whiten the weak terms that walls and
    strong bend add, and the rotation then finds those.

    References
    ----------
    A. Hyvärinen, IEEE Transactions on Neural Networks 10, 626 (1999), doi 10.1109/72.761722.
    """
    values = features.whitened(components).astype(float)
    model = FastICA(whiten="unit-variance", max_iter=1000, tol=1e-4, random_state=seed)
    return features.maps(_fit(model.fit_transform, values), f"PCA{components}+ICA")


def positive_maps(features: Features, seed: int = 0, components: int = 8) -> xr.DataArray:
    """
    Abundances of patterns that are positive and add up to the data (non-negative matrix factorization).

    References
    ----------
    D. D. Lee, H. S. Seung, Nature 401, 788 (1999), doi 10.1038/44565.
    """
    patterns = features.patterns.reshape(-1, features.patterns[0, 0].size)
    model = NMF(components, init="nndsvda", max_iter=200, tol=1e-3, random_state=seed)
    return features.maps(_fit(model.fit_transform, patterns - patterns.min(axis=0)), f"NMF{components}")


def cluster_map(features: Features, seed: int = 0, components: int = 6) -> xr.DataArray:
    """One channel: how much nearer the first of two cluster centres is than the second (k-means on whitened scores)."""
    values = features.whitened(components)
    distances = KMeans(2, n_init=10, random_state=seed).fit(values).transform(values)
    return features.maps(distances[:, 1:] - distances[:, :1], f"k-means on {components}")


def mixture_map(features: Features, seed: int = 0, components: int = 8) -> xr.DataArray:
    """One channel: log odds of the two classes of a Gaussian mixture on whitened scores."""
    values = features.whitened(components).astype(float)
    model = GaussianMixture(2, n_init=5, max_iter=500, random_state=seed)
    _fit(model.fit, values)
    odds = model._estimate_weighted_log_prob(values)  # log of weight times density; predict_proba saturates at 0 and 1
    return features.maps(odds[:, :1] - odds[:, 1:], f"Gaussian mixture on {components}")


def _fit(call, values: np.ndarray):
    """Fit quietly: a start that has not settled is scored like any other, and the scores say what it is worth."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return call(values)
