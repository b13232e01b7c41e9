"""A small scan, and pages around the pieces of the package."""

from pathlib import Path

import numpy as np
import xarray as xr

from figures_pkg.data.axes import Axes, build_scan
from figures_pkg.imaging import Lattice
from figures_pkg.interactive.explorer_page import Layer, explorer
from figures_pkg.interactive.frames import Axis, Bar, Panel

PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="


def small_scan():
    """A scan of 12 x 10 positions and 32 x 40 pixels with two domains, whose reflections ±l are unequal."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:12, :10]
    row, col = np.mgrid[:32, :40]
    lattice = Lattice((15.2, 19.7), (-4.1, -1.2), (-1.3, 4.2))
    wall = x - 4.6 + 0.15 * y
    mean = np.full((12, 10, 32, 40), 2.0)
    for k, l in np.ndindex(5, 5):
        k, l = k - 2, 2 * l - 4
        at = lattice.position(k, l)
        disc = np.exp(-((row - at[0]) ** 2 + (col - at[1]) ** 2) / 1.5)
        mean += 200 / (1 + k**2 + l**2) * (1 + 0.3 * np.sign(l) * np.tanh(wall))[..., None, None] * disc
    axes = Axes(scan_step_nm=7.5, det_scale_inv_angstrom=0.04, origin_row_col=(15.2, 19.7))
    words = {"orientation": "lab", "source": "user", "path": "", "title": "", "format": ""}
    return build_scan(rng.poisson(mean).astype(np.uint16), axes, **words), lattice, wall


def small_layers(scan, wall) -> list[Layer]:
    """Four maps of the small scan, two of them of its truth."""
    places = {dim: scan[dim] for dim in ("scan_y", "scan_x")}
    truth = {name: xr.DataArray(values, places, tuple(places)) for name, values in {"polarization": np.tanh(wall), "wall_distance_nm": 7.5 * wall}.items()}
    layers = [Layer(name, name, "truth of the twin", values, "nm", "RdBu_r", True) for name, values in truth.items()]
    return layers + [Layer(f"com_{axis}", f"COM {axis}", "from the data", truth["polarization"], "10⁻³ 1/Å", "PuOr_r", True) for axis in "yx"]


def explorer_page(packed, folder: Path) -> Path:
    """Write a page with the explorer as the book would hold it."""
    packed.write(folder / "data" / "small.js")
    body = f"<figure id='still'><img width='200' height='100' src='{PIXEL}' alt='a scan beside its pattern'></figure>"
    body += explorer(packed, "data/small.js", still="still", name="explorer")
    return plain_page(body, folder / "page.html")


def plain_page(body: str, path: Path) -> Path:
    """A page around a piece."""
    path.write_text(f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>a piece</title>"
                    f"<meta name='viewport' content='width=device-width'></head><body><main><h1>A piece</h1>{body}</main></body></html>", encoding="utf-8")
    return path


def slider_parts():
    """Six frames on two sliders, with two panels, one of them turned, and one bar that can be counted."""
    frames = np.random.default_rng(2).random((6, 7, 5)) ** 4 * 1e-3
    index = np.arange(6).reshape(2, 3)
    panels = [Panel("+P", index, colour="#c1272d"), Panel("−P", index[:, ::-1], turned=True)]
    windows = ((1.0, 2.0, 1.2), (5.0, 2.0, 1.2))
    row, col = np.indices((7, 5))
    sums = [frames[:, np.hypot(row - r, col - c) <= radius].sum(axis=1) for r, c, radius in windows]
    plus = ((sums[0] - sums[1]) / (sums[0] + sums[1])).reshape(2, 3)
    axes = [Axis("thickness", "nm", (10.0, 75.0), 1), Axis("tilt", "mrad", (-0.5, 0.0, 0.5), 1)]
    return frames, axes, panels, [Bar("A(004)", np.stack([plus, -plus[:, ::-1]]), windows)]
