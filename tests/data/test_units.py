"""Wavelength and interaction constant against tabulated values, and in the limit of slow electrons; units as files spell them."""

import warnings

import numpy as np
import pytest
from scipy import constants

from figures_pkg.data.units import interaction_constant, length_in_nm, reciprocal_in_inv_angstrom, wavelength_angstrom


@pytest.mark.parametrize("kev, angstrom, sigma", [(100, 0.037014, 9.2440e-4), (200, 0.025079, 7.2884e-4), (300, 0.019687, 6.5262e-4)])
def test_values_of_the_tables(kev, angstrom, sigma):
    assert wavelength_angstrom(kev) == pytest.approx(angstrom, rel=3e-5)
    assert interaction_constant(kev) == pytest.approx(sigma, rel=3e-5)


def test_slow_electrons_are_de_broglies():
    """Without relativity λ is h over the momentum, and σ is π / (λ E); energies that no microscope has are refused."""
    assert wavelength_angstrom(1e-3) == pytest.approx(1e10 * constants.h / np.sqrt(2 * constants.m_e * constants.e), rel=1e-5)
    assert interaction_constant(1e-3) == pytest.approx(np.pi / wavelength_angstrom(1e-3), rel=1e-5)
    for kev in (0, -200, np.nan, np.inf):
        with pytest.raises(ValueError, match="beam_energy_kev=.*positive"):
            wavelength_angstrom(kev)


def test_spellings_of_units():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for unit in ("$A^{-1}$", "1/Å", "1/A", "A^-1", "$Å^{-1}$", "Å⁻¹", "1/angstrom", "1/nm", "nm^-1", "$nm^{-1}$"):
            assert reciprocal_in_inv_angstrom(unit, None) == pytest.approx(0.1 if "nm" in unit else 1), unit
        assert length_in_nm("µm") == 1000 and length_in_nm("Å") == 0.1 and length_in_nm("px") is None
