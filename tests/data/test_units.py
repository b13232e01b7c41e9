"""Units as files spell them."""

import warnings

import numpy as np
import pytest

from figures_pkg.data.units import length_in_nm, reciprocal_in_inv_angstrom, wavelength_angstrom


def test_spellings_of_units():
    """Energies that no microscope has are refused."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for unit in ("$A^{-1}$", "1/Å", "1/A", "A^-1", "$Å^{-1}$", "Å⁻¹", "1/angstrom", "1/nm", "nm^-1", "$nm^{-1}$"):
            assert reciprocal_in_inv_angstrom(unit, None) == pytest.approx(0.1 if "nm" in unit else 1), unit
        assert length_in_nm("µm") == 1000 and length_in_nm("Å") == 0.1 and length_in_nm("px") is None
    for kev in (0, -200, np.nan, np.inf):
        with pytest.raises(ValueError, match="beam_energy_kev=.*positive"):
            wavelength_angstrom(kev)
