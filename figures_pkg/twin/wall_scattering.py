"""Walls in the multislice: their atoms, probes on supercells of upright walls, and depth stacks for inclined ones.

**Atoms.** The six domain states lie on the same parent lattice. Three have +P and differ by a translation of a third of the cell; the
mirror plane across c turns each into the -P state at the opposite phase. A wall takes the phase through values between
them. The height and place of each column is written as the trigonometric polynomial of lowest order through the six
states: its terms of order 1 are the trimerization (K3), those of order 3 the polar mode, and the rest, below 0.02
angstrom, what a real domain has besides. Q stays at its value in a domain; Landau theory lets it dip by 5 % in a wall.

**Slices.** One for each period of 0.611 nm. Against the library's six this costs some per cent of a reflection at 60 nm, so
the renderer takes only the difference that a wall makes from here.

**Supercells.** A charged wall lies across c, a neutral one across b*. The supercell is periodic, so it holds two walls: +P in the middle
half, -P around it. Along c the upper wall of the middle is head-to-head and the lower one tail-to-tail. Across b* both
are neutral, and each is the other's mirror image. An inclined wall moves from slice to slice, and its mate with it.

A focused probe is a sum of plane waves whose components along the wall's normal lie on the reciprocal grid of
the supercell, 0.14 mrad apart for 18 nm. Each wave is propagated once. For a probe at x0 the amplitudes of waves with index m
meet with phases exp(-2 pi i m x0 / L), so one set of waves serves every position, and every bend that lies on the grid.
Along the wall the crystal is periodic, waves of different tilt do not meet, and a few lines across the disc suffice.

**Depth stacks.** Under an inclined wall the beam meets one domain first and then the other, and the two scatter coherently. Where the
wall is slanted enough that one probe sees it over many nanometres of depth, each column under the probe is taken by itself;
the phase changes in it over ``half width / tan(inclination)``.

Intensities are sums over discs, as fractions of the incident beam; what a wall scatters between the discs (odd l, streaks) is left out.
"""

from dataclasses import dataclass, field
from functools import cache, lru_cache
from itertools import cycle, islice

import numpy as np
import scipy.fft

from figures_pkg.crystal.structure import ermno3, structure, ways_from_places
from figures_pkg.data.units import wavelength_angstrom
from figures_pkg.diffraction.multislice import fourier_crop, free_propagator, kinds_of, largest_circle, log_transmission
from figures_pkg.twin.domains import STATES, WallProfile, default_profile, wall_phase_deg

ENERGY_KEV = 200.0  # of the tables of walls, whatever the preset
MATCH_ANGSTROM = 1.0  # corresponding atoms of two states are closer than this, others of the element farther
OVERSAMPLING = 2  # grid on which the logarithms of the atoms are added, against that of the waves
POINTS_B, POINTS_C = 36, 80  # of the half cell, 5.293 x 11.420 angstrom: beams to 3.4 1/angstrom
BOX_ANGSTROM = 10.5  # half of it reaches into the tail of an atom, which ends as in a crystal of this period
BATCH, STACK_BATCH = 4, 8  # tilts that are propagated together, through a supercell and through a stack
WAVES = 32  # frequencies side by side whose exponentials are formed; the others are products of these and of every 32nd one
LINES = 5  # across a disc, along the wall
PHASE_STEP_DEG = 2.5  # the slices of a wall are taken from a table of phases this far apart
REACH = 3.0  # half widths beyond which a column has the phase of its domain (3 degrees are left)


@dataclass(frozen=True)
class PhaseModes:
    """Columns of the half cell that the projection along [100] repeats, over the phase."""

    symbols: tuple  # (n,)
    u_iso: np.ndarray  # (n,) squared angstrom, the mean of each element: sites of one kind trade places from domain to domain
    coefficients: np.ndarray  # (6, n, 2) complex, Fourier coefficients over the six phases of the places along b* and c, in angstrom
    cell_angstrom: np.ndarray  # (2,) 5.293 x 11.420

    def displacements(self, phase_deg, polar=None) -> np.ndarray:
        """Places along b* and c, angstrom, (..., n, 2), at one phase or at one for each column; the polar mode is cos(3 phase) unless `polar` gives it."""
        phase = np.broadcast_to(np.radians(np.asarray(phase_deg, float)), (*np.shape(phase_deg)[:-1], len(self.symbols)))
        places = np.broadcast_to(self.coefficients[0].real, (*phase.shape, 2)).copy()
        for order in (1, 2):
            turned = np.exp(1j * order * phase)[..., None] * self.coefficients[order]
            places += 2 * turned.real
        amplitude = np.cos(3 * phase) if polar is None else np.broadcast_to(polar, phase.shape)
        return places + amplitude[..., None] * self.coefficients[3].real

    @property
    def middle(self) -> np.ndarray:
        """Places of the parent structure, shape (n, 2): what decides on which side of a wall a column lies."""
        return self.coefficients[0].real

    @property
    def first_layer(self) -> np.ndarray:
        """Which columns stay where c is halved: its two layers then coincide in projection."""
        height = self.cell_angstrom[1]
        return np.flatnonzero((np.mod(self.middle[:, 1], height) + 0.1) % height < float(height / 2))


@cache
def phase_modes() -> PhaseModes:
    """Modes of ErMnO3 from its tabulated structure."""
    crystal, states = ermno3(+1), []
    for index in range(STATES):
        turns = index // 2 if index % 2 == 0 else (index + 3) % STATES // 2
        places = crystal.positions_angstrom + turns * crystal.cell_angstrom * [1 / 2, 1 / 6, 0]  # by a lattice vector of the parent structure
        away, partner = ways_from_places(crystal, places if index % 2 == 0 else places * [1, 1, -1])
        if np.linalg.norm(away, axis=1).max() > MATCH_ANGSTROM or len(set(partner)) < len(partner):
            raise ValueError("the domain states of this structure do not share a parent lattice; check the coordinates of the CIF")
        states.append(crystal.positions_angstrom - away)  # each atom beside that of state 0 with the same number
    half = len(crystal.symbols) // 2  # the other half of the orthogonal cell projects onto the same columns
    coefficients = np.fft.fft(np.stack(states)[:, :half, 1:], axis=0) / STATES
    cell = crystal.cell_angstrom[1:] / (2, 1)
    symbols = np.asarray(crystal.symbols[:half])
    u_iso = np.array([crystal.u_iso[:half][symbols == symbol].mean() for symbol in symbols])
    return PhaseModes(crystal.symbols[:half], u_iso, coefficients, cell)


@dataclass(frozen=True)
class Supercell:
    """Two walls in a periodic cell."""

    kind: str  # "charged" (walls across c, HH and TT) or "neutral" (walls across b*)
    repeats: int  # cells along the normal: of 1.142 nm for charged walls, of 0.529 nm for neutral ones
    profile: WallProfile = field(default_factory=lambda: default_profile(1.0))  # of both walls
    inclination_deg: float = 0.0  # of both walls against the beam: with depth they move along +c or +b*

    @property
    def axis(self) -> int:
        """Direction of the walls' normal: 0 is b*, 1 is c."""
        return int(self.kind == "charged")

    @property
    def cell_angstrom(self) -> tuple[float, float]:
        """Edges along b* and c; across b* walls keep the glide plane, which halves c in projection."""
        b, c = phase_modes().cell_angstrom
        return (float(b), float(c * self.repeats)) if self.axis else (float(b * self.repeats), float(c / 2))

    @property
    def gpts(self) -> tuple[int, int]:
        """Grid points along b* and c."""
        return (POINTS_B, POINTS_C * self.repeats) if self.axis else (POINTS_B * self.repeats, POINTS_C // 2)

    @property
    def length_nm(self) -> float:
        """Period along the normal."""
        return self.cell_angstrom[self.axis] / 10

    def walls_nm(self) -> dict[str, tuple[float, int]]:
        """Place of each wall along the normal, and on which side of it +P lies: -1 below, 1 above."""
        low, high = ("TT", "HH") if self.axis else ("neutral-", "neutral+")
        return {low: (self.length_nm / 4, 1), high: (3 * self.length_nm / 4, -1)}

    def columns(self, shift_nm: float = 0.0) -> tuple:
        """Symbols, places (n, 2) and u_iso of all columns, the walls moved by `shift_nm` along the normal."""
        modes, axis = phase_modes(), self.axis
        middle = np.mod(modes.middle, modes.cell_angstrom)
        keep = np.arange(len(middle)) if axis else modes.first_layer
        offset = np.zeros((self.repeats, 1, 2))
        offset[:, 0, axis] = np.arange(self.repeats) * modes.cell_angstrom[axis]
        from_low = np.mod((middle + offset)[..., axis] / 10 - shift_nm, self.length_nm) - self.length_nm / 4
        lower = from_low < self.length_nm / 4  # the nearer wall; distances are positive in +P
        distance, charge = np.where(lower, from_low, self.length_nm / 2 - from_low), np.where(lower, -1, 1) * axis
        places = modes.displacements(self.profile.phase_deg(distance), self.profile.polar(distance, self.axis)) + offset
        places[..., 1] += 10 * self.profile.shift_nm(-charge * distance, charge)
        places += middle - modes.middle
        symbols = [modes.symbols[i] for i in keep] * self.repeats
        return symbols, places[:, keep].reshape(-1, 2), np.tile(modes.u_iso[keep], self.repeats)

    def transmission(self, shift_nm: float = 0.0) -> np.ndarray:
        """Thermally averaged transmission of one period, complex64, shape `gpts`."""
        return slice_transmission(*self.columns(shift_nm), self.gpts, self.cell_angstrom)

    def slices(self, periods: int) -> list[np.ndarray]:
        """Transmission of every period, the walls in place at mid thickness; one for all periods where they are upright."""
        depth = (np.arange(periods) + 0.5 - periods / 2) * structure()["a_angstrom"] / 10
        shifts = depth * np.tan(np.radians(self.inclination_deg)) if self.inclination_deg else [0.0]
        return [self.transmission(shift) for shift in shifts]


def slice_transmission(symbols, places, u_iso, gpts, cell_angstrom) -> np.ndarray:
    """Thermally averaged transmission <exp(i sigma V)> of many columns, complex64, shape `gpts`; one atom of each kind is placed by exact phases."""
    fine = tuple(OVERSAMPLING * n for n in gpts)
    total = np.zeros(fine, complex)
    for kind, members in kinds_of(symbols, u_iso).items():
        b, c = places[members].T
        phases = _waves(b, fine[0], cell_angstrom[0]).T @ _waves(c, fine[1], cell_angstrom[1])
        total += _log_of_one_atom(*kind, fine, tuple(cell_angstrom)) * phases
    values = np.exp(scipy.fft.ifft2(total))
    coarse = fourier_crop(scipy.fft.fft2(values), gpts) * largest_circle(gpts, cell_angstrom)
    return (scipy.fft.ifft2(coarse) * (np.prod(gpts) / values.size)).astype(np.complex64)


def _waves(places, points, length):
    """exp(-2 pi i k x) at places (m,) for the frequencies k of an even number of points, (m, points): products of few exponentials, and their conjugates."""
    half = points // 2
    turns = -2j * np.pi * np.asarray(places)[:, None] / length
    coarse, fine = np.exp(turns * np.arange(0, half + 1, WAVES)), np.exp(turns * np.arange(WAVES))
    waves = (coarse[:, :, None] * fine[:, None]).reshape(len(places), -1)[:, : half + 1]
    return np.hstack([waves[:, :half], waves[:, half:0:-1].conj()])


@lru_cache(maxsize=16)
def _log_of_one_atom(symbol, u_iso, gpts, cell):
    """Fourier coefficients of the logarithm of the transmission of one atom at the origin, from a box of its surroundings."""
    parts = []  # as many as are whole pixels and long enough for an atom's potential
    for n, length in zip(gpts, cell):
        parts.append(max((part for part in range(2, n + 1) if n % part == 0 and length / part >= BOX_ANGSTROM), default=1))
    box, edges = np.floor_divide(gpts, parts).tolist(), np.divide(cell, parts).tolist()
    values = log_transmission(([symbol], np.zeros((1, 2)), np.array([u_iso]), edges), tuple(box), ENERGY_KEV)
    whole = np.zeros(gpts, complex)
    rows, cols = (np.fft.fftfreq(n, 1 / n).astype(int) % size for n, size in zip(box, gpts))
    whole[np.ix_(rows, cols)] = values
    return scipy.fft.fft2(whole)


@lru_cache(maxsize=128)
def domain_slice(phase_deg: float):
    """Transmission, grid and cell (angstrom) of one period at one phase; the glide plane halves c in projection."""
    modes, gpts = phase_modes(), (POINTS_B, POINTS_C // 2)
    keep, cell = modes.first_layer, (float(modes.cell_angstrom[0]), float(modes.cell_angstrom[1] / 2))
    return slice_transmission([modes.symbols[i] for i in keep], modes.displacements(phase_deg)[keep], modes.u_iso[keep], gpts, cell), gpts, cell


@dataclass(frozen=True)
class Cone:
    """Plane waves of a focused probe, for a few orientations of the specimen around a mean."""

    convergence_mrad: float
    normal_mrad: np.ndarray  # (m,) tilts along the wall's normal: the reciprocal grid of the supercell, shifted to the mean tilt
    along_mrad: np.ndarray  # (a,) lines along the wall
    normal_nodes: np.ndarray  # index of the middle of the disc of each orientation in `normal_mrad`
    along_nodes: np.ndarray  # and in `along_mrad`

    @classmethod
    def around(cls, tilt_mrad, bend_mrad: float, convergence_mrad: float, step_mrad: float) -> "Cone":
        """Waves for tilts (normal, along) within ``bend_mrad / 2`` of a mean; no bend needs one orientation."""
        radius = int(convergence_mrad / step_mrad)
        reach, spacing = int(np.ceil(bend_mrad / 2 / step_mrad)), 2 * convergence_mrad / LINES
        rows = int(np.ceil(bend_mrad / 2 / spacing))
        normal = tilt_mrad[0] + step_mrad * np.arange(-reach - radius, reach + radius + 1)
        along = tilt_mrad[1] + spacing * (np.arange(LINES + 2 * rows) - (LINES - 1) / 2 - rows)
        middles = ((reach + radius, reach), ((LINES - 1) // 2 + rows, rows))
        return cls(convergence_mrad, normal, along, *(np.unique([at - aside, at, at + aside]) for at, aside in middles))

    def weights(self, normal: int, along: int) -> np.ndarray:
        """Amplitude (a, m) of each wave in the cone of one orientation; squares sum to one."""
        off_n = self.normal_mrad - self.normal_mrad[self.normal_nodes[normal]]
        off_a = self.along_mrad - self.along_mrad[self.along_nodes[along]]
        inside = off_n**2 + off_a[:, None] ** 2 <= self.convergence_mrad**2
        return inside / np.sqrt(inside.sum())


def probe_discs(cell: Supercell, cone: Cone, periods, hkl, places_nm) -> np.ndarray:
    """Disc intensities of a probe at places along the normal of the walls of a supercell, float32 (normal tilts, along tilts, t, x, n).

    Parameters
    ----------
    cell, cone
        The steps of the cone along the normal must be wavelength / length of the cell, see `cone_step_mrad`.
    periods
        Thicknesses (t,) in periods of 0.611 nm, increasing. An inclined wall has its stated place at half the last of them.
    hkl, places_nm
        Reflections 0 k l of the library, (n, 3); places (x,) along the normal, from the origin of the cell.
    """
    slices, index = cell.slices(max(periods)), np.arange(len(cone.normal_mrad))
    phases = np.exp(-2j * np.pi * index[:, None] * np.asarray(places_nm, float) / cell.length_nm).astype(np.complex64)
    result = np.zeros((len(cone.normal_nodes), len(cone.along_nodes), len(periods), len(places_nm), len(hkl)), np.float32)
    away, axis = index[None, :] - index[:, None], cell.axis  # (m, m')
    order, across = (hkl[:, 1] * cell.repeats, hkl[:, 2] // 2) if axis == 0 else (hkl[:, 2] * cell.repeats, hkl[:, 1])
    fixed = (across % cell.gpts[1 - axis])[:, None]
    tilts, amplitudes = np.empty((len(index), 2)), np.empty((len(index), len(periods), len(hkl), len(index)), np.complex64)
    for line in range(len(cone.along_mrad)):
        tilts[:, axis], tilts[:, 1 - axis] = cone.normal_mrad, cone.along_mrad[line]
        weights = {node: cone.weights(*node)[line].astype(np.float32) for node in np.ndindex(result.shape[:2])}
        needed = np.flatnonzero(np.any(list(weights.values()), axis=0))  # the corners around a round disc hold no wave
        for start in range(0, len(needed), BATCH):  # amplitudes (m, t, n, m') that wave m sends into place m' of each disc
            part = needed[start : start + BATCH]
            for m, wave in zip(part, _exit_waves(slices, (cell.gpts, cell.cell_angstrom), tilts[part], periods)):
                beams = (order[:, None] + away[m]) % cell.gpts[axis]
                amplitudes[m] = wave[:, beams, fixed] if axis == 0 else wave[:, fixed, beams]
        for (i, j), weight in weights.items():
            inside = np.flatnonzero(weight)
            if inside.size:
                weighted = phases[inside] * weight[inside, None]  # (m, x)
                waves = np.tensordot(weighted, amplitudes[inside][..., inside], axes=(0, 0))  # (x, t, n, m')
                result[i, j] += (waves.real**2 + waves.imag**2).sum(axis=-1).transpose(1, 0, 2)
    return result


def cone_step_mrad(cell: Supercell) -> float:
    """Spacing of the plane waves that a supercell lets meet: wavelength over length."""
    return wavelength_angstrom(ENERGY_KEV) / (10 * cell.length_nm) * 1e3


def bulk_discs(cone: Cone, polarization: int, axis: int, periods, hkl) -> np.ndarray:
    """Disc intensities of a domain with the same slices and waves, (normal tilts, along tilts, t, n); `axis` of the normal is 0 for b*, 1 for c."""
    transmission, *grid = domain_slice(0.0 if polarization > 0 else 60.0)
    tilts = np.stack(np.meshgrid(cone.along_mrad, cone.normal_mrad, indexing="ij")[:: -1 if axis == 0 else 1], -1)
    batches = np.array_split(tilts.reshape(-1, 2), -(-tilts.size // 64))
    rows, cols = _half_cell_beams(grid[0], hkl)
    waves = np.concatenate([_exit_waves([transmission], grid, batch, periods)[:, :, rows, cols] for batch in batches])
    intensity = (np.abs(waves) ** 2).reshape(*tilts.shape[:2], *waves.shape[1:])
    nodes = [[cone.weights(i, j) ** 2 for j in range(len(cone.along_nodes))] for i in range(len(cone.normal_nodes))]
    return np.einsum("ijam,amtn->ijtn", np.array(nodes), intensity).astype(np.float32)


def _half_cell_beams(gpts, hkl) -> tuple[np.ndarray, np.ndarray]:
    """Where the reflections lie in a transform of the cell that is halved along c."""
    return np.mod(hkl[:, 1], gpts[0]), np.mod(hkl[:, 2] // 2, gpts[1])


def _exit_waves(slices, grid, tilts_mrad, periods) -> np.ndarray:
    """Amplitudes (waves, t, n_b, n_c) of all beams of plane waves behind the given numbers of periods."""
    propagator, rows = _propagator(*grid, tilts_mrad), {period: row for row, period in enumerate(periods)}
    out = np.empty((len(tilts_mrad), len(periods), *grid[0]), np.complex64)
    for period, coefficients in _through(np.ones(propagator.shape, np.complex64), islice(cycle(slices), max(periods)), propagator):
        if period in rows:
            out[:, rows[period]] = coefficients / np.prod(grid[0])
    return out


def _through(waves, slices, propagator):
    """Fourier coefficients, not normalised, of waves behind each slice. Transforms of FFTW differ in last bits, enough to change a few counts."""
    for passed, transmission in enumerate(slices, 1):
        coefficients = scipy.fft.fft2(waves * transmission, overwrite_x=True)
        coefficients *= propagator
        yield passed, coefficients
        waves[:] = scipy.fft.ifft2(coefficients, overwrite_x=True)


def _propagator(gpts, cell_angstrom, tilts_mrad) -> np.ndarray:
    """Propagation over one period for each tilt, shape (waves, n_b, n_c), zero outside the largest circle on the grid."""
    free = free_propagator(gpts, cell_angstrom, structure()["a_angstrom"], wavelength_angstrom(ENERGY_KEV), tilts_mrad)
    return (free * largest_circle(gpts, cell_angstrom)).astype(np.complex64)


def stack_intensities(top: int, step: int, depths, periods, tilts_mrad, hkl, half_depth_periods: float) -> np.ndarray:
    """Intensities behind columns with a wall at several depths, float32, shape (m, t, z + 2, n), as fractions of the incident beam.

    First of the z + 2 comes the lower domain alone, last the upper domain alone.

    Parameters
    ----------
    top, step
        Domain that the beam meets first, +1 or -1, and the turn of the phase out of the +P domain, 1 or -1 times 60 degrees.
    depths
        Of the middle of the wall below the upper surface, in periods, increasing, (z,), also outside the foil.
    periods, tilts_mrad, hkl
        Thicknesses (t,) in periods, increasing; tilts (m, 2) along b* and c, sign as in `figures_pkg.diffraction.multislice`; reflections (n, 3).
    half_depth_periods
        Half the width of the wall along the beam.
    """
    lower, upper = (60.0 * step, 0.0) if top > 0 else (0.0, 60.0 * step)
    count, deepest = round(60 / PHASE_STEP_DEG), max(periods)
    slices = np.stack([domain_slice(float(phase))[0] for phase in upper + (lower - upper) * np.arange(count + 1) / count])
    below = (np.arange(deepest) + 0.5) - np.asarray(depths, float)[:, None]  # (z, deepest) below the middle of the wall
    share = np.where(np.abs(below) > REACH * half_depth_periods, below > 0, wall_phase_deg(below, half_depth_periods) / 60)
    # The number of the slice in each column and period, and when each column leaves the upper domain.
    index = np.vstack([np.full(deepest, count), np.rint(share * count).astype(int), np.zeros(deepest, int)])
    start = np.where((index > 0).any(axis=1), (index > 0).argmax(axis=1), deepest)
    _, gpts, cell = domain_slice(0.0)
    beams, tilts = _half_cell_beams(gpts, hkl), np.atleast_2d(np.asarray(tilts_mrad, float))
    result = np.empty((len(tilts), len(periods), len(index), len(hkl)), np.float32)
    for first in range(0, len(tilts), STACK_BATCH):
        part = slice(first, first + STACK_BATCH)
        _through_columns(slices, index, start, _propagator(gpts, cell, tilts[part]), periods, beams, result[part])
    return result


def _through_columns(slices, index, start, propagator, periods, beams, result) -> None:
    """Propagate a batch of tilts through each column. All begin as the last, the upper domain, whose waves are noted."""
    last, deepest, rows = len(index) - 1, max(periods), {period: row for row, period in enumerate(periods)}
    waves, upper = np.ones(propagator.shape, np.complex64), np.empty((deepest, *propagator.shape), np.complex64)
    norm = propagator.shape[1] * propagator.shape[2]

    def column_slices(column, first):
        for period in range(first, deepest):
            if column == last:
                upper[period] = waves
            yield slices[index[column, period]]

    for column in range(last, -1, -1):
        first = 0 if column == last else start[column]
        result[:, :, column] = result[:, :, last]
        if column < last:
            waves[:] = upper[min(first, deepest - 1)]
        for passed, coefficients in _through(waves, column_slices(column, first), propagator):
            if first + passed in rows:
                result[:, rows[first + passed], column] = np.abs(coefficients[:, beams[0], beams[1]] / norm) ** 2
