"""Atoms for any phase of the trimerization: the six domain states as one periodic function of the phase.

The six states lie on the same parent lattice. Three have +P and differ by a translation of a third of the cell; the
mirror plane across c turns each into the -P state at the opposite phase. A wall takes the phase through values between
them. The height and place of each column is written as the trigonometric polynomial of lowest order through the six
states: its terms of order 1 are the trimerization (K3), those of order 3 the polar mode, and the rest, below 0.02
angstrom, what a real domain has besides. Q stays at its value in a domain; Landau theory lets it dip by 5 % in a wall.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from figures_pkg.crystal.structure import Crystal, ermno3

STATES = 6
MATCH_ANGSTROM = 1.0  # corresponding atoms of two states are closer than this, others of the element farther


@dataclass(frozen=True)
class PhaseModes:
    """Columns of the half cell that the projection along [100] repeats, over the phase.

    Attributes
    ----------
    symbols : tuple of str, length n
    u_iso : array, shape (n,)
        Squared angstrom, the mean of each element: sites of one kind trade places from domain to domain.
    coefficients : complex array, shape (6, n, 2)
        Fourier coefficients over the six phases of the places along b* and c, in angstrom.
    cell_angstrom : array, shape (2,)
        5.293 x 11.420.
    """

    symbols: tuple
    u_iso: np.ndarray
    coefficients: np.ndarray
    cell_angstrom: np.ndarray

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
