"""Where more than one wall is near: the core of a vortex, of which the renderer knows the nearest wall only."""

import numpy as np
import xarray as xr

from figures_pkg.twin.presets import Preset
from figures_pkg.twin.specimen.domains import FWHM_PER_SIGMA
from figures_pkg.twin.specimen.texture import TracedWalls, polar_axis
from figures_pkg.twin.walls.near import reach_nm


def walls_in_reach(preset: Preset, truth: xr.Dataset) -> xr.DataArray:
    """
    How many walls change the pattern of each position of a simulated scan.

    Parameters
    ----------
    preset
        With a texture; the one that the scan was made from.
    truth
        Of the scan: places on the specimen, thickness and, among the attributes, the seed.

    Returns
    -------
    xarray.DataArray
        Number of walls nearer than `figures_pkg.twin.walls.near.reach_nm`, int8 on ``(scan_y, scan_x)``. Where it is two or
        more, all but the nearest only set the shares in which +P and -P are mixed.

    Raises
    ------
    ValueError
        For a preset without a texture.
    """
    if preset.texture is None:
        raise ValueError(f"preset {preset.name!r} has no texture, so no two walls meet; give one like ds2")
    walls = TracedWalls.draw(preset.texture, preset.specimen.field_nm, int(truth.attrs["seed"]))
    near = walls.near(truth.specimen_y_nm.values, truth.specimen_x_nm.values, polar_axis(preset))
    assumed, sigma_nm = preset.wall_structure, preset.beam.probe_fwhm_nm / FWHM_PER_SIGMA
    structure = (assumed.width_factor, assumed.screening_nm, assumed.strain) if assumed else (1.0, 1.0, 0.0)
    reaches = [reach_nm(truth.thickness_nm.values, angle, sigma_nm, structure) for angle in near.inclination_deg]
    count = (near.distances < np.array(reaches)).sum(axis=0).astype(np.int8)
    return truth.wall_distance_nm.copy(data=count).rename("walls_in_reach").assign_attrs(units="1", long_name="walls in reach")


def shared_area_nm2(count: xr.DataArray, field_nm: tuple[float, float]) -> float:
    """Area of the field in which two walls or more are in reach, nm²."""
    return float((count >= 2).mean() * np.prod(field_nm))
