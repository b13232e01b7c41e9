"""Opposite reflections 00l and 00-l: as maps of a scan, and as a library of plane waves gives them."""

from __future__ import annotations

import numpy as np
import xarray as xr

from figures_pkg.diffraction.discs import disc_means, warn_of_overlap
from figures_pkg.diffraction.library import Library, LibrarySettings, rows_of
from figures_pkg.imaging import Disc, Lattice, along_and_across, asymmetry, summarise
from figures_pkg.model.linear import as_maps
from figures_pkg.twin import load_preset

REFLECTIONS = (2, -2, 4, -4)  # l of the reflections 00l that are looked at one by one


def reflection_maps(scan: xr.DataArray, lattice: Lattice, radius_px: float) -> dict[str, xr.DataArray]:
    """
    Maps (channel, scan_y, scan_x) that a microscopist would look at first, from one pass over the scan.

    "VDF 00l": counts of 002, 00-2, 004 and 00-4; "A(004)": (I004 − I00-4) / (I004 + I00-4); "COM along c": the centre of mass along +c, the
    002 of the lattice. The radius is that of a disc.
    """
    discs = {f"00{l}": Disc(tuple(lattice.position(0, l)), radius_px) for l in REFLECTIONS}
    images = summarise(scan, discs, mean=False)
    along_c, _ = along_and_across(images, lattice.g002)
    channels = {"VDF 00l": [images[name].values for name in discs], "A(004)": [asymmetry(images["004"].values, images["00-4"].values)],
                "COM along c": [along_c.values]}  # fmt: skip
    return {name: as_maps(np.stack(maps), scan, name) for name, maps in channels.items()}


def lattice_of(truth: xr.Dataset) -> tuple[Lattice, float]:
    """Lattice and disc radius in pixels that a simulated scan was made with, from the attributes of its truth."""
    names = ("origin_row_col", "g002_row_col", "g010_row_col")
    return Lattice(*(tuple(map(float, truth.attrs[name])) for name in names)), float(truth.attrs["disc_radius_px"])


def first_scan_settings(profile: str) -> LibrarySettings:
    """What the library behind Fig. 4 covers: 10 to 100 nm, tilts along c to 8 mrad; six slices a period are converged, the two of "smoke" off by 1 to 4 %."""
    preset = load_preset("ds1")
    cone = preset.beam.convergence_mrad
    reach_b, reach_c = abs(preset.specimen.tilt_b_mrad) + cone, 8 + cone
    return LibrarySettings.covering([10, 100], reach_b, reach_c, slices=2 if profile == "smoke" else 6)


def pair_change(library: Library, order: int, thickness_nm, tilt_b_mrad, tilt_c_mrad, convergence_mrad: float):
    """
    A(00l) of +P, (I(00l) − I(00-l)) / (I(00l) + I(00-l)), and the length of the vector of the changes of both between the domains.

    Whole discs from a library of plane waves, the changes as a fraction of the beam. Thickness in nm and tilts in mrad broadcast to a common
    shape (...,); the order l is even and positive.
    """
    warn_of_overlap(library, convergence_mrad)
    index = rows_of(library.hkl)
    pair, state = library.only([index[0, 0, order], index[0, 0, -order]]), (thickness_nm, tilt_b_mrad, tilt_c_mrad, convergence_mrad)
    plus, minus = (disc_means(pair, sign, *state) for sign in (+1, -1))
    return asymmetry(plus[..., 0], plus[..., 1]), np.linalg.norm(plus - minus, axis=-1)
