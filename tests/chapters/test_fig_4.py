"""What the chapter on Fig. 4 alone needs."""

from dataclasses import replace

import numpy as np
import pytest
from drawn_patterns import discs, pattern_pairs
from hypothesis import given, settings
from hypothesis import strategies as st

from figures_pkg.chapters.fig_4 import AbtemSettings, abtem_pattern, difference_maps, diffuse_pattern, load_or_simulate, ratio_map, window_map
from figures_pkg.imaging.difference import pearson_map, rank_reflections

pytestmark = pytest.mark.physics


@given(pattern_pairs(), st.floats(0.1, 50))
@settings(max_examples=25, deadline=None)
def test_all_maps_vanish_for_equal_patterns(pair, scale):
    """A pattern does not differ from a multiple of itself under any definition; each map stays inside its range."""
    assert max(delta.max() for delta in difference_maps(pair[0], scale * pair[0], sigma_px=1.5).values()) < 1e-6
    maps = difference_maps(*pair)
    assert all((delta >= 0).all() for delta in maps.values())
    assert maps["pearson"].sum() <= 2 + 1e-9 and maps["window"].max() <= 2 and maps["ratio"].max() < 1


def test_definitions_rank_changes_differently():
    """A bright disc that changes by a tenth leads under Pearson, a faint one that doubles under ratio; the window sees shape and not strength."""
    bright, faint, same = (20, 20), (40, 40), (20, 40)
    a, b = discs({bright: 1000.0, faint: 20.0, same: 1000.0}), discs({bright: 1100.0, faint: 40.0, same: 1000.0})
    places = {"bright": bright, "faint": faint}
    assert rank_reflections(pearson_map(a, b), places, 4.5).index[0] == "bright"
    assert rank_reflections(ratio_map(a, b), places, 4.5, mean=True).index[0] == "faint"
    ramp, grown = bright, faint
    tilted = discs({ramp: 1.0}, background=0) * (np.indices((60, 60))[0] - ramp[0])
    a, b = (discs({grown: height}) + 50 * discs({ramp: 1.0}, background=0) + slope * tilted for height, slope in ((100.0, 8), (200.0, -8)))
    table = rank_reflections(window_map(a, b, 3.0), {"ramp": ramp, "grown": grown}, 3.0, mean=True)
    assert table.value["ramp"] > 5 * table.value["grown"] and table.value["grown"] < 0.05


SETTINGS = AbtemSettings(2.0, 1.27, tilts_across=5, slices=2, gpts=(54, 60), supercell=2, configurations=2)


@pytest.fixture(scope="module")
def states(tmp_path_factory):
    return load_or_simulate(tmp_path_factory.mktemp("abtem") / "states.npz", SETTINGS)


def test_two_simulations_hold_the_beam_and_are_each_other_upside_down(states):
    """Reflections and the beams between them hold the beam to 2 %, the latter what the former lost; −P at G and tilt τ equals +P at −G and −τ."""
    for state in states.values():
        bragg = state.discs.intensities(+1, 2.0, 0.0, 0.0).sum()
        assert bragg + state.diffuse.sum() == pytest.approx(1, abs=0.02)
        assert 0.3 * (1 - bragg) < state.diffuse.sum() < 1 - bragg
    tilts = np.array([[0.0, 0.0], [0.3, -0.8], [-0.6, 0.4]]).T
    plus, minus = (states[sign].discs.intensities(+1, 2.0, *(sign * tilts)) for sign in (1, -1))
    assert (states[1].discs.hkl[::-1] == -states[1].discs.hkl).all()
    np.testing.assert_allclose(minus[:, ::-1], plus, atol=2e-6)
    assert np.abs(minus - plus).max() > 1e-4


def test_discs_lie_on_the_lattice_and_diffuse_scattering_keeps_its_sum(states, preset, tmp_path):
    """Less its diffuse part the pattern is zero outside discs around the reflections, and not inside; a smooth peak has its sum on the detector."""
    pattern = abtem_pattern(states[1], preset, SETTINGS)
    bright = pattern.values - diffuse_pattern(states[1].diffuse, preset, SETTINGS) > 1e-9
    p = preset.pattern
    away = np.argwhere(bright) - p.origin_row_col
    axes = np.array([p.g010_row_col, np.divide(p.g002_row_col, 2)]).T
    order = np.linalg.solve(axes, away.T)
    nearest = np.stack([np.round(order[0]), 2 * np.round(order[1] / 2)])
    assert np.hypot(*(away.T - axes @ nearest)).max() < 7.5
    assert {(0, 4), (0, -4), (1, 2)} <= set(map(tuple, nearest.T.astype(int).tolist()))
    beam = np.fft.fftfreq(120, 1 / 120)
    peak = np.exp(-(beam[:, None] ** 2 + beam**2) / 50)
    assert diffuse_pattern(peak, preset, SETTINGS).sum() == pytest.approx(peak.sum(), rel=0.01)
    with pytest.raises(ValueError, match="odd number"):  # an even one has no central wave
        load_or_simulate(tmp_path / "states.npz", replace(SETTINGS, tilts_across=6))
    with pytest.raises(ValueError, match="convergence"):
        abtem_pattern(states[1], preset, replace(SETTINGS, convergence_mrad=1.0))
