"""The maps that the explorer offers: from the data, from a truth or from matching, and from an embedding."""

from __future__ import annotations

import numpy as np
import xarray as xr

from figures_pkg.data.axes import SCAN_DIMS
from figures_pkg.imaging import Lattice, descan_planes, remove_descan, summarise

from .explorer_data import Layer

DATA, TRUTH, MATCHED, NETWORK = "from the data", "truth of the twin", "matched to the library", "from the autoencoder"
KNOWN_MAPS = {
    "polarization": ("domains: weight of +P less −P", "RdBu_r", True),
    "thickness_nm": ("thickness", "viridis", False),
    "tilt_b_mrad": ("tilt along b*", "PuOr_r", False),
    "tilt_c_mrad": ("tilt along c", "PuOr_r", False),
    "wall_distance_nm": ("distance from the wall, positive in +P", "RdBu_r", True),
}


def com_layers(scan: xr.DataArray, lattice: Lattice | None = None, radius_px: float | None = None) -> list[Layer]:
    """
    The centre of mass of whole patterns, less its mean over the scan, in 1e-3 of the detector's unit.

    With a lattice the shift of the pattern by the descan coils is taken off (a plane, see :func:`figures_pkg.imaging.descan_planes`),
    and the component along c comes first.

    Parameters
    ----------
    scan
        (scan_y, scan_x, det_y, det_x).
    lattice
        Of the mean pattern, in pixels of the scan.
    radius_px
        Radius of a disc; needed with a lattice.
    """
    com = summarise(scan, com=True, mean=False)
    if lattice is not None:
        com = remove_descan(com, descan_planes(scan, lattice, radius_px))
    y, x = (1e3 * (com[f"com_{axis}"] - com[f"com_{axis}"].mean()) for axis in "yx")
    units = "10⁻³ " + str(scan.det_y.attrs.get("units", "px")).replace("angstrom", "Å")
    layers = [Layer("com_y", "COM downward", DATA, y, units, "PuOr_r", True), Layer("com_x", "COM to the right", DATA, x, units, "PuOr_r", True)]
    if lattice is None:
        return layers
    row, col = np.array(lattice.g002) / np.hypot(*lattice.g002)
    return [Layer("com_c", "COM along c", DATA, y * row + x * col, units, "PuOr_r", True), *layers]


def known_layers(known: xr.Dataset | None) -> list[Layer]:
    """
    The truth of a simulated scan, or what matching found in a measured one; distances without any wall are infinite and left out.

    Parameters
    ----------
    known
        From :func:`figures_pkg.evaluate.known.known_maps` or :func:`figures_pkg.twin.read_truth`.
    """
    if known is None:
        return []
    group = TRUTH if known.attrs.get("basis", "truth") == "truth" else MATCHED
    if group == MATCHED:  # the domains as figures show them, without poor fits
        known = known.assign(polarization=known.domain)
    names = [name for name in KNOWN_MAPS if name in known and np.isfinite(known[name].values).all()]
    units = {name: known[name].attrs.get("units", "").replace("1", "") for name in names}
    return [Layer(name, KNOWN_MAPS[name][0], group, known[name], units[name], *KNOWN_MAPS[name][1:]) for name in names]


def network_layers(embedding: xr.DataArray, domains: xr.DataArray, names: list) -> list[Layer]:
    """
    The rotated domain channel and every channel of an embedding that varies.

    Parameters
    ----------
    embedding
        (channel, scan_y, scan_x) with the channels' numbers, from :func:`figures_pkg.evaluate.channels.open_embedding`.
    domains
        From :func:`figures_pkg.evaluate.channels.domain_channel`.
    names
        From :func:`figures_pkg.evaluate.channels.name_channels`.
    """
    layers = [Layer("domain_channel", "domain channel, rotated to steps", NETWORK, domains, "", "RdBu_r", True)]
    for number, image, named in zip(embedding.channel.values, embedding, names, strict=True):
        if np.ptp(image.values) > 0:
            title = f"channel {int(number)}" + (f": {named.name}, |r| {abs(named.correlation):.2f}" if named.correlation else "")
            layers.append(Layer(f"channel_{int(number)}", title, NETWORK, image.reset_coords(drop=True).transpose(*SCAN_DIMS)))
    return layers
