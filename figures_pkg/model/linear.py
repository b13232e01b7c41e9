"""Classical methods beside the autoencoder, all from scikit-learn: each turns the features of a scan into maps.

Every method has the form ``method(features, seed) -> maps`` with maps of dimensions (channel, scan_y, scan_x). The sign of
a channel, and the order of those of ICA and NMF, mean nothing.
"""

from __future__ import annotations

import warnings

import numpy as np
import xarray as xr
from sklearn.cluster import KMeans
from sklearn.decomposition import NMF, FastICA
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from .features import Features


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


def rotate_independent(maps: xr.DataArray, seed: int = 0) -> xr.DataArray:
    """Rotation of any maps (channel, scan_y, scan_x), such as an embedding, towards independent channels; dead ones fall out."""
    columns = maps.values.reshape(len(maps), -1).T.astype(float)
    columns = columns - columns.mean(axis=0)
    left, singular, _ = np.linalg.svd(columns, full_matrices=False)
    alive = singular > 1e-6 * singular[0]
    model = FastICA(whiten="unit-variance", max_iter=1000, tol=1e-4, random_state=seed)
    rotated = _fit(model.fit_transform, left[:, alive] * np.sqrt(len(left)))
    return maps.isel(channel=slice(0, rotated.shape[1])).copy(data=rotated.T.reshape(-1, *maps.shape[1:]))


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
