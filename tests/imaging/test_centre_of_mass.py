"""The centre of mass, its masks and backgrounds, its noise and units agree with their definitions."""

import numpy as np
import pytest
from drawn_patterns import COL, ORIGIN, ROW, STEP, beam, scan_of

from figures_pkg.data.axes import Axes, build_scan
from figures_pkg.imaging import CenterOfMass, Disc, com_noise, scatter, summarise, to_mrad

CORNERS = (ROW < 5) | (ROW > 26)


def com_by_definition(patterns, weights) -> tuple[np.ndarray, np.ndarray]:
    """Σ w N g / Σ w N in float64, along rows and columns, 1/Å."""
    total = (patterns * weights).sum((2, 3))
    return tuple((patterns * weights * (index - origin) * STEP).sum((2, 3)) / total
                 for index, origin in ((ROW, ORIGIN[0]), (COL, ORIGIN[1])))


def assert_close(images, name, expected):
    """Both components of a centre of mass agree to 1e-6 of the detector's width."""
    for axis, values in zip("yx", expected):
        np.testing.assert_allclose(images[f"{name}_{axis}"], values, rtol=1e-6, atol=1e-6 * STEP * 32)


def test_mask_background_level_and_background_pattern():
    """Masks and backgrounds follow their formulas, several in one pass, with the background overlapping the mask."""
    data = np.random.default_rng(1).poisson(beam(np.full((4, 5), 13.5), 14.0, background=8.0)).astype(np.uint16)
    disc = Disc((14, 14), 9)
    pattern = np.random.default_rng(2).random((32, 30)) * 3
    level = data[:, :, CORNERS].mean(-1)[..., None, None]
    images = summarise(scan_of(data), com={
        "whole": True, "disc": CenterOfMass(disc), "flat": CenterOfMass(background=CORNERS),
        "disc_flat": CenterOfMass(disc, CORNERS), "fixed": CenterOfMass(disc, pattern)})
    mask = disc.mask((32, 30))
    assert_close(images, "whole", com_by_definition(data, 1.0))
    assert_close(images, "disc", com_by_definition(data, mask))
    assert_close(images, "flat", com_by_definition(data - level, 1.0))
    assert_close(images, "disc_flat", com_by_definition(data - level, mask))
    assert_close(images, "fixed", com_by_definition(data - pattern, mask))


def test_background_pulls_the_beam_to_the_middle_and_subtraction_undoes_it():
    """A beam on a flat background is found where it is once the background is measured beside it."""
    rows = np.full((3, 4), 12.0)
    data = beam(rows, 16.0, background=7.0).astype(np.float32)
    images = summarise(scan_of(data), com={"raw": True, "com": CenterOfMass(background=CORNERS)})
    np.testing.assert_allclose(images.com_y, (12 - 15) * STEP, atol=1e-5)
    np.testing.assert_allclose(images.com_x, (16 - 13) * STEP, atol=1e-5)
    assert (images.raw_y > images.com_y + 0.5 * STEP).all()  # the middle of the frame lies below the beam


def test_rotating_the_pattern_rotates_the_centre_of_mass():
    """A quarter turn of every pattern about the centre of a square frame turns the vectors: rotate-then-COM = COM-then-rotate."""
    data = np.random.default_rng(3).poisson(beam(np.linspace(10, 20, 6).reshape(2, 3), 17.0)).astype(np.uint16)[..., :30, :]
    axes = Axes(1.4, STEP, (14.5, 14.5), 200.0)
    scan = build_scan(data, axes, orientation="lab", source="user", path="", title="", format="")
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
    """An empty pattern gives nan instead of a number or an error."""
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
