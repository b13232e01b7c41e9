"""The pairs 002, 00-2 and 004, 00-4 between two domains: how much each changes, in a scan and over the states of a specimen."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from figures_pkg.imaging import Lattice, refine_lattice, summarise
from figures_pkg.imaging.delta import move_onto, rank_reflections
from figures_pkg.twin import load_preset
from figures_pkg.diffraction import Library, LibrarySettings
from figures_pkg.diffraction.discs import disc_means

from .domains import asymmetry


def first_scan_settings(profile: str) -> LibrarySettings:
    """
    What the library behind Fig. 4 covers: 10 to 100 nm, and tilts along c to 8 mrad about the state fitted to the first scan.

    Parameters
    ----------
    profile
        In "smoke" two slices per period of 0.61 nm, which are off by 1 to 4 %, else six, which are converged.
    """
    preset = load_preset("ds1")
    cone = preset.beam.convergence_mrad
    reach_b, reach_c = abs(preset.specimen.tilt_b_mrad) + cone, 8 + cone
    return LibrarySettings.covering([10, 100], reach_b, reach_c, slices=2 if profile == "smoke" else 6)


def aligned_means(scan: xr.DataArray, groups: dict[str, np.ndarray], guess: Lattice, radius_px: float):
    """
    Mean patterns of groups of positions, moved so that all lattices lie on that of the first.

    The descan error moves one average against another by a fraction of a pixel.

    Parameters
    ----------
    scan
        Counts.
    groups
        Name -> boolean map (scan_y, scan_x).
    guess, radius_px
        Lattice to start from, and the radius of a disc.

    Returns
    -------
    patterns, lattices
        Name -> mean pattern (det_y, det_x) after moving; name -> its lattice before that.
    """
    means = summarise(scan, com=False, mean=False, groups=groups).group_mean_pattern
    patterns = {name: means.sel(group=name) for name in groups}
    lattices = {name: refine_lattice(pattern.values, guess, radius_px) for name, pattern in patterns.items()}
    onto = lattices[next(iter(groups))].centre
    return {name: move_onto(pattern, lattices[name].centre, onto) for name, pattern in patterns.items()}, lattices


def reflection_table(delta, lattice: Lattice, radius_px: float, mean: bool = False) -> pd.DataFrame:
    """
    The reflections 0kl with |k| up to 4 and |l| up to 8, ranked by a map of differences; named "004", "00-4" and so on.

    Parameters
    ----------
    delta
        One of the maps of :func:`figures_pkg.imaging.delta.difference_maps`.
    lattice, radius_px
        Of the patterns behind it.
    mean
        As for :func:`figures_pkg.imaging.delta.rank_reflections`.
    """
    inside = lattice.reflections(delta.shape, 1.5 * radius_px, orders=4)
    places = {f"0{k}{l}": tuple(lattice.position(k, l)) for k, l in inside}
    return rank_reflections(delta, places, 1.1 * radius_px, mean=mean)


def pair_ratio(table: pd.DataFrame) -> float:
    """
    004 and its opposite together, over 002 and its opposite.

    Examples
    --------
    >>> pair_ratio(pd.DataFrame({"value": {"002": 1.0, "00-2": 1.0, "004": 3.0, "00-4": 1.0}}))
    2.0
    """
    two, four = (table.value[[f"00{order}", f"00-{order}"]].sum() for order in (2, 4))
    return float(four / two)


def pair_change(library: Library, order: int, thickness_nm, tilt_b_mrad, tilt_c_mrad, convergence_mrad: float):
    """
    A(00l) of +P, and how much the pair 00l, 00-l changes between the domains; whole discs.

    Parameters
    ----------
    library
        Of plane waves.
    order
        l, even and positive.
    thickness_nm, tilt_b_mrad, tilt_c_mrad
        Broadcast to a common shape (...,).
    convergence_mrad
        Half angle of the beam's cone.

    Returns
    -------
    asymmetry, change
        Shape (...,): (I(00l) − I(00-l)) / (I(00l) + I(00-l)) of +P; the length of the vector of both changes, as a fraction of
        the beam.
    """
    index = {tuple(row): i for i, row in enumerate(library.hkl.tolist())}
    state = (thickness_nm, tilt_b_mrad, tilt_c_mrad, convergence_mrad)
    plus, minus = (disc_means(library, sign, *state) for sign in (+1, -1))
    up, down = index[0, 0, order], index[0, 0, -order]
    return asymmetry(plus[..., up], plus[..., down]), np.linalg.norm((plus - minus)[..., [up, down]], axis=-1)
