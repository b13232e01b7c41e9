"""The library, of ErMnO3 and of a crystal of one's own: interpolation against direct simulation, symmetry, ranges, storage, and a scan."""

import dataclasses

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
    rows_of,
)
from figures_pkg.diffraction.multislice import crystal_stack, propagate, sliced
from figures_pkg.imaging.lattice_search import Zone, find_lattice
from figures_pkg.matching import match, prepare
from figures_pkg.twin.patterns import Example, example_scan

pytestmark = pytest.mark.physics

# The default's physics over the tilts near the axis and 9 to 75 nm, coarser in the slices and the grid only.
SETTINGS = LibrarySettings(tilt_b_max_mrad=2.0, tilt_c_max_mrad=3.0, last_period=123, slices=2, gpts=(96, 108))


@pytest.fixture(scope="module")
def library() -> Library:
    """The library of `SETTINGS`."""
    return build_library(SETTINGS, progress=False)


def direct(settings, polarization, tilts, periods, hkl):
    """Simulation without interpolation, shape (tilts, periods, reflections)."""
    return propagate(library_stack(settings, ermno3(polarization)), tilts, periods, hkl[:, 1:] * (2, 1))


@pytest.mark.parametrize("polarization", [1, -1])
def test_interpolation_error(library, polarization):
    """Between the nodes the relative L2 error over all reflections has a median below 0.001 and 95 % below 0.01; at a node there is none."""
    tilts = np.concatenate([np.random.default_rng(11).uniform((-2, -3), (2, 3), (8, 2)), [(-1.5, 2.0)]])
    periods = np.array([20, 41, 58, 73, 91, 106, 118, 99])  # the last is a node, as the last of the tilts
    truth = direct(SETTINGS, polarization, tilts, np.sort(periods), library.hkl)[:, np.argsort(np.argsort(periods))]
    ours = library.intensities(polarization, periods * 0.6112, tilts[:, :1], tilts[:, 1:])
    error = np.linalg.norm(ours - truth, axis=-1) / np.linalg.norm(truth, axis=-1)
    assert np.median(error) < 1e-3 and np.quantile(error, 0.95) < 1e-2
    np.testing.assert_allclose(ours[-1, -1], truth[-1, -1], atol=2e-6)


def test_polarizations_broadcast(library):
    """An array of polarizations gives for each point what the scalar gives."""
    mixed = library.intensities(np.array([1, -1, 1]), 60.0, np.array([0.3, 0.3, -1.0]), -0.8)
    alone = [library.intensities(*point) for point in ((1, 60.0, 0.3, -0.8), (-1, 60.0, 0.3, -0.8), (1, 60.0, -1.0, -0.8))]
    np.testing.assert_array_equal(mixed, alone)
    assert np.abs(mixed[0] - mixed[1]).max() > 1e-3
    np.testing.assert_array_equal(library.hkl[minus_p_index(library)], -library.hkl)


def test_reflections_of_the_zone():
    """Reflections are 0kl with even l within the limit; 002 and 010 lie at 0.1751 and 0.1889 1/angstrom."""
    hkl, g_b, g_c = reflections(ermno3(), 1.5)
    assert (hkl[:, 0] == 0).all() and (hkl[:, 2] % 2 == 0).all() and np.hypot(g_b, g_c).max() <= 1.5 and len(hkl) == 211
    rows = rows_of(hkl)
    assert (g_b[rows[0, 0, 2]], g_c[rows[0, 0, 2]]) == pytest.approx((0, 0.1751), abs=1e-4)
    assert (g_b[rows[0, 1, 0]], g_c[rows[0, 1, 0]]) == pytest.approx((0.1889, 0), abs=1e-4)
    assert laue_ring_inv_angstrom(6.112, 200) == pytest.approx(3.6, abs=0.05)


@pytest.mark.parametrize("point, says", [
    ((1, 80.0, 0, 0), "thickness_nm from .* leaves the library"),
    ((1, 60.0, 2.5, 0), "tilt_b_mrad from .* leaves the library"),
    ((-1, 60.0, 0, -3.1), "tilt_c_mrad from .* leaves the library"),
    ((0, 60.0, 0, 0), "polarization is .1 or -1"),
])  # fmt: skip
def test_points_outside_are_refused(library, point, says):
    with pytest.raises(ValueError, match=says):
        library.intensities(*point)


def test_a_library_is_stored_for_its_settings_and_its_crystal(tmp_path, monkeypatch):
    """A stored one is used while both hold, and replaced when they change."""
    path, crystal = tmp_path / "deep" / "library.npz", zone_crystal(example_cif("PbTiO3"), (1, 0, 0)).crystal
    settings, built = quick(crystal, (10, 12), 1, 0.5), []
    monkeypatch.setattr(library_module, "propagate", lambda *job: built.append(job) or propagate(*job))
    first, again = (load_or_build(path, settings, progress=False, crystal=crystal) for _ in range(2))
    assert len(built) == 1
    for name, value in vars(first).items():
        np.testing.assert_array_equal(getattr(again, name), value)
    other = load_or_build(path, settings, progress=False, crystal=scale_vibrations(crystal, 2))
    wider = load_or_build(path, quick(crystal, (10, 18), 1, 0.5), progress=False, crystal=crystal)
    assert len(built) == 3 and len({each.fingerprint for each in (first, other, wider)}) == 3
    assert np.abs(other.coefficients - first.coefficients).max() > 1e-3


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


@pytest.fixture(scope="module", params=[("PbTiO3", (1, 0, 0)), ("GaAs", (1, 1, 0))], ids=["PbTiO3", "GaAs"])
def own(request):
    """A crystal of one's own along its zone axis, and its library."""
    zone = zone_crystal(example_cif(request.param[0]), request.param[1])
    return zone, build_library(quick(zone.crystal), progress=False, crystal=zone.crystal)


def test_ermno3_from_its_cif_diffracts_as_the_twins_own(tmp_path):
    path = tmp_path / "ermno3.cif"
    path.write_text(cif_text(1))
    hkl = np.array([[0, 0], [0, 2], [0, -2], [0, 4], [0, -4], [2, 2], [2, -2], [6, 0], [-6, 2]])
    tilts = np.array([[0.0, 0.0], [1.3, -2.1]])
    crystal, slices = sliced(zone_crystal(path, (1, 0, 0)).crystal)
    found, twins = (propagate(crystal_stack(each, (88, 96), slices), tilts, [30, 80], hkl) for each in (crystal, ermno3(1)))
    np.testing.assert_allclose(found, twins, atol=2e-5)
    assert abs(twins[1, 1, 1] - twins[1, 1, 2]) > 0.01  # the two sides differ, so a turned crystal would show


def test_the_second_variant_is_the_inverted_crystal(own):
    """The library holds the structure only; its partner is simulated here by itself. Between the nodes the spline is right to 1 %."""
    zone, library = own
    inverted = dataclasses.replace(zone.crystal, positions_angstrom=-zone.crystal.positions_angstrom % zone.crystal.cell_angstrom)
    periods, tilts = [int(round(10 * library.thickness_nm[2] / zone.crystal.cell_angstrom[0]))], np.array([[1.0, -1.5], [0.0, 2.0], [0.25, -1.2]])
    partner = propagate(library_stack(quick(zone.crystal), inverted), tilts, periods, library.hkl[:, 1:])[:, 0]
    first, second = (library.intensities(sign, library.thickness_nm[2], *tilts.T) for sign in (1, -1))
    np.testing.assert_allclose(second[:2], partner[:2], atol=2e-5)
    assert np.linalg.norm(second[2] - partner[2]) < 0.01 * np.linalg.norm(partner[2])
    assert np.abs(first - second).max() > 5e-3


def test_a_centred_crystal_has_equal_variants(tmp_path):
    path, text = tmp_path / "cubic.cif", example_cif("PbTiO3").read_text()
    path.write_text(text.replace("4.152", "3.904").replace("0.460", "0.5").replace("0.888", "0").replace("0.388", "0.5"))
    crystal = zone_crystal(path, (1, 0, 0)).crystal
    library = build_library(quick(crystal, (10, 16), 1, 0.8), progress=False, crystal=crystal)
    np.testing.assert_allclose(library.intensities(1, 12, 0.4, -0.7), library.intensities(-1, 12, 0.4, -0.7), atol=1e-5)


def test_more_slices_and_beams_change_little(own):
    zone, library = own
    tilts, periods = np.array([[0.5, -1.0]]), [70]
    stacks = library_stack(quick(zone.crystal), zone.crystal), crystal_stack(zone.crystal, (60, 60) if zone.name.startswith("Pb") else (60, 84), 4)
    coarse, fine = (propagate(stack, tilts, periods, library.hkl[:, 1:]) for stack in stacks)
    assert np.linalg.norm(coarse - fine) < 0.02 * np.linalg.norm(fine)


def test_indices_are_those_of_the_crystals_own_cell(own):
    zone, library = own
    if not zone.name.startswith("GaAs"):
        pytest.skip("only the face-centred lattice numbers its reflections otherwise")
    indices = zone.miller_indices(library.hkl)
    whole = indices.any(axis=1)
    np.testing.assert_allclose(np.linalg.norm(indices[whole], axis=1) / 5.6533, np.hypot(library.g_b, library.g_c)[whole], atol=1e-6)
    np.testing.assert_array_equal(indices[whole] @ (1, 1, 0), 0)
    mixed = np.ptp(indices % 2, axis=1) > 0  # the face-centred lattice forbids them
    assert library.intensities(1, 25, 1, 1)[mixed].max() < 1e-4


def test_slices_keep_every_atom_and_are_thin():
    crystal = zone_crystal(example_cif("GaAs"), (1, 1, 0)).crystal
    cut, slices = sliced(crystal)
    assert crystal.cell_angstrom[0] / slices <= 2.5
    moved = np.abs(cut.positions_angstrom - crystal.positions_angstrom)
    moved[:, 0] = np.minimum(moved[:, 0], crystal.cell_angstrom[0] - moved[:, 0])
    assert moved[:, 1:].max() == 0 and moved[:, 0].max() <= crystal.cell_angstrom[0] / slices / 2


@pytest.mark.parametrize("ranges, says", [({"thickness_nm": (0, 20)}, "thickness_nm"), ({"g_max": 3.0}, "raise k_max")])
def test_settings_without_a_grid_are_refused(ranges, says):
    with pytest.raises(ValueError, match=says):
        quick(zone_crystal(example_cif("PbTiO3"), (1, 0, 0)).crystal, **ranges)


def test_a_simulated_scan_is_indexed_and_matched(own):
    """Against the library that it was simulated with the lattice is found, and both variants, the wedge and the bend come back."""
    zone, library = own
    scan, truth = example_scan(library, Example(positions=(6, 6), thickness_nm=(22.0, 28.0), bend_mrad=2.0, electrons=1e6))
    mean = scan.mean(("scan_y", "scan_x")).values
    found = find_lattice(mean, Zone.of_library(library, zone.name))
    for here, there in ((found.lattice.centre, "origin_row_col"), (found.lattice.g002, "g002_row_col"), (found.lattice.g010, "g010_row_col")):
        np.testing.assert_allclose(here, truth.attrs[there], atol=0.15)
    assert found.radius_px == pytest.approx(truth.disc_radius_px, abs=0.8)
    with pytest.raises(ValueError, match="another zone axis"):
        find_lattice(mean, Zone.of(0.327, 0.1751))
    maps = match(scan, prepare(scan, library, Zone.of_library(library, zone.name)), threads=1, progress=False)
    np.testing.assert_array_equal(maps.polarization, truth.polarization)
    for name, most in (("thickness_nm", 0.25), ("tilt_b_mrad", 0.06), ("tilt_c_mrad", 0.06)):
        assert float(np.sqrt(((maps[name] - truth[name]) ** 2).mean())) < most
