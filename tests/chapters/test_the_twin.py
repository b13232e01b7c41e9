"""Landau theory against analytic answers and the published profile; confidence of presets; where walls meet."""

from dataclasses import fields

import numpy as np
import pytest

from figures_pkg.chapters.the_twin import MEANING, Landau, assumptions, checkerboard_start, relax, walls_in_reach, windings
from figures_pkg.twin.dataset import simulate_truth
from figures_pkg.twin.domains import wall_phase_deg
from figures_pkg.twin.presets import OPTIONAL, PARTS, known_presets, load_preset


def test_every_entry_has_a_letter_and_a_reason():
    for name in known_presets():
        rows = assumptions(name)
        assert rows and {row["confidence"] for row in rows} <= set(MEANING)
        assert all(row["reason"] for row in rows if row["confidence"] == "A")
    found = [(row["part"], row["entry"]) for row in assumptions("ds1")]
    kinds = PARTS | {"wall": OPTIONAL["wall"]}
    assert sorted(found) == sorted((part, field.name) for part, kind in kinds.items() for field in fields(kind))


LANDAU = Landau()


@pytest.fixture(scope="module")
def board():
    """Two vortices and two antivortices, relaxed on 96 x 96 nodes of 1.5 Angstrom."""
    return relax(checkerboard_start((96, 96), LANDAU.uniform()[0]), [1.5, 1.5], [LANDAU.stiffness_ab] * 2, steps=400)


def test_six_domains_alternate_in_polarization():
    """Q0, P0 and energy are the published ones; minima at multiples of 60 degrees have opposite P in turn; 30 degrees between them has none."""
    q0, p0 = LANDAU.uniform()
    assert q0 == pytest.approx(0.959, abs=0.001) and p0 == pytest.approx(0.1715, abs=0.0002)
    assert LANDAU.local_energy(complex(q0)) == pytest.approx(-0.61, abs=0.005)
    domains = q0 * np.exp(1j * np.pi / 3 * np.arange(6))
    np.testing.assert_allclose(LANDAU.polarization(domains), p0 * np.array([1, -1, 1, -1, 1, -1]))
    np.testing.assert_allclose(LANDAU.local_energy(domains), LANDAU.local_energy(q0 + 0j))
    np.testing.assert_allclose(LANDAU.slope(domains), 0, atol=1e-6)
    assert LANDAU.polarization(q0 * np.exp(1j * np.pi / 6)) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("order", [0.9 + 0.1j, -0.3 + 0.7j, 0.2 - 1.1j])
def test_slope_and_polarization_follow_from_the_energy(order):
    """The analytic slope agrees with finite differences, and no other P lowers the energy with P free."""
    p, step = np.linspace(-0.5, 0.5, 20001), 1e-5
    free = -LANDAU.g * (order**3).real * p + 0.5 * (LANDAU.g_prime * abs(order) ** 2 + LANDAU.a_p) * p**2
    assert LANDAU.polarization(order) == pytest.approx(p[np.argmin(free)], abs=1e-4)
    along = [(LANDAU.local_energy(order + each) - LANDAU.local_energy(order - each)) / (2 * step) for each in (step, 1j * step)]
    assert LANDAU.slope(order) == pytest.approx(along[0] + 1j * along[1], abs=1e-5)


def test_neutral_wall_has_the_published_widths():
    """From 10 to 90 %, the phase turns within 5.4 and P within 3.6 Angstrom; Q dips to 0.91; a rigid Q with a half width of 1.49 fits to 3 degrees."""
    x, (q0, p0) = (np.arange(600) - 299.5) * 0.1, LANDAU.uniform()
    order = relax(q0 * np.exp(1j * np.where(x > 0, np.pi / 3, 0)), [0.1], [LANDAU.stiffness_ab], boundary="mirror", steps=4000)
    for rising, width in ((np.angle(order) / (np.pi / 3), 5.4), (0.5 - 0.5 * LANDAU.polarization(order) / p0, 3.6)):
        assert np.diff(np.interp([0.1, 0.9], rising, x))[0] == pytest.approx(width, rel=0.03)
    assert np.abs(order).min() / q0 == pytest.approx(0.91, abs=0.01)
    np.testing.assert_allclose(np.degrees(np.angle(order)), wall_phase_deg(x / 10, 0.149), atol=3)


@pytest.mark.parametrize("sense", [1, -1])
def test_six_domains_surround_a_core(board, sense):
    """Two cores of either sense remain where they were; around each the six domains follow in steps of 60 degrees, with P alternating."""
    cores = np.argwhere(windings(np.angle(board)) == sense)
    assert len(cores) == 2 and np.ptp(cores, axis=0) == pytest.approx(48, abs=2)
    for row, col in cores:
        angle = np.linspace(0, 2 * np.pi, 720, endpoint=False)
        ring = board[np.rint(row + 0.5 + 14 * np.sin(angle)).astype(int) % 96, np.rint(col + 0.5 + 14 * np.cos(angle)).astype(int) % 96]
        state = np.rint(np.angle(ring) / (np.pi / 3)).astype(int) % 6
        met = state[state != np.roll(state, 1)]
        np.testing.assert_array_equal((np.roll(met, -1) - met) % 6, np.full(6, sense % 6))
        middle = [LANDAU.polarization(ring[state == s]) for s in met]
        assert [p[np.argmax(np.abs(p))] > 0 for p in middle] == (met % 2 == 0).tolist()


def test_walls_meet_at_the_core_and_nowhere_else():
    preset = load_preset("ds2")
    truth = simulate_truth(preset, "laptop", 0).assign_attrs(seed=0)
    count, core = walls_in_reach(preset, truth), np.multiply(preset.texture.core_fraction_yx, preset.specimen.field_nm)
    away = np.hypot(truth.specimen_y_nm - core[0], truth.specimen_x_nm - core[1])
    assert (count.values[away.values < 3] == 6).all() and count.values[away.values > 60].max() == 1
    assert np.pi * 5**2 < float((count >= 2).mean()) * np.prod(preset.specimen.field_nm) < np.pi * 40**2
    with pytest.raises(ValueError, match="has no texture"):
        walls_in_reach(load_preset("ds1"), truth)
