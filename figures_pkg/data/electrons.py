"""Wavelength and interaction constant of fast electrons, from the CODATA constants of SciPy."""

from __future__ import annotations

import math

from scipy import constants

REST_EV = constants.m_e * constants.c**2 / constants.e


def wavelength_angstrom(beam_energy_kev: float) -> float:
    """
    Relativistic wavelength of electrons in Å: h c / sqrt(E (E + 2 m c²)).

    Raises
    ------
    ValueError
        Unless the energy is a positive number.

    Examples
    --------
    >>> round(wavelength_angstrom(200), 6)
    0.025079
    """
    if not (math.isfinite(beam_energy_kev) and beam_energy_kev > 0):
        raise ValueError(f"beam_energy_kev={beam_energy_kev!r}: expected a positive number, such as 200")
    energy = beam_energy_kev * 1e3
    return constants.h * constants.c / constants.e / math.sqrt(energy * (energy + 2 * REST_EV)) * 1e10


def interaction_constant(beam_energy_kev: float) -> float:
    """
    Phase in rad that one V Å of projected potential adds: 2π γ m e λ / h² (Kirkland, Advanced Computing in Electron Microscopy, eq. 5.6).

    Examples
    --------
    >>> round(interaction_constant(200), 7)
    0.0007288
    """
    mass = constants.m_e * (1 + beam_energy_kev * 1e3 / REST_EV)
    return 2 * math.pi * mass * constants.e * wavelength_angstrom(beam_energy_kev) * 1e-10 / constants.h**2 * 1e-10
