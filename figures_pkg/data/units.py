"""Units as microscopists' files spell them, turned into nm, 1/Å and keV, and the wavelength of fast electrons."""

from __future__ import annotations

import math
import re
import warnings

from scipy import constants

REST_EV = constants.m_e * constants.c**2 / constants.e
UNCALIBRATED = {"", "px", "pixel", "pixels", "none", "_none_", "undefined", "<undefined>", "t.undefined"}
_NM = {"nm": 1.0, "A": 0.1, "um": 1e3, "pm": 1e-3, "mm": 1e6, "m": 1e9}
_ANGLES_MRAD = {"mrad": 1.0, "rad": 1e3}
_LOWEST_VOLTS = 5e3  # no scanning diffraction below 5 keV or above 5 MeV, so the number itself tells V from keV


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


def disc_radius(convergence_mrad: float, energy_kev: float) -> float:
    """Radius of the discs of a beam of this half angle, 1/Å; divided by the size of a pixel it is the radius in px."""
    return 1e-3 * convergence_mrad / wavelength_angstrom(energy_kev)


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


def length_in_nm(unit: str) -> float | None:
    """
    Length of one ``unit`` in nm; ``None`` for pixels, and, with a warning, for a unit not understood.

    Examples
    --------
    >>> length_in_nm("µm")
    1000.0
    """
    word = _plain(unit)
    if word not in _NM:
        _warn_unknown(unit, word, "a length: " + ", ".join(_NM))
    return _NM.get(word)


def reciprocal_in_inv_angstrom(unit: str, beam_energy_kev: float | None) -> float | None:
    """
    Size of one ``unit`` of a diffraction pattern in 1/Å (crystallographers' 1/d, without 2π).

    Parameters
    ----------
    unit
        Any of the spellings ``$A^{-1}$``, ``1/Å``, ``A^-1``, ``nm^-1``, or an angle in mrad or rad.
    beam_energy_kev
        Needed for angles only.

    Returns
    -------
    float or None
        ``None`` for pixels, and, with a warning, for a unit not understood.

    Examples
    --------
    >>> reciprocal_in_inv_angstrom("$A^{-1}$", None)
    1.0
    >>> reciprocal_in_inv_angstrom("1/nm", None)
    0.1
    """
    word = _plain(unit)
    inverse = re.fullmatch(r"1/(\w+)|(\w+)(?:\^|\*\*)?-1", word)
    if inverse and (inverse[1] or inverse[2]) in _NM:
        return 0.1 / _NM[inverse[1] or inverse[2]]
    if word in _ANGLES_MRAD and beam_energy_kev is not None:
        return _ANGLES_MRAD[word] * 1e-3 / wavelength_angstrom(beam_energy_kev)
    _warn_unknown(unit, word, "an inverse length such as 1/Å, $A^{-1}$ or 1/nm, or mrad with a known beam energy")
    return None


def energy_in_kev(value: float | None) -> float | None:
    """
    Beam energy in keV from a number in keV (HyperSpy's convention) or V (the authors' files).

    Examples
    --------
    >>> energy_in_kev(200000), energy_in_kev(200)
    (200.0, 200.0)
    """
    if value is None or not math.isfinite(value) or value <= 0:
        return None
    return float(value) / 1000 if value >= _LOWEST_VOLTS else float(value)


def _plain(unit: str) -> str:
    """The unit without TeX, blanks and variants of Å, µ and ⁻¹."""
    word = re.sub(r"[${}\\\s]", "", str(unit))
    for variants, plain in ((("Å", "\u212b", "angstroms", "Angstroms", "angstrom", "Angstrom", "Ang"), "A"),
                            (("µ", "\u03bc", "micron"), "u"), (("⁻¹",), "^-1")):
        for variant in variants:
            word = word.replace(variant, plain)
    return word


def _warn_unknown(unit: str, word: str, expected: str) -> None:
    if word.lower() not in UNCALIBRATED:
        warnings.warn(f"unit {unit!r} not understood: expected {expected}; give the calibration as axes=Axes(...)", stacklevel=2)
