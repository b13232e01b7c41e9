"""Small upright pictures: where reflections lie, what they hold, and what detectors count when discs overlap."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

from figures_pkg.twin.diffraction.frames import counted_asymmetry, state_frames, upright
from figures_pkg.twin.diffraction.patterns import disc_pattern
from figures_pkg.twin.diffraction.sweeps import asymmetry

STATES = [[60.0, 0.0, 0.0], [70.0, 0.5, -2.0]]


@pytest.fixture(scope="module")
def frames(preset, rocking_library):
    """Two states."""
    return state_frames(rocking_library, preset, STATES)


def test_windows_hold_whole_discs(frames, rocking_library):
    """Less its background, a window on 002 or 0-14 counts the intensity of the disc, to 1 % of the strongest."""
    for k, l in ((0, 2), (0, -4), (-1, 4)):
        (row,) = np.flatnonzero((rocking_library.hkl == (0, k, l)).all(axis=1))
        window = frames.window((rocking_library.g_b[row], rocking_library.g_c[row]), 0.07)
        found = frames.total_in(window) - frames.background_in(window)
        np.testing.assert_allclose(found, frames.discs[:, row], atol=0.01 * frames.discs.max())


def test_c_points_up_and_b_star_to_the_right(frames):
    """Places along +c have smaller rows, along +b* larger columns."""
    middle, up, right = (frames.window(g, 0.07) for g in ((0, 0), (0, 0.2), (0.2, 0)))
    assert up[0] < middle[0] and up[1] == middle[1] and right[1] > middle[1] and right[0] == middle[0]


def test_minus_p_is_the_picture_turned(preset, rocking_library):
    """−P at the opposite tilts is +P turned by 180 degrees, pixel by pixel."""
    small = upright(preset, rocking_library, (84, 64), 0.0145)
    plus = disc_pattern(rocking_library, small, +1, 60.0, (0.5, -2.0)).values
    minus = disc_pattern(rocking_library, small, -1, 60.0, (-0.5, 2.0)).values
    np.testing.assert_allclose(minus[::-1, ::-1], plus, atol=1e-6)


def test_counted_and_single_discs_agree_while_they_lie_apart(preset, rocking_library):
    """Below the overlap what a detector counts is the asymmetry of the disc; well beyond it, with a warning, it is not."""
    wide = replace(preset, beam=replace(preset.beam, convergence_mrad=1.6))
    single = asymmetry(state_frames(rocking_library, wide, STATES[:1]).discs, rocking_library.hkl, 4)
    counted, apart = counted_asymmetry(rocking_library, preset, [60.0], 1.6, 4)
    np.testing.assert_allclose(counted, single, atol=0.01)
    with pytest.warns(UserWarning, match="overlap"):
        mixed, near = counted_asymmetry(rocking_library, preset, [60.0], 5.0, 4)
    assert abs(mixed[0] - single[0]) > 0.02 and near[0] < apart[0]


def test_background_is_what_the_reflections_lack(preset, rocking_library):
    """It is darkest at the rim, the same for opposite pixels, and larger where more is missing."""
    faint = replace(rocking_library, coefficients=0.2 * rocking_library.coefficients)
    frames = state_frames(faint, preset, STATES)
    assert frames.background[0, 42, 32] > frames.background[0, 0, 0] > 0
    np.testing.assert_allclose(frames.background, frames.background[:, ::-1, ::-1])
    missing = 1 - frames.discs.sum(axis=1)
    assert (missing > 0).all()
    np.testing.assert_allclose(frames.background[0] * missing[1], frames.background[1] * missing[0])


def test_no_warning_at_the_presets_convergence(preset, rocking_library):
    """The preset's own discs do not overlap."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        state_frames(rocking_library, preset, STATES[:1])
