"""From counts to what a network takes in: binned, its noise made even, centred, whitened, and back again."""

from __future__ import annotations

from dataclasses import dataclass

import dask.array as da
import numpy as np
import xarray as xr

from figures_pkg.data.axes import DETECTOR_DIMS, DIMS, SCAN_DIMS, check_scan

from .statistics import STABILISERS, Components, ScanStatistics, principal_components, scan_statistics, stabilise

# Name -> (stabiliser, mean subtracted, whitened).
TRANSFORMS = {
    "log": ("log", False, False),  # the paper's
    "anscombe": ("anscombe", False, False),
    "log-centred": ("log", True, False),
    "anscombe-centred": ("anscombe", True, False),
    "anscombe-whitened": ("anscombe", True, True),
}
MOST_COMPONENTS = 8  # more of them let the many weak ones, made by bend and walls, drown the polarization


@dataclass(frozen=True)
class InputTransform:
    """
    What is done to the counts of a pattern before a network sees it; made by :func:`fit_transform`.

    Parameters
    ----------
    stabiliser
        "log" or "anscombe", see :func:`figures_pkg.model.statistics.stabilise`.
    bin_px
        Side of the squares of pixels whose counts are summed first.
    mean
        (height, width) float32, subtracted after the stabiliser; None leaves it out.
    components
        (components, height, width) float32, orthonormal: whitening keeps what they span; None leaves it out.
    deviation
        (components,) float32: standard deviation of the score of each component over the scan.

    Examples
    --------
    >>> log = InputTransform("log")
    >>> float(log.apply(np.full((1, 2, 2), 9))[0, 0, 0].round(4))
    2.3026
    """

    stabiliser: str
    bin_px: int = 1
    mean: np.ndarray | None = None
    components: np.ndarray | None = None
    deviation: np.ndarray | None = None

    def apply(self, counts: np.ndarray) -> np.ndarray:
        """
        Network input of patterns.

        Parameters
        ----------
        counts
            (..., det_y, det_x), not negative.

        Returns
        -------
        numpy.ndarray
            float32 (..., height, width). Whitened input has a mean square of 1 per pixel over the scan of the fit.

        Raises
        ------
        ValueError
            For counts that are NaN, infinite or negative, and patterns of another size than the fit's.
        """
        values = stabilise(counts, self.stabiliser, self.bin_px)
        if self.mean is None:
            return values
        if values.shape[-2:] != self.mean.shape:
            raise ValueError(f"patterns binned to {values.shape[-2:]} pixels, but the transform was fitted on "
                             f"{self.mean.shape}; fit it on this scan or bin the scan alike")
        values = values - self.mean
        return values if self.components is None else self._to_image(self._project(values) / self.deviation)

    def scores(self, counts: np.ndarray) -> np.ndarray:
        """Whitened scores of patterns, float32 (..., components), of variance 1 over the scan of the fit."""
        if self.components is None:
            raise ValueError("the transform does not whiten; only 'anscombe-whitened' has scores")
        return self._project(stabilise(counts, self.stabiliser, self.bin_px) - self.mean) / self.deviation

    def inverse(self, values: np.ndarray) -> np.ndarray:
        """
        Counts of binned pixels that network input or output stands for, float32 (..., height, width).

        Whitening forgets what its components do not span; the algebraic inverse of a mean of stabilised counts lies below
        the mean of the counts, by about a quarter of a count for "anscombe".
        """
        values = np.asarray(values, np.float32)
        if self.components is not None:
            scores = self._project(values) * (self.deviation / self._unit)
            values = np.tensordot(scores, self.components, 1)
        if self.mean is not None:
            values = values + self.mean
        return np.expm1(values) if self.stabiliser == "log" else (np.maximum(values, 0) / 2) ** 2 - np.float32(0.375)

    def lazy(self, scan: xr.DataArray) -> xr.DataArray:
        """Network input of a whole scan, float32 dask blocks (scan_y, scan_x, det_y, det_x) with the binned pixels' coordinates."""
        check_scan(scan)
        data = (scan.chunk() if scan.chunks is None else scan).data.rechunk({2: -1, 3: -1})
        shape = [size // self.bin_px for size in data.shape[2:]]
        chunks = (*data.chunks[:2], (shape[0],), (shape[1],))
        values = da.map_blocks(self.apply, data, dtype=np.float32, chunks=chunks, meta=np.empty((0,) * 4, np.float32))
        kept = {dim: scan[dim] for dim in SCAN_DIMS if dim in scan.coords}
        for dim, size in zip(DETECTOR_DIMS, shape):
            if dim in scan.coords:
                middles = scan[dim].values[: size * self.bin_px].reshape(size, self.bin_px).mean(axis=1)
                kept[dim] = (dim, middles, scan[dim].attrs)
        return xr.DataArray(values, kept, DIMS, name="input", attrs=dict(scan.attrs))

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Everything as arrays by name, for a checkpoint."""
        arrays = {"stabiliser": np.array([STABILISERS.index(self.stabiliser)]), "bin_px": np.array([self.bin_px])}
        optional = {"mean": self.mean, "components": self.components, "deviation": self.deviation}
        return arrays | {name: array for name, array in optional.items() if array is not None}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> InputTransform:
        """The transform that :meth:`to_arrays` wrote."""
        missing = {"stabiliser", "bin_px"} - set(arrays)
        if missing:
            raise ValueError(f"arrays {sorted(arrays)} lack {sorted(missing)}; give what InputTransform.to_arrays returned")
        optional = {name: np.asarray(arrays[name]) for name in ("mean", "components", "deviation") if name in arrays}
        return cls(STABILISERS[int(arrays["stabiliser"][0])], int(arrays["bin_px"][0]), **optional)

    @property
    def _unit(self) -> np.float32:
        """Factor that gives a whitened image a mean square of 1 per pixel."""
        return np.float32(np.sqrt(self.components[0].size / len(self.components)))

    def _project(self, values: np.ndarray) -> np.ndarray:
        """(..., height, width) -> (..., components)."""
        return np.tensordot(values, self.components, ((-2, -1), (1, 2)))

    def _to_image(self, scores: np.ndarray) -> np.ndarray:
        """(..., components) -> (..., height, width)."""
        return np.tensordot(scores * self._unit, self.components, 1)


def fit_transform(scan: xr.DataArray, name: str = "anscombe-whitened", bin_px: int = 8, most_components: int = MOST_COMPONENTS,
                  progress: bool = False) -> InputTransform:
    """
    Learn a transform from a scan, in one pass; "log" and "anscombe" need none.

    Parameters
    ----------
    scan
        Of dask or in memory.
    name
        One of ``TRANSFORMS``. "log" is the paper's.
    bin_px
        Side of the squares of pixels to sum; 8 makes 32 × 32 pixels of 256 × 256.
    most_components
        Whitening keeps the components above the noise edge, but at most so many.
    progress
        Whether to show a bar on stderr.

    Raises
    ------
    ValueError
        For an unknown name, counts that are NaN or negative, or a scan in which nothing rises above the noise.
    """
    if name not in TRANSFORMS:
        raise ValueError(f"transform {name!r}: expected one of {sorted(TRANSFORMS)}")
    stabiliser, centred, _ = TRANSFORMS[name]
    if not centred:
        return InputTransform(stabiliser, bin_px)
    return transform_from(scan_statistics(scan, stabiliser, bin_px, progress), name, bin_px, most_components)


def transform_from(statistics: ScanStatistics, name: str, bin_px: int, most_components: int = MOST_COMPONENTS) -> InputTransform:
    """The transform ``name`` of a scan whose statistics, gathered with its stabiliser and binning, are at hand."""
    stabiliser, centred, whitened = TRANSFORMS[name]
    mean = statistics.mean.astype(np.float32) if centred else None
    if not whitened:
        return InputTransform(stabiliser, bin_px, mean)
    found = significant_components(statistics, most_components)
    return InputTransform(stabiliser, bin_px, mean, found.images, np.sqrt(found.variance).astype(np.float32))


def significant_components(statistics: ScanStatistics, most: int) -> Components:
    """The components above the noise edge, at most ``most``; raises where there is none."""
    found = principal_components(statistics, most + 24)
    kept = min(found.significant, most)
    if kept == 0:
        raise ValueError(f"no component of the {statistics.positions} patterns rises above their noise, so there is nothing "
                         "to whiten; use 'anscombe-centred', or bin by more")
    return Components(found.images[:kept], found.variance[:kept], found.noise_variance, found.significant)
