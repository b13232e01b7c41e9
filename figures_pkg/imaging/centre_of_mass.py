"""What follows from a centre of mass: its noise, and the descan under it, fitted to it or to the rims of the discs."""

from __future__ import annotations

import numpy as np
import xarray as xr

from figures_pkg.data.axes import SCAN_DIMS

from .lattice import Lattice, refine_lattice
from .one_pass import summarise


def along_and_across(images: xr.Dataset, axis_row_col: tuple[float, float], name: str = "com") -> tuple[xr.DataArray, xr.DataArray]:
    """Components of a centre of mass along a direction of the pattern and across it, (scan_y, scan_x) each, in its unit.

    The direction on the detector is (row, col), such as ``lattice.g002`` for +c, of any length; the second is turned from it by 90°, rows to columns.
    """
    row, col = np.asarray(axis_row_col, float) / np.hypot(*axis_row_col)
    y, x = images[f"{name}_y"], images[f"{name}_x"]
    return y * row + x * col, y * col - x * row


def com_noise(images: xr.Dataset, name: str = "com") -> xr.Dataset:
    """Standard deviation of the centre of mass at each position, from counting statistics alone, as ``<name>_y`` and ``<name>_x``.

    For Poisson counts N at the vectors g, σ² = Σ (g − COM)² N / (Σ N)², each axis on its own; masks and backgrounds are propagated too. It needs
    the counts as the detector gave them: rescaled data give a wrong noise. Where a detector counts one electron in m pixels, counts depend on
    each other, their variance is near m times the mean, and the deviation is √m times this one.
    """
    return xr.Dataset({f"{name}_{axis}": images[f"{name}_{axis}_std"].copy() for axis in "yx"}, attrs=dict(images.attrs))


def scatter(vector_map: xr.DataArray, dim: str = "scan_x") -> float:
    """Noise of a map as its neighbours tell it: what remains when everything smooth over three positions is taken out.

    The robust spread (1.4826 × median absolute value) of the second differences a − 2b + c along ``dim``, divided by √6. White noise of standard
    deviation σ gives σ; walls and features up to a few per cent of the positions do not matter. More than :func:`com_noise` predicts means more
    than counting noise: a detector that shares electrons between pixels, or a probe that flickers.
    """
    if vector_map.sizes.get(dim, 0) < 3:
        raise ValueError(f"{dim!r} has {vector_map.sizes.get(dim, 0)} positions; expected at least 3 of one of {vector_map.dims}")
    second = vector_map.diff(dim, n=2).values
    return float(1.4826 * np.nanmedian(np.abs(second)) / np.sqrt(6))


def fit_descan(images: xr.Dataset, name: str = "com", where=None) -> xr.Dataset:
    """Fit a plane to the centre of mass: the shift of the pattern with the probe that an imperfect descan leaves behind.

    A plane also swallows what the specimen does linearly across the scan, such as a bend of constant curvature or two domains side by side. Fit it
    over vacuum or one domain with ``where``, booleans (scan_y, scan_x), if there is one. Positions without a centre of mass (nan) are left out.
    The planes ``<name>_y`` and ``<name>_x`` on (scan_y, scan_x) have its unit, and attributes ``slope_scan_y`` and ``slope_scan_x``, 1/Å per nm.
    """
    y, x = (images[dim] - images[dim].mean() for dim in SCAN_DIMS)
    y, x = (values.broadcast_like(images[f"{name}_y"]).transpose(*SCAN_DIMS) for values in (y, x))
    design = np.stack([np.ones(y.size), y.values.ravel(), x.values.ravel()], axis=1)
    chosen = np.ones(y.size, bool)
    if where is not None:
        mask = where.transpose(*SCAN_DIMS).values if isinstance(where, xr.DataArray) else np.asarray(where)
        if mask.shape != y.shape or mask.dtype != bool:
            raise ValueError(f"where is {mask.dtype} {mask.shape}; expected booleans of the scan's shape {y.shape}")
        chosen = mask.ravel()
    planes = xr.Dataset(coords={dim: images[dim] for dim in SCAN_DIMS}, attrs=dict(images.attrs))
    for axis in "yx":
        values = images[f"{name}_{axis}"].transpose(*SCAN_DIMS).values.ravel()
        known = chosen & np.isfinite(values)
        fit, _, rank, _ = np.linalg.lstsq(design[known], values[known], rcond=None)
        if rank < 3:
            raise ValueError(f"{int(known.sum())} positions do not fix a plane; choose at least three that do not lie on a line")
        attrs = {**images[f"{name}_{axis}"].attrs, "slope_scan_y": float(fit[1]), "slope_scan_x": float(fit[2])}
        planes[f"{name}_{axis}"] = (SCAN_DIMS, (design @ fit).reshape(y.shape), attrs)
    return planes


def remove_descan(images: xr.Dataset, planes: xr.Dataset) -> xr.Dataset:
    """``images`` with the planes of :func:`fit_descan` subtracted from its centres of mass, which then scatter about zero."""
    missing = set(planes.data_vars) - set(images.data_vars)
    if missing:
        raise ValueError(f"planes of {sorted(map(str, missing))} have no counterpart in the images; fit them on these images")
    flat = {name: images[name].copy(data=(images[name] - plane).values) for name, plane in planes.data_vars.items()}
    return images.assign(flat)


def descan_planes(scan: xr.DataArray, lattice: Lattice, radius_px: float, tiles: int = 4) -> xr.Dataset:
    """Planes through the centre of the pattern over the scan, from one more pass.

    The centre of mass of the direct beam is no measure of descan: its disc is filled unevenly, which changes with bend and thickness. The rims of
    the discs hardly move. So the mean pattern of each of ``tiles`` × ``tiles`` parts of the scan gets a lattice of its own, and a plane is fitted
    to the centres. Each part must hold enough counts to show its discs.

    ``lattice`` is that of the scan's mean pattern, with the radius of a disc. The result has ``com_y`` and ``com_x`` on (scan_y, scan_x) in the unit
    of the detector, zero in the middle of the scan, for :func:`remove_descan`; positive means that the pattern lies lower, or further right.
    """
    pieces = [np.array_split(np.arange(scan.sizes[dim]), tiles) for dim in SCAN_DIMS]
    tile_of = [np.repeat(np.arange(tiles), [len(part) for part in parts]) for parts in pieces]
    tile = tile_of[0][:, None] * tiles + tile_of[1]
    groups = {str(number): tile == number for number in range(tiles**2)}
    means = summarise(scan, com=False, mean=False, groups=groups).group_mean_pattern
    fits = [refine_lattice(mean, lattice, radius_px, rounds=2, reach_px=1.5, widest_px=0) for mean in means.values]
    centres = np.array([fit.centre for fit in fits]).reshape(tiles, tiles, 2) - lattice.centre
    coarse = xr.Dataset(coords={dim: [float(scan[dim][part].mean()) for part in parts] for dim, parts in zip(SCAN_DIMS, pieces)})
    for axis, values in zip("yx", np.moveaxis(centres, -1, 0)):
        step = float(scan[f"det_{axis}"][1] - scan[f"det_{axis}"][0])
        coarse[f"com_{axis}"] = (SCAN_DIMS, step * values, {"units": scan[f"det_{axis}"].attrs.get("units", "px")})
    planes = fit_descan(coarse)
    whole = planes.interp({dim: scan[dim] for dim in SCAN_DIMS}, kwargs={"fill_value": "extrapolate"})
    return whole - whole.mean()
