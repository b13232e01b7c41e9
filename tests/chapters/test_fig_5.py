"""The ideal vortex of the chapter on Fig. 5: its slider holds the charges, and its states are those of a turned crystal."""

import json
import re

import numpy as np
import pytest

from figures_pkg.chapters.fig_5 import on_walls, vortex_slider
from figures_pkg.twin.presets import load_preset


def test_the_slider_holds_charges_of_which_no_three_alternating_ones_agree():
    data = json.loads(re.search(r'<script type="application/json">(.*?)</script>', vortex_slider("v"), re.DOTALL)[1])
    charges = np.array(data["charges"])
    assert charges.shape == (len(data["degrees"]), 6) and data["degrees"][:2] == [0, 15]
    np.testing.assert_allclose(charges[0], [0, np.sqrt(0.75), -np.sqrt(0.75)] * 2, atol=6e-4)
    assert (charges[:, ::2].min(axis=1) <= 0).all() and (charges[:, ::2].max(axis=1) >= 0).all()


@pytest.mark.parametrize("turn", [1, -1])
def test_a_crystal_turned_by_a_wall_shows_the_same_states_one_wall_on(turn):
    """With P reversed, since ±P take turns: charge and normal change sign, and so does the variant out of +P. All else stays."""
    preset = load_preset("ds2")
    before, after = (on_walls(preset, degrees, turn, 4.5) for degrees in (10.0, 70.0))
    np.testing.assert_allclose(np.roll(after, -1, axis=0)[:, 8:], -before[:, 8:], atol=1e-12)
    np.testing.assert_allclose(after[:, :8], before[:, :8])
    np.testing.assert_array_equal(before[:, 9], turn * np.array([1, -1] * 3))
