"""Single-reflection physics as a method beside the learned ones: virtual dark fields, asymmetry of 004, centre of mass along c."""

from __future__ import annotations

import numpy as np
import xarray as xr

from figures_pkg.imaging import Disc, Lattice, along_and_across, summarise
from figures_pkg.model.linear import as_maps

from .domains import asymmetry

REFLECTIONS = (2, -2, 4, -4)


def reflection_maps(scan: xr.DataArray, lattice: Lattice, radius_px: float) -> dict[str, xr.DataArray]:
    """
    Maps that a microscopist would look at first, from one pass over the scan.

    Parameters
    ----------
    scan
        Counts.
    lattice
        Of its mean pattern; c points along its 002.
    radius_px
        Radius of a disc.

    Returns
    -------
    dict
        "VDF 00l": counts of 002, 00-2, 004 and 00-4; "A(004)": (I004 − I00-4) / (I004 + I00-4); "COM along c": the centre of
        mass of the pattern along +c. Each maps of dimensions (channel, scan_y, scan_x).
    """
    discs = {f"00{l}": Disc(tuple(lattice.position(0, l)), radius_px) for l in REFLECTIONS}
    images = summarise(scan, discs, mean=False)
    along_c, _ = along_and_across(images, lattice.g002)
    channels = {
        "VDF 00l": [images[name].values for name in discs],
        "A(004)": [asymmetry(images["004"].values, images["00-4"].values)],
        "COM along c": [along_c.values],
    }
    return {name: as_maps(np.stack(maps), scan, name) for name, maps in channels.items()}


def lattice_of(truth: xr.Dataset) -> tuple[Lattice, float]:
    """Lattice and disc radius in pixels that a simulated scan was made with, from the attributes of its truth."""
    names = ("origin_row_col", "g002_row_col", "g010_row_col")
    return Lattice(*(tuple(map(float, truth.attrs[name])) for name in names)), float(truth.attrs["disc_radius_px"])
