"""The library, of ErMnO3 and of a crystal of one's own: interpolation against direct simulation, symmetry, ranges, storage, and a scan."""

import dataclasses
from dataclasses import replace

import numpy as np
import pytest

from figures_pkg.chapters.structure import cif_text
from figures_pkg.crystal.structure import ermno3, scale_vibrations
from figures_pkg.crystal.zone import example_cif, zone_crystal
from figures_pkg.diffraction import library as library_module
from figures_pkg.diffraction.library import (
    Library,
    LibrarySettings,
    build_library,
    laue_ring_inv_angstrom,
    library_stack,
    load_or_build,
    minus_p_index,
    reflections,
)
from figures_pkg.diffraction.multislice import crystal_stack, propagate, sliced
from figures_pkg.imaging.lattice_search import Zone, find_lattice
from figures_pkg.matching import match, prepare
from figures_pkg.twin.example import Example, example_scan

pytestmark = pytest.mark.physics

# The default's grids and physics over the tilts near the axis and 9 to 75 nm, coarser in the slices only.
SETTINGS = LibrarySettings(tilt_b_max_mrad=2.0, tilt_c_max_mrad=3.0, last_period=123, slices=2)
TINY = dataclasses.replace(SETTINGS, tilt_b_max_mrad=1.0, tilt_c_max_mrad=1.0, first_period=2, last_period=11, gpts=(32, 36))


@pytest.fixture(scope="module")
def library() -> Library:
    """The library of `SETTINGS`."""
    return build_library(SETTINGS, progress=False)


def direct(settings, polarization, tilts, periods, hkl):
    """Simulation without interpolation, shape (tilts, periods, reflections)."""
    stack = library_stack(settings, ermno3(polarization))
    return propagate(stack, tilts, periods, hkl[:, 1:] * (2, 1))


@pytest.mark.parametrize("polarization", [1, -1])
def test_interpolation_error(library, polarization):
    """Between the nodes the relative L2 error over all reflections has a median below 0.001 and 95 % below 0.01."""
    rng = np.random.default_rng(11)
    tilts = rng.uniform((-2, -3), (2, 3), (12, 2))
    periods = np.array([20, 41, 58, 73, 91, 106, 118])  # none of them a node
    truth = direct(SETTINGS, polarization, tilts, periods, library.hkl)
    ours = library.intensities(polarization, periods * 0.6112, tilts[:, :1], tilts[:, 1:])
    error = np.linalg.norm(ours - truth, axis=-1) / np.linalg.norm(truth, axis=-1)
    assert ours.shape == (12, 7, len(library.hkl))
    assert np.median(error) < 1e-3 and np.quantile(error, 0.95) < 1e-2


def test_nodes_are_the_simulation(library):
    """At a node the library gives what was simulated there, at negative tilt_b too."""
    tilts = np.array([(-1.5, 2.0), (0.0, 0.0)])
    truth = direct(SETTINGS, 1, tilts, [99], library.hkl)[:, 0]
    np.testing.assert_allclose(library.intensities(1, 99 * 0.6112, *tilts.T), truth, atol=2e-6)


def test_polarizations_broadcast(library):
    """An array of polarizations gives for each point what the scalar gives."""
    mixed = library.intensities(np.array([1, -1, 1]), 60.0, np.array([0.3, 0.3, -1.0]), -0.8)
    alone = [library.intensities(*point) for point in ((1, 60.0, 0.3, -0.8), (-1, 60.0, 0.3, -0.8), (1, 60.0, -1.0, -0.8))]
    np.testing.assert_array_equal(mixed, alone)
    assert np.abs(mixed[0] - mixed[1]).max() > 1e-3


def test_minus_p_index_sends_each_reflection_to_its_opposite(library):
    """The permutation is its own inverse and negates h, k, l."""
    index = minus_p_index(library)
    np.testing.assert_array_equal(library.hkl[index], -library.hkl)
    np.testing.assert_array_equal(index[index], np.arange(len(index)))


def test_reflections_of_the_zone():
    """Reflections are 0kl with even l within the limit; 002 and 010 lie at 0.1751 and 0.1889 1/angstrom."""
    hkl, g_b, g_c = reflections(ermno3(), 1.5)
    assert (hkl[:, 0] == 0).all() and (hkl[:, 2] % 2 == 0).all() and np.hypot(g_b, g_c).max() <= 1.5
    where = {tuple(row): index for index, row in enumerate(hkl.tolist())}
    assert (g_b[where[0, 0, 2]], g_c[where[0, 0, 2]]) == pytest.approx((0, 0.1751), abs=1e-4)
    assert (g_b[where[0, 1, 0]], g_c[where[0, 1, 0]]) == pytest.approx((0.1889, 0), abs=1e-4)
    assert len(hkl) == 211


@pytest.mark.parametrize(
    "point, name", [((1, 80.0, 0, 0), "thickness_nm"), ((1, 60.0, 2.5, 0), "tilt_b_mrad"), ((-1, 60.0, 0, -3.1), "tilt_c_mrad")]
)
def test_points_outside_are_refused(library, point, name):
    """A point beyond the grids raises an error that names the axis and its range, instead of extrapolating."""
    with pytest.raises(ValueError, match=f"{name} from .* leaves the library"):
        library.intensities(*point)
    with pytest.raises(ValueError, match="polarization is .1 or -1"):
        library.intensities(0, 60.0, 0, 0)


def test_save_and_load(tmp_path):
    """A stored library comes back unchanged and leaves no temporary file."""
    original = build_library(TINY, progress=False)
    original.save(tmp_path / "library.npz")
    restored = Library.load(tmp_path / "library.npz")
    for name, value in vars(original).items():
        np.testing.assert_array_equal(getattr(restored, name), value)
    assert [path.name for path in tmp_path.iterdir()] == ["library.npz"]


def test_load_or_build_builds_once_and_again_for_other_settings(tmp_path, monkeypatch):
    """A stored library is used while its settings hold, and replaced when they change."""
    calls = []
    build = library_module.build_library
    monkeypatch.setattr(library_module, "build_library", lambda settings, *rest: calls.append(settings) or build(settings, *rest))
    other = dataclasses.replace(TINY, last_period=14)
    for settings in (TINY, TINY, other):
        library = load_or_build(tmp_path / "deep" / "library.npz", settings, progress=False)
        assert library.fingerprint == settings.fingerprint()
    assert calls == [TINY, other]


def test_covering_settings_hold_the_range():
    """Settings made for a range reach its ends, symmetric in tilt; in thickness a node is left over on either side."""
    settings = LibrarySettings.covering((55.0, 71.3), (-0.2, 2.6), (-6.3, -1.0), slices=2)
    thickness = settings.periods * 0.6112
    assert thickness[1] <= 55.0 < thickness[1] + 0.6112 and thickness[-3] < 71.3 <= thickness[-2]
    assert LibrarySettings.covering(0.7, 1, 1).periods[0] == 1
    assert settings.tilt_b_mrad[[0, -1]].tolist() == [-3.0, 3.0] and settings.tilt_c_mrad[[0, -1]].tolist() == [-6.5, 6.5]
    assert settings.slices == 2 and len(settings.periods) >= 4


def quick(crystal, thickness_nm=(20, 30), tilt_mrad=3, g_max=1.2):
    """Settings that cover a few thicknesses."""
    return LibrarySettings.covering(thickness_nm, tilt_mrad, tilt_mrad, crystal, g_max_inv_angstrom=g_max)


def built(zone, **ranges):
    """The library of a crystal along its zone axis."""
    return build_library(quick(zone.crystal, **ranges), progress=False, crystal=zone.crystal)


def inverted(crystal):
    """The crystal inverted through the origin of its cell."""
    return replace(crystal, positions_angstrom=-crystal.positions_angstrom % crystal.cell_angstrom)


@pytest.fixture(scope="module")
def pbtio3():
    zone = zone_crystal(example_cif("PbTiO3"), (1, 0, 0))
    return zone, built(zone)


@pytest.fixture(scope="module")
def gaas():
    zone = zone_crystal(example_cif("GaAs"), (1, 1, 0))
    return zone, built(zone)


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
    direct = propagate(library_stack(quick(zone.crystal), inverted(zone.crystal)), tilts, periods, library.hkl[:, 1:])[:, 0]
    first, second = (library.intensities(sign, library.thickness_nm[2], *tilts.T) for sign in (1, -1))
    np.testing.assert_allclose(second, direct, atol=2e-5)
    assert np.abs(first - second).max() > 5e-3


def test_between_the_nodes_the_spline_is_right(pbtio3):
    zone, library = pbtio3
    periods, tilts = [60, 67], np.array([[0.25, -1.25], [-0.7, 1.6], [1.75, 0.25]])
    direct = propagate(library_stack(quick(zone.crystal), zone.crystal), tilts, periods, library.hkl[:, 1:])
    thickness = np.array(periods) * zone.crystal.cell_angstrom[0] / 10
    spline = library.intensities(1, thickness, tilts[:, :1], tilts[:, 1:])
    assert np.linalg.norm(spline - direct) < 0.01 * np.linalg.norm(direct)


def test_a_centred_crystal_has_equal_variants(tmp_path):
    path = tmp_path / "cubic.cif"
    text = example_cif("PbTiO3").read_text()
    path.write_text(text.replace("4.152", "3.904").replace("0.460", "0.5").replace("0.888", "0").replace("0.388", "0.5"))
    zone = zone_crystal(path, (1, 0, 0))
    library = built(zone, thickness_nm=(10, 16), tilt_mrad=1, g_max=0.8)
    np.testing.assert_allclose(library.intensities(1, 12, 0.4, -0.7), library.intensities(-1, 12, 0.4, -0.7), atol=1e-5)


def test_more_slices_and_beams_change_little(pbtio3):
    zone, library = pbtio3
    tilts, periods = np.array([[0.5, -1.0]]), [70]
    fine = propagate(crystal_stack(zone.crystal, (60, 60), 4), tilts, periods, library.hkl[:, 1:])
    coarse = propagate(library_stack(quick(zone.crystal), zone.crystal), tilts, periods, library.hkl[:, 1:])
    assert np.linalg.norm(coarse - fine) < 0.02 * np.linalg.norm(fine)


def test_indices_are_those_of_the_crystals_own_cell(gaas):
    zone, library = gaas
    own = zone.miller_indices(library.hkl)
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


@pytest.mark.parametrize("ranges, says", [({"thickness_nm": (0, 20)}, "thickness_nm"), ({"g_max": 3.0}, "raise k_max")])
def test_settings_without_a_grid_are_refused(ranges, says):
    with pytest.raises(ValueError, match=says):
        quick(zone_crystal(example_cif("PbTiO3"), (1, 0, 0)).crystal, **ranges)


def test_a_stored_library_is_taken_for_its_own_crystal_only(tmp_path):
    crystal = zone_crystal(example_cif("PbTiO3"), (1, 0, 0)).crystal
    settings = quick(crystal, (10, 12), 1, 0.5)
    first = load_or_build(tmp_path / "library.npz", settings, progress=False, crystal=crystal)
    again = load_or_build(tmp_path / "library.npz", settings, progress=False, crystal=crystal)
    other = load_or_build(tmp_path / "library.npz", settings, progress=False, crystal=scale_vibrations(crystal, 2))
    np.testing.assert_array_equal(first.coefficients, again.coefficients)
    assert other.fingerprint != first.fingerprint and np.abs(other.coefficients - first.coefficients).max() > 1e-3


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
