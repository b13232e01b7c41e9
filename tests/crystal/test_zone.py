"""Crystals from a CIF: the orthogonal cell, the two variants, and what is refused."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

from figures_pkg.chapters.structure import cif_text
from figures_pkg.crystal import ermno3
from figures_pkg.crystal.zone import example_cif, zone_crystal

pytestmark = pytest.mark.physics

PBTIO3, GAAS = example_cif("PbTiO3"), example_cif("GaAs")
CUBIC = PBTIO3.read_text().replace("4.152", "3.904").replace("0.460", "0.5").replace("0.888", "0").replace("0.388", "0.5")


@pytest.mark.parametrize("cif, uvw, edges, atoms, mirrored", [
    (PBTIO3, (1, 0, 0), (3.904, 3.904, 4.152), 5, True),
    (PBTIO3, (2, 2, 0), (5.5211, 5.5211, 4.152), 10, True),
    (PBTIO3, (0, 0, 1), (4.152, 3.904, 3.904), 5, False),
    (GAAS, (1, 1, 0), (3.9975, 3.9975, 5.6533), 4, True),
    (GAAS, (0, 0, 1), (5.6533, 3.9975, 3.9975), 4, False),
    (GAAS, (1, 1, 1), (9.7918, 3.9975, 6.9239), 12, False),
])  # fmt: skip
def test_orthogonal_cells_are_the_smallest_ones(cif, uvw, edges, atoms, mirrored):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        zone = zone_crystal(cif, uvw)
    np.testing.assert_allclose(zone.crystal.cell_angstrom, edges, atol=1e-3)
    assert len(zone.crystal.symbols) == atoms and zone.mirrored == mirrored
    positions = zone.crystal.positions_angstrom
    assert positions.min() > -1e-5 and (positions < zone.crystal.cell_angstrom).all()
    away = positions[:, None] - positions
    away -= zone.crystal.cell_angstrom * np.round(away / zone.crystal.cell_angstrom)
    assert np.sort(np.linalg.norm(away, axis=2), axis=1)[:, 1].min() > 1.6  # no two atoms in one place


def test_edges_are_a_right_handed_set_with_c_along_the_files_own():
    zone = zone_crystal(GAAS, (1, 1, 0))
    edges = np.array([zone.uvw, zone.b_uvw, zone.c_uvw], float)
    assert np.linalg.det(edges) > 0
    np.testing.assert_allclose(edges @ edges.T, np.diag([0.5, 0.5, 1]), atol=1e-12)
    assert zone.c_uvw == (0, 0, 1) and zone.name == "GaAs [110]"


def test_c_can_be_chosen():
    zone = zone_crystal(GAAS, (1, 1, 0), up=(1, -1, 0))
    np.testing.assert_allclose(zone.crystal.cell_angstrom, (3.9975, 5.6533, 3.9975), atol=1e-3)


@pytest.mark.parametrize("polarization", [1, -1])
def test_ermno3_from_its_cif_is_the_twins_own_cell(polarization, tmp_path):
    path = tmp_path / "ermno3.cif"
    path.write_text(cif_text(polarization))
    zone, own = zone_crystal(path, (1, 0, 0)), ermno3(polarization)
    assert zone.mirrored and zone.distinct and zone.name == "ErMnO3 [100]"
    np.testing.assert_allclose(zone.crystal.cell_angstrom, own.cell_angstrom, atol=1e-6)
    assert _equal_up_to_a_shift(zone.crystal, own)
    assert not _equal_up_to_a_shift(zone.crystal, ermno3(-polarization))


def test_the_partner_of_a_polar_crystal_is_another_one_and_its_partner_is_the_first():
    crystal = zone_crystal(PBTIO3, (1, 0, 0)).crystal
    assert not _equal_up_to_a_shift(crystal, partner(crystal))
    assert _equal_up_to_a_shift(crystal, partner(partner(crystal)))


def test_variants_of_a_centred_structure_are_not_distinct(tmp_path):
    path = tmp_path / "cubic.cif"
    path.write_text(CUBIC)
    zone = zone_crystal(path, (1, 0, 0))
    assert zone.mirrored and not zone.distinct
    assert zone_crystal(PBTIO3, (1, 0, 0)).distinct


def test_a_beam_without_a_mirror_across_it_warns():
    with pytest.warns(UserWarning, match=r"GaAs \[111\]: no mirror plane"):
        zone_crystal(GAAS, (1, 1, 1))


@pytest.mark.parametrize("uvw, up, says", [
    ((0, 0, 0), None, "three whole numbers"),
    ((1, 0), None, "three whole numbers"),
    ((0.5, 0, 1), None, "three whole numbers"),
    ((1, 0, 1), None, r"no orthogonal cell.*\[101\].*zone axis of higher symmetry"),
    ((1, 0, 0), (1, 0, 1), r"no orthogonal cell.*c along \[101\]"),
])  # fmt: skip
def test_directions_without_a_cell_are_refused(uvw, up, says):
    with pytest.raises(ValueError, match=says):
        zone_crystal(PBTIO3, uvw, up)


@pytest.mark.parametrize("old, new, says", [
    ("0.5 0.5 0.460 0.006 1", "0.5 0.5 0.460 0.006 0.7", "partly occupied"),
    ("_atom_site_U_iso_or_equiv", "_atom_site_remark", "U_iso or B_iso"),
    ("Ti Ti 0.5 0.5 0.460 0.006 1", "Ti Ti 0.5 0.5 0.460 . 1", "U_iso or B_iso"),
    ("_cell_length_a 3.904", "", "could not be read"),
    ("P 4 m m", "P 4 m q", "could not be read"),
])  # fmt: skip
def test_files_that_cannot_be_used_are_refused(old, new, says, tmp_path):
    path = tmp_path / "bad.cif"
    text = PBTIO3.read_text().replace(old, new)
    path.write_text(text.replace("_space_group_IT_number 99", "") if "m q" in new else text)
    with pytest.raises(ValueError, match=says) as error:
        zone_crystal(path, (1, 0, 0))
    assert "bad.cif" in str(error.value)


def test_missing_files_and_unknown_examples_are_refused(tmp_path):
    with pytest.raises(ValueError, match="not a file"):
        zone_crystal(tmp_path / "none.cif", (1, 0, 0))
    with pytest.raises(ValueError, match="there are GaAs, PbTiO3"):
        example_cif("SrTiO3")


def partner(crystal):
    """The crystal inverted through the origin of its cell."""
    return replace(crystal, positions_angstrom=-crystal.positions_angstrom % crystal.cell_angstrom)


def _equal_up_to_a_shift(one, other):
    """Whether two crystals in equal cells hold the same atoms after some shift of the origin."""
    names = np.array([f"{symbol}{u:.4f}" for symbol, u in zip(one.symbols, one.u_iso)])
    others = np.array([f"{symbol}{u:.4f}" for symbol, u in zip(other.symbols, other.u_iso)])
    name = min(set(names), key=lambda name: (names == name).sum())
    places, cell = one.positions_angstrom - one.positions_angstrom[names == name][0], one.cell_angstrom
    starts = other.positions_angstrom[others == name]
    return any(_same(places + start, other.positions_angstrom, names, others, cell) for start in starts)


def _same(places, others, names, other_names, cell):
    away = places[:, None] - others
    away -= cell * np.round(away / cell)
    distance = np.linalg.norm(away, axis=2)
    distance[names[:, None] != other_names] = np.inf
    return distance.min(axis=1).max() < 0.01
