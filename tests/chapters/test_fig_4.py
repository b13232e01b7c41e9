"""abTEM's patterns of both domains: nothing is lost, discs lie on the lattice, and the domains are each other upside down."""

from dataclasses import replace

import numpy as np
import pytest

from figures_pkg.chapters.fig_4 import AbtemSettings, abtem_pattern, diffuse_pattern, load_or_simulate

SETTINGS = AbtemSettings(2.0, 1.27, tilts_across=5, slices=2, gpts=(54, 60), supercell=2, configurations=2)


@pytest.fixture(scope="module")
def states(tmp_path_factory):
    """Both domains through three periods on a coarse grid."""
    return load_or_simulate(tmp_path_factory.mktemp("abtem") / "states.npz", SETTINGS)


def test_discs_and_diffuse_scattering_hold_the_beam(states):
    """Through 2 nm reflections and the beams between them hold the incident beam to 2 %, and the latter what the former lost."""
    for state in states.values():
        discs = state.discs.intensities(+1, 2.0, 0.0, 0.0).sum()
        assert discs + state.diffuse.sum() == pytest.approx(1, abs=0.02)
        assert 0.3 * (1 - discs) < state.diffuse.sum() < 1 - discs


def test_domains_are_each_other_upside_down(states):
    """Two separate simulations: −P at G and tilt τ equals +P at −G and −τ."""
    tilts = np.array([[0.0, 0.0], [0.3, -0.8], [-0.6, 0.4]]).T
    plus, minus = (states[sign].discs.intensities(+1, 2.0, *(sign * tilts)) for sign in (1, -1))
    assert (states[1].discs.hkl[::-1] == -states[1].discs.hkl).all()
    np.testing.assert_allclose(minus[:, ::-1], plus, atol=2e-6)
    assert np.abs(minus - plus).max() > 1e-4


def test_discs_lie_on_the_lattice(states, preset):
    """Less its diffuse part the pattern is zero outside discs around the places of the reflections, and not inside."""
    pattern = abtem_pattern(states[1], preset, SETTINGS)
    bright = pattern.values - diffuse_pattern(states[1].diffuse, preset, SETTINGS) > 1e-9
    p = preset.pattern
    away = np.argwhere(bright) - p.origin_row_col
    axes = np.array([p.g010_row_col, np.divide(p.g002_row_col, 2)]).T
    order = np.linalg.solve(axes, away.T)
    nearest = np.stack([np.round(order[0]), 2 * np.round(order[1] / 2)])
    assert np.hypot(*(away.T - axes @ nearest)).max() < 7.5
    assert {(0, 4), (0, -4), (1, 2)} <= set(map(tuple, nearest.T.astype(int).tolist()))


def test_diffuse_scattering_keeps_its_sum_on_the_detector(preset):
    """A smooth peak between beams has the same sum per pixel on the detector as over the beams."""
    beam = np.fft.fftfreq(120, 1 / 120)
    peak = np.exp(-(beam[:, None] ** 2 + beam**2) / 50)
    assert diffuse_pattern(peak, preset, SETTINGS).sum() == pytest.approx(peak.sum(), rel=0.01)


def test_settings_that_cannot_be_interpolated_are_refused(tmp_path):
    """An even number of tilts has no central wave."""
    with pytest.raises(ValueError, match="odd number"):
        load_or_simulate(tmp_path / "states.npz", replace(SETTINGS, tilts_across=6))


def test_another_convergence_than_the_detectors_is_refused(states, preset):
    """The cone of the plane waves and that of the drawn discs are the same."""
    with pytest.raises(ValueError, match="convergence"):
        abtem_pattern(states[1], preset, replace(SETTINGS, convergence_mrad=1.0))
