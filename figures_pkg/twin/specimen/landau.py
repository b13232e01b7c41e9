"""Landau theory of the hexagonal manganites: trimerization Q and phase Phi, polarization P that follows them, domain walls, vortices.

Free energy per 30-atom cell (Artyukhin, Delaney, Spaldin, Mostovoy, Nat. Mater. 13, 42 (2014), doi 10.1038/nmat3786)::

    f = a/2 Q^2 + b/4 Q^4 + Q^6/6 (c + c' cos 6 Phi) - g Q^3 P cos 3 Phi + g'/2 Q^2 P^2 + a_P/2 P^2
        + sum_i s_i/2 ((d_i Q)^2 + Q^2 (d_i Phi)^2)

Six minima, Phi = 0, 60, ... 300 degrees, have P = +P0, -P0, +P0, ...: every wall between neighbours in phase turns P over.
A gradient energy of P is left out. The published one is negative in the plane, which needs a term of fourth order to
make sense; without it P takes the value that minimises f at the local Q and Phi. Nor is there an electrostatic energy: a
charged wall costs as little here as a neutral one.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.fft import dctn, fftn, idctn, ifftn
from scipy.optimize import minimize_scalar

STATES = 6
STATE_NAMES = ("alpha+", "beta-", "gamma+", "alpha-", "beta+", "gamma-")  # at 0, 60, ... 300 degrees


@dataclass(frozen=True)
class Landau:
    """Coefficients for YMnO3; amplitudes in Angstrom for the whole cell, lengths in Angstrom, energies in eV per 30-atom cell.

    Recalled from the table of the paper above and not read again (confidence C). Their minimum lies within 8 % of the
    amplitudes that a refined structure has, which supports them (B).
    """

    a: float = -2.626  # eV/A^2
    b: float = 3.375  # eV/A^4
    c: float = 0.117  # eV/A^6
    c_prime: float = 0.108  # eV/A^6, positive: with the coupling to P it decides which phases are minima
    a_p: float = 0.866  # eV/A^2, positive: P exists only because Q pulls it along (improper ferroelectric)
    g: float = 1.945  # eV/A^4
    g_prime: float = 9.931  # eV/A^4
    stiffness_ab: float = 5.14  # eV, for changes within the ab plane
    stiffness_c: float = 15.40  # eV, for changes along c

    def polarization(self, order) -> np.ndarray:
        """P (Angstrom) that minimises f: ``g Q^3 cos 3 Phi / (a_P + g' Q^2)``; `order` is ``Q exp(i Phi)``."""
        order = np.asarray(order)
        return self.g * (order**3).real / (self.a_p + self.g_prime * np.abs(order) ** 2)

    def local_energy(self, order) -> np.ndarray:
        """Energy (eV per cell) of a uniform state, with P at its minimum."""
        order = np.asarray(order)
        square, coupled = np.abs(order) ** 2, (order**3).real
        trimer = self.a / 2 * square + self.b / 4 * square**2 + self.c / 6 * square**3 + self.c_prime / 6 * (order**6).real
        return trimer - 0.5 * self.g * coupled * self.polarization(order)

    def slope(self, order) -> np.ndarray:
        """Derivative of `local_energy` with respect to the real part plus i times that with respect to the imaginary part."""
        square, conjugate, p = np.abs(order) ** 2, np.conj(order), self.polarization(order)
        trimer = (self.a + self.b * square + self.c * square**2) * order + self.c_prime * conjugate**5
        return trimer - 3 * self.g * p * conjugate**2 + self.g_prime * p**2 * order

    def uniform(self) -> tuple[float, float]:
        """Q0 and P0 (Angstrom) of a domain."""
        q0 = minimize_scalar(lambda q: float(self.local_energy(complex(q))), bounds=(0.1, 2.0), method="bounded", options={"xatol": 1e-9}).x
        return float(q0), float(self.polarization(complex(q0)))

    def barrier(self) -> float:
        """Energy (eV per cell) of the best state half way between two domains, above that of a domain."""
        half_way = np.exp(1j * np.pi / 6)
        top = minimize_scalar(lambda q: float(self.local_energy(q * half_way)), bounds=(0.1, 2.0), method="bounded").fun
        return float(top - self.local_energy(complex(self.uniform()[0])))

    def widened(self, factor: float) -> "Landau":
        """Coefficients whose walls and cores are `factor` times wider and whose domains are the same.

        Walls are narrower than a scan step. To relax a texture on the grid of a scan they must be made a few steps wide.
        """
        return replace(self, stiffness_ab=self.stiffness_ab * factor**2, stiffness_c=self.stiffness_c * factor**2)


def relax(order, spacing, stiffness, landau: Landau = Landau(), *, steps: int = 1000, rate: float = 0.08, boundary: str = "periodic") -> np.ndarray:
    """Follow the gradient of the energy downhill, semi-implicitly: the gradient term exactly, the rest explicitly.

    Parameters
    ----------
    order : complex array, one to three dimensions
        Start, ``Q exp(i Phi)`` in Angstrom.
    spacing : sequence of float
        Grid spacing in Angstrom along each axis.
    stiffness : sequence of float
        Stiffness in eV along each axis, `Landau.stiffness_ab` or `Landau.stiffness_c`.
    landau : Landau
    steps : int
    rate : float
        Step of the flow in 1/eV; the explicit part is stable up to 0.1 for Q below 1.2 Angstrom.
    boundary : {"periodic", "mirror"}
        Mirror keeps the derivative across the edge at zero; a field with a single vortex needs it.

    Returns
    -------
    order : complex array
        Same shape.
    """
    forward, backward, resistance = _transforms(np.shape(order), spacing, stiffness, boundary)
    order = np.array(order, dtype=complex)
    for _ in range(steps):
        order = backward(forward(order - rate * landau.slope(order)) / (1 + rate * resistance))
    return order


def wall_energy(order, spacing: float, stiffness: float, landau: Landau = Landau()) -> float:
    """Energy of a one-dimensional periodic profile above that of a domain, in eV per cell times Angstrom."""
    local = landau.local_energy(order) - landau.local_energy(complex(landau.uniform()[0]))
    steps = np.abs(np.roll(order, -1) - order) ** 2 / spacing**2
    return float((local + stiffness / 2 * steps).sum() * spacing)


def checkerboard_start(shape: tuple[int, int], amplitude: float) -> np.ndarray:
    """Two vortices and two antivortices on a periodic grid, a quarter and three quarters along each axis."""
    rows, cols = (2 * np.pi * (np.arange(n) / n - 0.25) for n in shape)
    return amplitude * np.exp(1j * np.arctan2(np.sin(rows)[:, None], np.sin(cols)[None, :]))


def random_start(shape: tuple[int, ...], amplitude: float, rng: np.random.Generator) -> np.ndarray:
    """Phases drawn anew at every node: a melt, from which relaxation freezes domains."""
    return amplitude * np.exp(2j * np.pi * rng.random(shape))


def windings(phase, *, periodic: bool = True) -> np.ndarray:
    """How often the phase turns around each plaquette of a two-dimensional grid.

    Parameters
    ----------
    phase : (ny, nx) array
        Radians.
    periodic : bool
        Close the grid on itself; otherwise the result has one row and one column less.

    Returns
    -------
    turns : int array
        +1 where the phase grows from +x (right) towards +y (down), -1 for an antivortex, at node ``[i, j]`` for the
        plaquette between ``[i, j]`` and ``[i + 1, j + 1]``. A periodic grid sums to zero.
    """
    phase = np.asarray(phase)
    right = _wrapped(np.roll(phase, -1, 1) - phase)
    down = _wrapped(np.roll(phase, -1, 0) - phase)
    turns = np.rint((right + np.roll(down, -1, 1) - np.roll(right, -1, 0) - down) / (2 * np.pi)).astype(int)
    return turns if periodic else turns[:-1, :-1]


def nearest_state(phase) -> np.ndarray:
    """Domain 0 to 5 whose phase, a multiple of 60 degrees, is nearest; `phase` in radians."""
    return np.mod(np.rint(np.asarray(phase) / (np.pi / 3)), STATES).astype(int)


def wall_phase_deg(distance_nm, half_width_nm: float) -> np.ndarray:
    """Phase across a wall, 0 to 60 degrees: ``(2/3) arctan exp(x / half width)``, exact where Q does not dip."""
    return np.degrees(2 / 3 * np.arctan(np.exp(np.clip(np.asarray(distance_nm) / half_width_nm, -60, 60))))


def _wrapped(angle):
    return (angle + np.pi) % (2 * np.pi) - np.pi


def _transforms(shape, spacing, stiffness, boundary):
    """Forward and backward transform, and the energy that a wave of each wavevector costs."""
    if boundary not in ("periodic", "mirror"):
        raise ValueError(f"boundary is {boundary!r}; say periodic or mirror")
    turns = np.fft.fftfreq if boundary == "periodic" else lambda n: np.arange(n) / (2 * n)
    waves = [s * (2 * np.pi * turns(n) / d) ** 2 for n, d, s in zip(shape, spacing, stiffness, strict=True)]
    resistance = sum(np.meshgrid(*waves, indexing="ij"))
    if boundary == "periodic":
        return fftn, ifftn, resistance
    return _each_part(dctn), _each_part(idctn), resistance


def _each_part(transform):
    return lambda field: transform(field.real, type=2) + 1j * transform(field.imag, type=2)
