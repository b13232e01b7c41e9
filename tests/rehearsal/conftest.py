"""The modules of the rehearsal, and a tiny scan of the twin to make stand-ins from."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from figures_pkg.data import HspyWriter

SHAPE = (12, 8, 64, 64)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Path:
    """A scan as the twin writes it, with its name and provenance in it, and a truth beside it; counts above 255 among them."""
    path = tmp_path_factory.mktemp("twin") / "ds1.hspy"
    counts = np.random.default_rng(5).poisson(150, SHAPE).astype(np.uint16)
    counts[:, :, 30:34, 28:32] += 200
    with HspyWriter(path, SHAPE, chunks=(4, 4, 64, 64), scan_step_nm=7.4667, det_scale_inv_angstrom=0.009555, origin_row_col=(31.0, 30.0),
                    title="Twin of DS1", extra={"source": "twin", "preset": "ds1", "seed": 0}) as writer:  # fmt: skip
        for y, x in writer.missing():
            writer.write((y, x), counts[y : y + 4, x : x + 4])
    places = {dim: (dim, 7.4667 * np.arange(size)) for dim, size in zip(("scan_y", "scan_x"), SHAPE)}
    attrs = {"origin_row_col": [31.0, 30.0], "g002_row_col": [-6.0, 1.0], "g010_row_col": [1.0, 6.0], "disc_radius_px": 2.0}
    truth = xr.Dataset({"domain": (("scan_y", "scan_x"), np.ones(SHAPE[:2], np.int8))}, places, attrs)
    truth.to_netcdf(path.with_suffix(".truth.nc"), engine="h5netcdf")
    return path
