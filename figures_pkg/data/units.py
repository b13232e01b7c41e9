"""Units as microscopists' files spell them, turned into nm, 1/Å and keV; the wavelength of fast electrons, and the angles it makes of lengths in 1/Å."""

from __future__ import annotations

import math
import re
import warnings

import numpy as np
import xarray as xr
from scipy import constants

REST_EV = constants.m_e * constants.c**2 / constants.e
UNCALIBRATED = {"", "px", "pixel", "pixels", "none", "_none_", "undefined", "<undefined>", "t.undefined"}
_NM = {"nm": 1.0, "A": 0.1, "um": 1e3, "pm": 1e-3, "mm": 1e6, "m": 1e9}
_ANGLES = {"mrad": 1e-3, "rad": 1.0}
_LOWEST_VOLTS = 5e3  # no scanning diffraction below 5 keV or above 5 MeV, so the number itself tells V from keV


def wavelength_angstrom(beam_energy_kev: float) -> float:
    """Relativistic wavelength of electrons in Å: h c / sqrt(E (E + 2 m c²)); a ValueError unless the energy is a positive number."""
    if not (math.isfinite(beam_energy_kev) and beam_energy_kev > 0):
        raise ValueError(f"beam_energy_kev={beam_energy_kev!r}: expected a positive number, such as 200")
    energy = beam_energy_kev * 1e3
    return constants.h * constants.c / constants.e / math.sqrt(energy * (energy + 2 * REST_EV)) * 1e10


def disc_radius(convergence_mrad: float, energy_kev: float) -> float:
    """Radius of the discs of a beam of this half angle, 1/Å; divided by the size of a pixel it is the radius in px."""
    return 1e-3 * convergence_mrad / wavelength_angstrom(energy_kev)


def to_mrad(vectors, beam_energy_kev: float | None = None):
    """Scattering angle in mrad of lengths in 1/Å, by the small-angle formula θ = λ g (4e-5 off at 30 mrad); signs are kept.

    ``vectors`` is a number, array or DataArray in 1/Å, or a Dataset, in which every variable in 1/Å is converted; the result is of the same kind,
    with ``units="mrad"``. The beam energy is by default the attribute of that name; a ValueError without it, or for values in another unit.
    """
    if isinstance(vectors, xr.Dataset):
        energy = vectors.attrs.get("beam_energy_kev") if beam_energy_kev is None else beam_energy_kev
        lengths = {name: v for name, v in vectors.data_vars.items() if v.attrs.get("units") == "1/angstrom"}
        return vectors.assign({name: to_mrad(v, energy) for name, v in lengths.items()})
    attrs = getattr(vectors, "attrs", {})
    if attrs.get("units", "1/angstrom") != "1/angstrom":
        raise ValueError(f"values in {attrs['units']!r}: expected 1/angstrom; open the scan with its detector calibration")
    energy = attrs.get("beam_energy_kev") if beam_energy_kev is None else beam_energy_kev
    if energy is None:
        raise ValueError("beam energy unknown; pass beam_energy_kev, for instance scan.attrs['beam_energy_kev']")
    factor = 1e3 * wavelength_angstrom(energy)
    if isinstance(vectors, xr.DataArray):
        return vectors.copy(data=vectors.values * factor).assign_attrs(units="mrad")
    return np.asarray(vectors) * factor


def interaction_constant(beam_energy_kev: float) -> float:
    """Phase in rad that one V Å of projected potential adds: 2π γ m e λ / h² (Kirkland, Advanced Computing in Electron Microscopy, eq. 5.6)."""
    mass = constants.m_e * (1 + beam_energy_kev * 1e3 / REST_EV)
    return 2 * math.pi * mass * constants.e * wavelength_angstrom(beam_energy_kev) * 1e-10 / constants.h**2 * 1e-10


def length_in_nm(unit: str) -> float | None:
    """Length of one ``unit`` in nm; ``None`` for pixels, and, with a warning, for a unit not understood."""
    word = _plain(unit)
    if word not in _NM:
        _warn_unknown(unit, word, "a length: " + ", ".join(_NM))
    return _NM.get(word)


def reciprocal_in_inv_angstrom(unit: str, beam_energy_kev: float | None) -> float | None:
    """One ``unit`` of a diffraction pattern in 1/Å (1/d, without 2π), of an inverse length or an angle, in any spelling; ``None`` if not understood."""
    word = _plain(unit)
    inverse = re.fullmatch(r"1/(\w+)|(\w+)(?:\^|\*\*)?-1", word)
    if inverse and (inverse[1] or inverse[2]) in _NM:
        return 0.1 / _NM[inverse[1] or inverse[2]]
    if word in _ANGLES and beam_energy_kev is not None:
        return _ANGLES[word] / wavelength_angstrom(beam_energy_kev)
    _warn_unknown(unit, word, "an inverse length such as 1/Å, $A^{-1}$ or 1/nm, or mrad with a known beam energy")
    return None


def energy_in_kev(value: float | None) -> float | None:
    """Beam energy in keV from a number in keV (HyperSpy's convention) or V (the authors' files)."""
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
