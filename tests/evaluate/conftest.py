"""Specimens whose maps and patterns are known, for all tests of the scores."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from small_training import RECIPE

from figures_pkg.data.axes import DIMS, SCAN_DIMS
from figures_pkg.model.recipes import Stage

SIDE = 16


def specimen(n, **more):
    """One upright wall, head-to-head above and tail-to-tail below, a bend along x and b and a wedge along y."""
    y, x = np.indices((n, n)) * 2.0
    distance = n - 1 - x
    maps = {"domain": np.sign(distance), "wall_distance_nm": distance, "wall_width_nm": np.full((n, n), 3.0), "polarization": np.sign(distance),
            "wall_type": np.where(y < n, 1, -1), "wall_charge": np.where(y < n, 1.0, -1.0), "thickness_nm": 60 + 0.1 * y,
            "tilt_b_mrad": np.cos(y / 9), "tilt_c_mrad": np.sin(x / 7), "domain_state": np.where(distance > 0, 0, 1),
            "wall_inclination_deg": np.zeros((n, n))}
    axis = np.arange(n) * 2.0
    coords = {dim: (dim, axis, {"units": "nm"}) for dim in SCAN_DIMS}
    return xr.Dataset({name: (SCAN_DIMS, values) for name, values in maps.items()}, coords, more)


@pytest.fixture(scope="session")
def one_wall():
    """The specimen without patterns."""
    return specimen(48)


@pytest.fixture(scope="session")
def toy_truth():
    """The specimen of the toy scan."""
    lattice = {"origin_row_col": [8, 8], "g002_row_col": [0, -2], "g010_row_col": [2, 0], "disc_radius_px": 1.0}
    return specimen(24, **lattice, preset="toy", seed=3, size="smoke").assign(wall_width_nm=lambda truth: truth.wall_width_nm * 0 + 1)


@pytest.fixture(scope="session")
def toy_scan(toy_truth):
    """Patterns of two discs; one follows the domains, the other the tilt."""
    mean = np.full((24, 24, SIDE, SIDE), 20.0)
    mean[..., 2:6, 2:6] += 12 * toy_truth.domain.values[..., None, None]
    mean[..., 10:14, 10:14] += 12 * toy_truth.tilt_b_mrad.values[..., None, None]
    counts = np.random.default_rng(0).poisson(mean).astype(np.uint16)
    coords = toy_truth.coords | {dim: (dim, (np.arange(SIDE) - 8) * 0.05, {"units": "1/Å"}) for dim in DIMS[2:]}
    return xr.DataArray(counts, coords, DIMS, attrs={"source": "twin"})


@pytest.fixture(scope="session")
def tiny_recipe():
    """A network that trains in seconds."""
    stage = Stage(4, 1e-3, l1=0.05, schedule="one-cycle", peak_rate=1e-2, ramp=(0.5, 1))
    return replace(RECIPE, stages=(stage,), batch_size=24, components=2)
