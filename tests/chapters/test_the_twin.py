"""Landau theory against analytic answers and the published profile; confidence of presets; where walls meet."""

from dataclasses import fields
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.optimize import check_grad

from figures_pkg.chapters.the_twin import MEANING, Landau, assumptions, checkerboard_start, relax, shared_area_nm2, walls_in_reach, windings
from figures_pkg.twin.domains import wall_phase_deg
from figures_pkg.twin.presets import OPTIONAL, PARTS, known_presets, load_preset
from figures_pkg.twin.truth import simulate_truth
from figures_pkg.twin.walls import WallPatterns


def test_every_entry_has_a_letter_and_a_reason():
    """No preset of the package holds a number without a confidence; what is read has a reason; the table of DS1 holds every entry."""
    for name in known_presets():
        rows = assumptions(name)
        assert rows and {row["confidence"] for row in rows} <= set(MEANING)
        assert all(row["reason"] for row in rows if row["confidence"] == "A")
    found = [(row["part"], row["entry"]) for row in assumptions("ds1")]
    kinds = PARTS | {"wall": OPTIONAL["wall"]}
    assert sorted(found) == sorted((part, field.name) for part, kind in kinds.items() for field in fields(kind))


@pytest.fixture(scope="module")
def landau():
    """The published coefficients."""
    return Landau()


@pytest.fixture(scope="module")
def wall(landau):
    """A neutral wall from 0 to 60 degrees in the middle of 60 Angstrom, and the spacing of its nodes."""
    spacing, q0 = 0.1, landau.uniform()[0]
    x = (np.arange(600) - 299.5) * spacing
    start = q0 * np.exp(1j * np.where(x > 0, np.pi / 3, 0))
    return x, relax(start, [spacing], [landau.stiffness_ab], boundary="mirror", steps=4000)


@pytest.fixture(scope="module")
def board(landau):
    """Two vortices and two antivortices, relaxed on 96 x 96 nodes of 1.5 Angstrom."""
    start = checkerboard_start((96, 96), landau.uniform()[0])
    return relax(start, [1.5, 1.5], [landau.stiffness_ab] * 2, steps=1000)


def width_10_90(x, rising):
    """Distance between 10 and 90 % of a step from 0 to 1."""
    low, high = np.interp([0.1, 0.9], rising, x)
    return high - low


def test_domains_have_the_published_amplitudes(landau):
    """Q0 is 0.959 Angstrom, P0 0.1715 Angstrom and the energy -0.61 eV per cell."""
    q0, p0 = landau.uniform()
    assert q0 == pytest.approx(0.959, abs=0.001) and p0 == pytest.approx(0.1715, abs=0.0002)
    assert landau.local_energy(complex(q0)) == pytest.approx(-0.61, abs=0.005)


def test_six_domains_alternate_in_polarization(landau):
    """The minima at multiples of 60 degrees have equal energy and opposite P in turn; 30 degrees between them has none."""
    q0, p0 = landau.uniform()
    domains = q0 * np.exp(1j * np.pi / 3 * np.arange(6))
    np.testing.assert_allclose(landau.polarization(domains), p0 * np.array([1, -1, 1, -1, 1, -1]))
    np.testing.assert_allclose(landau.local_energy(domains), landau.local_energy(q0 + 0j))
    np.testing.assert_allclose(landau.slope(domains), 0, atol=1e-6)
    assert landau.polarization(q0 * np.exp(1j * np.pi / 6)) == pytest.approx(0, abs=1e-12)


def test_polarization_minimises_the_full_energy(landau):
    """At random Q and Phi no other P lowers the energy with P free."""
    rng = np.random.default_rng(4)
    for q, phi in zip(rng.uniform(0.3, 1.2, 8), rng.uniform(0, 2 * np.pi, 8)):
        p = np.linspace(-0.5, 0.5, 20001)
        free = -landau.g * q**3 * p * np.cos(3 * phi) + 0.5 * (landau.g_prime * q**2 + landau.a_p) * p**2
        assert landau.polarization(q * np.exp(1j * phi)) == pytest.approx(p[np.argmin(free)], abs=1e-4)


def test_slope_is_the_derivative_of_the_energy(landau):
    """The analytic slope agrees with finite differences."""

    def energy(order):
        return float(landau.local_energy(order[0] + 1j * order[1]))

    def slope(order):
        return np.array([landau.slope(order[0] + 1j * order[1])]).view(float)

    for start in ([0.9, 0.1], [-0.3, 0.7], [0.2, -1.1]):
        assert check_grad(energy, slope, start) < 1e-5


def test_neutral_wall_has_the_published_widths(landau, wall):
    """From 10 to 90 %, the phase turns within 5.4 and P within 3.6 Angstrom; Q dips to 0.91; a rigid Q with a half width of 1.49 fits to 3 degrees."""
    x, order = wall
    q0, p0 = landau.uniform()
    assert width_10_90(x, np.angle(order) / (np.pi / 3)) == pytest.approx(5.4, rel=0.03)
    assert width_10_90(x, 0.5 - 0.5 * landau.polarization(order) / p0) == pytest.approx(3.6, rel=0.03)
    assert np.abs(order).min() / q0 == pytest.approx(0.91, abs=0.01)
    np.testing.assert_allclose(np.degrees(np.angle(order)), wall_phase_deg(x / 10, 0.149), atol=3)


def test_relaxed_board_keeps_its_four_cores(board):
    """Two vortices and two antivortices remain where they were; a phase that grows from right to down has winding +1."""
    turns = windings(np.angle(board))
    assert turns.sum() == 0 and (turns == 1).sum() == 2 and (turns == -1).sum() == 2
    rows, cols = np.nonzero(turns == 1)
    assert np.ptp(rows) == pytest.approx(48, abs=2) and np.ptp(cols) == pytest.approx(48, abs=2)
    y, x = np.meshgrid(np.arange(-8, 8) + 0.5, np.arange(-8, 8) + 0.5, indexing="ij")
    for sense in (1, -1):
        turns = windings(sense * np.arctan2(y, x), periodic=False)
        assert turns[7, 7] == sense and np.abs(turns).sum() == 1


@pytest.mark.parametrize("sense", [1, -1])
def test_six_domains_surround_a_core(landau, board, sense):
    """Around every core the six domains follow one another in steps of 60 degrees, with P alternating."""
    for row, col in np.argwhere(windings(np.angle(board)) == sense):
        angle = np.linspace(0, 2 * np.pi, 720, endpoint=False)
        ring = board[np.rint(row + 0.5 + 14 * np.sin(angle)).astype(int) % 96, np.rint(col + 0.5 + 14 * np.cos(angle)).astype(int) % 96]
        state = np.rint(np.angle(ring) / (np.pi / 3)).astype(int) % 6
        met = state[state != np.roll(state, 1)]
        np.testing.assert_array_equal((np.roll(met, -1) - met) % 6, np.full(6, sense % 6))
        middle = [landau.polarization(ring[state == s]) for s in met]
        signs = [np.sign(p[np.argmax(np.abs(p))]) for p in middle]
        np.testing.assert_array_equal(signs, np.where(met % 2 == 0, 1, -1))


def test_walls_meet_at_the_core_and_nowhere_else():
    """Two walls or more are in reach only around the core of ds2, and where one is in reach the renderer adds it."""
    preset = load_preset("ds2")
    truth = simulate_truth(preset, "laptop", 0).assign_attrs(seed=0)
    count = walls_in_reach(preset, truth)
    core = np.multiply(preset.texture.core_fraction_yx, preset.specimen.field_nm)
    away = np.hypot(truth.specimen_y_nm - core[0], truth.specimen_x_nm - core[1])
    assert (count.values[away.values < 3] == 6).all() and count.values[away.values > 60].max() == 1
    assert np.pi * 5**2 < shared_area_nm2(count, preset.specimen.field_nm) < np.pi * 40**2
    tilts = {"tilt_b_mrad": np.arange(-9, 9.5, 0.5), "tilt_c_mrad": np.arange(-9, 9.5, 0.5)}
    library = SimpleNamespace(g_b=np.zeros(1), g_c=np.zeros(1), hkl=np.zeros((1, 3), int), **tilts)
    touched = WallPatterns(preset, library).touches
    nearest = truth[["wall_distance_nm", "wall_inclination_deg"]]
    for y, x in ((10, 10), (30, 45), (60, 50), (32, 43)):
        wall = [float(nearest[name][y, x]) for name in nearest]
        assert touched(float(truth.thickness_nm[y, x]), (*wall, 0, 1, 0)) == (count.values[y, x] > 0)
    with pytest.raises(ValueError, match="has no texture"):
        walls_in_reach(load_preset("ds1"), truth)
