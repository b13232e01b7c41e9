"""Walls: modes that pass through every domain, supercells that end in the bulk, stacks, the renderer that uses them, and their patterns beside mixtures."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from figures_pkg.chapters.walls import best_mixture, by_stacks, by_supercell, chi2_per_electron, inclined_supercell
from figures_pkg.crystal.structure import ermno3
from figures_pkg.diffraction.library import LibrarySettings, build_library, permutation
from figures_pkg.twin.dataset import simulate_truth
from figures_pkg.twin.domains import WallProfile, default_profile
from figures_pkg.twin.presets import WallStructure, load_preset
from figures_pkg.twin.render import Renderer
from figures_pkg.twin.wall_scattering import Supercell, domain_slice, phase_modes, stack_intensities
from figures_pkg.twin.walls import OFFSETS_NM, EdgeSettings, WallPatterns, build_edge

pytestmark = pytest.mark.physics

TILT = (-1.5, -1.75)
BACKGROUND = 2e-3  # per disc; less than ds2 has


@pytest.fixture(scope="module")
def library():
    settings = LibrarySettings(tilt_b_max_mrad=2.5, tilt_c_max_mrad=3.0, first_period=29, last_period=41, period_step=4, g_max_inv_angstrom=1.0,
                               gpts=(96, 108), slices=2)
    return build_library(settings, threads=1, progress=False)


def test_modes_pass_through_the_domains():
    """Opposite phases mirror each other across c; the slice at 120 or 240 degrees is that at 0, moved by a third of the cell along b*."""
    modes, crystal = phase_modes(), ermno3(+1)
    away = crystal.positions_angstrom[:, None, 1:] - modes.displacements(0.0)
    away -= modes.cell_angstrom * np.round(away / modes.cell_angstrom)
    same = (np.abs(away).max(axis=-1) < 1e-9) & (np.array(crystal.symbols)[:, None] == np.array(modes.symbols))
    assert (same.sum(axis=0) == 2).all() and (same.sum(axis=1) == 1).all()
    zero = domain_slice(0.0)[0]
    np.testing.assert_allclose(domain_slice(180.0)[0], np.roll(zero[:, ::-1], 1, axis=1), atol=2e-3)
    both = [np.abs(domain_slice(phase)[0] - np.roll(zero, 12, axis=0)).max() for phase in (120.0, 240.0)]
    assert min(both) < 2e-3 < max(both)


@pytest.mark.parametrize("kind, repeats", [("charged", 8), ("neutral", 16)])
def test_supercell_is_bulk_away_from_its_walls(kind, repeats):
    cell = Supercell(kind, repeats, WallProfile(half_width_nm=0.15, screening_nm=0.15))
    whole, points = cell.transmission(), domain_slice(0.0)[1][cell.axis]
    per_cell = whole.shape[cell.axis] // repeats
    for phase, place in ((0.0, repeats // 2), (60.0, 0)):
        part = np.take(whole, range(place * per_cell, place * per_cell + points), axis=cell.axis)
        assert np.abs(part - domain_slice(phase)[0]).max() < 5e-3


def test_preset_decides_what_its_walls_are():
    """A strain of 1 % reaches the atoms: c is stretched at head-to-head walls, pressed at tail-to-tail ones. The controls have the walls that they name."""
    told = dataclasses.replace(load_preset("control"), wall_structure=WallStructure(width_factor=2.0, screening_nm=3.0, strain=0.001))
    tilts = np.arange(-9, 9.5, 0.5)
    library = SimpleNamespace(g_b=np.zeros(1), g_c=np.zeros(1), hkl=np.zeros((1, 3), int), tilt_b_mrad=tilts, tilt_c_mrad=tilts)
    settings = WallPatterns(told, library).edge_settings("charged", 1)
    assert (settings.width_factor, settings.screening_nm, settings.strain) == (2.0, 3.0, 0.001)
    cells = [Supercell("charged", 16, default_profile(1.0, strain=value)) for value in (0.0, 0.01)]
    (_, rest, _), (_, moved, _) = (cell.columns() for cell in cells)
    for name, sign in (("HH", 1), ("TT", -1)):
        near = np.abs(rest[:, 1] / 10 - cells[0].walls_nm()[name][0]) < 0.3
        assert np.polyfit(rest[near, 1], (moved - rest)[near, 1], 1)[0] == pytest.approx(sign * 0.01, rel=0.05)
    for name, inclinations in (("control", {0.0}), ("control-inclined", {0.0, 5.0})):
        truth = simulate_truth(load_preset(name), "smoke", 0)
        assert set(np.unique(truth.wall_type)) == {-1, 1} and np.abs(np.abs(truth.wall_charge) - 1).max() < 1e-3
        assert set(np.unique(truth.wall_inclination_deg).tolist()) == inclinations and set(np.unique(truth.wall_step)) == {1}


@pytest.mark.parametrize("kind", ["charged", "neutral"])
def test_upright_wall_is_a_domain_away_from_it_and_no_mixture_on_it(kind, library):
    """4 nm away its pattern is that of the library, to less than 0.001 in chi2 per electron; on it no mixture of +P and -P comes near."""
    edge = build_edge(EdgeSettings(kind, 1, TILT, 0.0, 0.76, 1.7, (30, 32, 34, 36), tuple(map(tuple, library.hkl.tolist()))))
    line = np.linspace(-1, 1, 9) * 0.7
    cone = [(b, c) for b in line for c in line if np.hypot(b, c) < 0.76]
    for sign, place in ((1, -1), (-1, 0)):
        bulk = np.mean([library.intensities(sign, edge.thickness_nm, TILT[0] + b, TILT[1] + c) for b, c in cone], axis=0)
        for wall in edge.intensities[:, 0, 0, :, place]:
            assert chi2_per_electron(wall, bulk, BACKGROUND).max() < 1e-3
    for wall in edge.intensities[:, 0, 0, 1]:
        places = (0, len(OFFSETS_NM) // 2, -1)
        left = [best_mixture(wall[place], edge.plus[0, 0, 1], edge.minus[0, 0, 1], BACKGROUND)[1] for place in places]
        assert left[1] > 5e-4 and left[1] > 10 * max(left[0], left[2])


def test_stack_ends_in_its_domains_and_has_a_mirror(library):
    """A wall above or below the foil leaves one domain, that of the library; the mirror across c swaps them: -P over +P at opposite tilt and l."""
    stacks = stack_intensities(1, 1, [-20.0, 16.0, 60.0], [32, 36], [TILT], library.hkl, 2.0)[0]
    np.testing.assert_allclose(stacks[:, 1], stacks[:, 0], atol=1e-6)
    np.testing.assert_allclose(stacks[:, 3], stacks[:, 4], atol=1e-6)
    for sign, place in ((-1, 0), (1, -1)):
        assert chi2_per_electron(stacks[0, place], library.intensities(sign, 32 * 0.6112, *TILT), BACKGROUND) < 2e-3
    assert best_mixture(stacks[0, 2], stacks[0, -1], stacks[0, 0], BACKGROUND)[1] > 5e-3
    flip, stacks = permutation(library.hkl, (1, 1, -1)), ((1, 1, 1.1), (-1, -1, -1.1), (-1, 1, -1.1))
    first, *others = (stack_intensities(top, step, [20.0], [50], [(0.4, tilt)], library.hkl, 1.0)[0, 0, 1] for top, step, tilt in stacks)
    assert min(np.abs(first - other[flip]).max() for other in others) < 2e-3


def test_renderer_adds_walls_where_they_reach(library):
    """Nothing far away, less than a thousandth just inside their reach; on the wall the pattern is no mixture, and counts stay positive."""
    base = load_preset("ds2")
    specimen = dataclasses.replace(base.specimen, thickness_nm=21.0, wedge_nm=1.0, bend_mrad=0.1)
    inclined = Renderer(dataclasses.replace(base, specimen=specimen), library)
    row = [21.0, *TILT, 0.0, 0.0]
    inside = next(distance for distance in np.arange(9.0, 0.0, -0.1) if inclined.walls.touches(21.0, (distance, 5.0, 1.0, 1, 0.0)))
    plain, mixed = inclined.expected([[1.0, *row], [0.0, *row]])
    rows = [[weight, *row, distance, 5.0, 1.0, 1, 0.0] for weight, distance in ((1.0, 30.0), (1.0, inside), (0.0, 0.0))]
    far, inner, near = inclined.expected(rows)
    np.testing.assert_array_equal(far, plain)
    assert np.linalg.norm(inner - plain) < 1e-3 * np.linalg.norm(plain)
    assert np.linalg.norm(near - mixed) > 0.02 * np.linalg.norm(mixed) and near.min() >= 0


def test_best_mixture_is_found():
    plus, minus = np.array([0.1, 0.3, 0.2]), np.array([0.2, 0.1, 0.2])
    share, left = best_mixture(0.3 * plus + 0.7 * minus, plus, minus, BACKGROUND)
    assert share == pytest.approx(0.3) and left == pytest.approx(0, abs=1e-12)
    assert chi2_per_electron([0.11], [0.09], 0.1) == pytest.approx(0.02**2 / 0.2)


def test_columns_agree_with_a_supercell_whose_wall_leans():
    """Through 12 nm, at 10 degrees, stacks and a leaning supercell differ ten times less from each other than from mixtures."""
    hkl, place = np.array([(0, k, l) for k in range(-3, 4) for l in range(-6, 7, 2)]), np.array([-0.5, 0.0, 0.5])
    cell = inclined_supercell("charged", 10.0)
    strict = by_supercell(cell, TILT, 0.76, 20, hkl, place)
    columns, plus, minus = by_stacks(cell, TILT, 0.76, 1.7, 20, hkl, place)
    left = [best_mixture(one, plus, minus, BACKGROUND)[1] for one in strict]
    assert min(left) > 10 * chi2_per_electron(strict, columns, BACKGROUND).max() > 0
    with pytest.raises(ValueError, match="upright wall has no depth"):
        by_stacks(inclined_supercell("charged", 0.0), TILT, 0.76, 1.7, 20, hkl, place)
