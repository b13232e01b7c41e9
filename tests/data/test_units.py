"""Wavelength and interaction constant against tabulated values, and in the limit of slow electrons."""

import numpy as np
import pytest
from scipy import constants

from figures_pkg.data.units import interaction_constant, wavelength_angstrom


@pytest.mark.parametrize("kev, angstrom, sigma", [(100, 0.037014, 9.2440e-4), (200, 0.025079, 7.2884e-4), (300, 0.019687, 6.5262e-4)])
def test_values_of_the_tables(kev, angstrom, sigma):
    assert wavelength_angstrom(kev) == pytest.approx(angstrom, rel=3e-5)
    assert interaction_constant(kev) == pytest.approx(sigma, rel=3e-5)


def test_slow_electrons_are_de_broglies():
    """Without relativity λ is h over the momentum, and σ is π / (λ E)."""
    volts = 1e-3 * 1e3
    assert wavelength_angstrom(1e-3) == pytest.approx(1e10 * constants.h / np.sqrt(2 * constants.m_e * constants.e * volts), rel=1e-5)
    assert interaction_constant(1e-3) == pytest.approx(np.pi / (wavelength_angstrom(1e-3) * volts), rel=1e-5)


@pytest.mark.parametrize("kev", [0, -200, np.nan, np.inf])
def test_energies_that_no_microscope_has_are_refused(kev):
    with pytest.raises(ValueError, match="beam_energy_kev=.*positive"):
        wavelength_angstrom(kev)
