"""The library: interpolation against direct simulation, symmetry, ranges, and storage."""

import dataclasses

import numpy as np
import pytest

from figures_pkg.twin.diffraction import library as library_module
from figures_pkg.twin.structure.crystal import ermno3
from figures_pkg.twin.diffraction.library import Library, build_library, library_stack, load_or_build, minus_p_index
from figures_pkg.twin.diffraction.library_settings import LibrarySettings, reflections
from figures_pkg.twin.diffraction.multislice import propagate

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
    hkl, g_b, g_c = reflections(ermno3().cell_angstrom, 1.5)
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
