"""Virtual detectors, and the sums behind a centre of mass: which pixels of a pattern are added up, and with what weight."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from figures_pkg.data.axes import DETECTOR_DIMS

Pair = tuple[float, float]


@dataclass(frozen=True)
class Disc:
    """All pixels whose centre lies within a radius of a point (row, col); the centre of the first pixel is (0, 0), rows grow downward."""

    centre_row_col: Pair
    radius_px: float

    def __post_init__(self):
        _check_round(self.centre_row_col, "radius_px", self.radius_px)

    def mask(self, shape: tuple[int, int]) -> np.ndarray:
        """Boolean mask of a detector of ``shape``; a ValueError if the disc reaches over the edge, where part of its counts would be missing without a sign."""
        row, col = self.centre_row_col
        edges = min(row, col, shape[0] - 1 - row, shape[1] - 1 - col)
        if edges + 0.5 < self.radius_px:
            raise ValueError(f"{self} reaches over the edge of a detector of {shape[0]} x {shape[1]} pixels; "
                             "move or shrink it, or pass a mask if a part of a disc is what you want")
        return _distance_squared(self.centre_row_col, shape) <= self.radius_px**2


@dataclass(frozen=True)
class Annulus:
    """All pixels whose centre lies between two radii around a point (row, col), both included; parts off the detector are simply not there."""

    centre_row_col: Pair
    inner_px: float
    outer_px: float

    def __post_init__(self):
        _check_round(self.centre_row_col, "outer_px", self.outer_px)
        if not 0 <= self.inner_px < self.outer_px:
            raise ValueError(f"{self}: expected 0 <= inner_px < outer_px")

    def mask(self, shape: tuple[int, int]) -> np.ndarray:
        """Boolean mask of a detector of ``shape``."""
        squared = _distance_squared(self.centre_row_col, shape)
        return (squared >= self.inner_px**2) & (squared <= self.outer_px**2)


@dataclass(frozen=True)
class Box:
    """A rectangle of pixels, half-open as in Python: ``rows=(117, 135)`` are the rows 117 to 134."""

    rows: tuple[int, int]
    cols: tuple[int, int]

    def __post_init__(self):
        for name, (start, stop) in (("rows", self.rows), ("cols", self.cols)):
            if start != int(start) or stop != int(stop) or not 0 <= start < stop:
                raise ValueError(f"{name}={(start, stop)}: expected whole pixels with 0 <= start < stop")

    def mask(self, shape: tuple[int, int]) -> np.ndarray:
        """Boolean mask of a detector of ``shape``; raises if the box does not fit."""
        if self.rows[1] > shape[0] or self.cols[1] > shape[1]:
            raise ValueError(f"{self} does not fit on a detector of {shape[0]} x {shape[1]} pixels")
        mask = np.zeros(shape, bool)
        mask[slice(*self.rows), slice(*self.cols)] = True
        return mask


def detector_weights(detector, shape: tuple[int, int], name: str) -> np.ndarray:
    """The pixels of a detector, an object with a method ``mask(shape)`` or an array: a boolean mask or float64 weights; errors call it ``name``."""
    if isinstance(detector, xr.DataArray):
        if set(detector.dims) != set(DETECTOR_DIMS):
            raise ValueError(f"detector {name!r} has dimensions {detector.dims}, expected {DETECTOR_DIMS}")
        detector = detector.transpose(*DETECTOR_DIMS).values
    mask = detector.mask(shape) if hasattr(detector, "mask") else np.asarray(detector)
    if mask.shape != tuple(shape):
        raise ValueError(f"detector {name!r} has shape {mask.shape}, but the scan's patterns are {tuple(shape)} (det_y, det_x); make the mask for this scan")
    if mask.dtype.kind not in "biuf":
        raise ValueError(f"detector {name!r} has type {mask.dtype}; expected a boolean mask or real weights")
    if mask.dtype != bool:
        mask = mask.astype(np.float64)
        if not np.isfinite(mask).all():
            raise ValueError(f"detector {name!r} has weights that are nan or infinite; give excluded pixels the weight 0")
    if not mask.any():
        raise ValueError(f"detector {name!r} ({detector if hasattr(detector, 'mask') else 'array'}) has no pixel inside a "
                         f"detector of {shape[0]} x {shape[1]} pixels; check its centre (row, col) and size")
    return mask


def _distance_squared(centre_row_col: Pair, shape: tuple[int, int]) -> np.ndarray:
    """Squared distance of every pixel from a point, in pixels, (det_y, det_x)."""
    rows, cols = np.ogrid[:shape[0], :shape[1]]
    return (rows - centre_row_col[0]) ** 2 + (cols - centre_row_col[1]) ** 2


def _check_round(centre_row_col: Pair, name: str, value: float) -> None:
    centre = np.asarray(centre_row_col, float)
    if centre.shape != (2,) or not np.isfinite(centre).all():
        raise ValueError(f"centre_row_col={centre_row_col!r}: expected two finite numbers (row, col)")
    if not value > 0:
        raise ValueError(f"{name}={value!r}: expected a positive number of pixels")


def linear_axis(scan: xr.DataArray, dim: str) -> tuple[float, float]:
    """Start and step of a coordinate, which must be evenly spaced."""
    values = np.asarray(scan[dim], float)
    if values.size < 2:
        return float(values[0]), 1.0
    start, step = values[0], (values[-1] - values[0]) / (values.size - 1)
    if step == 0 or not np.allclose(values, start + step * np.arange(values.size), rtol=0, atol=1e-6 * abs(step) * values.size):
        raise ValueError(f"coordinate {dim!r} is not evenly spaced; give the scan evenly spaced coordinates")
    return float(start), float(step)


def asymmetry(up: np.ndarray, down: np.ndarray) -> np.ndarray:
    """Difference of two opposite reflections over their sum, ``(up - down) / (up + down)``, from -1 to 1; 0 where neither holds a count.

    In a flat crystal without tilt it changes sign with the polarization; a tilt along c shifts it. ``up`` are the counts under 00l; any type is safe.
    """
    up, down = np.asarray(up, float), np.asarray(down, float)
    total = up + down
    return np.divide(up - down, total, out=np.zeros(np.broadcast(up, down).shape), where=total != 0)


@dataclass(frozen=True)
class CenterOfMass:
    """Which counts the centre of mass is taken of: COM = Σ m (N − b) g / Σ m (N − b), N the counts and g the reciprocal-space vector of a pixel.

    ``mask`` are the pixels m, a Disc, Annulus, Box or boolean array; by default the whole pattern. Leave dead pixels out here.
    ``background`` is the same for pixels whose mean in each pattern is b, or an array of numbers b (det_y, det_x); by default b = 0.
    Nothing is clipped at zero, because clipping biases the centre of mass of noisy patterns.
    """

    mask: object = None
    background: object = None


class Moments:
    """The sums that a centre of mass needs, all linear in the counts, under names that begin with its own; and what follows from them."""

    def __init__(self, spec: CenterOfMass, shape: tuple[int, int], name: str):
        self.name, self.mask, self.level, self.pattern = name, None, None, None
        if spec.mask is not None:
            self.mask = detector_weights(spec.mask, shape, f"mask of {name}")
            if self.mask.dtype != bool:
                raise ValueError(f"mask of {name} is an array of numbers; expected a boolean mask, a Disc, an Annulus or a Box")
        if spec.background is not None:
            weights = detector_weights(spec.background, shape, f"background of {name}")
            self.level, self.pattern = (weights, None) if weights.dtype == bool else (None, weights)
        self.inside = np.ones(shape, bool) if self.mask is None else self.mask
        self.overlap = None if self.level is None else self.level & self.inside
        self.area = self._of(self.inside.astype(float))

    def _of(self, values: np.ndarray) -> tuple[float, float, float]:
        """Sum of a pattern and its first moments along rows and columns, in pixels from the corner."""
        rows, cols = values.sum(axis=1), values.sum(axis=0)
        return rows.sum(), rows @ np.arange(rows.size), cols @ np.arange(cols.size)

    def detectors(self) -> dict[str, np.ndarray]:
        """Detectors to add to the pass: 0/1 ones, and moments inside the mask and of the part where it meets the background."""
        row, col = np.indices(self.inside.shape, dtype=float)
        found = {"mask": self.mask, "level": self.level, "overlap": self.overlap}
        if self.mask is not None:
            found |= {key: values * self.inside for key, values in (("row", row), ("col", col), ("row2", row**2), ("col2", col**2))}
        if self.overlap is not None:
            found |= {"overlap row": row * self.overlap, "overlap col": col * self.overlap}
        return {f"{self.name}/{key}": values for key, values in found.items() if values is not None}

    def centre(self, sums: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Centre of mass and its standard deviation for Poisson counts in pixels from the corner, from the maps of the pass; nan without counts."""
        def masked_sum(key: str) -> np.ndarray:
            """A sum inside the mask; without a mask, that of the whole pattern."""
            return np.asarray(sums[key if self.mask is None else f"{self.name}/{'mask' if key == 'total' else key}"], float)

        level = 0.0 if self.level is None else sums[f"{self.name}/level"] / self.level.sum()
        fixed = (0.0, 0.0, 0.0) if self.pattern is None else self._of(self.pattern * self.inside)
        total = masked_sum("total")
        net = total - level * self.area[0] - fixed[0]
        net = np.where(net > 0, net, np.nan)
        out = {}
        for axis, key in enumerate(("row", "col"), start=1):
            first = masked_sum(key)
            out[key] = centre = (first - level * self.area[axis] - fixed[axis]) / net
            # Σ w² N with w the weight that a count has in Σ m (N − b) (x − centre), where b itself is made of counts
            variance = masked_sum(f"{key}2") - 2 * centre * first + centre**2 * total
            if self.level is not None:
                share = (self.area[axis] - centre * self.area[0]) / self.level.sum()
                common = sums[f"{self.name}/overlap {key}"] - centre * sums[f"{self.name}/overlap"]
                variance = variance - 2 * share * common + share**2 * sums[f"{self.name}/level"]
            out[f"{key}_std"] = np.sqrt(np.maximum(variance, 0)) / net
        return out
