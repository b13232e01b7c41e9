"""
Step component analysis: the combination of scores that varies most over the scan and least from place to place.

A domain map is constant up to its walls; bend and thickness cannot change over the scan without changing everywhere. So
among all linear combinations of principal component scores, the domains maximise the total variance over the variance of
local differences, both taken away from walls. This ratio of two quadratic forms is largest for the first eigenvector of a
generalised eigenproblem. With the walls left in, and differences between neighbours, it is the transform known as
minimum/maximum autocorrelation factors [1], which remote sensing uses to order images by their smoothness [2].

What it finds is a step, not a polarization: an abrupt change of the thickness is as good.

References
----------
[1] P. Switzer, A. A. Green, Min/max autocorrelation factors for multivariate spatial imagery, Technical Report 6,
    Department of Statistics, Stanford University (1984).
[2] A. A. Green, M. Berman, P. Switzer, M. D. Craig, IEEE Transactions on Geoscience and Remote Sensing 26, 65 (1988),
    doi 10.1109/36.3001.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy.linalg import eigh
from scipy.ndimage import gaussian_filter, shift

from figures_pkg.data.axes import SCAN_DIMS

from .linear import Features, as_maps


@dataclass(frozen=True)
class StepSettings:
    """Lengths, in scan positions, and shares of the analysis."""

    components: int = 48  # scores that take part; strong bend makes many, and the polarization may be among the weak ones
    sigma: float = 1.0  # standard deviation of the Gaussian that smooths each score map, against counting noise
    reach: int = 1  # a wall is looked for in the jump between places this far on either side; of_step takes about 4 nm
    lag: int = 1  # distance over which local differences are taken; of_step takes about 3 nm
    quiet_share: float = 0.6  # share of the positions, those with the smallest jumps, that count as away from walls
    ridge: float = 1e-3  # share of the mean local variance added to each direction, so that none is divided by zero

    @classmethod
    def of_step(cls, scan_step_nm: float, reach_nm: float = 4.2, lag_nm: float = 2.8) -> StepSettings:
        """Settings for a scan whose positions are ``scan_step_nm`` apart: one position at least, as for an unknown step."""
        reach, lag = (max(1, round(length / scan_step_nm)) if scan_step_nm > 0 else 1 for length in (reach_nm, lag_nm))
        return cls(reach=reach, lag=lag)


def step_maps(features: Features, seed: int = 0, settings: StepSettings | None = None) -> xr.DataArray:
    """
    All step components, the strongest first; ``seed`` changes nothing. Settings follow the scan's step by default.

    Returns
    -------
    xarray.DataArray
        (channel, scan_y, scan_x), unit variance away from walls; attribute ``ratios`` holds the eigenvalues: total variance
        over local variance. The first should stand well above the second before one speaks of a step. Attribute
        ``chosen`` is 0: the first component is the method's own choice.
    """
    settings = settings or StepSettings.of_step(step_in_nm(features.scan))
    components, ratios = step_components(features.scores[: settings.components], settings)
    return as_maps(components, features.scan, "step components", ratios=ratios, chosen=0)


def step_components(scores: np.ndarray, settings: StepSettings = StepSettings()) -> tuple[np.ndarray, np.ndarray]:
    """
    Step components of score maps, or of the channels of any embedding.

    Parameters
    ----------
    scores
        (components, scan_y, scan_x); each in units of its noise, so that the search for walls weighs them rightly.
    settings
        See :class:`StepSettings`.

    Returns
    -------
    maps, ratios
        (components, scan_y, scan_x), strongest first, and their eigenvalues.

    Raises
    ------
    ValueError
        If the scan is too small for the differences, or a score is constant or not finite everywhere.
    """
    scores = np.asarray(scores, float)
    if min(scores.shape[1:]) < 6 * settings.reach:
        raise ValueError(f"score maps of {scores.shape[1:]} positions; the search for walls needs at least "
                         f"{6 * settings.reach} along each axis, so take a larger scan or a smaller reach")
    if not (np.isfinite(scores).all() and np.all(scores.std(axis=(1, 2)) > 0)):
        raise ValueError("a score map is constant or not finite; leave dead channels out first")
    smooth = gaussian_filter(scores, (0, settings.sigma, settings.sigma))
    jumps = edge_map(smooth, settings.reach)
    quiet = jumps <= np.quantile(jumps, settings.quiet_share)
    total, local = np.cov(smooth[:, quiet]), _local_covariance(smooth, quiet, settings.lag)
    local += np.eye(len(local)) * settings.ridge * np.trace(local) / len(local)
    ratios, vectors = eigh(total, local)
    vectors = vectors[:, ::-1] / np.sqrt(np.einsum("ik,ij,jk->k", vectors, total, vectors))[::-1]
    return np.tensordot(vectors.T, smooth, 1), ratios[::-1]


def edge_map(scores: np.ndarray, reach: int = 3) -> np.ndarray:
    """
    How abruptly all scores together change at each position: a detector of walls that knows no physics.

    Along both axes the jump between places ``reach`` positions to either side, less the mean of the jumps just before and
    behind, which are as large where the change is steady. Scores (components, scan_y, scan_x), each in units of its noise,
    give a map (scan_y, scan_x), not negative.
    """
    total = np.zeros(scores.shape[1:])
    for axis in (1, 2):
        jump = _difference(scores, axis, reach)
        total += np.abs(1.5 * jump - 0.5 * _difference(scores, axis, 3 * reach)).sum(axis=0)
    return total


def edge_channel(features: Features, seed: int = 0, settings: StepSettings | None = None) -> xr.DataArray:
    """The edge map as a method of one channel, for walls; ``seed`` changes nothing."""
    settings = settings or StepSettings.of_step(step_in_nm(features.scan))
    smooth = gaussian_filter(features.scores[: settings.components].astype(float), (0, settings.sigma, settings.sigma))
    return as_maps(edge_map(smooth, settings.reach)[None], features.scan, "edge map")


def step_in_nm(scan: xr.DataArray) -> float:
    """Distance of neighbouring positions in nm, or nan where the scan does not tell."""
    axis = scan.coords.get("scan_x")
    if axis is None or axis.size < 2 or axis.attrs.get("units") != "nm":
        return float("nan")
    return abs(float(axis[1] - axis[0]))


def _difference(scores: np.ndarray, axis: int, reach: int) -> np.ndarray:
    """Value ``reach`` ahead less that ``reach`` behind; the border's values continue beyond it."""
    move = np.zeros(3)
    move[axis] = reach
    return shift(scores, -move, order=0, mode="nearest") - shift(scores, move, order=0, mode="nearest")


def _local_covariance(scores: np.ndarray, quiet: np.ndarray, lag: int) -> np.ndarray:
    """Covariance of the differences over ``lag`` positions, along both axes, between quiet positions."""
    pairs = []
    for ahead, behind in (np.s_[lag:, :], np.s_[:-lag, :]), (np.s_[:, lag:], np.s_[:, :-lag]):
        both = quiet[ahead] & quiet[behind]
        pairs.append((scores[(slice(None), *ahead)] - scores[(slice(None), *behind)])[:, both])
    differences = np.concatenate(pairs, axis=1)
    if differences.shape[1] <= len(scores):
        raise ValueError(f"{differences.shape[1]} pairs of quiet positions for {len(scores)} scores; take fewer scores or a larger scan")
    return differences @ differences.T / differences.shape[1]


def rotate_steps(maps: xr.DataArray, settings: StepSettings | None = None) -> xr.DataArray:
    """
    Step components of an embedding: linear combinations of its channels, the one with the sharpest steps first.

    Training fixes the embedding only up to a mixture: from seed to seed the same domains are spread over other channels. The
    rotation undoes that from the maps alone, without the truth. It is a part of the result and is to be named with it, and
    the same rotation of an **untrained** network's embedding is the control.

    Parameters
    ----------
    maps
        Dimensions channel, scan_y, scan_x in any order, such as the embedding of a scan; channels that are constant are left out.
    settings
        Lengths of the analysis; by default those for the scan's step in nm.

    Returns
    -------
    xarray.DataArray
        (channel, scan_y, scan_x). Attributes: ``ratios``, the eigenvalues, whose first should stand well above the second;
        ``chosen``, 0, the channel to take for the domains; ``rotation``, its name. The sign of a channel means nothing.

    Raises
    ------
    ValueError
        If all channels are constant (a dead embedding), or the scan is too small.
    """
    maps = maps.transpose("channel", *SCAN_DIMS)
    alive = maps.isel(channel=np.flatnonzero(np.ptp(maps.values.reshape(len(maps), -1), axis=1) > 0))
    if not len(alive):
        raise ValueError(f"all {len(maps)} channels are constant: the embedding is dead; train again with a smaller L1 weight")
    values, ratios = step_components(alive.values, settings or StepSettings.of_step(step_in_nm(maps)))
    rotated = alive.drop_vars("channel", errors="ignore").copy(data=values)
    return rotated.assign_attrs(maps.attrs, ratios=ratios, chosen=0, rotation="step components")
