"""The centre of mass, its masks, backgrounds, noise and units agree with their definitions; descan is found whatever fills the discs."""

import numpy as np
import pytest
from drawn_patterns import COL, ORIGIN, ROW, STEP, beam, scan_of

from figures_pkg.imaging import CenterOfMass, Disc, Lattice, com_noise, descan_planes, fit_descan, remove_descan, scatter, summarise, to_mrad

CORNERS = (ROW < 5) | (ROW > 26)


def com_by_definition(patterns, weights) -> tuple[np.ndarray, np.ndarray]:
    """Σ w N g / Σ w N in float64, along rows and columns, 1/Å."""
    total = (patterns * weights).sum((2, 3))
    return tuple((patterns * weights * (index - origin) * STEP).sum((2, 3)) / total
                 for index, origin in ((ROW, ORIGIN[0]), (COL, ORIGIN[1])))


def test_mask_background_level_and_background_pattern():
    """Masks and backgrounds follow their formulas, several in one pass, with the background overlapping the mask."""
    data = np.random.default_rng(1).poisson(beam(np.full((4, 5), 13.5), 14.0, background=8.0)).astype(np.uint16)
    disc, pattern = Disc((14, 14), 9), np.random.default_rng(2).random((32, 30)) * 3
    level, mask = data[:, :, CORNERS].mean(-1)[..., None, None], disc.mask((32, 30))
    images = summarise(scan_of(data), com={
        "whole": True, "disc": CenterOfMass(disc), "flat": CenterOfMass(background=CORNERS),
        "disc_flat": CenterOfMass(disc, CORNERS), "fixed": CenterOfMass(disc, pattern)})
    expected = {"whole": (data, 1.0), "disc": (data, mask), "flat": (data - level, 1.0), "disc_flat": (data - level, mask),
                "fixed": (data - pattern, mask)}
    for name, patterns_and_weights in expected.items():
        for axis, values in zip("yx", com_by_definition(*patterns_and_weights)):
            np.testing.assert_allclose(images[f"{name}_{axis}"], values, rtol=1e-6, atol=1e-6 * STEP * 32)


def test_background_pulls_the_beam_to_the_middle_and_subtraction_undoes_it():
    data = beam(np.full((3, 4), 12.0), 16.0, background=7.0).astype(np.float32)
    images = summarise(scan_of(data), com={"raw": True, "com": CenterOfMass(background=CORNERS)})
    np.testing.assert_allclose(images.com_y, (12 - 15) * STEP, atol=1e-5)
    np.testing.assert_allclose(images.com_x, (16 - 13) * STEP, atol=1e-5)
    assert (images.raw_y > images.com_y + 0.5 * STEP).all()  # the middle of the frame lies below the beam


def test_rotating_the_pattern_rotates_the_centre_of_mass():
    """A quarter turn of every pattern about the centre of a square frame turns the vectors: rotate-then-COM = COM-then-rotate."""
    data = np.random.default_rng(3).poisson(beam(np.linspace(10, 20, 6).reshape(2, 3), 17.0)).astype(np.uint16)[..., :30, :]
    scan = scan_of(data, origin=(14.5, 14.5))
    turned = scan.copy(data=np.rot90(data, 1, axes=(2, 3)).copy())  # anticlockwise: right goes up, down goes right
    before, after = summarise(scan), summarise(turned)
    np.testing.assert_allclose(after.com_y, -before.com_x, atol=1e-12)
    np.testing.assert_allclose(after.com_x, before.com_y, atol=1e-12)


@pytest.mark.parametrize("spec", [CenterOfMass(), CenterOfMass(Disc((14, 14), 8)), CenterOfMass(background=CORNERS),
                                  CenterOfMass(Disc((14, 14), 11), CORNERS | (ROW == 10))])
def test_noise_is_the_scatter_of_poisson_counts(spec):
    """The predicted deviation equals the scatter over 1600 drawings of the same pattern, for every kind of mask and background."""
    expected = beam(13.0, 15.0, counts=3000, background=3.0)
    data = np.random.default_rng(4).poisson(expected, (40, 40, 32, 30)).astype(np.uint16)
    images = summarise(scan_of(data), com=spec)
    noise = com_noise(images)
    for axis in "yx":
        drawn = float(images[f"com_{axis}"].std())
        np.testing.assert_allclose(noise[f"com_{axis}"].mean(), drawn, rtol=0.06)  # 1600 draws know it to 1.8 %
        np.testing.assert_allclose(scatter(images[f"com_{axis}"]), drawn, rtol=0.12)
    np.testing.assert_allclose(com_noise(images, variance_per_count=4.0).com_y, 2 * noise.com_y)


def test_patterns_without_counts_have_no_centre():
    data = np.zeros((2, 2, 32, 30), np.uint16)
    data[0, 0, 15, 13] = 5
    images = summarise(scan_of(data))
    assert images.com_y[0, 0] == 0 and np.isnan(images.com_y.values.ravel()[1:]).all()


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
    assert flat.com_y.attrs == images.com_y.attrs and flat.total.identical(images.total)
    with pytest.raises(ValueError, match="do not lie on a line"):
        fit_descan(images, where=y == 3)


def test_planes_of_descan_follow_the_shift_and_not_the_filling():
    """Patterns drift by 0.8 px downward along scan_y, with discs that fill unevenly along scan_x: the plane along scan_y is the drift, to a
    tenth of a pixel; the filling moves the beam's own centre of mass over five times as far."""
    lattice = Lattice((64.0, 66.0), (-17.4, -5.9), (-6.7, 18.9))
    y, x = np.indices((128, 128), dtype=float)
    counts = np.full((8, 8, 128, 128), 5, np.float32)
    for i, j in np.ndindex(8, 8):
        for k, l in lattice.reflections((128, 128), 8):
            row, col = lattice.position(k, l) + [0.8 * (i - 3.5) / 7, 0]
            inside = 1 / (1 + np.exp((np.hypot(y - row, x - col) - 5) / 0.4))
            side = 0.3 * (j - 3.5) * (1 - 2 * ((k + l // 2) % 2))  # neighbouring discs fill from opposite sides
            counts[i, j] += 200 * inside * np.exp(-((x - col - side) ** 2) / 30)
    scan = scan_of(counts, origin=(64.0, 64.0))
    planes = descan_planes(scan, lattice, 5.0, tiles=2)
    drift = STEP * 0.8 * (np.arange(8) - 3.5) / 7
    assert np.allclose(planes.com_y.mean("scan_x"), drift, atol=0.1 * STEP)
    direct = summarise(scan, com=CenterOfMass(Disc(lattice.centre, 9), background=np.full((128, 128), 5.0)), mean=False)
    assert 5 * np.ptp(planes.com_x.values) < np.ptp(direct.com_x.mean("scan_y").values)
    assert planes.com_y.dims == ("scan_y", "scan_x") and planes.com_y.shape == (8, 8)
    assert float(planes.com_y.mean()) == pytest.approx(0, abs=1e-12)
