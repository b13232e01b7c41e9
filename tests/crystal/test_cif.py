"""Hexagonal manganites from a CIF, in either domain, and what is refused."""

import numpy as np
import pytest

from figures_pkg.chapters.structure import cif_text
from figures_pkg.crystal import ermno3, read_crystal


@pytest.fixture
def plus_cif(tmp_path):
    """A CIF of +P."""
    path = tmp_path / "plus.cif"
    path.write_text(cif_text(+1), encoding="utf-8")
    return path


@pytest.mark.parametrize("polarization", [1, -1])
def test_cif_gives_the_same_crystal_in_either_domain(plus_cif, polarization):
    """A CIF of +P, read as +P or as -P, holds the built-in atoms up to the shift of the origin by half of c. Four digits for 1/3 are enough."""
    plus_cif.write_text(plus_cif.read_text().replace("0.333333333", "0.3333").replace("0.666666667", "0.6667"))
    read, own = read_crystal(plus_cif, polarization), ermno3(polarization)
    offsets = []
    for symbol, position in zip(read.symbols, read.positions_angstrom):
        same = own.positions_angstrom[[name == symbol for name in own.symbols]]
        apart = np.abs((same - position + own.cell_angstrom / 2) % own.cell_angstrom - own.cell_angstrom / 2)
        offsets.append(apart.max(axis=1).min())
    assert max(offsets) < 1e-4 and len(read.symbols) == 60
    np.testing.assert_allclose(sorted(read.u_iso), sorted(own.u_iso), atol=1e-6)


@pytest.mark.parametrize("changes, message", [
    ({"'P 63 c m'": "'P 63/m m c'", "IT_number 185": "IT_number 194"}, "P6_3cm"),
    ({"O4 O ": "# "}, "needs 6 R"),
    ({"U_iso_or_equiv": "made_up_name"}, "U_iso"),
    ({"0.725690000": "0.769780000"}, "not polar"),
    ({" 0.0045 1": " 0.0045 0.9"}, "partly occupied"),
    ({"loop_": "pool_", "data_": "atad_"}, "CIF|no cell"),
])  # fmt: skip
def test_unfit_cifs_are_refused(plus_cif, changes, message):
    """A CIF of another group, with a site missing, without displacements, not polar, partly occupied, or none at all: one clear error."""
    text = plus_cif.read_text()
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    plus_cif.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_crystal(plus_cif, 1)
