"""What is true at each position of a simulated scan: domain, wall, thickness, tilts, shift."""

from pathlib import Path

import numpy as np
import xarray as xr

from figures_pkg.data.axes import SCAN_DIMS
from figures_pkg.twin.domains import WALL_COLUMNS, domain_maps
from figures_pkg.twin.presets import Preset
from figures_pkg.twin.specimen import COATING_DESCRIPTION, coating_maps, drifted_positions, nominal_positions, pattern_shifts, specimen_fields, terrace_nm

# What a pattern depends on, in the order of the columns that the renderer takes.
STATE = ("polarization", "thickness_nm", "tilt_b_mrad", "tilt_c_mrad", "shift_row_px", "shift_col_px")

DESCRIPTION = {
    "polarization": ("1", "weight of +P minus weight of -P in the pattern"),
    "domain": ("1", "domain at mid thickness, +1 or -1"),
    "domain_state": ("1", "domain at mid thickness, 0 to 5: alpha+, beta-, gamma+, alpha-, beta+, gamma-"),
    "phase_deg": ("degree", "phase of the trimerization at mid thickness, 60 degrees times the domain away from walls"),
    "wall_distance_nm": ("nm", "distance from the nearest wall at mid thickness, positive in +P domains; infinite without walls"),
    "wall_width_nm": ("nm", "width over which the inclined wall is seen along the beam"),
    "wall_inclination_deg": ("degree", "angle of the nearest wall against the beam, positive where the beam meets +P first"),
    "wall_charge": ("1", "bound charge of the nearest wall in units of 2 P: cosine between c and the normal out of +P"),
    "wall_type": ("1", "of the nearest wall: +1 head-to-head, -1 tail-to-tail, 0 within 15 degrees of neutral"),
    "wall_step": ("1", "turn of the phase across the nearest wall, out of +P, in units of 60 degrees; 0 without walls"),
    "wall_normal_b": ("1", "cosine between b* and the normal of the nearest wall out of +P"),
    "thickness_nm": ("nm", "thickness of the foil"),
    "tilt_b_mrad": ("mrad", "tilt of the beam against the zone axis, component along b*"),
    "tilt_c_mrad": ("mrad", "tilt of the beam against the zone axis, component along c"),
    "shift_row_px": ("px", "shift of the pattern on the detector, downward"),
    "shift_col_px": ("px", "shift of the pattern on the detector, to the right"),
    "specimen_y_nm": ("nm", "place on the specimen, with drift, downward"),
    "specimen_x_nm": ("nm", "place on the specimen, with drift, to the right"),
}


def simulate_truth(preset: Preset, size: str, seed: int) -> xr.Dataset:
    """Maps of a preset on the positions of a scan, coordinates in nm: those of `DESCRIPTION`, with a coating also `COATING_DESCRIPTION`.

    Another size shows the same specimen with another step. The seed, not negative, draws the random parts of thickness, bend and wall, and the
    jitter of the patterns.
    """
    scan_shape, specimen = preset.scan_shape(size), preset.specimen
    y_nm, x_nm = drifted_positions(preset, scan_shape)
    maps = {name: field(y_nm, x_nm) for name, field in specimen_fields(specimen, seed).items()}
    maps["thickness_nm"] += terrace_nm(preset.terrace, specimen.field_nm, y_nm, x_nm)
    maps |= domain_maps(preset, seed, y_nm, x_nm, maps["thickness_nm"])
    maps |= dict(zip(("shift_row_px", "shift_col_px"), pattern_shifts(preset.scan, scan_shape, seed)))
    maps |= {"specimen_y_nm": y_nm, "specimen_x_nm": x_nm}
    if preset.coating:
        maps |= coating_maps(preset.coating, specimen.field_nm, y_nm, x_nm)
    variables = {}
    for name, (units, meaning) in (DESCRIPTION | COATING_DESCRIPTION).items():
        if name in maps:
            dtype = np.int8 if maps[name].dtype == np.int8 else np.float32
            variables[name] = (SCAN_DIMS, maps[name].astype(dtype), {"units": units, "long_name": meaning})
    coordinates = {dim: (dim, values, {"units": "nm"}) for dim, values in zip(SCAN_DIMS, nominal_positions(preset, scan_shape))}
    return xr.Dataset(variables, coordinates)


def states_of(truth: xr.Dataset) -> np.ndarray:
    """States (scan_y, scan_x, 11, or 13 with a coating) that the renderer takes, from the maps of the truth."""
    walls = [name for name in WALL_COLUMNS if "wall_step" in truth]  # absent from older truths
    coated = [name for name in COATING_DESCRIPTION if name in truth]
    return np.stack([truth[name].values for name in (*STATE, *coated, *walls)], axis=-1)


def truth_path(path: str | Path) -> Path:
    """Where the truth of a scan lies: ``scan.truth.nc`` beside ``scan.hspy``."""
    path = Path(path)
    return path if path.name.endswith(".truth.nc") else path.with_suffix(".truth.nc")


def read_truth(path: str | Path) -> xr.Dataset:
    """Read the truth of a simulated scan into memory, by the path of the scan (``.hspy``) or its own (``.truth.nc``).

    A `FileNotFoundError` says when no truth lies beside the scan, which is so for every measured scan.
    """
    source = truth_path(path)
    if not source.exists():
        raise FileNotFoundError(f"{source} does not exist; only simulated scans have a truth, made beside them by make_dataset")
    with xr.open_dataset(source, engine="h5netcdf") as truth:
        return truth.load()

