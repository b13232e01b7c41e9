"""The library, of ErMnO3 and of a crystal of one's own: splines, interpolation against direct simulation, symmetry, storage, discs, and a scan."""

import dataclasses

import numpy as np
import pytest

from figures_pkg.chapters.thickness_tilt_dose import disc_library
from figures_pkg.crystal.structure import ermno3, scale_vibrations
from figures_pkg.crystal.zone import example_cif, zone_crystal
from figures_pkg.diffraction import LibrarySettings, build_library, load_or_build
from figures_pkg.diffraction import library as library_module
from figures_pkg.diffraction.discs import cone_tilts, disc_means, overlap_mrad
from figures_pkg.diffraction.library import coefficient_matrix, evaluate_many, evaluate_spline, library_stack, rows_of, spline_coefficients
from figures_pkg.diffraction.multislice import crystal_stack, propagate
from figures_pkg.imaging.lattice_search import Zone, find_lattice
from figures_pkg.matching import match, prepare
from figures_pkg.twin.patterns import Example, example_scan

pytestmark = pytest.mark.physics


def test_interpolation_error():
    """Near the axis from 20 to 75 nm, coarser than the default in slices and grid only; a node has no error, points outside are refused."""
    settings = LibrarySettings(tilt_b_max_mrad=2.0, tilt_c_max_mrad=3.0, first_period=31, last_period=123, slices=2, gpts=(96, 108))
    library = build_library(settings, progress=False)
    rows = rows_of(library.hkl)
    assert (library.g_c[rows[0, 0, 2]], library.g_b[rows[0, 1, 0]]) == pytest.approx((0.1751, 0.1889), abs=1e-4)
    assert not library.hkl[:, 0].any() and not (library.hkl[:, 2] % 2).any() and np.hypot(library.g_b, library.g_c).max() <= 1.5
    tilts = np.concatenate([np.random.default_rng(11).uniform((-2, -3), (2, 3), (8, 2)), [(-1.5, 2.0)]])
    periods = np.array([33, 41, 58, 73, 91, 99, 106, 118])
    node = np.argmax(np.isin(periods, settings.periods))
    for polarization in (1, -1):
        truth = propagate(library_stack(settings, ermno3(polarization)), tilts, periods, library.hkl[:, 1:] * (2, 1))
        ours = library.intensities(polarization, periods * 0.6112, tilts[:, :1], tilts[:, 1:])
        error = np.linalg.norm(ours - truth, axis=-1) / np.linalg.norm(truth, axis=-1)
        assert np.median(error) < 1e-3 and np.quantile(error, 0.95) < 1e-2
        np.testing.assert_allclose(ours[-1, node], truth[-1, node], atol=2e-6)
    mixed = library.intensities(np.array([1, -1, 1]), 60.0, np.array([0.3, 0.3, -1.0]), -0.8)
    np.testing.assert_array_equal(mixed, [library.intensities(*point) for point in ((1, 60.0, 0.3, -0.8), (-1, 60.0, 0.3, -0.8), (1, 60.0, -1.0, -0.8))])
    for point, says in (((1, 80.0, 0, 0), "thickness_nm from .* leaves"), ((1, 60.0, 2.5, 0), "tilt_b_mrad from .* leaves"),
                        ((-1, 60.0, 0, -3.1), "tilt_c_mrad from .* leaves"), ((0, 60.0, 0, 0), "polarization is .1 or -1")):  # fmt: skip
        with pytest.raises(ValueError, match=says):
            library.intensities(*point)


def test_a_library_is_stored_for_its_settings_and_its_crystal(tmp_path, monkeypatch):
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
    settings = LibrarySettings.covering((55.0, 71.3), (-0.2, 2.6), (-6.3, -1.0), slices=2)
    thickness = settings.periods * 0.6112
    assert thickness[1] <= 55.0 < thickness[1] + 0.6112 and thickness[-3] < 71.3 <= thickness[-2]
    assert LibrarySettings.covering(0.7, 1, 1).periods[0] == 1
    assert settings.tilt_b_mrad[[0, -1]].tolist() == [-3.0, 3.0] and settings.tilt_c_mrad[[0, -1]].tolist() == [-6.5, 6.5]
    crystal = zone_crystal(example_cif("PbTiO3"), (1, 0, 0)).crystal
    for ranges, says in (({"thickness_nm": (0, 20)}, "thickness_nm"), ({"g_max": 3.0}, "raise k_max")):
        with pytest.raises(ValueError, match=says):
            quick(crystal, **ranges)


def quick(crystal, thickness_nm=(20, 30), tilt_mrad=3, g_max=1.2):
    return LibrarySettings.covering(thickness_nm, tilt_mrad, tilt_mrad, crystal, g_max_inv_angstrom=g_max)


@pytest.fixture(scope="module", params=[("PbTiO3", (1, 0, 0)), ("GaAs", (1, 1, 0))], ids=["PbTiO3", "GaAs"])
def own(request):
    zone = zone_crystal(example_cif(request.param[0]), request.param[1])
    return zone, build_library(quick(zone.crystal), progress=False, crystal=zone.crystal)


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


def test_more_slices_and_beams_change_little_and_indices_are_the_cells_own(own):
    """The face-centred lattice of GaAs numbers its reflections otherwise, and forbids the mixed ones."""
    zone, library = own
    tilts, periods = np.array([[0.5, -1.0]]), [70]
    stacks = library_stack(quick(zone.crystal), zone.crystal), crystal_stack(zone.crystal, (60, 60) if zone.name.startswith("Pb") else (60, 84), 4)
    coarse, fine = (propagate(stack, tilts, periods, library.hkl[:, 1:]) for stack in stacks)
    assert np.linalg.norm(coarse - fine) < 0.02 * np.linalg.norm(fine)
    if zone.name.startswith("GaAs"):
        indices = zone.miller_indices(library.hkl)
        whole = indices.any(axis=1)
        np.testing.assert_allclose(np.linalg.norm(indices[whole], axis=1) / 5.6533, np.hypot(library.g_b, library.g_c)[whole], atol=1e-6)
        np.testing.assert_array_equal(indices[whole] @ (1, 1, 0), 0)
        assert library.intensities(1, 25, 1, 1)[np.ptp(indices % 2, axis=1) > 0].max() < 1e-4


def test_a_simulated_scan_is_indexed_and_matched(own):
    zone, library = own
    scan, truth = example_scan(library, Example(positions=(6, 6), thickness_nm=(22.0, 28.0), bend_mrad=2.0, electrons=1e6))
    assert scan.dims == ("scan_y", "scan_x", "det_y", "det_x") and float(scan.sum(("det_y", "det_x")).mean()) == pytest.approx(1e6, rel=0.15)
    mean = scan.mean(("scan_y", "scan_x")).values
    found = find_lattice(mean, Zone.of_library(library, zone.name))
    for here, there in ((found.lattice.centre, "origin_row_col"), (found.lattice.g002, "g002_row_col"), (found.lattice.g010, "g010_row_col")):
        np.testing.assert_allclose(here, truth.attrs[there], atol=0.15)
    assert found.radius_px == pytest.approx(truth.disc_radius_px, abs=0.8)
    maps = match(scan, prepare(scan, library, Zone.of_library(library, zone.name)), threads=1, progress=False)
    np.testing.assert_array_equal(maps.polarization, truth.polarization)
    for name, most in (("thickness_nm", 0.25), ("tilt_b_mrad", 0.06), ("tilt_c_mrad", 0.06)):
        assert float(np.sqrt(((maps[name] - truth[name]) ** 2).mean())) < most


def test_mean_over_a_cone_is_right_for_a_polynomial(make_library):
    """For an intensity 1 + x + x² the mean over a disc of radius a about x is 1 + x + x² + a² / 4, by both functions; no number is no cone."""
    library = make_library(lambda b, c, t, hkl: (1 + 0.1 * c + 0.01 * c**2) * (1 + 0 * b * t), [(0, l) for l in (-2, 0, 2)])
    expected = 1 + 0.1 * 2.0 + 0.01 * (2.0**2 + 1.5**2 / 4)
    averaged = disc_library(library, 1.5)
    assert disc_means(library, 1, 60.0, 1.0, 2.0, 1.5) == pytest.approx(expected, rel=1e-5)
    assert averaged.intensities(1, 60.0, 1.0, 2.0) == pytest.approx(expected, rel=1e-5)
    assert averaged.tilt_c_mrad[-1] == library.tilt_c_mrad[-1] - 1.5
    assert overlap_mrad(library) == pytest.approx(500 * 2 * 0.025079 / 11.42, rel=1e-4)
    for across in (None, 5):  # the points have the mean square of the disc, whatever their number
        assert (cone_tilts(1.5, across) ** 2).sum(axis=1).mean() == pytest.approx(1.5**2 / 2)
    with pytest.raises(ValueError, match="positive half angle"):
        disc_means(library, 1, 60.0, 0.0, 0.0, float("nan"))


def test_cubic_polynomials_are_reproduced_up_to_the_ends():
    """Not-a-knot splines hold a cubic polynomial, at the end nodes too; beyond the grid they give the value at the edge."""

    def cubic(b, c, t):
        return np.stack([1 + b - 0.2 * b**3 + 0.1 * c**2 * t - 0.05 * t**3, 2 * c**3 - b * c * t], axis=-1)

    nodes = np.meshgrid(*(np.arange(float(n)) for n in (5, 6, 7)), indexing="ij")
    coefficients = spline_coefficients(cubic(*nodes)).astype(np.float32)
    points = np.concatenate([np.random.default_rng(7).uniform(0, (4, 5, 6), (50, 3)), [(0, 0, 0), (4, 5, 6)]])
    values, expected = np.empty((len(points), 2), np.float32), cubic(*points.T)
    evaluate_many(coefficients, points, values)
    np.testing.assert_allclose(values, expected, atol=1e-5 * np.abs(expected).max())
    outside, edge = np.empty((2, 2), np.float32)
    evaluate_spline(coefficients, -3.0, 99.0, 2.5, outside)
    evaluate_spline(coefficients, 0.0, 5.0, 2.5, edge)
    np.testing.assert_array_equal(outside, edge)
    with pytest.raises(ValueError, match="at least 4 nodes along each axis, got 3"):
        coefficient_matrix(3)
