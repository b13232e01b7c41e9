"""Specimens whose maps and patterns are known, for all tests of the scores."""

import numpy as np
import pytest
import xarray as xr

from figures_pkg.data.axes import DIMS, SCAN_DIMS
from figures_pkg.model import NetworkConfig
from figures_pkg.model.recipes import Recipe, Stage

N, SIDE = 24, 16


@pytest.fixture(scope="session")
def one_wall():
    """One upright wall in the middle, head-to-head above and tail-to-tail below, a bend along x and a wedge along y."""
    y, x = np.indices((48, 48)) * 2.0
    distance = 48 - 1 - x
    maps = {
        "domain": np.sign(distance), "wall_distance_nm": distance, "wall_width_nm": np.full((48, 48), 3.0),
        "wall_type": np.where(y < 48, 1, -1), "thickness_nm": 60 + 0.1 * y, "tilt_b_mrad": np.cos(y / 9),
        "tilt_c_mrad": np.sin(x / 7), "domain_state": np.where(distance > 0, 0, 1),
    }
    axis = np.arange(48) * 2.0
    return xr.Dataset({k: (("scan_y", "scan_x"), v) for k, v in maps.items()}, {"scan_y": axis, "scan_x": axis})


@pytest.fixture(scope="session")
def toy_truth():
    """One upright wall, head-to-head above and tail-to-tail below."""
    y, x = np.indices((N, N)) * 2.0
    distance = N - 1 - x
    maps = {"domain": np.sign(distance), "wall_distance_nm": distance, "wall_width_nm": np.full((N, N), 1.0),
            "wall_type": np.where(y < N, 1, -1), "wall_charge": np.where(y < N, 1.0, -1.0), "thickness_nm": 60 + 0.1 * y,
            "wall_inclination_deg": np.zeros((N, N)), "tilt_b_mrad": np.cos(y / 9), "tilt_c_mrad": np.sin(x / 7),
            "domain_state": np.where(distance > 0, 0, 1), "polarization": np.sign(distance)}
    axis = xr.DataArray(np.arange(N) * 2.0, attrs={"units": "nm"})
    lattice = {"origin_row_col": [8, 8], "g002_row_col": [0, -2], "g010_row_col": [2, 0], "disc_radius_px": 1.0}
    coords = {dim: (dim, axis.values, axis.attrs) for dim in SCAN_DIMS}
    return xr.Dataset({k: (SCAN_DIMS, v) for k, v in maps.items()}, coords, lattice | {"preset": "toy", "seed": 3, "size": "smoke"})


@pytest.fixture(scope="session")
def toy_scan(toy_truth):
    """Patterns of two discs; one follows the domains, the other the tilt."""
    mean = np.full((N, N, SIDE, SIDE), 20.0)
    mean[..., 2:6, 2:6] += 12 * toy_truth.domain.values[..., None, None]
    mean[..., 10:14, 10:14] += 12 * toy_truth.tilt_b_mrad.values[..., None, None]
    counts = np.random.default_rng(0).poisson(mean).astype(np.uint16)
    coords = toy_truth.coords | {dim: (dim, (np.arange(SIDE) - 8) * 0.05, {"units": "1/Å"}) for dim in DIMS[2:]}
    return xr.DataArray(counts, coords, DIMS, attrs={"source": "twin"})


@pytest.fixture(scope="session")
def tiny_recipe():
    """A network that trains in seconds."""
    stage = Stage(4, 1e-3, l1=0.05, schedule="one-cycle", peak_rate=1e-2, ramp=(0.5, 1))
    network = NetworkConfig(pattern=8, filters=3, pools=(2,), channels=4)
    return Recipe("tiny", "Tiny", network, (stage,), "anscombe-whitened", 24, components=2, start_bias=0.3, precision="32-true")
