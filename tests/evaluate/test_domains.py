"""Domains of a scan, true or matched, and the asymmetry of opposite reflections."""

import numpy as np
import xarray as xr

from figures_pkg.evaluate import asymmetry, known_domains


def test_asymmetry_is_odd_and_bounded():
    """Exchanging the reflections changes the sign; unsigned counts do not wrap; empty positions give zero."""
    up, down = np.array([[5, 0, 0]], np.uint16), np.array([[1, 4, 0]], np.uint16)
    np.testing.assert_allclose(asymmetry(up, down), [[2 / 3, -1, 0]])
    np.testing.assert_allclose(asymmetry(down, up), -asymmetry(up, down))


def test_known_domains_leave_out_the_wall():
    """Positions within the given distance are zero, the rest carry the sign of the truth; without walls all belong."""
    distance = np.array([[-40.0, -21, -20, 0, 20, 21, np.inf]])
    maps = {"domain": np.array([[-1, -1, -1, 1, 1, 1, 1]], np.int8), "wall_distance_nm": distance}
    truth = xr.Dataset({name: (("scan_y", "scan_x"), values) for name, values in maps.items()})
    np.testing.assert_array_equal(known_domains(truth), [[-1, -1, 0, 0, 0, 1, 1]])
    assert (known_domains(truth, clear_nm=0.0) != 0).sum() == 6


def test_holes_of_matched_domains_belong_to_none():
    """A poor fit far from the wall stays 0; a map without walls, infinitely far, keeps its only domain."""
    maps = {"domain": np.array([[-1, 0, 1, 0, 1]], np.int8), "wall_distance_nm": np.array([[-60.0, -40, 10, 40, 60]], np.float32)}
    matched = xr.Dataset({name: (("scan_y", "scan_x"), values) for name, values in maps.items()}, attrs={"basis": "matched", "sign_known": 1})
    np.testing.assert_array_equal(known_domains(matched), [[-1, 0, 0, 0, 1]])
    one = xr.ones_like(matched).assign(wall_distance_nm=matched.wall_distance_nm * 0 + np.inf)
    assert (known_domains(one) == 1).all()
