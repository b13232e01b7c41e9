"""Where the pattern's centre wanders while the beam scans, told by the rims of the discs."""

import numpy as np
import xarray as xr

from figures_pkg.data.axes import SCAN_DIMS

from .lattice import Lattice, refine_lattice
from .one_pass import summarise
from .vectors import fit_descan


def descan_planes(scan: xr.DataArray, lattice: Lattice, radius_px: float, tiles: int = 4) -> xr.Dataset:
    """
    Planes through the centre of the pattern over the scan, from one more pass.

    The centre of mass of the direct beam is no measure of descan: its disc is filled unevenly, and how unevenly changes
    with bend and thickness. The rims of the discs hardly move, and what is left of the effect averages out over discs that
    fill from different sides. So the mean pattern of each of ``tiles`` × ``tiles`` parts of the scan gets a lattice of its
    own, and a plane is fitted to the centres.

    Parameters
    ----------
    scan
        Scan with detector coordinates in 1/Å.
    lattice
        Of the mean pattern, from :func:`refine_lattice`.
    radius_px
        Radius of a disc.
    tiles
        Parts along each side of the scan; each must hold enough counts to show its discs.

    Returns
    -------
    xarray.Dataset
        ``com_y`` and ``com_x`` on (scan_y, scan_x) in 1/Å, zero in the middle of the scan, ready for
        :func:`remove_descan`; a positive value means that the pattern lies lower, or further right.
    """
    pieces = [np.array_split(np.arange(scan.sizes[dim]), tiles) for dim in SCAN_DIMS]
    means = summarise(scan, com=False, mean=False, groups=_tile_masks(scan, pieces)).group_mean_pattern
    fits = [refine_lattice(mean, lattice, radius_px, rounds=2, reach_px=1.5, widest_px=0) for mean in means.values]
    centres = np.array([fit.centre for fit in fits]).reshape(tiles, tiles, 2) - lattice.centre
    middles = {dim: [float(scan[dim][part].mean()) for part in parts] for dim, parts in zip(SCAN_DIMS, pieces)}
    coarse = xr.Dataset(coords=middles)
    for axis, values in zip("yx", np.moveaxis(centres, -1, 0)):
        step = float(scan[f"det_{axis}"][1] - scan[f"det_{axis}"][0])
        coarse[f"com_{axis}"] = (SCAN_DIMS, step * values, {"units": scan[f"det_{axis}"].attrs.get("units", "px")})
    planes = fit_descan(coarse)
    whole = planes.interp({dim: scan[dim] for dim in SCAN_DIMS}, kwargs={"fill_value": "extrapolate"})
    return whole - whole.mean()


def _tile_masks(scan: xr.DataArray, pieces: list[list[np.ndarray]]) -> dict[str, np.ndarray]:
    """One boolean map for each tile, row by row."""
    masks = {}
    for i, rows in enumerate(pieces[0]):
        for j, cols in enumerate(pieces[1]):
            mask = np.zeros((scan.sizes["scan_y"], scan.sizes["scan_x"]), bool)
            mask[np.ix_(rows, cols)] = True
            masks[f"{i},{j}"] = mask
    return masks
