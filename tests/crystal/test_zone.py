"""Crystals from a CIF: the orthogonal cell, the two variants, hexagonal manganites in either domain, and what is refused."""

from contextlib import nullcontext

import numpy as np
import pytest

from figures_pkg.chapters.structure import cif_text
from figures_pkg.crystal import ermno3, example_cif, read_crystal, zone_crystal

pytestmark = pytest.mark.physics

PBTIO3, GAAS = example_cif("PbTiO3"), example_cif("GaAs")


@pytest.mark.parametrize("cif, uvw, up, edges, atoms, mirrored", [
    (PBTIO3, (1, 0, 0), None, (3.904, 3.904, 4.152), 5, True),
    (PBTIO3, (2, 2, 0), None, (5.5211, 5.5211, 4.152), 10, True),
    (PBTIO3, (0, 0, 1), None, (4.152, 3.904, 3.904), 5, False),
    (GAAS, (1, 1, 0), None, (3.9975, 3.9975, 5.6533), 4, True),
    (GAAS, (1, 1, 0), (1, -1, 0), (3.9975, 5.6533, 3.9975), 4, True),
    (GAAS, (1, 1, 1), None, (9.7918, 3.9975, 6.9239), 12, False),
])  # fmt: skip
def test_orthogonal_cells_are_the_smallest_ones(cif, uvw, up, edges, atoms, mirrored):
    """Their edges are a right-handed set, and no two atoms lie in one place; a beam without a mirror across it warns."""
    with nullcontext() if mirrored else pytest.warns(UserWarning, match="no mirror plane"):
        zone = zone_crystal(cif, uvw, up)
    cell, positions = zone.crystal.cell_angstrom, zone.crystal.positions_angstrom
    np.testing.assert_allclose(cell, edges, atol=1e-3)
    assert len(zone.crystal.symbols) == atoms and zone.mirrored == mirrored
    assert np.linalg.det(np.array([zone.uvw, zone.b_uvw, zone.c_uvw], float)) > 0
    assert positions.min() > -1e-5 and (positions < cell).all()
    away = positions[:, None] - positions
    away -= cell * np.round(away / cell)
    assert np.sort(np.linalg.norm(away, axis=2), axis=1)[:, 1].min() > 1.6


@pytest.fixture
def plus_cif(tmp_path):
    """A CIF of +P, with no more digits of 1/3 than many files have."""
    path = tmp_path / "plus.cif"
    path.write_text(cif_text(+1).replace("0.333333333", "0.3333").replace("0.666666667", "0.6667"), encoding="utf-8")
    return path


@pytest.mark.parametrize("polarization", [1, -1])
def test_ermno3_from_its_cif_is_the_twins_own_cell(polarization, plus_cif):
    """A CIF of +P, read as +P or as -P, holds the built-in atoms, and along the beam laid out from the file too."""
    zone, own, read = zone_crystal(plus_cif, (1, 0, 0)), ermno3(polarization), read_crystal(plus_cif, polarization)
    assert zone.mirrored and zone.distinct and zone.name == "ErMnO3 [100]"
    for crystal, same in ((read, True), (zone.crystal, polarization == 1)):
        np.testing.assert_allclose(crystal.cell_angstrom, own.cell_angstrom, atol=1e-6)
        assert equal_up_to_a_shift(crystal, own) == same
    np.testing.assert_allclose(sorted(read.u_iso), sorted(own.u_iso), atol=1e-6)


def test_only_the_variants_of_a_polar_crystal_are_distinct(tmp_path):
    (tmp_path / "cubic.cif").write_text(PBTIO3.read_text().replace("4.152", "3.904").replace("0.460", "0.5").replace("0.888", "0").replace("0.388", "0.5"))
    for cif, distinct in ((PBTIO3, True), (tmp_path / "cubic.cif", False)):
        zone = zone_crystal(cif, (1, 0, 0))
        assert zone.mirrored and zone.distinct == distinct


def test_files_and_directions_that_cannot_be_used_are_refused(tmp_path):
    path = tmp_path / "bad.cif"
    for uvw, up, says in (((0, 0, 0), None, "three whole numbers"), ((0.5, 0, 1), None, "three whole numbers"),
                          ((1, 0, 1), None, r"no orthogonal cell.*\[101\].*zone axis of higher symmetry"),
                          ((1, 0, 0), (1, 0, 1), r"no orthogonal cell.*c along \[101\]")):  # fmt: skip
        with pytest.raises(ValueError, match=says):
            zone_crystal(PBTIO3, uvw, up)
    for old, new, says in (("0.5 0.5 0.460 0.006 1", "0.5 0.5 0.460 0.006 0.7", "bad.cif has partly occupied"),
                           ("Ti Ti 0.5 0.5 0.460 0.006 1", "Ti Ti 0.5 0.5 0.460 . 1", "bad.cif gives no positive U_iso or B_iso"),
                           ("_cell_length_a 3.904", "", "bad.cif could not be read")):  # fmt: skip
        path.write_text(PBTIO3.read_text().replace(old, new))
        with pytest.raises(ValueError, match=says):
            zone_crystal(path, (1, 0, 0))
    with pytest.raises(ValueError, match="not a file"):
        zone_crystal(tmp_path / "none.cif", (1, 0, 0))
    with pytest.raises(ValueError, match="there are GaAs, PbTiO3"):
        example_cif("SrTiO3")


@pytest.mark.parametrize("changes, message", [
    ({"'P 63 c m'": "'P 63/m m c'", "IT_number 185": "IT_number 194"}, "P6_3cm"),
    ({"O4 O ": "# "}, "needs 6 R"),
    ({"0.725690000": "0.769780000"}, "not polar"),
    ({"loop_": "pool_", "data_": "atad_"}, "CIF|no cell"),
])  # fmt: skip
def test_unfit_manganites_are_refused(plus_cif, changes, message):
    text = plus_cif.read_text()
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    plus_cif.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_crystal(plus_cif, 1)


def equal_up_to_a_shift(one, other):
    """Whether two crystals in equal cells hold the same atoms after some shift of the origin."""
    names, others = (np.array([f"{symbol}{u:.4f}" for symbol, u in zip(each.symbols, each.u_iso)]) for each in (one, other))
    rarest = min(set(names), key=lambda name: (names == name).sum())
    places, cell = one.positions_angstrom - one.positions_angstrom[names == rarest][0], one.cell_angstrom
    for start in other.positions_angstrom[others == rarest]:
        away = (places + start)[:, None] - other.positions_angstrom
        distance = np.linalg.norm(away - cell * np.round(away / cell), axis=2)
        if np.where(names[:, None] == others, distance, np.inf).min(axis=1).max() < 0.01:
            return True
    return False
