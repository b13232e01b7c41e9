"""One pass over a scan for the mean and the covariance of its patterns, binned and with their noise made even."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy.sparse.linalg import eigsh

from figures_pkg.data.axes import check_scan
from figures_pkg.data.blocks import walk_blocks

STABILISERS = ("log", "anscombe")
MOST_PIXELS = 4096  # of a binned pattern: the covariance then has 134 MB


@dataclass(frozen=True)
class ScanStatistics:
    """
    Mean and covariance of the stabilised patterns of a scan.

    Parameters
    ----------
    positions
        Number of patterns.
    mean
        (height, width) float64.
    covariance
        (pixels, pixels) float32 with pixels = height · width, divided by the number of patterns.
    """

    positions: int
    mean: np.ndarray
    covariance: np.ndarray


@dataclass(frozen=True)
class Components:
    """
    Principal components, strongest first.

    Parameters
    ----------
    images
        (components, height, width) float32, orthonormal; the pixel of largest size is positive.
    variance
        (components,) variances of the scores.
    noise_variance
        Mean variance of a pixel that the significant components leave.
    significant
        How many variances lie above 1.15 times the edge that pure noise reaches (Marchenko and Pastur 1967,
        doi 10.1070/SM1967v001n04ABEH001994): noise (1 + √(pixels / positions))².
    """

    images: np.ndarray
    variance: np.ndarray
    noise_variance: float
    significant: int


def stabilise(counts: np.ndarray, stabiliser: str, bin_px: int = 1) -> np.ndarray:
    """
    Sum counts over squares of pixels and make their noise even.

    Parameters
    ----------
    counts
        (..., det_y, det_x), not negative.
    stabiliser
        "log" is ln(1 + N), the paper's; its noise still grows towards dark pixels. "anscombe" is 2 √(N + 3/8), whose noise
        is 1 at all counts above a few (F. J. Anscombe, Biometrika 35, 246 (1948), doi 10.1093/biomet/35.3-4.246).
    bin_px
        Side of a square; counts are summed, so that they stay Poisson distributed.

    Returns
    -------
    numpy.ndarray
        float32 (..., det_y / bin_px, det_x / bin_px).

    Raises
    ------
    ValueError
        For another stabiliser, a size that the squares do not tile, or NaN, infinite or negative counts.
    """
    counts = binned(np.asarray(counts), bin_px)
    if counts.dtype.kind != "u" and not (np.isfinite(counts).all() and counts.min(initial=0) >= 0):
        raise ValueError("the patterns hold NaN, infinite or negative counts; the network's input needs counts from zero "
                         "upward, so repair them first, for instance with scan.fillna(0).clip(0)")
    if stabiliser == "log":
        return np.log1p(counts, dtype=np.float32)
    if stabiliser == "anscombe":
        return 2 * np.sqrt(counts + np.float32(0.375), dtype=np.float32)
    raise ValueError(f"stabiliser={stabiliser!r}: expected one of {STABILISERS}")


def binned(counts: np.ndarray, bin_px: int) -> np.ndarray:
    """Counts summed over squares of ``bin_px`` × ``bin_px`` pixels, in a type that holds the sums."""
    *lead, height, width = counts.shape
    if bin_px < 1 or height % bin_px or width % bin_px:
        raise ValueError(f"bin_px={bin_px} does not tile patterns of {height} x {width} pixels; give a divisor of both")
    if bin_px == 1:
        return counts
    wide = np.uint32 if counts.dtype.kind == "u" and counts.dtype.itemsize <= 2 else counts.dtype
    rows = np.add.reduce(counts.reshape(*lead, height // bin_px, bin_px, width), axis=-2, dtype=wide)
    return np.add.reduce(rows.reshape(*lead, height // bin_px, width // bin_px, bin_px), axis=-1, dtype=wide)


def scan_statistics(scan: xr.DataArray, stabiliser: str = "anscombe", bin_px: int = 4, progress: bool = False) -> ScanStatistics:
    """
    Mean and covariance of the stabilised patterns, in one pass and constant memory.

    Raises
    ------
    ValueError
        As :func:`stabilise`, and where a binned pattern has more than 4096 pixels.
    """
    check_scan(scan)
    pixels = scan.shape[2] * scan.shape[3] // bin_px**2
    if pixels > MOST_PIXELS:
        raise ValueError(f"patterns of {scan.shape[2]} x {scan.shape[3]} pixels binned by {bin_px} have {pixels} pixels; "
                         f"the covariance takes at most {MOST_PIXELS}, so bin by more")
    origin, total, square, positions = None, 0.0, 0.0, 0
    for _, counts in walk_blocks(scan, progress):
        values = stabilise(counts, stabiliser, bin_px).reshape(-1, pixels)
        origin = values.mean(axis=0) if origin is None else origin  # near the mean, so that float32 products lose nothing
        values = values - origin
        total, square, positions = total + values.sum(axis=0, dtype=float), square + values.T @ values, positions + len(values)
    offset = total / positions
    covariance = square / np.float32(positions) - np.outer(offset, offset).astype(np.float32)
    shape = (scan.shape[2] // bin_px, scan.shape[3] // bin_px)
    return ScanStatistics(positions, (origin + offset).reshape(shape), covariance)


def principal_components(statistics: ScanStatistics, components: int) -> Components:
    """
    The strongest principal components of a scan, from its covariance.

    Parameters
    ----------
    statistics
        From :func:`scan_statistics`.
    components
        How many; fewer come back where positions or pixels are fewer.
    """
    pixels = statistics.mean.size
    count = min(components, pixels - 1, statistics.positions - 1)
    start = np.random.default_rng(0).normal(size=pixels)
    variance, vectors = eigsh(statistics.covariance.astype(float), k=count, v0=start)
    variance, vectors = variance[::-1], vectors[:, ::-1].T
    largest = np.abs(vectors).argmax(axis=1)
    vectors = vectors * np.sign(vectors[np.arange(count), largest])[:, None]
    noise, significant = _noise(variance, float(np.trace(statistics.covariance, dtype=float)), pixels, statistics.positions)
    return Components(vectors.reshape(count, *statistics.mean.shape).astype(np.float32), variance, noise, significant)


def _noise(variance: np.ndarray, total: float, pixels: int, positions: int) -> tuple[float, int]:
    """Noise variance of a pixel and the number of components above the noise edge, consistent with each other."""
    significant = len(variance)
    while True:
        noise = max(total - variance[:significant].sum(), 0.0) / (pixels - significant)
        above = int((variance > 1.15 * noise * (1 + np.sqrt(pixels / positions)) ** 2).sum())
        if above >= significant:
            return noise, significant
        significant = above
