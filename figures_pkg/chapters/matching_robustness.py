"""What the chapter on the robustness of matching alone needs: a small test scan from another model than the library's.

A library that is tested on scans made from itself always looks good. Here the crystal scatters with Kirkland's factors in place of
Lobato's, in six slices per period, with another damping of the upper Laue zone; the diffuse background is that of frozen phonons,
whose Kikuchi lines move with the crystal; the lattice stretches across the field; and the pattern wanders over the detector.
"""

from copy import copy
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from figures_pkg.crystal.structure import Crystal
from figures_pkg.data.axes import SCAN_DIMS, Axes, build_scan
from figures_pkg.diffraction.library import Library, LibrarySettings, build_library
from figures_pkg.diffraction.phonons import PhononBackground
from figures_pkg.twin.patterns import Example, example_preset, example_states
from figures_pkg.twin.render import Renderer

OTHER = {"scattering_factors": "kirkland", "slices": 6, "gpts": (96, 108), "damping_nm": 10.0, "period_step": 3}  # the library damps with 15 nm


@dataclass(frozen=True)
class Disturbance:
    """What the scan has and the library does not know of."""

    phonons: float = 0.0  # share of the diffuse background, its halo left aside, that looks as frozen phonons make it
    strain: float = 0.0  # stretch of the lattice in reciprocal space from one side of the field to the other
    drift_px: float = 0.0  # standard deviation of the pattern's walk over the detector


def other_library(thickness_nm, largest_tilt_mrad: float, crystal: Crystal | None = None, g_max_inv_angstrom: float = 1.1) -> Library:
    """Intensities of +P between two thicknesses (nm) from Kirkland's scattering factors and six slices per period; ErMnO3 by default."""
    settings = LibrarySettings.covering(thickness_nm, largest_tilt_mrad, largest_tilt_mrad, g_max_inv_angstrom=g_max_inv_angstrom, **OTHER)
    return build_library(settings, progress=False, crystal=crystal)


def disturbed_scan(library: Library, example: Example, disturbance: Disturbance = Disturbance(), seed: int = 0) -> tuple[xr.DataArray, xr.Dataset]:
    """Simulate a small scan of two domains on a wedge with a bend, with what disturbs it: counts and truth, from the scan's own library."""
    renderer, states, rng = Renderer(example_preset(library, example), library), example_states(example), np.random.default_rng(seed)
    walk = np.cumsum(rng.normal(size=(len(states), 2)), axis=0)
    states[:, 4:6] = disturbance.drift_px * ((walk - walk.mean(axis=0)) / walk.std(axis=0))
    stretch = disturbance.strain * np.linspace(-0.5, 0.5, example.positions[1])
    background = PhononBackground.of(renderer.geometry, example.convergence_mrad) if disturbance.phonons else None
    counts = np.empty((len(states), *renderer.geometry.shape), np.uint16)
    for number, state in enumerate(states):
        origin, stretched = renderer.geometry.origin, copy(renderer)  # its discs moved away from the direct beam
        away = (1 + stretch[number % example.positions[1]]) * (renderer.optics.centres - origin)
        stretched.optics = replace(renderer.optics, centres=origin + away)
        expected = stretched.expected(state)[0]
        if background is not None:
            expected = expected + disturbance.phonons * _diffuse(renderer, background, state)
        counts[number] = rng.poisson(expected)
    axes = Axes(scan_step_nm=example.step_nm, det_scale_inv_angstrom=example.pixel_inv_angstrom,
                origin_row_col=renderer.preset.pattern.origin_row_col, beam_energy_kev=library.energy_kev, convergence_mrad=example.convergence_mrad)
    scan = build_scan(counts.reshape(*example.positions, *counts.shape[1:]), axes, orientation="lab", source="twin", path="",
                      title="Another model", format="memory")
    names = ("domain", "thickness_nm", "tilt_b_mrad", "tilt_c_mrad")
    truth = {name: (SCAN_DIMS, column.reshape(example.positions)) for name, column in zip(names, states.T)}
    return scan, xr.Dataset(truth, {dim: scan[dim] for dim in SCAN_DIMS})


def phonon_share(library: Library, example: Example) -> float:
    """Share of the diffuse background of an example, its halo left aside, that frozen phonons make by themselves."""
    renderer, state = Renderer(example_preset(library, example), library), example_states(example).mean(axis=0)
    usual = np.zeros(renderer.geometry.shape, np.float32)
    replace(renderer.optics.diffuse, halo_counts=0.0).add_to(usual, renderer.geometry.origin, state[1], np.zeros(2))
    phonons = PhononBackground.of(renderer.geometry, example.convergence_mrad).at(1, renderer.geometry.origin)
    return float(renderer.optics.bragg_counts * phonons.sum() / usual.sum())


def _diffuse(renderer, background, state):
    """What a background of frozen phonons changes in the diffuse background of one state, in counts, shape (det_y, det_x)."""
    geometry, usual = renderer.geometry, np.zeros(renderer.geometry.shape, np.float32)
    replace(renderer.optics.diffuse, halo_counts=0.0).add_to(usual, geometry.origin + state[4:6], state[1], state[2:4])
    zone = geometry.origin + state[4:6] + geometry.tilt_displacement(renderer.wavelength_angstrom) @ state[2:4]
    phonons = background.at(state[0], zone)
    return usual.mean() / phonons.mean() * phonons - usual
