"""Patterns in memory: noise-free ones of a perfect crystal, and a small scan of any crystal, two variants side by side, with its truth."""

from dataclasses import dataclass, replace

import dask.array as da
import numpy as np
import xarray as xr

from figures_pkg.data.axes import DETECTOR_DIMS, SCAN_DIMS, Axes, build_scan
from figures_pkg.diffraction.discs import warn_of_overlap
from figures_pkg.diffraction.library import Library
from figures_pkg.twin.presets import Preset, load_preset
from figures_pkg.twin.render import Renderer, lattice_lengths


def disc_pattern(library: Library, preset: Preset, polarization: float, thickness_nm: float, tilt_mrad=(0.0, 0.0)) -> xr.DataArray:
    """The convergent-beam pattern of one state: discs without background, blur, noise and dead pixels.

    Fraction of the incident beam per pixel, dimensions ``(det_y, det_x)`` in 1/Å, zero at the direct beam, rows growing downward as in the preset.
    Where discs overlap their intensities are added, with a warning that names the angle.

    Parameters
    ----------
    library, preset
        The library must hold the thickness, and the tilts with the radius of a disc added; the preset gives lattice, scale and convergence.
    polarization, thickness_nm, tilt_mrad
        +1, -1, or the weight of +P less that of -P; tilts along b* and c (sign as in :mod:`figures_pkg.diffraction.multislice`).
    """
    values = disc_patterns(library, preset, [[polarization, thickness_nm, *tilt_mrad]])[0]
    axes = {}
    for dim, length, origin in zip(DETECTOR_DIMS, values.shape, preset.pattern.origin_row_col, strict=True):
        axes[dim] = (dim, (np.arange(length) - origin) * preset.pattern.scale_inv_angstrom, {"units": "1/angstrom"})
    return xr.DataArray(values, axes, DETECTOR_DIMS, "intensity", {"source": "twin", "units": "1 / pixel"})


def disc_patterns(library: Library, preset: Preset, states) -> np.ndarray:
    """Patterns as of :func:`disc_pattern` in one float32 array (n, det_y, det_x), of rows of polarization, thickness (nm) and tilts (mrad)."""
    states = np.asarray(states, float)
    warn_of_overlap(library, preset.beam.convergence_mrad)
    first = dict(zip(("thickness_nm", "tilt_b_mrad", "tilt_c_mrad"), states[0, 1:]))
    detector = replace(preset.detector, psf_sigma_px=0.0, dead_pixels=(), bragg_share=1.0)
    plain = replace(preset, specimen=replace(preset.specimen, **first), detector=detector)
    renderer = Renderer(plain, library)
    padded = np.concatenate([states, np.zeros((len(states), 2))], axis=1)
    return renderer.expected(padded) / np.float32(renderer.optics.bragg_counts)


@dataclass(frozen=True)
class Example:
    """What the example scan looks like; the defaults are a foil that many laboratories could make."""

    positions: tuple[int, int] = (24, 24)  # rows and columns of the scan
    step_nm: float = 2.0
    thickness_nm: tuple[float, float] = (24.0, 36.0)  # from left to right
    bend_mrad: float = 3.0  # both tilts run from minus to plus half of this, along b from top to bottom, along c from left to right
    convergence_mrad: float = 1.5  # half angle of the beam
    electrons: float = 2e5  # per pattern
    bragg_share: float = 0.3  # of the counts that lies in discs; the rest is a smooth diffuse background
    frame_px: int = 128  # a square detector
    pixel_inv_angstrom: float = 0.0135
    rotation_deg: float = 12.0  # of the pattern, anticlockwise from image up to +c
    ellipticity: float = 0.01  # its stretch along the rows


def example_scan(library: Library, example: Example = Example(), seed: int = 0) -> tuple[xr.DataArray, xr.Dataset]:
    """Simulate the scan of a crystal whose library is given, with counting noise, in memory.

    The library must cover the thicknesses, and half the bend with the convergence added; the seed names the noise.

    Returns
    -------
    scan : DataArray
        Counts, dimensions (scan_y, scan_x, det_y, det_x), labelled as :func:`figures_pkg.data.open_scan` does.
    truth : Dataset
        polarization, thickness_nm, tilt_b_mrad and tilt_c_mrad on (scan_y, scan_x); attributes ``origin_row_col``,
        ``g002_row_col``, ``g010_row_col`` and ``disc_radius_px``.
    """
    renderer, states = Renderer(example_preset(library, example), library), example_states(example)
    counts, pattern = renderer.counts(states, np.arange(len(states)), seed), renderer.preset.pattern
    axes = Axes(scan_step_nm=example.step_nm, det_scale_inv_angstrom=example.pixel_inv_angstrom, origin_row_col=pattern.origin_row_col,
                beam_energy_kev=library.energy_kev, convergence_mrad=example.convergence_mrad)
    blocks = da.from_array(counts.reshape(*example.positions, *pattern.shape), chunks=(8, 8, *pattern.shape))
    scan = build_scan(blocks, axes, orientation="lab", source="twin", path="", title="A simulated example", format="memory")
    names, columns = {"polarization": "1", "thickness_nm": "nm", "tilt_b_mrad": "mrad", "tilt_c_mrad": "mrad"}, states.T.reshape(-1, *example.positions)
    maps = {name: (SCAN_DIMS, column, {"units": unit}) for (name, unit), column in zip(names.items(), columns)}
    attributes = {name: list(getattr(pattern, name)) for name in ("origin_row_col", "g002_row_col", "g010_row_col")}
    return scan, xr.Dataset(maps, {dim: scan[dim] for dim in SCAN_DIMS}, attributes | {"disc_radius_px": renderer.optics.radius_px})


def example_states(example: Example) -> np.ndarray:
    """Rows of polarization, thickness, both tilts and the shift of the pattern (none), as the renderer takes them, (n, 6)."""
    y, x = (grid.ravel() for grid in np.meshgrid(*(np.linspace(0, 1, n) for n in example.positions), indexing="ij"))
    wall = 0.5 + 0.12 * np.sin(2 * np.pi * y) + 0.1 * (y - 0.5)
    low, high = example.thickness_nm
    columns = [np.where(x < wall, 1.0, -1.0), low + (high - low) * x, example.bend_mrad * (y - 0.5), example.bend_mrad * (x - 0.5)]
    return np.stack([*columns, np.zeros_like(x), np.zeros_like(x)], axis=1)


def example_preset(library: Library, example: Example) -> Preset:
    """The twin's ds1 with another crystal, beam and detector; what it says of walls and specimen is not used."""
    base, middle = load_preset("ds1"), (example.frame_px - 1) / 2
    up = np.radians(example.rotation_deg)
    stretch = np.array([1 + example.ellipticity / 2, 1 - example.ellipticity / 2]) / example.pixel_inv_angstrom
    g010, g002 = lattice_lengths(library)
    pattern = replace(
        base.pattern,
        shape=(example.frame_px, example.frame_px),
        origin_row_col=(middle + 1.3, middle - 0.8),
        g002_row_col=tuple(map(float, g002 * stretch * (-np.cos(up), -np.sin(up)))),
        g010_row_col=tuple(map(float, g010 * stretch * (-np.sin(up), np.cos(up)))),
        scale_inv_angstrom=example.pixel_inv_angstrom,
    )
    beam = {"energy_kev": library.energy_kev, "electrons_per_pattern": example.electrons, "convergence_mrad": example.convergence_mrad}
    return replace(
        base,
        title="A simulated example",
        walls="mixture",
        wall=None,
        beam=replace(base.beam, **beam),
        detector=replace(base.detector, counts_per_electron=1.0, bragg_share=example.bragg_share, dead_pixels=()),
        specimen=replace(base.specimen, thickness_nm=float(np.mean(example.thickness_nm)), tilt_b_mrad=0.0, tilt_c_mrad=0.0),
        pattern=pattern,
    )
