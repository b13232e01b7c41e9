"""ErMnO3 in the orthogonal cell: composition, symmetry, bond lengths, the sign of P, its dipole and its CIF."""

import io
from dataclasses import replace

import numpy as np
import pytest
from ase.io import read

from figures_pkg.chapters.structure import cif_text
from figures_pkg.crystal.structure import ermno3, formal_polarization, polar_displacements


def distances(crystal, points, symbol):
    """Distances from points to the atoms of one element under the cell's periodicity, shape (points, atoms)."""
    atoms = crystal.positions_angstrom[np.array(crystal.symbols) == symbol]
    difference = points[:, None] - atoms
    return np.linalg.norm(difference - np.round(difference / crystal.cell_angstrom) * crystal.cell_angstrom, axis=-1)


def same_atoms(crystal, symbols, positions):
    """Whether two lists hold the same atoms of the same cell, in any order."""
    chosen = {symbol: positions[np.array(symbols) == symbol] for symbol in set(crystal.symbols)}
    return all((distances(crystal, points, symbol) < 1e-4).sum(axis).tolist() == [1] * len(points)
               for symbol, points in chosen.items() for axis in (0, 1))  # fmt: skip


@pytest.mark.parametrize("polarization", [1, -1])
def test_ase_reads_the_same_crystal(polarization):
    """ASE finds P6_3cm and 30 atoms in our CIF; in two of its cells lie our 60. Inverting every one gives the other polarization, another crystal."""
    atoms, crystal = read(io.StringIO(cif_text(polarization)), format="cif"), ermno3(polarization)
    assert atoms.info["spacegroup"].no == 185 and atoms.get_chemical_formula() == "Er6Mn6O18"
    np.testing.assert_allclose(crystal.cell_angstrom, [6.112, 6.112 * np.sqrt(3), 11.42])
    centring = [6.112 / 2, 6.112 * np.sqrt(3) / 2, 0]
    assert same_atoms(crystal, atoms.get_chemical_symbols() * 2, np.concatenate([atoms.positions, atoms.positions + centring]))
    assert crystal.positions_angstrom.shape == (60, 3) and crystal.u_iso.shape == (60,)
    other = ermno3(-polarization)
    assert same_atoms(crystal, other.symbols, -other.positions_angstrom) and not same_atoms(crystal, other.symbols, other.positions_angstrom)


@pytest.mark.parametrize("polarization", [1, -1])
def test_two_of_three_er_stand_on_the_side_of_p(polarization):
    """In each Er layer two atoms lie 0.50 angstrom beyond the third, up for +P (up-up-down) and down for -P. Bonds have their lengths."""
    crystal = ermno3(polarization)
    z = np.sort(crystal.positions_angstrom[np.array(crystal.symbols) == "Er", 2] % (crystal.cell_angstrom[2] / 2))
    low, high = np.split(z, [4 if polarization > 0 else 8])
    assert high.min() - low.max() == pytest.approx(0.504, abs=0.005) and np.ptp(low) < 1e-6 and np.ptp(high) < 1e-6
    for one, other, angstrom in (("Mn", "O", 1.872), ("Er", "O", 2.259), ("O", "O", 2.69)):
        between = distances(crystal, crystal.positions_angstrom[np.array(crystal.symbols) == one], other)
        assert between[between > 1e-3].min() == pytest.approx(angstrom, abs=0.003)


def test_standard_setting_has_its_dipole_down():
    """Down-down-up is -P, by the formal charges and by hand; a charged set and a shifted origin, which would change the dipole, are refused."""
    plus = ermno3(1)
    assert formal_polarization(ermno3(-1)) == pytest.approx(-7.13, abs=0.02)
    assert formal_polarization(plus) == pytest.approx(-formal_polarization(ermno3(-1)))
    middle = replace(plus, positions_angstrom=plus.positions_angstrom - polar_displacements(plus)[:, None] * [0, 0, 1])
    assert abs(polar_displacements(middle)).max() < 1e-9 and formal_polarization(middle) == pytest.approx(0, abs=1e-9)
    shifts = {"Er": -0.0580, "Mn": -0.01005, "planar O": 0.0461, "apical O": -0.0058}  # angstrom
    charge = 6 * 3 * (shifts["Er"] + shifts["Mn"]) - 2 * (6 * shifts["planar O"] + 12 * shifts["apical O"])
    by_hand = charge / (6.112**2 * np.sqrt(3) / 2 * 11.42) * 1602.18
    assert formal_polarization(ermno3(-1)) == pytest.approx(by_hand, abs=0.05)
    shifted = replace(plus, positions_angstrom=plus.positions_angstrom + [0, 0, 1.5])
    for senseless, says in ((lambda: ermno3(0), "polarization is .* got 0"), (lambda: formal_polarization(plus, {"Er": 3, "Mn": 4, "O": -2}), "neutral"),
                            (lambda: polar_displacements(shifted), "Mn layer")):  # fmt: skip
        with pytest.raises(ValueError, match=says):
            senseless()
