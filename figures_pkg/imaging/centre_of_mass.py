"""Centre of mass of diffraction patterns: the sums behind it, its noise, and its angle in mrad."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from figures_pkg.data.units import wavelength_angstrom

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

    def masks(self) -> dict[str, np.ndarray]:
        """0/1 detectors to add to the pass."""
        masks = {"mask": self.mask, "level": self.level, "overlap": self.overlap}
        return {f"{self.name}/{key}": mask for key, mask in masks.items() if mask is not None}

    def weights(self) -> dict[str, np.ndarray]:
        """Weighted detectors to add to the pass: moments inside the mask, and of the part where it meets the background."""
        row, col = np.indices(self.inside.shape, dtype=float)
        weights: dict[str, np.ndarray] = {}
        if self.mask is not None:
            weights |= {key: values * self.inside for key, values in (("row", row), ("col", col), ("row2", row**2), ("col2", col**2))}
        if self.overlap is not None:
            weights |= {"overlap row": row * self.overlap, "overlap col": col * self.overlap}
        return {f"{self.name}/{key}": values for key, values in weights.items()}

    def centre(self, sums: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """
        Centre of mass and its standard deviation in pixels from the corner: "row", "col", "row_std", "col_std", float64 (scan_y, scan_x).

        They are nan where no counts are left. The deviation is that of Poisson counts, propagated through mask and background to
        first order. The sums are the maps of the pass by name: "total", "row", "col", "row2", "col2" of the whole pattern, and those
        of :meth:`masks` and :meth:`weights`.
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
        return sums[key if self.mask is None else f"{self.name}/{'mask' if key == 'total' else key}"]

    def _variance(self, sums, key, axis, total, first, centre) -> np.ndarray:
        """Σ w² N with w the weight that a count has in Σ m (N − b) (x − centre), where b itself is made of counts."""
        variance = self._sum(sums, f"{key}2") - 2 * centre * first + centre**2 * total
        if self.level is not None:
            share = (self.area[1 + axis] - centre * self.area[0]) / self.level.sum()
            common = sums[f"{self.name}/overlap {key}"] - centre * sums[f"{self.name}/overlap"]
            variance = variance - 2 * share * common + share**2 * sums[f"{self.name}/level"]
        return variance


def to_mrad(vectors, beam_energy_kev: float | None = None):
    """
    Scattering angle in mrad of lengths in 1/Å, by the small-angle formula θ = λ g.

    At 30 mrad it differs from 2 arcsin(λ g / 2) by 4e-5 of the angle. Signs are kept.

    Parameters
    ----------
    vectors
        A number, array or DataArray in 1/Å, or a Dataset, in which every variable in 1/Å is converted.
    beam_energy_kev
        Energy of the electrons; by default the attribute of the same name.

    Returns
    -------
    Of the kind of ``vectors``; variables that changed have ``units="mrad"``.
    """
    if isinstance(vectors, xr.Dataset):
        energy = vectors.attrs.get("beam_energy_kev") if beam_energy_kev is None else beam_energy_kev
        lengths = {name: v for name, v in vectors.data_vars.items() if v.attrs.get("units") == "1/angstrom"}
        return vectors.assign({name: to_mrad(v, energy) for name, v in lengths.items()})
    attrs = getattr(vectors, "attrs", {})
    if attrs.get("units", "1/angstrom") != "1/angstrom":
        raise ValueError(f"values in {attrs['units']!r}: expected 1/angstrom; open the scan with its detector calibration")
    energy = attrs.get("beam_energy_kev") if beam_energy_kev is None else beam_energy_kev
    if energy is None:
        raise ValueError("beam energy unknown; pass beam_energy_kev, for instance scan.attrs['beam_energy_kev']")
    factor = 1e3 * wavelength_angstrom(energy)
    if isinstance(vectors, xr.DataArray):
        return vectors.copy(data=vectors.values * factor).assign_attrs(units="mrad")
    return np.asarray(vectors) * factor


def along_and_across(images: xr.Dataset, axis_row_col: tuple[float, float], name: str = "com") -> tuple[xr.DataArray, xr.DataArray]:
    """
    Components of a centre of mass along a direction of the pattern and across it, (scan_y, scan_x) each, in its unit.

    The direction on the detector is (row, col), such as ``lattice.g002`` for +c; its length does not matter. The second component is
    turned from the first by 90°, rows to columns.
    """
    row, col = np.asarray(axis_row_col, float) / np.hypot(*axis_row_col)
    y, x = images[f"{name}_y"], images[f"{name}_x"]
    return y * row + x * col, y * col - x * row


def com_noise(images: xr.Dataset, name: str = "com", variance_per_count: float = 1.0) -> xr.Dataset:
    """
    Standard deviation of the centre of mass at each position, from counting statistics alone.

    For Poisson counts N at the vectors g, σ² = Σ (g − COM)² N / (Σ N)², each axis on its own; masks and backgrounds are
    propagated too. It needs the counts as the detector gave them: rescaled data give a wrong noise.

    Parameters
    ----------
    images
        From :func:`summarise`.
    name
        Which centre of mass.
    variance_per_count
        Variance of a pixel divided by its mean count. 1 is Poisson. A detector that counts one electron in several
        pixels has independent electrons but dependent counts: with m counts per electron it is near m.

    Returns
    -------
    xarray.Dataset
        ``<name>_y`` and ``<name>_x`` on (scan_y, scan_x), in the unit of the centre of mass.
    """
    if not variance_per_count > 0:
        raise ValueError(f"variance_per_count={variance_per_count!r}: expected a positive number; 1 is Poisson")
    factor = float(np.sqrt(variance_per_count))
    deviations = {f"{name}_{axis}": images[f"{name}_{axis}_std"] for axis in "yx"}
    return xr.Dataset({key: value.copy(data=value.values * factor) for key, value in deviations.items()},
                      attrs=dict(images.attrs))


def scatter(vector_map: xr.DataArray, dim: str = "scan_x") -> float:
    """
    Noise of a map as its neighbours tell it: what remains when everything smooth over three positions is taken out.

    The robust spread (1.4826 × median absolute value) of the second differences a − 2b + c along ``dim``, divided by
    √6. White noise of standard deviation σ gives σ; walls and features up to a few per cent of the positions do not
    matter. More than :func:`com_noise` predicts means more than counting noise: a detector that shares electrons
    between pixels, or a probe that flickers.
    """
    if vector_map.sizes.get(dim, 0) < 3:
        raise ValueError(f"{dim!r} has {vector_map.sizes.get(dim, 0)} positions; expected at least 3 of one of {vector_map.dims}")
    second = vector_map.diff(dim, n=2).values
    return float(1.4826 * np.nanmedian(np.abs(second)) / np.sqrt(6))
