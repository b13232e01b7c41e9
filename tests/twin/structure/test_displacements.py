"""The dipole of formal charges and the CIF agree with the structure and with another program."""

import io
from dataclasses import replace

import numpy as np
import pytest
from ase.io import read

from figures_pkg.twin import ermno3
from figures_pkg.twin.structure.cif import cif_text
from figures_pkg.twin.structure.displacements import formal_polarization, polar_displacements


def test_standard_setting_has_its_dipole_down():
    """Down-down-up is -P: the formal charges give -7.1 microcoulomb per square centimetre, and +P the opposite."""
    assert formal_polarization(ermno3(-1)) == pytest.approx(-7.13, abs=0.02)
    assert formal_polarization(ermno3(1)) == pytest.approx(-formal_polarization(ermno3(-1)))


def test_dipole_equals_the_sum_over_the_published_shifts():
    """The same dipole follows by hand from the mean shifts of each kind of atom from the planes of the parent structure."""
    shifts = {"Er": -0.0580, "Mn": -0.01005, "planar O": 0.0461, "apical O": -0.0058}  # angstrom
    charge = 6 * 3 * (shifts["Er"] + shifts["Mn"]) - 2 * (6 * shifts["planar O"] + 12 * shifts["apical O"])
    by_hand = charge / (6.112**2 * np.sqrt(3) / 2 * 11.42) * 1602.18
    assert formal_polarization(ermno3(-1)) == pytest.approx(by_hand, abs=0.05)


def test_displacements_are_opposite_for_opposite_polarization():
    """Summed over each element, the shifts of +P are those of -P with the other sign."""
    plus, minus = ermno3(1), ermno3(-1)
    for element in ("Er", "Mn", "O"):
        chosen = np.array(plus.symbols) == element
        assert polar_displacements(plus)[chosen].sum() == pytest.approx(-polar_displacements(minus)[chosen].sum())


def test_a_structure_that_is_its_own_mirror_image_has_no_dipole():
    """Moved back by its polar displacements, the crystal has none left."""
    crystal = ermno3(1)
    flat = crystal.positions_angstrom - polar_displacements(crystal)[:, None] * [0, 0, 1]
    middle = replace(crystal, positions_angstrom=flat)
    assert abs(polar_displacements(middle)).max() < 1e-9
    assert formal_polarization(middle) == pytest.approx(0, abs=1e-9)


def test_charges_must_be_neutral_and_origin_on_mn():
    """A charged set and a shifted origin are refused, since both would change the dipole."""
    with pytest.raises(ValueError, match="neutral"):
        formal_polarization(ermno3(1), {"Er": 3, "Mn": 4, "O": -2})
    crystal = ermno3(1)
    with pytest.raises(ValueError, match="Mn layer"):
        polar_displacements(replace(crystal, positions_angstrom=crystal.positions_angstrom + [0, 0, 1.5]))


@pytest.mark.parametrize("polarization", [1, -1])
def test_ase_reads_the_same_crystal(polarization):
    """ASE finds P6_3cm and 30 atoms; each lies on one of ours."""
    atoms, crystal = read(io.StringIO(cif_text(polarization)), format="cif"), ermno3(polarization)
    assert atoms.info["spacegroup"].no == 185 and atoms.get_chemical_formula() == "Er6Mn6O18"
    cell = crystal.cell_angstrom
    away = atoms.positions[:, None] - crystal.positions_angstrom
    distance = np.linalg.norm(away - cell * np.round(away / cell), axis=2)
    assert distance.min(axis=1).max() < 1e-4
    assert atoms.get_chemical_symbols() == list(np.array(crystal.symbols)[distance.argmin(axis=1)])


def test_cif_says_what_it_is():
    """The text names its state and that it is no refinement; another polarization is an error."""
    assert "up-up-down" in cif_text(1) and "NOT a refinement" in cif_text(-1)
    with pytest.raises(ValueError, match="polarization"):
        cif_text(0)
