"""Centre of mass of diffraction patterns: what is summed, and how sums become reciprocal-space vectors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .detectors import detector_weights


@dataclass(frozen=True)
class CenterOfMass:
    """
    Which counts the centre of mass is taken of.

    Without background, COM = Σ m N g / Σ m N over the pixels: N the counts, g the reciprocal-space vector of the pixel,
    m the mask. With a background level per pattern, b = Σ χ N / Σ χ is the mean of the pattern over the pixels χ, and
    COM = Σ m (N − b) g / Σ m (N − b). With a background pattern B, N − B takes the place of N − b. Nothing is clipped
    at zero, because clipping biases the centre of mass of noisy patterns.

    Parameters
    ----------
    mask
        Pixels m to use, a Disc, Annulus, Box or boolean array; by default the whole pattern. Leave dead pixels out here.
    background
        A Disc, Annulus, Box or boolean array χ where a constant level is measured in each pattern, or an array of
        numbers (det_y, det_x) to subtract from every pattern; by default nothing.
    """

    mask: object = None
    background: object = None


class Moments:
    """
    The sums that one centre of mass needs, all of them linear in the counts, and the arithmetic that follows them.

    Parameters
    ----------
    spec
        What to compute.
    shape
        (det_y, det_x).
    name
        Used in errors and in the names of the sums.
    """

    def __init__(self, spec: CenterOfMass, shape: tuple[int, int], name: str):
        self.name, self.mask = name, _boolean(spec.mask, shape, f"mask of {name}")
        self.level, self.pattern = None, None
        background = spec.background
        if background is not None:
            weights = detector_weights(background, shape, f"background of {name}")
            self.level, self.pattern = (weights, None) if weights.dtype == bool else (None, weights)
        self.inside = np.ones(shape, bool) if self.mask is None else self.mask
        self.overlap = None if self.level is None else self.level & self.inside
        self.area = self._of(self.inside.astype(float))

    def _of(self, values: np.ndarray) -> tuple[float, float, float]:
        """Sum of a pattern and its first moments along rows and columns, in pixels from the corner."""
        rows, cols = values.sum(axis=1), values.sum(axis=0)
        return rows.sum(), rows @ np.arange(rows.size), cols @ np.arange(cols.size)

    def masks(self) -> dict[str, np.ndarray]:
        """0/1 detectors to add to the pass."""
        wanted = {"mask": self.mask, "level": self.level, "overlap": self.overlap}
        return {f"{self.name}/{key}": mask for key, mask in wanted.items() if mask is not None}

    def weights(self) -> dict[str, np.ndarray]:
        """Weighted detectors to add to the pass: moments inside the mask, and of the part where it meets the background."""
        row, col = np.indices(self.inside.shape, dtype=float)
        wanted = {}
        if self.mask is not None:
            wanted |= {"row": row, "col": col, "row2": row**2, "col2": col**2}
        found = {f"{self.name}/{key}": values * self.inside for key, values in wanted.items()}
        if self.overlap is not None:
            found |= {f"{self.name}/overlap row": row * self.overlap, f"{self.name}/overlap col": col * self.overlap}
        return found

    def centre(self, sums: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """
        Centre of mass and its standard deviation from the sums, in pixels from the corner.

        Parameters
        ----------
        sums
            Maps of the pass by name, (scan_y, scan_x): "total", "row", "col", "row2", "col2" of the whole pattern, and
            those of :meth:`masks` and :meth:`weights`.

        Returns
        -------
        dict
            "row", "col", "row_std", "col_std", float64 (scan_y, scan_x); nan where no counts are left. The deviation
            is that of Poisson counts, propagated through mask and background to first order.
        """
        level = 0.0 if self.level is None else sums[f"{self.name}/level"] / self.level.sum()
        fixed = (0.0, 0.0, 0.0) if self.pattern is None else self._of(self.pattern * self.inside)
        total, *first = (np.asarray(self._sum(sums, key), float) for key in ("total", "row", "col"))
        net = total - level * self.area[0] - fixed[0]
        net = np.where(net > 0, net, np.nan)
        out = {}
        for axis, key in enumerate(("row", "col")):
            centre = (first[axis] - level * self.area[1 + axis] - fixed[1 + axis]) / net
            out[key] = centre
            out[f"{key}_std"] = np.sqrt(np.maximum(self._variance(sums, key, axis, total, first[axis], centre), 0)) / net
        return out

    def _sum(self, sums, key: str) -> np.ndarray:
        """A sum inside the mask; without a mask, that of the whole pattern."""
        if self.mask is None:
            return sums[key]
        return sums[f"{self.name}/{'mask' if key == 'total' else key}"]

    def _variance(self, sums, key, axis, total, first, centre) -> np.ndarray:
        """Σ w² N with w the weight that a count has in Σ m (N − b) (x − centre), where b itself is made of counts."""
        variance = self._sum(sums, f"{key}2") - 2 * centre * first + centre**2 * total
        if self.level is not None:
            share = (self.area[1 + axis] - centre * self.area[0]) / self.level.sum()
            common = sums[f"{self.name}/overlap {key}"] - centre * sums[f"{self.name}/overlap"]
            variance = variance - 2 * share * common + share**2 * sums[f"{self.name}/level"]
        return variance


def _boolean(mask, shape, name: str) -> np.ndarray | None:
    """A boolean mask, or None."""
    if mask is None:
        return None
    mask = detector_weights(mask, shape, name)
    if mask.dtype != bool:
        raise ValueError(f"{name} is an array of numbers; expected a boolean mask, a Disc, an Annulus or a Box")
    return mask
