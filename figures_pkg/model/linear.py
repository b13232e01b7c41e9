"""
Classical methods beside the autoencoder: ``method(features, seed) -> maps`` with dimensions (channel, scan_y, scan_x).

The sign of a channel, and the order of those of ICA and NMF, mean nothing. Most methods are scikit-learn's, which is imported where it is used (it
takes a second, for which trainings need not wait); one is ours.

**Step component analysis** looks for the combination of scores that varies most over the scan and least from place to place. A
domain map is constant up to its walls; bend and thickness cannot change over the scan without changing everywhere. So
among all linear combinations of principal component scores, the domains maximise the total variance over the variance of
local differences, both taken away from walls. This ratio of two quadratic forms is largest for the first eigenvector of a
generalised eigenproblem. With the walls left in, and differences between neighbours, it is the transform known as
minimum/maximum autocorrelation factors (P. Switzer, A. A. Green, Technical Report 6, Department of Statistics, Stanford University, 1984), which
remote sensing uses to order images by their smoothness (A. A. Green et al., 1988, doi 10.1109/36.3001). What it finds is a step, not a
polarization: an abrupt change of the thickness is as good.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy.linalg import eigh
from scipy.ndimage import gaussian_filter, shift

from figures_pkg.data.axes import SCAN_DIMS
from figures_pkg.data.blocks import walk_blocks

from .transform import Components, binned, principal_components, scan_statistics, stabilise

MOST_SCORES = 48  # strong bend makes many, and the polarization may be among the weak ones
SIGMA = 1.0  # positions: standard deviation of the Gaussian that smooths each score map, against counting noise
REACH_NM = 4.2  # a wall is looked for in the jump between places this far on either side
LAG_NM = 2.8  # distance over which local differences are taken
QUIET_SHARE = 0.6  # share of the positions, those with the smallest jumps, that count as away from walls
RIDGE = 1e-3  # share of the mean local variance added to each direction, so that none is divided by zero


@dataclass(frozen=True)
class Features:
    """A scan reduced to what fits in memory by :func:`gather_features`; the noise of a score has a standard deviation near 1."""

    scan: xr.DataArray  # the scan itself, for its coordinates
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


def gather_features(scan: xr.DataArray, bin_px: int = 4, progress: bool = False) -> Features:
    """
    The strongest 48 principal component scores, whether they rise above the noise or not, and small patterns of a scan.

    The counts are read twice, summed over squares of ``bin_px`` pixels a side, and variance-stabilised by the Anscombe transform.
    """
    statistics = scan_statistics(scan, "anscombe", bin_px, progress)
    found = principal_components(statistics, MOST_SCORES)
    scores = np.empty((len(found.images), *scan.shape[:2]), np.float32)
    patterns = np.empty((*scan.shape[:2], *(size // (2 * bin_px) for size in scan.shape[2:])), np.float32)
    mean = statistics.mean.astype(np.float32)
    for place, counts in walk_blocks(scan, progress):
        small = binned(counts, bin_px)
        patterns[place] = stabilise(small, "anscombe", 2)
        projected = np.tensordot(stabilise(small, "anscombe") - mean, found.images, ((2, 3), (1, 2)))
        scores[(slice(None), *place)] = np.moveaxis(projected, -1, 0)
    return Features(scan, scores, found, patterns)


def principal_maps(features: Features, seed: int = 0, components: int = 16) -> xr.DataArray:
    """Scores of the strongest principal components; ``seed`` changes nothing."""
    return as_maps(features.scores[:components], features.scan, "PCA")


def independent_maps(features: Features, seed: int = 0, components: int = 6) -> xr.DataArray:
    """
    Rotation of the whitened principal components towards independent, least Gaussian channels (FastICA, doi 10.1109/72.761722).

    It depends on the start. Few components work best: more of them whiten the weak terms of walls and strong bend, and the rotation finds those.
    """
    from sklearn.decomposition import FastICA
    values = features.whitened(components).astype(float)

    model = FastICA(whiten="unit-variance", max_iter=1000, tol=1e-4, random_state=seed)
    return features.maps(_fit(model.fit_transform, values), f"PCA{components}+ICA")


def positive_maps(features: Features, seed: int = 0, components: int = 8) -> xr.DataArray:
    """Abundances of patterns that are positive and add up to the data (non-negative matrix factorization, doi 10.1038/44565)."""
    from sklearn.decomposition import NMF
    patterns = features.patterns.reshape(-1, features.patterns[0, 0].size)

    model = NMF(components, init="nndsvda", max_iter=200, tol=1e-3, random_state=seed)
    return features.maps(_fit(model.fit_transform, patterns - patterns.min(axis=0)), f"NMF{components}")


def cluster_map(features: Features, seed: int = 0, components: int = 6) -> xr.DataArray:
    """One channel: how much nearer the first of two cluster centres is than the second (k-means on whitened scores)."""
    from sklearn.cluster import KMeans
    values = features.whitened(components)

    distances = KMeans(2, n_init=10, random_state=seed).fit(values).transform(values)
    return features.maps(distances[:, 1:] - distances[:, :1], f"k-means on {components}")


def mixture_map(features: Features, seed: int = 0, components: int = 8) -> xr.DataArray:
    """One channel: log odds of the two classes of a Gaussian mixture on whitened scores."""
    from sklearn.mixture import GaussianMixture
    values = features.whitened(components).astype(float)

    model = GaussianMixture(2, n_init=5, max_iter=500, random_state=seed)
    _fit(model.fit, values)
    odds = model._estimate_weighted_log_prob(values)  # log of weight times density; predict_proba saturates at 0 and 1
    return features.maps(odds[:, :1] - odds[:, 1:], f"Gaussian mixture on {components}")


def _fit(call, values: np.ndarray):
    """Fit without warnings: a start that has not converged is scored like any other."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        from sklearn.exceptions import ConvergenceWarning

        warnings.simplefilter("ignore", ConvergenceWarning)
        return call(values)


def step_maps(features: Features, seed: int = 0) -> xr.DataArray:
    """All step components, with unit variance away from walls and the attributes of :func:`rotate_steps`; ``seed`` changes nothing."""
    components, ratios = step_components(features.scores, _step_in_nm(features.scan))
    return as_maps(components, features.scan, "step components", ratios=ratios, chosen=0)


def edge_channel(features: Features, seed: int = 0) -> xr.DataArray:
    """The edge map as a method of one channel, for walls; ``seed`` changes nothing."""
    smooth = gaussian_filter(features.scores.astype(float), (0, SIGMA, SIGMA))
    return as_maps(edge_map(smooth, _positions(REACH_NM, _step_in_nm(features.scan)))[None], features.scan, "edge map")


def rotate_steps(maps: xr.DataArray) -> xr.DataArray:
    """
    Step components of an embedding: linear combinations of its channels, the one with the sharpest steps first.

    Training fixes the embedding only up to a mixture: from seed to seed the same domains are spread over other channels. The
    rotation undoes that from the maps alone, without the truth. It is a part of the result and is to be named with it, and
    the same rotation of an **untrained** network's embedding is the control.

    The maps have dimensions channel, scan_y, scan_x in any order; channels that are constant are left out. Returns (channel, scan_y, scan_x) with the
    attributes ``ratios``, the eigenvalues (total variance over local variance), whose first should stand well above the second; ``chosen``, 0, the
    channel to take for the domains; ``rotation``, its name. The sign of a channel means nothing. Constant channels alone (a dead embedding), and a scan
    that is too small, are a ValueError.
    """
    maps = maps.transpose("channel", *SCAN_DIMS)
    alive = maps.isel(channel=np.flatnonzero(np.ptp(maps.values.reshape(len(maps), -1), axis=1) > 0))
    if not len(alive):
        raise ValueError(f"all {len(maps)} channels are constant: the embedding is dead; train again with a smaller L1 weight")
    values, ratios = step_components(alive.values, _step_in_nm(maps))
    rotated = alive.drop_vars("channel", errors="ignore").copy(data=values)
    return rotated.assign_attrs(maps.attrs, ratios=ratios, chosen=0, rotation="step components")


def step_components(scores: np.ndarray, step_nm: float = float("nan")) -> tuple[np.ndarray, np.ndarray]:
    """
    Step components of score maps, or of the channels of any embedding, (components, scan_y, scan_x), strongest first, and their eigenvalues.

    Each score is in units of its noise. A scan too small for the differences, or a score that is constant or not finite, is a ValueError.
    """
    scores, reach, lag = np.asarray(scores, float), _positions(REACH_NM, step_nm), _positions(LAG_NM, step_nm)
    if min(scores.shape[1:]) < 6 * reach:
        raise ValueError(f"score maps of {scores.shape[1:]} positions; the search for walls needs at least {6 * reach} along each axis: take a larger scan")
    if not (np.isfinite(scores).all() and np.all(scores.std(axis=(1, 2)) > 0)):
        raise ValueError("a score map is constant or not finite; leave dead channels out first")
    smooth = gaussian_filter(scores, (0, SIGMA, SIGMA))
    jumps = edge_map(smooth, reach)
    quiet = jumps <= np.quantile(jumps, QUIET_SHARE)
    pairs = []
    for ahead, behind in (np.s_[lag:, :], np.s_[:-lag, :]), (np.s_[:, lag:], np.s_[:, :-lag]):  # both quiet
        pairs.append((smooth[(slice(None), *ahead)] - smooth[(slice(None), *behind)])[:, quiet[ahead] & quiet[behind]])
    differences = np.concatenate(pairs, axis=1)
    if differences.shape[1] <= len(smooth):
        raise ValueError(f"{differences.shape[1]} pairs of quiet positions for {len(smooth)} scores; take fewer scores or a larger scan")
    total, local = np.cov(smooth[:, quiet]), differences @ differences.T / differences.shape[1]
    local += np.eye(len(local)) * RIDGE * (np.trace(local) or 1) / len(local)
    ratios, vectors = eigh(total, local)
    variance = np.einsum("ik,ij,jk->k", vectors, total, vectors)
    vectors = (vectors / np.sqrt(np.where(variance > 0, variance, 1)))[:, ::-1]  # a channel that is alive at steps only has no variance elsewhere
    return np.tensordot(vectors.T, smooth, 1), ratios[::-1]


def edge_map(scores: np.ndarray, reach: int) -> np.ndarray:
    """
    How abruptly all scores together change at each position: a detector of walls that knows no physics, (scan_y, scan_x), not negative.

    Along both axes the jump between places ``reach`` positions to either side, less the mean of the jumps just before and behind, which are as large where
    the change is steady. Scores (components, scan_y, scan_x) are in units of their noise.
    """
    total = np.zeros(scores.shape[1:])
    for axis in (1, 2):
        near, far = _difference(scores, axis, reach), _difference(scores, axis, 3 * reach)
        total += np.abs(1.5 * near - 0.5 * far).sum(axis=0)
    return total


def _step_in_nm(scan: xr.DataArray) -> float:
    """Distance of neighbouring positions in nm, or nan where the scan does not tell."""
    axis = scan.coords.get("scan_x")
    if axis is None or axis.size < 2 or axis.attrs.get("units") != "nm":
        return float("nan")
    return abs(float(axis[1] - axis[0]))


def _positions(length_nm: float, step_nm: float) -> int:
    """A length in positions: one at least, as for an unknown step."""
    return max(1, round(length_nm / step_nm)) if step_nm > 0 else 1


def _difference(scores: np.ndarray, axis: int, reach: int) -> np.ndarray:
    """Value ``reach`` ahead less that ``reach`` behind; the border's values continue beyond it."""
    move = np.zeros(3)
    move[axis] = reach
    return shift(scores, -move, order=0, mode="nearest") - shift(scores, move, order=0, mode="nearest")
