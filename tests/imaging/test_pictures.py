"""Measures of a mean pattern: known on patterns made for the purpose, and as stored on the published pictures."""

import numpy as np
import pytest

from figures_pkg.data import load_manifest
from figures_pkg.data.published import mean_log_counts, mean_pattern_numbers
from figures_pkg.imaging import Lattice, pictures
from figures_pkg.twin import load_preset

LATTICE = Lattice((124.0, 128.6), (-17.4, -5.9), (-6.7, 18.9))


@pytest.fixture(scope="module")
def discs():
    """Discs of 5.3 px on a background of 7 counts; that of 0kl holds 10 (k + 10) + l counts per pixel more."""
    rows, cols = np.indices((256, 256))
    image = np.full((256, 256), 7.0)
    for k in range(-2, 3):
        for l in range(-4, 5, 2):
            row, col = LATTICE.position(k, l)
            image[np.hypot(rows - row, cols - col) < 5.3] += 10 * (k + 10) + l
    return image


def test_drawing_keeps_what_is_smooth():
    """A constant stays, a plane stays but at the rim, and noise is averaged; both axes are treated alike."""
    assert pictures.as_drawn(np.full((256, 256), 1.5)) == pytest.approx(np.expm1(1.5))
    plane = np.add.outer(np.arange(256), 2 * np.arange(256)) / 300
    np.testing.assert_allclose(np.log1p(pictures.as_drawn(plane))[4:-4, 4:-4], plane[4:-4, 4:-4], atol=1e-4)
    noise = np.random.default_rng(1).standard_normal((256, 256)) * 0.01
    assert pictures.as_drawn(noise).std() < 0.6 * noise.std()
    np.testing.assert_allclose(pictures.as_drawn(plane.T), pictures.as_drawn(plane).T)


def test_discs_are_summed_above_their_background(discs, from_notebook):
    """The sum is the number of pixels times the height, whatever lies below; the area above half maximum gives the radius of the direct beam."""
    indices = [(0, 0), (1, 2), (-2, -4)]
    offsets = [np.indices(discs.shape) - LATTICE.position(k, l).reshape(2, 1, 1) for k, l in indices]
    pixels = [(np.hypot(*offset) < 4).sum() for offset in offsets]
    expected = [number * (10 * (k + 10) + l) for number, (k, l) in zip(pixels, indices)]
    np.testing.assert_allclose(pictures.disc_counts(discs, LATTICE, indices, 4.0), expected)
    assert from_notebook("realism", "half_maximum_radius")(discs, LATTICE.centre) == pytest.approx(5.3, abs=0.1)


def test_background_is_what_lies_between_the_discs(discs):
    """No ring between the discs holds a disc; dead pixels and the label are masked."""
    mask = pictures.between_discs(LATTICE, discs.shape, 6.5, dead=((150, 115),))
    assert (discs[mask] == 7).all() and mask.mean() > 0.3
    assert not mask[150, 115] and not mask[20, 20]
    rings = pictures.ring_background(discs, LATTICE, mask)
    assert np.nanmax(abs(rings - 7)) < 1e-12 and np.isfinite(rings).sum() > 20


@pytest.mark.parametrize("dataset", ["ds1", "ds2"])
def test_stored_numbers_are_those_of_the_picture(dataset, realdata, monkeypatch, from_notebook):
    """What the package holds is what these functions measure on the published picture."""
    monkeypatch.setenv("FIGURES_PKG_REALDATA", str(realdata))
    picture, axes, stored = mean_log_counts(dataset), load_manifest()[dataset].axes, mean_pattern_numbers(dataset)
    if picture is None:
        pytest.skip("the published pictures are not there")
    picture = picture.astype(float)
    lattice = Lattice(*(tuple(axes[name].value) for name in ("origin_row_col_px", "g002_row_col_px", "g010_row_col_px")))
    mask = pictures.between_discs(lattice, picture.shape, stored["clearance_px"], load_preset(dataset).detector.dead_pixels)
    rings = pictures.ring_background(picture, lattice, mask, stored["rings_px"])
    np.testing.assert_allclose(rings, stored["ring_counts"], atol=1e-3)
    sums = pictures.disc_counts(picture, lattice, list(stored["disc_sums"]), stored["disc_px"])
    np.testing.assert_allclose(sums, list(stored["disc_sums"].values()), atol=0.06)
    assert from_notebook("realism", "half_maximum_radius")(picture, lattice.centre) == pytest.approx(stored["half_maximum_radius_px"], abs=6e-3)
