"""The centre of mass, its masks, backgrounds, noise and units agree with their definitions; descan is found whatever fills the discs."""

import numpy as np
import pytest
from drawn_patterns import COL, ORIGIN, ROW, STEP, beam, scan_of

from figures_pkg.imaging import CenterOfMass, Disc, Lattice, com_noise, descan_planes, fit_descan, remove_descan, scatter, summarise, to_mrad

CORNERS = (ROW < 5) | (ROW > 26)


def test_mask_background_level_and_background_pattern():
    """Masks and backgrounds follow their formulas, several in one pass; the flat background pulls towards the middle; without counts there is none."""
    data = np.random.default_rng(1).poisson(beam(np.full((4, 5), 12.5), 14.0, background=8.0)).astype(np.uint16)
    disc, pattern = Disc((14, 14), 9), np.random.default_rng(2).random((32, 30)) * 3
    level, mask = data[:, :, CORNERS].mean(-1)[..., None, None], disc.mask((32, 30))
    images = summarise(scan_of(data), com={
        "whole": True, "disc": CenterOfMass(disc), "flat": CenterOfMass(background=CORNERS),
        "disc_flat": CenterOfMass(disc, CORNERS), "fixed": CenterOfMass(disc, pattern)})
    expected = {"whole": (data, 1.0), "disc": (data, mask), "flat": (data - level, 1.0), "disc_flat": (data - level, mask),
                "fixed": (data - pattern, mask)}
    for name, (patterns, weights) in expected.items():
        for axis, index, origin in (("y", ROW, ORIGIN[0]), ("x", COL, ORIGIN[1])):
            centre = (patterns * weights * (index - origin) * STEP).sum((2, 3)) / (patterns * weights).sum((2, 3))
            np.testing.assert_allclose(images[f"{name}_{axis}"], centre, rtol=1e-6, atol=1e-6 * STEP * 32)
    assert (images.whole_y > images.flat_y + 0.5 * STEP).all()
    data[1:] = 0
    assert np.isnan(summarise(scan_of(data)).com_y).sum() == 15


def test_noise_is_the_scatter_of_poisson_counts():
    """The predicted deviation equals the scatter over 1600 drawings of the same pattern, for every kind of mask and background."""
    data = np.random.default_rng(4).poisson(beam(13.0, 15.0, counts=3000, background=3.0), (40, 40, 32, 30)).astype(np.uint16)
    specs = {"whole": True, "disc": CenterOfMass(Disc((14, 14), 8)), "flat": CenterOfMass(background=CORNERS),
             "both": CenterOfMass(Disc((14, 14), 11), CORNERS | (ROW == 10))}
    images = summarise(scan_of(data), com=specs)
    for name in specs:
        for axis, predicted in com_noise(images, name).items():
            drawn = float(images[axis].std())
            np.testing.assert_allclose(predicted.mean(), drawn, rtol=0.06)  # 1600 draws know it to 1.8 %
            np.testing.assert_allclose(scatter(images[axis]), drawn, rtol=0.12)


def test_mrad_follows_the_wavelength():
    """1/Å become mrad by λ = 2.5079 pm at 200 kV (and 3.7014 pm at 100 kV), numbers keep their sign, other units are refused."""
    np.testing.assert_allclose(to_mrad(np.array([1.0, -0.5]), 200), [25.079, -12.5396], rtol=2e-5)
    np.testing.assert_allclose(to_mrad(1.0, 100), 37.014, rtol=2e-5)
    images = to_mrad(summarise(scan_of(beam([[10.0]], 13.0).astype(np.float32))))
    assert images.com_y.attrs["units"] == images.com_y_std.attrs["units"] == "mrad" and images.total.attrs["units"] == "counts"
    np.testing.assert_allclose(images.com_y, -5 * STEP * 25.079, rtol=1e-4)
    with pytest.raises(ValueError, match="expected 1/angstrom"):
        to_mrad(images.com_y)
    with pytest.raises(ValueError, match="pass beam_energy_kev"):
        to_mrad(1.0)


def test_descan_plane_is_found_and_removed():
    """A linear shift of the beam with the probe is fitted, also from a part of the scan, and removed; the wall stays."""
    y, x = np.indices((20, 24))
    wall = np.where(x > 15, 1.0, 0.0)
    images = summarise(scan_of(beam(14 + 0.05 * y - 0.03 * x + wall, 13 + 0.02 * y).astype(np.float32)))
    planes = fit_descan(images, where=wall == 0)
    slopes = [planes.com_y.attrs["slope_scan_y"], planes.com_y.attrs["slope_scan_x"], planes.com_x.attrs["slope_scan_y"]]
    np.testing.assert_allclose(slopes, np.array([0.05, -0.03, 0.02]) * STEP / 1.4, rtol=1e-3)
    flat = remove_descan(images, planes)
    np.testing.assert_allclose(flat.com_y, wall * STEP, atol=1e-5)
    np.testing.assert_allclose(flat.com_x, 0, atol=1e-5)
    with pytest.raises(ValueError, match="do not lie on a line"):
        fit_descan(images, where=y == 3)


def test_planes_of_descan_follow_the_shift_and_not_the_filling():
    """Patterns drift along scan_y, with discs that fill unevenly along scan_x: the plane is the drift; the beam's own centre of mass is not."""
    lattice = Lattice((48.0, 50.0), (-17.4, -5.9), (-6.7, 18.9))
    y, x = np.indices((96, 96), dtype=float)
    counts = np.full((8, 8, 96, 96), 5, np.float32)
    for i, j in np.ndindex(8, 8):
        for k, l in lattice.reflections((96, 96), 8):
            row, col = lattice.position(k, l) + [0.8 * (i - 3.5) / 7, 0]
            inside = 1 / (1 + np.exp((np.hypot(y - row, x - col) - 5) / 0.4))
            side = 0.3 * (j - 3.5) * (1 - 2 * ((k + l // 2) % 2))  # neighbouring discs fill from opposite sides
            counts[i, j] += 200 * inside * np.exp(-((x - col - side) ** 2) / 30)
    scan = scan_of(counts, origin=(48.0, 48.0))
    planes = descan_planes(scan, lattice, 5.0, tiles=2)
    drift = STEP * 0.8 * (np.arange(8) - 3.5) / 7
    assert np.allclose(planes.com_y.mean("scan_x"), drift, atol=0.1 * STEP)
    direct = summarise(scan, com=CenterOfMass(Disc(lattice.centre, 9), background=np.full((96, 96), 5.0)), mean=False)
    assert 5 * np.ptp(planes.com_x.values) < np.ptp(direct.com_x.mean("scan_y").values)
    assert planes.com_y.dims == ("scan_y", "scan_x") and float(planes.com_y.mean()) == pytest.approx(0, abs=1e-12)
