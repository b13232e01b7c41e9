"""Domains from a map alone and from the truth."""

import numpy as np
import pytest
import xarray as xr

from figures_pkg.evaluate import asymmetry, known_domains, two_domains


def test_asymmetry_is_odd_and_bounded():
    """Exchanging the reflections changes the sign; unsigned counts do not wrap; empty positions give zero."""
    up, down = np.array([[5, 0, 0]], np.uint16), np.array([[1, 4, 0]], np.uint16)
    np.testing.assert_allclose(asymmetry(up, down), [[2 / 3, -1, 0]])
    np.testing.assert_allclose(asymmetry(down, up), -asymmetry(up, down))


def test_two_domains_find_a_noisy_wall():
    """A step with noise of twice its height is found away from the wall."""
    rng = np.random.default_rng(1)
    step = np.where(np.arange(60) < 25, -0.5, 0.5) * np.ones((60, 1))
    found = two_domains(step + 2 * rng.standard_normal(step.shape), sigma_positions=4)
    away = abs(np.arange(60) - 24.5) > 6
    assert (found == np.sign(step))[:, away].mean() > 0.98


def test_two_domains_ignore_scale_and_follow_sign():
    """An offset and a factor change nothing; the opposite map has the opposite domains."""
    image = np.where(np.arange(20) < 8, 1.0, 3.0) * np.ones((20, 1))
    np.testing.assert_array_equal(two_domains(10 * image - 7), two_domains(image))
    np.testing.assert_array_equal(two_domains(-image), -two_domains(image))


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_nothing_to_split_is_refused(value):
    """A constant map and a map of nan raise."""
    with pytest.raises(ValueError, match="constant or holds nan"):
        two_domains(np.full((8, 8), value))


def test_known_domains_leave_out_the_wall():
    """Positions within the given distance are zero, the rest carry the sign of the truth; without walls all belong."""
    distance = np.array([[-40.0, -21, -20, 0, 20, 21, np.inf]])
    maps = {"domain": np.array([[-1, -1, -1, 1, 1, 1, 1]], np.int8), "wall_distance_nm": distance}
    truth = xr.Dataset({name: (("scan_y", "scan_x"), values) for name, values in maps.items()})
    np.testing.assert_array_equal(known_domains(truth), [[-1, -1, 0, 0, 0, 1, 1]])
    assert (known_domains(truth, clear_nm=0.0) != 0).sum() == 6
