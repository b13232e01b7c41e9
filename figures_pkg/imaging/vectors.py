"""Maps of reciprocal-space vectors: their angle in mrad, the descan plane under them, and their noise."""

from __future__ import annotations

import numpy as np
import xarray as xr

from figures_pkg.data.axes import SCAN_DIMS
from figures_pkg.data.units import wavelength_angstrom


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


def fit_descan(images: xr.Dataset, name: str = "com", where=None) -> xr.Dataset:
    """
    Fit a plane to the centre of mass: the shift of the pattern with the probe that an imperfect descan leaves behind.

    A plane also swallows what the specimen itself does linearly across the scan, such as a bend of constant curvature
    (which tilts the pattern linearly) or two domains side by side. Fit it over vacuum or a single domain with ``where``
    if there is one, and say so beside the result.

    Parameters
    ----------
    images
        From :func:`summarise`.
    name
        Which centre of mass: its variables are ``<name>_y`` and ``<name>_x``.
    where
        Boolean (scan_y, scan_x): positions to fit; by default all. Positions without a centre of mass (nan) are left out.

    Returns
    -------
    xarray.Dataset
        ``<name>_y`` and ``<name>_x``: the planes on (scan_y, scan_x), in the unit of the centre of mass. Their
        attributes ``slope_scan_y``, ``slope_scan_x`` are slopes per unit of the scan coordinates (1/Å per nm).
    """
    y, x = (images[dim] - images[dim].mean() for dim in SCAN_DIMS)
    y, x = (values.broadcast_like(images[f"{name}_y"]).transpose(*SCAN_DIMS) for values in (y, x))
    design = np.stack([np.ones(y.size), y.values.ravel(), x.values.ravel()], axis=1)
    chosen = np.ones(y.size, bool) if where is None else _positions(where, y.shape).ravel()
    planes = xr.Dataset(coords={dim: images[dim] for dim in SCAN_DIMS}, attrs=dict(images.attrs))
    for axis in "yx":
        values = images[f"{name}_{axis}"].transpose(*SCAN_DIMS).values.ravel()
        fit = _least_squares(design, values, chosen & np.isfinite(values))
        attrs = {**images[f"{name}_{axis}"].attrs, "slope_scan_y": float(fit[1]), "slope_scan_x": float(fit[2])}
        planes[f"{name}_{axis}"] = (SCAN_DIMS, (design @ fit).reshape(y.shape), attrs)
    return planes


def remove_descan(images: xr.Dataset, planes: xr.Dataset) -> xr.Dataset:
    """
    ``images`` with the planes of :func:`fit_descan` subtracted from its centres of mass, which then scatter about zero.

    Everything else, the deviations too, stays as it is.
    """
    missing = set(planes.data_vars) - set(images.data_vars)
    if missing:
        raise ValueError(f"planes of {sorted(missing)} have no counterpart in the images; fit them on these images")
    flat = {name: images[name].copy(data=(images[name] - plane).values) for name, plane in planes.data_vars.items()}
    return images.assign(flat)


def along_and_across(images: xr.Dataset, axis_row_col: tuple[float, float], name: str = "com") -> tuple[xr.DataArray, xr.DataArray]:
    """
    Components of a centre of mass along a direction of the pattern and across it.

    Parameters
    ----------
    images
        From :func:`summarise`.
    axis_row_col
        Direction on the detector (row, col), such as ``lattice.g002`` for +c; its length does not matter.
    name
        Which centre of mass.

    Returns
    -------
    along, across
        (scan_y, scan_x) each, in the unit of the centre of mass; the second is turned from the first by 90°, rows to columns.
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


def _positions(where, shape: tuple[int, int]) -> np.ndarray:
    """A checked boolean mask over the scan."""
    mask = where.transpose(*SCAN_DIMS).values if isinstance(where, xr.DataArray) else np.asarray(where)
    if mask.shape != shape or mask.dtype != bool:
        raise ValueError(f"where is {mask.dtype} {mask.shape}; expected booleans of the scan's shape {shape}")
    return mask


def _least_squares(design: np.ndarray, values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Coefficients of the plane through the chosen positions."""
    fit, _, rank, _ = np.linalg.lstsq(design[chosen], values[chosen], rcond=None)
    if rank < 3:
        raise ValueError(f"{int(chosen.sum())} positions do not fix a plane; choose at least three that do not lie on a line")
    return fit
