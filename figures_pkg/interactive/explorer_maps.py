"""All maps that the explorer offers of a scan: from the data, from a truth or from matching, and from an embedding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr
from scipy.ndimage import distance_transform_edt

from figures_pkg.data import load_manifest
from figures_pkg.data.axes import SCAN_DIMS
from figures_pkg.evaluate.channels import LEAST_R, domain_channel, name_channels, open_embedding
from figures_pkg.evaluate.known import known_maps
from figures_pkg.evaluate.walls import walls_by_course
from figures_pkg.imaging import Lattice, descan_planes, expected_lattice, refine_lattice, remove_descan, summarise
from figures_pkg.plotting.style import SOURCE_WORDS
from figures_pkg.twin.truth import read_truth, truth_path
from figures_pkg.workspace import artefact_path, check_target

from .explorer_page import Layer, pack, write_page, write_script

DATA, TRUTH, MATCHED, NETWORK = "from the data", "truth of the twin", "matched to the library", "from the autoencoder"
KNOWN_MAPS = {
    "polarization": ("domains: weight of +P less −P", "RdBu_r", True),
    "thickness_nm": ("thickness", "viridis", False),
    "tilt_b_mrad": ("tilt along b*", "PuOr_r", False),
    "tilt_c_mrad": ("tilt along c", "PuOr_r", False),
    "wall_distance_nm": ("distance from the wall, positive in +P", "RdBu_r", True),
}


def check_page(out: Path, overwrite: bool) -> Path:
    """The name of a page or data file to be; raises ValueError if it is neither, FileExistsError if it exists and may not be replaced."""
    if out.suffix not in (".html", ".js"):
        raise ValueError(f"--out is {str(out)!r}; give a name that ends in .html for a page, or in .js for its data alone")
    return check_target(out, out.suffix, overwrite)


def explore(scan: xr.DataArray, name: str, out: Path, source: str = "twin", profile: str = "laptop", embedding: Path | None = None) -> Path:
    """
    Pack a scan of counts with all maps that there are of it, into a page (``.html``, its data beside it) or as data alone (``.js``).

    ``name`` is its identifier in the manifest, with ``source`` and ``profile``, or its path; ``embedding`` is a netCDF file of channels to choose from.
    """
    images = summarise(scan)
    lattice, radius_px = (None, 0.0) if Path(name).suffix else _lattice(name, scan, images)
    known = _known(name, scan, lattice, source, profile)
    layers = _com_layers(scan, images, lattice, radius_px) + known_layers(known)
    if embedding is not None:
        layers += _network_layers(open_embedding(embedding), known)
    title = f"{name if lattice else Path(name).name}, {SOURCE_WORDS[scan.source]}"
    packed = pack(scan, layers, {"source": scan.source, "title": title}, lattice, radius_px)
    return write_page(packed, out, title) if out.suffix == ".html" else write_script(packed, out)


def _lattice(name: str, scan: xr.DataArray, images: xr.Dataset) -> tuple[Lattice, float]:
    """The lattice fitted to the mean pattern, and the radius of a disc in pixels."""
    guess, radius_px = expected_lattice(load_manifest()[name.partition("-field")[0]], scan)
    return refine_lattice(images.mean_pattern.values, guess, radius_px), radius_px


def _known(name: str, scan: xr.DataArray, lattice: Lattice | None, source: str, profile: str) -> xr.Dataset | None:
    """The truth beside a simulated scan, or the matched domains of one of the record where they were made."""
    if scan.source == "twin":
        return read_truth(scan.path) if truth_path(scan.path).exists() else None
    if lattice is not None and source == "zenodo" and artefact_path(f"domains/{name}.nc", source, profile).is_file():
        return walls_by_course(known_maps(scan, name, source, profile), lattice.g002)
    return None


def _com_layers(scan: xr.DataArray, images: xr.Dataset, lattice: Lattice | None, radius_px: float) -> list[Layer]:
    """
    The centre of mass of whole patterns, less its mean over the scan, in 1e-3 of the detector's unit.

    With a lattice of the mean pattern the shift of the pattern by the descan coils is taken off (a plane), and the component along c comes first.
    """
    com = images if lattice is None else remove_descan(images, descan_planes(scan, lattice, radius_px))
    y, x = (1e3 * (com[f"com_{axis}"] - com[f"com_{axis}"].mean()) for axis in "yx")
    units = "10⁻³ " + str(scan.det_y.attrs.get("units", "px")).replace("angstrom", "Å")
    layers = [Layer("com_y", "COM downward", DATA, y, units, "PuOr_r", True), Layer("com_x", "COM to the right", DATA, x, units, "PuOr_r", True)]
    if lattice is None:
        return layers
    row, col = np.array(lattice.g002) / np.hypot(*lattice.g002)
    return [Layer("com_c", "COM along c", DATA, y * row + x * col, units, "PuOr_r", True), *layers]


def known_layers(known: xr.Dataset | None) -> list[Layer]:
    """The truth of a simulated scan, or what matching found in a measured one; distances without any wall are infinite and left out."""
    if known is None:
        return []
    group = TRUTH if known.attrs.get("basis", "truth") == "truth" else MATCHED
    if group == MATCHED:  # the domains as figures show them, without poor fits; other maps have there what the nearest good fit has
        known = _good_fits(known).assign(polarization=known.domain)
    layers = []
    for name, (title, cmap, centred) in KNOWN_MAPS.items():
        if name in known and np.isfinite(known[name].values).all():
            title = _matched_title(title) if group == MATCHED else title
            layers.append(Layer(name, title, group, known[name], known[name].attrs.get("units", "").replace("1", ""), cmap, centred))
    return layers


def _matched_title(title: str) -> str:
    """Say that a map comes from matching, such as "matched thickness" or "distance from the matched wall"."""
    return title.replace("the wall", "the matched wall") if "the wall" in title else f"matched {title.partition(':')[0]}"


def _good_fits(known: xr.Dataset) -> xr.Dataset:
    """The matched thickness and tilts, with those of the nearest good fit where a fit is poor."""
    if "poor_fit" not in known or known.poor_fit.all():
        return known
    nearest = distance_transform_edt(known.poor_fit.values, return_distances=False, return_indices=True)
    fields = [name for name in ("thickness_nm", "tilt_b_mrad", "tilt_c_mrad") if name in known]
    return known.assign({name: known[name].copy(data=known[name].values[tuple(nearest)]) for name in fields})


def _network_layers(embedding: xr.DataArray, known: xr.Dataset | None) -> list[Layer]:
    """The rotated domain channel and every channel of an embedding that varies, (channel, scan_y, scan_x)."""
    layers = [Layer("domain_channel", "domain channel, rotated to steps", NETWORK, domain_channel(embedding, known), "", "RdBu_r", True)]
    for number, image, named in zip(embedding.channel.values, embedding, name_channels(embedding, known), strict=True):
        if np.ptp(image.values) > 0:
            title = f"channel {int(number)}" + (f": {named.name}, |r| {abs(named.correlation):.2f}" if abs(named.correlation) >= LEAST_R else "")
            layers.append(Layer(f"channel_{int(number)}", title, NETWORK, image.reset_coords(drop=True).transpose(*SCAN_DIMS)))
    return layers
