"""What the manifest says about the pattern of a scan, as the lattice and the disc radius that a fit starts from."""

import xarray as xr

from figures_pkg.record.manifest import Dataset

from .lattice import Lattice, disc_radius_px


def expected_lattice(entry: Dataset, scan: xr.DataArray) -> tuple[Lattice, float]:
    """
    Lattice and disc radius that the manifest gives for a scan, before anything is fitted.

    Parameters
    ----------
    entry
        A measured dataset of the manifest, e.g. ``load_manifest()["ds1"]``.
    scan
        The scan, or its stand-in from the twin; gives the beam energy and the size of a pixel.

    Returns
    -------
    lattice : Lattice
        Direct beam, 002 and 010 in pixels (row, col), rows downward; a guess for
        :func:`figures_pkg.imaging.refine_lattice`.
    radius_px : float
        Radius of the discs.

    Raises
    ------
    ValueError
        If the entry is no scan, so that it has no axes.
    """
    names = ("origin_row_col_px", "g002_row_col_px", "g010_row_col_px")
    missing = [name for name in names if name not in entry.axes]
    if missing:
        raise ValueError(f"the manifest's entry {entry.id!r} has no {', '.join(missing)}; choose that of a scan, such as 'ds1'")
    lattice = Lattice(*(tuple(entry.axes[name].value) for name in names))
    return lattice, disc_radius_px(entry.acquisition["convergence_mrad"].value, scan)
