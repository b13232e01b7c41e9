"""Supercells with two opposite walls, as transmission functions of one slice for each period along the beam.

A charged wall lies across c, a neutral one across b*. The cell is periodic, so it holds two walls: +P in the middle
half, -P around it. Along c the upper wall of the middle is head-to-head and the lower one tail-to-tail. Across b* both
are neutral, and each is the other's mirror image. An inclined wall moves from slice to slice, and its mate with it.

One slice for each period of 0.611 nm puts a structure of half the size (b*, or b* and c/2 for a wall across b*) into the
transforms. Against the library's six slices this costs some per cent of a reflection at 60 nm. The renderer therefore
takes only the difference that a wall makes from here, and everything else from the library.
"""

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import scipy.fft

from figures_pkg.diffraction.potential import fourier_crop, frequencies, log_transmission
from figures_pkg.crystal.structure import structure
from figures_pkg.twin.walls.modes import phase_modes
from figures_pkg.twin.walls.profile import WallProfile, default_profile

OVERSAMPLING = 2  # grid on which the logarithms of the atoms are added, against that of the waves
POINTS_B, POINTS_C = 36, 80  # of the half cell, 5.293 x 11.420 angstrom: beams to 3.4 1/angstrom
BOX_ANGSTROM = 10.5  # half of it reaches into the tail of an atom, which ends as in a crystal of this period
KINDS = ("charged", "neutral")


@dataclass(frozen=True)
class Supercell:
    """Two walls in a periodic cell.

    Attributes
    ----------
    kind : str
        "charged" (walls across c, HH and TT) or "neutral" (walls across b*).
    repeats : int
        Cells along the normal: of 1.142 nm for charged walls, of 0.529 nm for neutral ones.
    profile : WallProfile
        The same for both walls.
    inclination_deg : float
        Of both walls against the beam: with depth they move along +c or +b*.
    """

    kind: str
    repeats: int
    profile: WallProfile = field(default_factory=lambda: default_profile(1.0))
    inclination_deg: float = 0.0

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

    def shifts_nm(self, periods: int) -> np.ndarray:
        """Where the walls are in each period, relative to mid thickness, shape (periods,)."""
        depth = (np.arange(periods) + 0.5 - periods / 2) * structure()["a_angstrom"] / 10
        return depth * np.tan(np.radians(self.inclination_deg))


def slice_transmission(symbols, places, u_iso, gpts, cell_angstrom, energy_kev=200.0) -> np.ndarray:
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
        total += _log_of_one_atom(*kind, fine, tuple(cell_angstrom), energy_kev) * phases
    values = np.exp(scipy.fft.ifft2(total))
    coarse = fourier_crop(scipy.fft.fft2(values), gpts)
    kb, kc = frequencies(gpts, cell_angstrom)
    coarse *= kb**2 + kc**2 < min(n / length for n, length in zip(gpts, cell_angstrom)) ** 2 / 4
    return (scipy.fft.ifft2(coarse) * (np.prod(gpts) / values.size)).astype(np.complex64)


@lru_cache(maxsize=16)
def _log_of_one_atom(symbol, u_iso, gpts, cell, energy_kev):
    """Fourier coefficients of the logarithm of the transmission of one atom at the origin, from a box of its surroundings."""
    parts = [_parts(n, length) for n, length in zip(gpts, cell)]
    box = [n // part for n, part in zip(gpts, parts)]
    edges = [length / part for length, part in zip(cell, parts)]
    values = log_transmission(([symbol], np.zeros((1, 2)), np.array([u_iso]), edges), tuple(box), energy_kev)
    whole = np.zeros(gpts, complex)
    rows, cols = (np.fft.fftfreq(n, 1 / n).astype(int) % size for n, size in zip(box, gpts))
    whole[np.ix_(rows, cols)] = values
    return scipy.fft.fft2(whole)


def _parts(points: int, length_angstrom: float) -> int:
    """Into how many boxes an edge can be cut that are long enough for an atom's potential and hold whole pixels."""
    parts = [part for part in range(2, points + 1) if points % part == 0 and length_angstrom / part >= BOX_ANGSTROM]
    return max(parts, default=1)
