"""The lattice of discs: as the manifest expects it, refined where the discs lie; and what is measured in and between them."""

import numpy as np
import pytest
import xarray as xr
from drawn_patterns import discs

from figures_pkg.data import load_manifest
from figures_pkg.data.published import mean_log_counts, mean_pattern_numbers
from figures_pkg.imaging import Lattice, expected_lattice, refine_lattice
from figures_pkg.imaging.lattice import as_drawn, between_discs, disc_counts, ring_background
from figures_pkg.twin import load_preset

pytestmark = pytest.mark.physics

TRUE = Lattice((124.0, 128.6), (-17.41, -5.89), (-6.74, 18.88))
ROWS, COLS = np.indices((256, 256))


@pytest.mark.parametrize("name, radius_px", [("ds1", 5.17), ("ds2", 3.17)])
def test_lattice_and_radius_are_those_of_the_manifest(name, radius_px):
    """Centre and vectors are the manifest's; the radius is angle / wavelength (0.02508 Angstrom) / pixel. A file of weights has no lattice."""
    scan = xr.DataArray(np.zeros((2, 2)), {"det_x": [0.0, 0.009555]}, ("det_y", "det_x"), attrs={"beam_energy_kev": 200.0})
    entry = load_manifest()[name]
    lattice, radius = expected_lattice(entry, scan)
    np.testing.assert_allclose(lattice.centre, entry.axes["origin_row_col_px"].value)
    np.testing.assert_allclose(lattice.position(0, 2), np.add(lattice.centre, entry.axes["g002_row_col_px"].value))
    np.testing.assert_allclose(lattice.position(1, 0), np.add(lattice.centre, entry.axes["g010_row_col_px"].value))
    assert radius == pytest.approx(radius_px, abs=0.01)
    with pytest.raises(ValueError, match="'ca-ds1' has no origin.*'ds1'"):
        expected_lattice(load_manifest()["ca-ds1"], scan)


def test_refines_a_poor_guess():
    """From three pixels and 2 % off the fit of soft discs on a slope comes back to 0.05 px, also on joined pixels; an empty pattern is refused."""
    pattern = 20 - 0.03 * ROWS + 0.01 * COLS
    for k, l in TRUE.reflections(pattern.shape, 0):
        row, col = TRUE.position(k, l)
        height = 200 * np.exp(-(((row - 124) ** 2 + (col - 128) ** 2) / 80**2)) * (1 + 0.5 * np.sin(3 * k + l))
        pattern = pattern + height / (1 + np.exp((np.hypot(ROWS - row, COLS - col) - 5) / 0.5))
    guess = Lattice((126.0, 126.8), (-17.8, -5.7), (-6.5, 19.2))
    found = refine_lattice(pattern, guess, 5.0)
    assert np.allclose(found.centre, TRUE.centre, atol=0.1)
    assert np.allclose([found.g002, found.g010], [TRUE.g002, TRUE.g010], atol=0.05)
    binned = refine_lattice(pattern.reshape(128, 2, 128, 2).mean(axis=(1, 3)), TRUE.scaled(2), 2.5)
    assert np.allclose(binned.centre, TRUE.scaled(2).centre, atol=0.15)
    with pytest.raises(ValueError, match="only 0 discs"):
        refine_lattice(np.ones((256, 256)), guess, 5.0)


def test_drawing_keeps_what_is_smooth():
    """A constant stays, a plane stays but at the rim, and noise is averaged; both axes are treated alike."""
    assert as_drawn(np.full((256, 256), 1.5)) == pytest.approx(np.expm1(1.5))
    plane = (ROWS + 2 * COLS) / 300
    np.testing.assert_allclose(np.log1p(as_drawn(plane))[4:-4, 4:-4], plane[4:-4, 4:-4], atol=1e-4)
    noise = np.random.default_rng(1).standard_normal((256, 256)) * 0.01
    assert as_drawn(noise).std() < 0.6 * noise.std()
    np.testing.assert_allclose(as_drawn(plane.T), as_drawn(plane).T)


def test_discs_are_summed_above_their_background_which_lies_between_them(from_notebook):
    """The sum is the number of pixels times the height, whatever lies below; the area above half maximum gives the radius of the direct beam. No
    ring between the discs holds a disc; dead pixels and the label are masked."""
    image = discs({tuple(TRUE.position(k, l)): 10 * (k + 10) + l for k in range(-2, 3) for l in range(-4, 5, 2)}, (256, 256), 5.3, 7.0)
    indices = [(0, 0), (1, 2), (-2, -4)]
    pixels = [(np.hypot(ROWS - row, COLS - col) < 4).sum() for row, col in (TRUE.position(k, l) for k, l in indices)]
    expected = [number * (10 * (k + 10) + l) for number, (k, l) in zip(pixels, indices)]
    np.testing.assert_allclose(disc_counts(image, TRUE, indices, 4.0), expected)
    assert from_notebook("realism", "half_maximum_radius")(image, TRUE.centre) == pytest.approx(5.3, abs=0.1)
    mask = between_discs(TRUE, image.shape, 6.5, dead=((150, 115),))
    assert (image[mask] == 7).all() and mask.mean() > 0.3
    assert not mask[150, 115] and not mask[20, 20]
    rings = ring_background(image, TRUE, mask)
    assert np.nanmax(abs(rings - 7)) < 1e-12 and np.isfinite(rings).sum() > 20


@pytest.mark.parametrize("dataset", ["ds1", "ds2"])
def test_stored_numbers_are_those_of_the_picture(dataset, realdata, monkeypatch, tmp_path, repository, from_notebook):
    """What the package holds is what these functions measure on the published picture. Without the picture there is None."""
    with pytest.raises(ValueError, match="'ds9'; there are those of ds1, ds2"):
        mean_pattern_numbers("ds9")
    monkeypatch.setenv("FIGURES_PKG_REALDATA", str(tmp_path))
    assert mean_log_counts(dataset) is None
    monkeypatch.setenv("FIGURES_PKG_REALDATA", str(realdata))
    picture, axes, stored = mean_log_counts(dataset), load_manifest()[dataset].axes, mean_pattern_numbers(dataset)
    if picture is None:
        pytest.skip("the published pictures are not there")
    picture = picture.astype(float)
    if dataset == "ds1":
        table = repository / "figures_pkg/chapters/published/ds1_rings.csv"
        inner, outer, counts = np.loadtxt(table, delimiter=",", comments=["#", "inner"], unpack=True)
        edges, ring_means = np.append(inner, outer[-1]), from_notebook("the-data", "ring_means")
        assert ring_means(picture, (124.0, 128.6), edges) == pytest.approx(counts, abs=1e-3)
    lattice = Lattice(*(tuple(axes[name].value) for name in ("origin_row_col_px", "g002_row_col_px", "g010_row_col_px")))
    mask = between_discs(lattice, picture.shape, stored["clearance_px"], load_preset(dataset).detector.dead_pixels)
    np.testing.assert_allclose(ring_background(picture, lattice, mask, stored["rings_px"]), stored["ring_counts"], atol=1e-3)
    sums = disc_counts(picture, lattice, list(stored["disc_sums"]), stored["disc_px"])
    np.testing.assert_allclose(sums, list(stored["disc_sums"].values()), atol=0.06)
    assert from_notebook("realism", "half_maximum_radius")(picture, lattice.centre) == pytest.approx(stored["half_maximum_radius_px"], abs=6e-3)
