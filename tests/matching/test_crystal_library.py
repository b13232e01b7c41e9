"""The library of a crystal of one's own: against the twin's, against the second variant itself, and in a scan."""

import numpy as np
import pytest

from figures_pkg.matching.crystal import example_cif, partner, zone_crystal
from figures_pkg.matching.crystal_example import Example, example_scan
from figures_pkg.matching.crystal_library import CrystalSettings, _stack, crystal_library
from figures_pkg.matching.crystal_library import laue_ring_inv_angstrom, miller_indices, sliced
from figures_pkg.matching.lattice_search import find_lattice
from figures_pkg.matching.lattice_search_zone import Zone
from figures_pkg.matching import match, prepare
from figures_pkg.twin import crystal_stack, ermno3, propagate
from figures_pkg.twin.structure.cif import cif_text

QUICK = CrystalSettings(thickness_nm=(20, 30), tilt_b_mrad=3, tilt_c_mrad=3, g_max_inv_angstrom=1.2)


@pytest.fixture(scope="module")
def pbtio3():
    zone = zone_crystal(example_cif("PbTiO3"), (1, 0, 0))
    return zone, crystal_library(zone, QUICK)


@pytest.fixture(scope="module")
def gaas():
    zone = zone_crystal(example_cif("GaAs"), (1, 1, 0))
    return zone, crystal_library(zone, QUICK)


def test_ermno3_from_its_cif_diffracts_as_the_twins_own(tmp_path):
    path = tmp_path / "ermno3.cif"
    path.write_text(cif_text(1))
    zone = zone_crystal(path, (1, 0, 0))
    hkl = np.array([[0, 0], [0, 2], [0, -2], [0, 4], [0, -4], [2, 2], [2, -2], [6, 0], [-6, 2]])
    tilts = np.array([[0.0, 0.0], [1.3, -2.1]])
    crystal, slices = sliced(zone.crystal)
    found = propagate(crystal_stack(crystal, (88, 96), slices), tilts, [30, 80], hkl)
    own = propagate(crystal_stack(ermno3(1), (88, 96), slices), tilts, [30, 80], hkl)
    np.testing.assert_allclose(found, own, atol=2e-5)
    assert abs(own[1, 1, 1] - own[1, 1, 2]) > 0.01  # the two sides differ, so a turned crystal would show


@pytest.mark.parametrize("name", ["pbtio3", "gaas"])
def test_the_second_variant_is_the_inverted_crystal(name, request):
    """The library holds the structure only; its partner is simulated here by itself."""
    zone, library = request.getfixturevalue(name)
    periods, tilts = [int(round(10 * library.thickness_nm[2] / zone.crystal.cell_angstrom[0]))], np.array([[1.0, -1.5], [0.0, 2.0]])
    inverted = zone.__class__(**vars(zone) | {"crystal": partner(zone.crystal)})
    direct = propagate(_stack(inverted, QUICK), tilts, periods, library.hkl[:, 1:])[:, 0]
    first, second = (library.intensities(sign, library.thickness_nm[2], *tilts.T) for sign in (1, -1))
    np.testing.assert_allclose(second, direct, atol=2e-5)
    assert np.abs(first - second).max() > 5e-3


def test_between_the_nodes_the_spline_is_right(pbtio3):
    zone, library = pbtio3
    periods, tilts = [60, 67], np.array([[0.25, -1.25], [-0.7, 1.6], [1.75, 0.25]])
    direct = propagate(_stack(zone, QUICK), tilts, periods, library.hkl[:, 1:])
    thickness = np.array(periods) * zone.crystal.cell_angstrom[0] / 10
    spline = library.intensities(1, thickness, tilts[:, :1], tilts[:, 1:])
    assert np.linalg.norm(spline - direct) < 0.01 * np.linalg.norm(direct)


def test_a_centred_crystal_has_equal_variants(tmp_path):
    path = tmp_path / "cubic.cif"
    text = example_cif("PbTiO3").read_text()
    path.write_text(text.replace("4.152", "3.904").replace("0.460", "0.5").replace("0.888", "0").replace("0.388", "0.5"))
    zone = zone_crystal(path, (1, 0, 0))
    small = CrystalSettings(thickness_nm=(10, 16), tilt_b_mrad=1, tilt_c_mrad=1, g_max_inv_angstrom=0.8)
    library = crystal_library(zone, small)
    np.testing.assert_allclose(library.intensities(1, 12, 0.4, -0.7), library.intensities(-1, 12, 0.4, -0.7), atol=1e-5)


def test_more_slices_and_beams_change_little(pbtio3):
    zone, library = pbtio3
    tilts, periods = np.array([[0.5, -1.0]]), [70]
    fine = propagate(crystal_stack(zone.crystal, (60, 60), 4), tilts, periods, library.hkl[:, 1:])
    coarse = propagate(_stack(zone, QUICK), tilts, periods, library.hkl[:, 1:])
    assert np.linalg.norm(coarse - fine) < 0.02 * np.linalg.norm(fine)


def test_indices_are_those_of_the_crystals_own_cell(gaas):
    zone, library = gaas
    own = miller_indices(zone, library.hkl)
    whole = own.any(axis=1)
    np.testing.assert_allclose(np.linalg.norm(own[whole], axis=1) / 5.6533, np.hypot(library.g_b, library.g_c)[whole], atol=1e-6)
    np.testing.assert_array_equal(own[whole] @ (1, 1, 0), 0)
    mixed = np.ptp(own % 2, axis=1) > 0  # the face-centred lattice forbids them
    assert library.intensities(1, 25, 1, 1)[mixed].max() < 1e-4


def test_slices_keep_every_atom_and_are_thin():
    crystal = zone_crystal(example_cif("GaAs"), (1, 1, 0)).crystal
    cut, slices = sliced(crystal)
    assert crystal.cell_angstrom[0] / slices <= 2.5
    moved = np.abs(cut.positions_angstrom - crystal.positions_angstrom)
    moved[:, 0] = np.minimum(moved[:, 0], crystal.cell_angstrom[0] - moved[:, 0])
    assert moved[:, 1:].max() == 0 and moved[:, 0].max() <= crystal.cell_angstrom[0] / slices / 2


def test_first_laue_ring_of_ermno3_is_where_the_twin_says():
    assert laue_ring_inv_angstrom(6.112, 200) == pytest.approx(3.6, abs=0.05)


@pytest.mark.parametrize("settings, says", [
    ({"thickness_nm": (30, 20)}, "thickness_nm"),
    ({"tilt_b_mrad": 0}, "positive"),
    ({"g_max_inv_angstrom": 3.0}, "raise k_max"),
])  # fmt: skip
def test_settings_without_a_grid_are_refused(settings, says):
    zone = zone_crystal(example_cif("PbTiO3"), (1, 0, 0))
    with pytest.raises(ValueError, match=says):
        crystal_library(zone, CrystalSettings(**settings))


@pytest.mark.parametrize("name", ["pbtio3", "gaas"])
def test_the_lattice_of_a_simulated_scan_is_found(name, request):
    zone, library = request.getfixturevalue(name)
    example = Example(positions=(6, 6), thickness_nm=(21.0, 28.0), bend_mrad=2.0)
    scan, truth = example_scan(library, example)
    found = find_lattice(scan.mean(("scan_y", "scan_x")).values, Zone.of_library(library, zone.name))
    np.testing.assert_allclose(found.lattice.centre, truth.origin_row_col, atol=0.15)
    np.testing.assert_allclose(found.lattice.g002, truth.g002_row_col, atol=0.15)
    np.testing.assert_allclose(found.lattice.g010, truth.g010_row_col, atol=0.15)
    assert found.radius_px == pytest.approx(truth.disc_radius_px, abs=0.8)
    with pytest.raises(ValueError, match="another zone axis"):
        find_lattice(scan.mean(("scan_y", "scan_x")).values, Zone.of(0.327, 0.1751))


@pytest.mark.parametrize("name", ["pbtio3", "gaas"])
def test_a_simulated_scan_is_matched(name, request):
    """Against the library that it was simulated with: both variants, the wedge and the bend come back."""
    zone, library = request.getfixturevalue(name)
    scan, truth = example_scan(library, Example(positions=(6, 6), thickness_nm=(22.0, 28.0), bend_mrad=2.0, electrons=1e6))
    maps = match(scan, prepare(scan, library, Zone.of_library(library, zone.name)), threads=1, progress=False)
    np.testing.assert_array_equal(maps.polarization, truth.polarization)
    assert float(np.sqrt(((maps.thickness_nm - truth.thickness_nm) ** 2).mean())) < 0.25
    for tilt in ("tilt_b_mrad", "tilt_c_mrad"):
        assert float(np.sqrt(((maps[tilt] - truth[tilt]) ** 2).mean())) < 0.06


def test_the_example_shows_both_variants_a_wedge_and_a_bend(pbtio3):
    scan, truth = example_scan(pbtio3[1], Example(positions=(5, 7), thickness_nm=(21.0, 28.0), bend_mrad=2.0))
    assert scan.dims == ("scan_y", "scan_x", "det_y", "det_x") and scan.shape == (5, 7, 128, 128)
    assert set(np.unique(truth.polarization)) == {-1, 1}
    assert float(truth.thickness_nm.min()) == 21 and float(truth.thickness_nm.max()) == 28
    assert float(scan.sum(("det_y", "det_x")).mean()) == pytest.approx(2e5, rel=0.15)
