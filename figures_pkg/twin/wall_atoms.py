"""Atoms of walls: the six domain states as one function of the phase, and supercells with two walls.

The six states lie on the same parent lattice. Three have +P and differ by a translation of a third of the cell; the
mirror plane across c turns each into the -P state at the opposite phase. A wall takes the phase through values between
them. The height and place of each column is written as the trigonometric polynomial of lowest order through the six
states: its terms of order 1 are the trimerization (K3), those of order 3 the polar mode, and the rest, below 0.02
angstrom, what a real domain has besides. Q stays at its value in a domain; Landau theory lets it dip by 5 % in a wall.

A charged wall lies across c, a neutral one across b*. The supercell is periodic, so it holds two walls: +P in the middle
half, -P around it. Along c the upper wall of the middle is head-to-head and the lower one tail-to-tail. Across b* both
are neutral, and each is the other's mirror image. An inclined wall moves from slice to slice, and its mate with it.

One slice for each period of 0.611 nm puts a structure of half the size (b*, or b* and c/2 for a wall across b*) into the
transforms. Against the library's six slices this costs some per cent of a reflection at 60 nm. The renderer therefore
takes only the difference that a wall makes from here, and everything else from the library.
"""

from dataclasses import dataclass, field
from functools import cache, lru_cache

import numpy as np
import scipy.fft

from figures_pkg.crystal.structure import Crystal, ermno3, structure
from figures_pkg.diffraction.potential import fourier_crop, frequencies, log_transmission
from figures_pkg.twin.domains import STATES, WallProfile, default_profile

ENERGY_KEV = 200.0  # of the tables of walls, whatever the preset
MATCH_ANGSTROM = 1.0  # corresponding atoms of two states are closer than this, others of the element farther
OVERSAMPLING = 2  # grid on which the logarithms of the atoms are added, against that of the waves
POINTS_B, POINTS_C = 36, 80  # of the half cell, 5.293 x 11.420 angstrom: beams to 3.4 1/angstrom
BOX_ANGSTROM = 10.5  # half of it reaches into the tail of an atom, which ends as in a crystal of this period
KINDS = ("charged", "neutral")


@dataclass(frozen=True)
class PhaseModes:
    """Columns of the half cell that the projection along [100] repeats, over the phase."""

    symbols: tuple  # (n,)
    u_iso: np.ndarray  # (n,) squared angstrom, the mean of each element: sites of one kind trade places from domain to domain
    coefficients: np.ndarray  # (6, n, 2) complex, Fourier coefficients over the six phases of the places along b* and c, in angstrom
    cell_angstrom: np.ndarray  # (2,) 5.293 x 11.420

    def displacements(self, phase_deg, polar=None) -> np.ndarray:
        """Places of the columns at one phase, or at one phase for each column.

        Parameters
        ----------
        phase_deg : float or array, shape (..., n)
            0, 120, 240 are +P, the others of the six -P.
        polar : array like `phase_deg`, optional
            Amplitude of the polar mode, 1 in +P and -1 in -P; cos(3 phase) by default, which the coupling asks for.

        Returns
        -------
        places : array, shape (..., n, 2)
            Along b* and c, angstrom.
        """
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


@cache
def phase_modes() -> PhaseModes:
    """Modes of ErMnO3 from its tabulated structure."""
    states = [_on_parent(_state(index)) for index in range(STATES)]
    half = len(states[0]) // 2  # the other half of the orthogonal cell projects onto the same columns
    crystal = ermno3(+1)
    coefficients = np.fft.fft(np.stack(states)[:, :half, 1:], axis=0) / STATES
    cell = crystal.cell_angstrom[1:] / (2, 1)
    symbols = np.asarray(crystal.symbols[:half])
    u_iso = np.array([crystal.u_iso[:half][symbols == symbol].mean() for symbol in symbols])
    return PhaseModes(crystal.symbols[:half], u_iso, coefficients, cell)


def _state(index: int) -> np.ndarray:
    """Places of the 60 atoms of domain state 0 to 5, in no particular order, shape (60, 3)."""
    plus = ermno3(+1)
    shift = plus.cell_angstrom * [1 / 2, 1 / 6, 0]  # a lattice vector of the parent structure
    turns = index // 2 if index % 2 == 0 else (index + 3) % STATES // 2
    places = plus.positions_angstrom + turns * shift
    return places if index % 2 == 0 else places * [1, 1, -1]


def _on_parent(places: np.ndarray) -> np.ndarray:
    """The places reordered and moved by periods so that each lies beside the atom of state 0 with the same number."""
    reference: Crystal = ermno3(+1)
    symbols, cell = np.asarray(reference.symbols), reference.cell_angstrom
    away = places[None] - reference.positions_angstrom[:, None]
    away -= cell * np.round(away / cell)
    distance = np.where(symbols[:, None] == symbols[None], np.linalg.norm(away, axis=2), np.inf)
    partner = distance.argmin(axis=1)
    if distance.min(axis=1).max() > MATCH_ANGSTROM or len(set(partner)) < len(partner):
        raise ValueError("the domain states of this structure do not share a parent lattice; check the coordinates of the CIF")
    return reference.positions_angstrom + away[np.arange(len(places)), partner]


@dataclass(frozen=True)
class Supercell:
    """Two walls in a periodic cell."""

    kind: str  # "charged" (walls across c, HH and TT) or "neutral" (walls across b*)
    repeats: int  # cells along the normal: of 1.142 nm for charged walls, of 0.529 nm for neutral ones
    profile: WallProfile = field(default_factory=lambda: default_profile(1.0))  # of both walls
    inclination_deg: float = 0.0  # of both walls against the beam: with depth they move along +c or +b*

    def __post_init__(self):
        if self.kind not in KINDS or self.repeats < 4:
            raise ValueError(f"a supercell is charged or neutral and has 4 or more repeats; got {self.kind!r} and {self.repeats}")

    @property
    def axis(self) -> int:
        """Direction of the walls' normal: 0 is b*, 1 is c."""
        return KINDS[::-1].index(self.kind)

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
        low, high = self.length_nm / 4, 3 * self.length_nm / 4
        names = ("TT", "HH") if self.axis else ("neutral-", "neutral+")
        return {names[0]: (low, 1), names[1]: (high, -1)}

    def columns(self, shift_nm: float = 0.0) -> tuple:
        """Symbols, places (n, 2) and u_iso of all columns, the walls moved by `shift_nm` along the normal."""
        modes, axis = phase_modes(), self.axis
        middle = np.mod(modes.middle, modes.cell_angstrom)
        # Across b* the two layers of a cell coincide in the halved cell: one of them stays.
        keep = np.flatnonzero((middle[:, 1] + 0.1) % modes.cell_angstrom[1] < (self.cell_angstrom[1] if not axis else np.inf))
        offset = np.zeros((self.repeats, 1, 2))
        offset[:, 0, axis] = np.arange(self.repeats) * modes.cell_angstrom[axis]
        distance, charge = self._distance((middle + offset)[..., axis] / 10 - shift_nm)
        places = modes.displacements(self.profile.phase_deg(distance), self.profile.polar(distance, self.axis)) + offset
        places[..., 1] += 10 * self.profile.shift_nm(-charge * distance, charge)
        places += middle - modes.middle
        symbols = [modes.symbols[i] for i in keep] * self.repeats
        return symbols, places[:, keep].reshape(-1, 2), np.tile(modes.u_iso[keep], self.repeats)

    def _distance(self, along_nm):
        """Distance from the nearer wall, positive in +P, and that wall's charge."""
        length = self.length_nm
        from_low = np.mod(along_nm, length) - length / 4
        lower = from_low < length / 4
        distance = np.where(lower, from_low, length / 2 - from_low)
        return distance, np.where(lower, -1, 1) * self.axis

    def transmission(self, shift_nm: float = 0.0) -> np.ndarray:
        """Thermally averaged transmission of one period, complex64, shape `gpts`."""
        symbols, places, u_iso = self.columns(shift_nm)
        return slice_transmission(symbols, places, u_iso, self.gpts, self.cell_angstrom)

    def slices(self, periods: int) -> list[np.ndarray]:
        """Transmission of every period, the walls in place at mid thickness; one for all periods where they are upright."""
        if self.inclination_deg == 0:
            return [self.transmission()]
        depth = (np.arange(periods) + 0.5 - periods / 2) * structure()["a_angstrom"] / 10
        return [self.transmission(shift) for shift in depth * np.tan(np.radians(self.inclination_deg))]


def slice_transmission(symbols, places, u_iso, gpts, cell_angstrom) -> np.ndarray:
    """Thermally averaged transmission <exp(i sigma V)> of many columns.

    As `figures_pkg.diffraction.potential.log_transmission`, but the logarithm of one atom of each kind is formed once
    and placed by exact phases, which makes supercells of a thousand columns cheap.

    Returns
    -------
    transmission : complex64 array, shape `gpts`
    """
    fine = tuple(OVERSAMPLING * n for n in gpts)
    kb, kc = frequencies(fine, cell_angstrom)
    total, kinds = np.zeros(fine, complex), {}
    for index, kind in enumerate(zip(symbols, map(float, u_iso), strict=True)):
        kinds.setdefault(kind, []).append(index)
    for kind, members in kinds.items():
        b, c = places[members].T
        phases = np.exp(-2j * np.pi * kb * b) @ np.exp(-2j * np.pi * c[:, None] * kc)
        total += _log_of_one_atom(*kind, fine, tuple(cell_angstrom)) * phases
    values = np.exp(scipy.fft.ifft2(total))
    coarse = fourier_crop(scipy.fft.fft2(values), gpts)
    kb, kc = frequencies(gpts, cell_angstrom)
    coarse *= kb**2 + kc**2 < min(n / length for n, length in zip(gpts, cell_angstrom)) ** 2 / 4
    return (scipy.fft.ifft2(coarse) * (np.prod(gpts) / values.size)).astype(np.complex64)


@lru_cache(maxsize=16)
def _log_of_one_atom(symbol, u_iso, gpts, cell):
    """Fourier coefficients of the logarithm of the transmission of one atom at the origin, from a box of its surroundings."""
    parts = [_parts(n, length) for n, length in zip(gpts, cell)]
    box = [n // part for n, part in zip(gpts, parts)]
    edges = [length / part for length, part in zip(cell, parts)]
    values = log_transmission(([symbol], np.zeros((1, 2)), np.array([u_iso]), edges), tuple(box), ENERGY_KEV)
    whole = np.zeros(gpts, complex)
    rows, cols = (np.fft.fftfreq(n, 1 / n).astype(int) % size for n, size in zip(box, gpts))
    whole[np.ix_(rows, cols)] = values
    return scipy.fft.fft2(whole)


def _parts(points: int, length_angstrom: float) -> int:
    """Into how many boxes an edge can be cut that are long enough for an atom's potential and hold whole pixels."""
    parts = [part for part in range(2, points + 1) if points % part == 0 and length_angstrom / part >= BOX_ANGSTROM]
    return max(parts, default=1)


@lru_cache(maxsize=128)
def domain_slice(phase_deg: float):
    """Transmission, grid and cell (angstrom) of one period at one phase; the glide plane halves c in projection."""
    modes = phase_modes()
    gpts, cell = (POINTS_B, POINTS_C // 2), (float(modes.cell_angstrom[0]), float(modes.cell_angstrom[1] / 2))
    layer = (np.mod(modes.middle[:, 1], modes.cell_angstrom[1]) + 0.1) % modes.cell_angstrom[1] < cell[1]
    keep = np.flatnonzero(layer)
    places = modes.displacements(phase_deg)[keep]
    return slice_transmission([modes.symbols[i] for i in keep], places, modes.u_iso[keep], gpts, cell), gpts, cell
