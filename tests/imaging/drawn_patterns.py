"""Patterns drawn for the tests of imaging: a beam that moves, discs on a flat background, and pairs of any patterns."""

import numpy as np
import xarray as xr
from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from figures_pkg.data.axes import Axes, build_scan

STEP, ORIGIN = 0.01, (15.0, 13.0)
ROW, COL = np.indices((32, 30))


def scan_of(data, origin=ORIGIN, step_nm=1.4, scale=STEP) -> xr.DataArray:
    """A scan with its origin at a pixel; steps in nm, pixels in 1/Å."""
    axes = Axes(scan_step_nm=step_nm, det_scale_inv_angstrom=scale, origin_row_col=origin, beam_energy_kev=200.0)
    return build_scan(data, axes, orientation="lab", source="user", path="", title="", format="")


def beam(row, col, counts=1e4, background=0.0) -> np.ndarray:
    """Expected patterns of a Gaussian beam (sigma 1.5 px) at (row, col), arrays over the scan, on a flat background."""
    row, col = (np.asarray(value, float)[..., None, None] for value in (row, col))
    spot = np.exp(-((ROW - row) ** 2 + (COL - col) ** 2) / 2 / 1.5**2)
    return counts * spot / spot.sum((-2, -1), keepdims=True) + background


@st.composite
def pattern_pairs(draw):
    """Two patterns of one shape, neither constant."""
    shape = draw(array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=9))
    pair = [draw(arrays(np.float64, shape, elements=st.floats(0, 1e4, allow_nan=False, width=32))) for _ in range(2)]
    assume(all(np.ptp(pattern) > 1e-3 * pattern.max() > 0 for pattern in pair))
    return pair


def discs(strengths, shape=(60, 60), radius=4.5, background=1.0):
    """A pattern of discs at places (row, col) on a flat background."""
    rows, cols = np.indices(shape)
    pattern = np.full(shape, float(background))
    for (row, col), strength in strengths.items():
        pattern[(rows - row) ** 2 + (cols - col) ** 2 <= radius**2] += strength
    return pattern
