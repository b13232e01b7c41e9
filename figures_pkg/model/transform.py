"""From counts to what a network takes in: binned, variance-stabilised, centred, whitened, and back again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy.sparse.linalg import eigsh

from figures_pkg.data.axes import check_scan
from figures_pkg.data.blocks import walk_blocks

STABILISERS = ("log", "anscombe")
TRANSFORMS = {  # name: stabiliser, mean subtracted, whitened
    "log": ("log", False, False),  # the paper's
    "anscombe": ("anscombe", False, False),
    "log-centred": ("log", True, False),
    "anscombe-centred": ("anscombe", True, False),
    "anscombe-whitened": ("anscombe", True, True),
}
MOST_COMPONENTS = 8  # more of them let the many weak ones, made by bend and walls, drown the polarization
MOST_PIXELS = 4096  # of a binned pattern: the covariance then has 134 MB


@dataclass(frozen=True)
class ScanStatistics:
    """Mean and covariance of the stabilised patterns of a scan."""

    positions: int  # number of patterns
    mean: np.ndarray  # (height, width) float64
    covariance: np.ndarray  # (pixels, pixels) float32 with pixels = height · width, divided by the number of patterns


@dataclass(frozen=True)
class Components:
    """Principal components, strongest first."""

    images: np.ndarray  # (components, height, width) float32, orthonormal; the pixel of largest size is positive
    variance: np.ndarray  # (components,) of the scores
    noise_variance: float  # mean variance of a pixel that the significant components leave
    significant: int  # variances above 1.15 noise (1 + √(pixels / positions))²; pure noise reaches 1 of it (doi 10.1070/SM1967v001n04ABEH001994)


def stabilise(counts: np.ndarray, stabiliser: str, bin_px: int = 1) -> np.ndarray:
    """
    Counts (..., det_y, det_x) summed over squares of ``bin_px`` pixels a side, which keeps them Poisson, with their noise made even; float32.

    "log" is ln(1 + N), the paper's; its noise still grows towards dark pixels. "anscombe" is 2 √(N + 3/8), whose noise is 1 at all
    counts above a few (F. J. Anscombe, Biometrika 35, 246 (1948), doi 10.1093/biomet/35.3-4.246). Counts that are NaN, infinite or
    negative are a ValueError, and a size that the squares do not tile.
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
    """Counts (..., height, width) summed over squares of ``bin_px`` × ``bin_px`` pixels, in a type that holds the sums."""
    *lead, height, width = counts.shape
    if bin_px < 1 or height % bin_px or width % bin_px:
        raise ValueError(f"bin_px={bin_px} does not tile patterns of {height} x {width} pixels; give a divisor of both")
    if bin_px == 1:
        return counts
    wide = np.uint32 if counts.dtype.kind == "u" and counts.dtype.itemsize <= 2 else counts.dtype
    rows = np.add.reduce(counts.reshape(*lead, height // bin_px, bin_px, width), axis=-2, dtype=wide)
    return np.add.reduce(rows.reshape(*lead, height // bin_px, width // bin_px, bin_px), axis=-1, dtype=wide)


def scan_statistics(scan: xr.DataArray, stabiliser: str = "anscombe", bin_px: int = 4, progress: bool = False) -> ScanStatistics:
    """Mean and covariance of the stabilised patterns, in one pass and constant memory; binned patterns have at most 4096 pixels."""
    check_scan(scan)
    pixels = scan.shape[2] * scan.shape[3] // bin_px**2
    if pixels > MOST_PIXELS:
        raise ValueError(f"patterns of {scan.shape[2]} x {scan.shape[3]} pixels binned by {bin_px} have {pixels} pixels; "
                         f"the covariance takes at most {MOST_PIXELS}, so bin by more")
    origin: np.ndarray | None = None
    total, square, positions = np.zeros(pixels), np.zeros((pixels, pixels), np.float32), 0
    for _, counts in walk_blocks(scan, progress):
        values = stabilise(counts, stabiliser, bin_px).reshape(-1, pixels)
        origin = values.mean(axis=0) if origin is None else origin  # near the mean, so that float32 products lose nothing
        values = values - origin
        total, square, positions = total + values.sum(axis=0, dtype=float), square + values.T @ values, positions + len(values)
    assert origin is not None  # a scan has a position
    offset = total / positions
    covariance = square / np.float32(positions) - np.outer(offset, offset).astype(np.float32)
    shape = (scan.shape[2] // bin_px, scan.shape[3] // bin_px)
    return ScanStatistics(positions, (origin + offset).reshape(shape), covariance)


def principal_components(statistics: ScanStatistics, components: int) -> Components:
    """The strongest principal components of a scan; fewer than asked for where positions or pixels are fewer."""
    pixels = statistics.mean.size
    count = min(components, pixels - 1, statistics.positions - 1)
    start = np.random.default_rng(0).normal(size=pixels)
    variance, vectors = eigsh(statistics.covariance.astype(float), k=count, v0=start)
    variance, vectors = variance[::-1], vectors[:, ::-1].T
    largest = np.abs(vectors).argmax(axis=1)
    vectors = vectors * np.sign(vectors[np.arange(count), largest])[:, None]
    total, significant, above = float(np.trace(statistics.covariance, dtype=float)), count + 1, count
    while above < significant:  # noise of a pixel and number of components above the noise edge, until they are consistent
        significant = above
        noise = max(total - variance[:significant].sum(), 0.0) / (pixels - significant)
        above = int((variance > 1.15 * noise * (1 + np.sqrt(pixels / statistics.positions)) ** 2).sum())
    return Components(vectors.reshape(count, *statistics.mean.shape).astype(np.float32), variance, noise, significant)


@dataclass(frozen=True)
class InputTransform:
    """What is done to the counts of a pattern before a network sees it; made by :func:`fit_transform`."""

    stabiliser: str  # "log" or "anscombe", see stabilise
    bin_px: int = 1  # side of the squares of pixels whose counts are summed first
    mean: np.ndarray | None = None  # (height, width) float32, subtracted after the stabiliser; None leaves it out
    components: np.ndarray | None = None  # (n, height, width) float32, orthonormal: whitening keeps what they span, at a mean square of 1 per pixel
    deviation: np.ndarray | None = None  # (n,) float32: standard deviation of the score of each component over the scan

    def apply(self, counts: np.ndarray) -> np.ndarray:
        """Network input, float32 (..., height, width), of counts (..., det_y, det_x); counts or sizes that do not fit are a ValueError."""
        values = stabilise(counts, self.stabiliser, self.bin_px)
        if self.mean is None:
            return values
        if values.shape[-2:] != self.mean.shape:
            raise ValueError(f"patterns binned to {values.shape[-2:]} pixels, but the transform was fitted on "
                             f"{self.mean.shape}; fit it on this scan or bin the scan alike")
        values = values - self.mean
        if self.components is None or self.deviation is None:
            return values
        scores = np.tensordot(values, self.components, ((-2, -1), (1, 2))) / self.deviation
        return np.tensordot(scores * _unit(self.components), self.components, 1)

    def inverse(self, values: np.ndarray) -> np.ndarray:
        """
        Counts of binned pixels that network input or output stands for, float32 (..., height, width).

        Whitening forgets what its components do not span; a mean of stabilised counts gives less than the mean count, by a quarter for "anscombe".
        """
        values = np.asarray(values, np.float32)
        if self.components is not None and self.deviation is not None:
            scores = np.tensordot(values, self.components, ((-2, -1), (1, 2))) * (self.deviation / _unit(self.components))
            values = np.tensordot(scores, self.components, 1)
        if self.mean is not None:
            values = values + self.mean
        return np.expm1(values) if self.stabiliser == "log" else (np.maximum(values, 0) / 2) ** 2 - np.float32(0.375)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Everything as arrays by name, for a checkpoint."""
        arrays = {"stabiliser": np.array([STABILISERS.index(self.stabiliser)]), "bin_px": np.array([self.bin_px])}
        optional = {"mean": self.mean, "components": self.components, "deviation": self.deviation}
        return arrays | {name: array for name, array in optional.items() if array is not None}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> InputTransform:
        """The transform that :meth:`to_arrays` wrote."""
        optional = {name: np.asarray(arrays[name]) for name in ("mean", "components", "deviation") if name in arrays}
        return cls(STABILISERS[int(arrays["stabiliser"][0])], int(arrays["bin_px"][0]), **optional)


def _unit(components: np.ndarray) -> np.float32:
    """Factor that gives a whitened image a mean square of 1 per pixel."""
    return np.float32(np.sqrt(components[0].size / len(components)))


def fit_transform(scan: xr.DataArray, name: str = "anscombe-whitened", bin_px: int = 8, most_components: int = MOST_COMPONENTS) -> InputTransform:
    """
    Learn one of ``TRANSFORMS`` from a scan, in one pass; "log", the paper's, and "anscombe" need none.

    Counts are summed over squares of ``bin_px`` pixels a side first. Whitening keeps the components above the noise edge, but at most so many. An unknown
    name, counts that are NaN or negative, and a scan in which nothing rises above the noise are a ValueError.
    """
    if name not in TRANSFORMS:
        raise ValueError(f"transform {name!r}: expected one of {sorted(TRANSFORMS)}")
    stabiliser, centred, whitened = TRANSFORMS[name]
    if not centred:
        return InputTransform(stabiliser, bin_px)
    statistics = scan_statistics(scan, stabiliser, bin_px)
    mean = statistics.mean.astype(np.float32)
    if not whitened:
        return InputTransform(stabiliser, bin_px, mean)
    found = principal_components(statistics, most_components + 24)
    count = min(found.significant, most_components)
    if count == 0:
        raise ValueError(f"no component of the {statistics.positions} patterns rises above their noise, so there is nothing "
                         "to whiten; use 'anscombe-centred', or bin by more")
    return InputTransform(stabiliser, bin_px, mean, found.images[:count], np.sqrt(found.variance[:count]).astype(np.float32))
