"""Diffraction patterns of a scan from the library: discs, diffuse background, blur, dead pixels and counting noise.

Near a wall the difference that it makes is added, from `figures_pkg.twin.walls`, where the preset says ``walls: supercell``;
otherwise the patterns of +P and -P are only mixed.

Not modelled: bending of the lattice at the wall, what a wall scatters between the discs, Kikuchi lines and other structure
of the background, inelastic blur of the discs, upper Laue zones, one electron that counts in several pixels (noise is
Poisson), changes of the beam current, contamination.
"""

from dataclasses import dataclass, replace

import numpy as np

from figures_pkg.data.units import disc_radius, wavelength_angstrom
from figures_pkg.diffraction.library import Library, minus_p_index
from figures_pkg.twin.detector import DiffuseModel, PatternGeometry, blur, dead_pixel_indices, draw_counts, draw_discs, largest_count, poisson_tables, psf_taps
from figures_pkg.twin.domains import WALL_COLUMNS
from figures_pkg.twin.presets import Preset
from figures_pkg.twin.walls import WallPatterns, cubic_shares


@dataclass(frozen=True)
class Optics:
    """A preset and a library in the units of the compiled kernels: px and grid coordinates."""

    plus: np.ndarray  # (n_b + 2, n_c + 2, n_t + 2, n) float32, spline coefficients of +P
    minus: np.ndarray  # the same of -P
    centres: np.ndarray  # (n, 2) disc centres in px of the frame, without shift
    grid_start: np.ndarray  # (3,) first node of tilt b, tilt c (mrad) and thickness (nm)
    grid_step: np.ndarray  # (3,)
    to_grid: np.ndarray  # (2, 2) offset in px -> grid coordinates of the tilts
    to_radius: np.ndarray  # (2, 2) offset in px -> px in which the disc is round
    reach: np.ndarray  # (2,) how far a disc extends in grid coordinates of the tilts
    radius_px: float
    bragg_counts: float  # counts of a disc that holds the whole incident beam
    diffuse: DiffuseModel
    taps: np.ndarray  # (2p + 1,) float32 point spread
    dead: np.ndarray  # (d, 2) int


class Renderer:
    """Patterns of a preset, with the library that its crystal needs.

    A state of a position is a row of six numbers: the weight of +P minus that of -P (-1 to 1), the thickness in nm,
    the tilts along b* and c* in mrad, and the shift of the pattern in px (row down, col right). On a specimen with a
    coating two more follow: the share of crystal, and a factor on everything (see `figures_pkg.twin.specimen`).
    The last five, which may be absent, describe the nearest wall (`figures_pkg.twin.walls`); a preset with ``walls:
    mixture`` does not read them.

    The library holds +P, at the preset's energy and with tilts symmetric about zero, from which -P follows; any other raises a `ValueError`.
    """

    def __init__(self, preset: Preset, library: Library):
        if library.energy_kev != preset.beam.energy_kev:
            raise ValueError(f"the library holds {library.energy_kev:g} keV and preset {preset.name!r} {preset.beam.energy_kev:g} keV; build the "
                             "library with library_settings(preset)")
        self.preset, self.library = preset, library
        self.wavelength_angstrom = wavelength_angstrom(preset.beam.energy_kev)
        self.geometry = PatternGeometry.from_pattern(preset.pattern, *lattice_lengths(library))
        self.walls = WallPatterns(preset, library) if preset.walls == "supercell" else None
        self.optics = self._optics()
        self.optics = self._calibrated()

    def expected(self, states) -> np.ndarray:
        """Expected counts (n, h, w), float32, without noise and without the limit of the counter."""
        states = self._checked(states)
        out = np.empty((len(states), *self.geometry.shape), np.float32)
        for state, pattern in zip(states, out):
            self._fill_expected(state, pattern)
        return out

    def counts(self, states, positions, seed: int) -> np.ndarray:
        """Counts (n, h, w), uint16; `positions` (n,) are the indices ``scan_y * width + scan_x`` that name the noise."""
        states = self._checked(states)
        out = np.empty((len(states), *self.geometry.shape), np.uint16)
        mean = np.empty(self.geometry.shape, np.float32)
        largest, tables = largest_count(self.preset.detector.counter_bits), poisson_tables()
        for state, position, pattern in zip(states, positions, out, strict=True):
            self._fill_expected(state, mean)
            draw_counts(mean, int(position), np.uint64(seed), largest, *tables, pattern)
        return out

    def _fill_expected(self, state, pattern) -> None:
        """Expected counts of one state into `pattern` (h, w) float32; the kernels release the GIL."""
        self._fill_discs(state, pattern)
        self.optics.diffuse.add_to(pattern, self.geometry.origin + state[4:6], state[1], state[2:4])
        if state.size in (8, 8 + len(WALL_COLUMNS)):
            self._cover(state, pattern)
        pattern[self.optics.dead[:, 0], self.optics.dead[:, 1]] = 0

    def _fill_discs(self, state, pattern, optics: Optics | None = None) -> None:
        """Counts in the discs of one state, blurred, into `pattern`; of the crystal unless `optics` says otherwise."""
        crystal, optics = optics is None, optics or self.optics
        margin = len(optics.taps) // 2
        padded = np.zeros([length + 2 * margin for length in pattern.shape], np.float32)
        grid = (state[[2, 3, 1]] - optics.grid_start) / optics.grid_step
        plus, minus, plus_weight = optics.plus, optics.minus, 0.5 + 0.5 * state[0]
        described = crystal and self.walls is not None and state.size >= 6 + len(WALL_COLUMNS)
        if described and self.walls.touches(state[1], state[-len(WALL_COLUMNS) :]):
            plus, grid = self._with_wall(state, plus_weight, grid)
            minus, plus_weight = plus, 1.0
        centres = optics.centres + (state[4:6] + margin)
        draw_discs(plus, minus, plus_weight, grid, centres, optics.to_grid, optics.to_radius, optics.reach, optics.radius_px, padded)
        padded *= optics.bragg_counts
        blur(padded, optics.taps, pattern)

    def _with_wall(self, state, plus_weight: float, grid) -> tuple[np.ndarray, np.ndarray]:
        """Coefficients around a state, mixed, at its thickness and with the wall added, and where the state lies in them."""
        optics = self.optics
        first = np.maximum(np.floor(grid[:2] - optics.reach).astype(int) - 1, 0)
        last = first + np.floor(2 * optics.reach).astype(int) + 7
        third = min(int(grid[2]), optics.plus.shape[2] - 4)
        block = np.s_[first[0] : last[0], first[1] : last[1], third : third + 4]
        shares = cubic_shares(grid[2] - third).astype(np.float32)
        patch = np.float32(plus_weight) * np.einsum("bctn,t->bcn", optics.plus[block], shares)
        patch += np.float32(1 - plus_weight) * np.einsum("bctn,t->bcn", optics.minus[block], shares)
        self.walls.add(state, state[-len(WALL_COLUMNS) :], *first.tolist(), patch)
        return np.repeat(patch[:, :, None], 4, axis=2), np.array([*(grid[:2] - first), 0.0])

    def _cover(self, state, pattern) -> None:
        """Replace the part of a pattern that does not come from the crystal, and weaken the whole."""
        coating, crystal, transmission = self.preset.coating, np.float32(state[6]), np.float32(state[7])
        if crystal < 1:
            optics, carbon, background = self.optics, np.empty_like(pattern), np.zeros_like(pattern)
            whole_beam = np.full((*optics.plus.shape[:3], 1), coating.carbon_direct_beam, np.float32)
            direct = replace(optics, plus=whole_beam, minus=whole_beam, centres=self.geometry.origin[None])
            self._fill_discs(state, carbon, direct)
            optics.diffuse.add_to(background, self.geometry.origin + state[4:6], state[1], np.zeros(2))
            carbon += background * np.float32(coating.carbon_diffuse)
            pattern *= crystal
            pattern += carbon * (1 - crystal)
        pattern *= transmission

    def reference_states(self) -> np.ndarray:
        """One state per domain, at the mean thickness and tilts of the preset and without shift."""
        specimen = self.preset.specimen
        row = [specimen.thickness_nm, specimen.tilt_b_mrad, specimen.tilt_c_mrad, 0.0, 0.0]
        return np.array([[1.0, *row], [-1.0, *row]])

    def _checked(self, states) -> np.ndarray:
        """States as a float64 array, refused when the discs would need the library beyond its grid."""
        states = np.ascontiguousarray(np.atleast_2d(states), dtype=np.float64)
        start, step, reach = self.optics.grid_start, self.optics.grid_step, np.append(self.optics.reach, 0.0)
        last, needed = start + step * (np.array(self.optics.plus.shape[:3]) - 3), states[:, [2, 3, 1]]
        low, high = needed.min(axis=0) - reach * step, needed.max(axis=0) + reach * step
        for name, *values in zip(("tilt_b_mrad", "tilt_c_mrad", "thickness_nm"), low, high, start, last):
            if values[0] < values[2] or values[1] > values[3]:
                raise ValueError("the specimen leaves the library: {} from {:.2f} to {:.2f}, with the discs, of {:g} to {:g}; build the library over a "
                                 "wider range, or bend and wedge less".format(name, *values))
        if (np.abs(states[:, 0]) > 1).any():
            raise ValueError(f"polarization reaches {np.abs(states[:, 0]).max():.3f}; it is a difference of weights, -1 to 1")
        return states

    def _optics(self) -> Optics:
        """Kernel arguments before the level of the counts is known: one count in a disc that holds the whole beam."""
        library, preset = self.library, self.preset
        wavelength, scale = self.wavelength_angstrom, self.geometry.px_per_inv_angstrom
        grids = {name: getattr(library, name) for name in ("tilt_b_mrad", "tilt_c_mrad", "thickness_nm")}
        for name, grid in grids.items():
            if name != "thickness_nm" and not np.allclose(grid, -grid[::-1]):
                raise ValueError(f"{name} of the library runs from {grid[0]:g} to {grid[-1]:g}; -P follows from +P only on a grid symmetric about zero")
        step = np.array([grid[1] - grid[0] for grid in grids.values()], float)
        return Optics(
            plus=np.ascontiguousarray(library.coefficients, np.float32),
            minus=np.ascontiguousarray(library.coefficients[::-1, ::-1][..., minus_p_index(library)], np.float32),
            centres=self.geometry.positions(np.stack([library.g_b, library.g_c], axis=1)),
            grid_start=np.array([grid[0] for grid in grids.values()], float),
            grid_step=step,
            to_grid=np.ascontiguousarray(self.geometry.tilt_within_disc(wavelength) / step[:2, None]),
            to_radius=np.ascontiguousarray(np.linalg.inv(self.geometry.matrix) * scale),
            reach=preset.beam.convergence_mrad / step[:2],
            radius_px=disc_radius(preset.beam.convergence_mrad, preset.beam.energy_kev) * scale,
            bragg_counts=1.0,
            diffuse=DiffuseModel.build(preset.background, self.geometry, wavelength, preset.specimen.thickness_nm),
            taps=psf_taps(preset.detector.psf_sigma_px),
            dead=dead_pixel_indices(preset.detector.dead_pixels, self.geometry.shape),
        )

    def _calibrated(self) -> Optics:
        """Set the level of the counts: at the reference state, averaged over both domains, the frame holds the dose."""
        beam, detector, states = self.preset.beam, self.preset.detector, self.reference_states()
        discs = np.empty((len(states), *self.geometry.shape), np.float32)
        for state, pattern in zip(states, discs):
            self._fill_discs(state, pattern)
        shares = discs.sum(axis=(1, 2), dtype=float).mean()
        counts = beam.electrons_per_pattern * detector.counts_per_electron
        diffuse_counts = counts * (1 - detector.bragg_share)
        return replace(
            self.optics,
            bragg_counts=float(counts * detector.bragg_share / shares),
            diffuse=self.optics.diffuse.scaled_to(diffuse_counts, self.geometry.shape, self.geometry.origin, states[0, 2:4]),
        )


def lattice_lengths(library: Library) -> tuple[float, float]:
    """Lengths of 010 and 002 in 1/Angstrom, from the reflections of the library."""
    k, l = library.hkl[:, 1], library.hkl[:, 2]
    return float(np.median(library.g_b[k != 0] / k[k != 0])), float(2 * np.median(library.g_c[l != 0] / l[l != 0]))
