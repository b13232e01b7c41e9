"""Frozen phonons: single scattering is what it must be, atoms at rest leave nothing between reflections, lines move with the crystal."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import uniform_filter

from figures_pkg.crystal.structure import Crystal, ermno3
from figures_pkg.data.units import interaction_constant, wavelength_angstrom
from figures_pkg.diffraction.multislice import scattering_factor
from figures_pkg.diffraction.phonons import SETTINGS, PhononBackground, PhononSettings, diffuse_beams, read_table
from figures_pkg.twin.detector import PatternGeometry

pytestmark = pytest.mark.physics

THIN = PhononSettings(periods=(1,), supercell=3, gpts=(48, 54), pool=24, slabs_each=20, pools=4, reach_inv_angstrom=1.3)


def oxygen(u_iso=0.01):
    """Two atoms in a centred cell, light enough for first-order scattering."""
    return Crystal(("O", "O"), np.array([[0.0, 1.0, 2.0], [3.0, 6.0, 2.0]]), np.full(2, u_iso), np.array([6.0, 10.0, 11.0]))


def test_a_thin_crystal_scatters_as_single_atoms_do():
    """Atoms at rest leave nothing between the reflections."""
    beams, g_b, g_c = diffuse_beams(oxygen(), THIN)
    k2 = g_b[:, None] ** 2 + g_c**2
    area, sigma = np.prod(3 * oxygen().cell_angstrom[1:]), interaction_constant(200.0)
    expected = 2 * 3**2 * (sigma * scattering_factor("O", k2) / area) ** 2 * (1 - np.exp(-4 * np.pi**2 * 0.01 * k2))
    ring = (k2 > 0.7**2) & (k2 < 1.2**2)
    assert beams[0, 0][ring].mean() == pytest.approx(expected[ring].mean(), rel=0.06)
    settings = replace(THIN, periods=(6,), pool=4, slabs_each=1, pools=1)
    at_rest, moving = (diffuse_beams(oxygen(u), settings)[0].sum() for u in (0.0, 0.01))
    assert at_rest < 1e-6 * moving


def test_the_packaged_table_is_what_its_settings_make_and_moves_with_the_crystal():
    """Behind a tilted slab the background looks like the table where the zone axis has gone, and less so elsewhere."""
    tilt = 3.0
    fresh, g_b, g_c = diffuse_beams(ermno3(+1), replace(SETTINGS, tilts_mrad=((0.0, 0.0), (0.0, tilt)), pool=12, slabs_each=2, pools=1))
    picture, *axes = read_table()
    np.testing.assert_allclose(axes[0], g_b)
    np.testing.assert_allclose(axes[1], g_c)
    coarse = [values[:117, :126].reshape(9, 13, 9, 14).mean(axis=(1, 3)) for values in (fresh[0].mean(axis=0), picture)]
    assert np.corrcoef(*map(np.ravel, coarse))[0, 1] > 0.9
    assert coarse[0].mean() == pytest.approx(coarse[1].mean(), rel=0.05)
    moved, scores = round(tilt * 1e-3 / wavelength_angstrom(200.0) / (g_c[1] - g_c[0])), []
    for move in (-moved, 0, moved):
        one, other = (uniform_filter(each, 4) for each in (np.roll(fresh[1, 1], move, axis=1), picture))
        scores.append(np.corrcoef(*((each / uniform_filter(each, 21))[20:-20, 20:-20].ravel() for each in (one, other)))[0, 1])
    assert scores[2] > scores[1] + 0.2 and scores[2] > scores[0] + 0.2


def test_a_background_holds_what_the_table_holds_and_follows_the_zone_axis():
    """That of -P is that of +P turned."""
    geometry = PatternGeometry((151, 151), np.array([75.0, 75.0]), 62.0 * np.array([[0.2, -1.0], [1.0, 0.2]]) / np.hypot(0.2, 1.0))
    background = PhononBackground.of(geometry, 1.0)
    here, there, turned = (background.at(sign, geometry.origin + move) for sign, move in ((1, [0, 0]), (1, [3, -2]), (-1, [0, 0])))
    picture, g_b, g_c = read_table()
    inside = (np.abs(g_b) < 75 / 62)[:, None] & (np.abs(g_c) < 75 / 62)
    assert here.sum() == pytest.approx(picture[inside].sum(), rel=0.03)
    np.testing.assert_allclose(there[13:-10, 10:-12], here[10:-13, 12:-10], rtol=1e-4)
    np.testing.assert_allclose(here, turned[::-1, ::-1], rtol=1e-4)
    assert np.abs(here / turned - 1).max() > 0.05
