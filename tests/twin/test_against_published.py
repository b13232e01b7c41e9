"""The simulated scans beside the published pictures of the real ones, averaged and blurred in the same way.

The pictures show the mean over the scan of log(1 + counts); `figures_pkg/data/published/mean_patterns.yaml` has their source.
Where the pictures are not at hand, the numbers that were measured on them are compared all the same.
"""

from types import SimpleNamespace

import numpy as np
import pytest

from figures_pkg.data import load_manifest
from figures_pkg.data.published import mean_pattern_numbers
from figures_pkg.diffraction import build_library
from figures_pkg.imaging.lattice import Lattice, as_drawn, between_discs, disc_counts, refine_lattice, ring_background
from figures_pkg.twin.dataset import library_settings
from figures_pkg.twin.presets import load_preset
from figures_pkg.twin.render import Renderer
from figures_pkg.twin.truth import simulate_truth, states_of

pytestmark = pytest.mark.physics


@pytest.fixture(scope="module", params=["ds1", "ds2"])
def pair(request):
    """A twin from 144 positions over the field, and what is published of the real scan."""
    preset, entry = load_preset(request.param), load_manifest()[request.param]
    renderer = Renderer(preset, build_library(library_settings(preset, 0), progress=False))
    states = states_of(simulate_truth(preset, "smoke", 0))[::4, ::4]
    counts = renderer.counts(states.reshape(-1, states.shape[-1]), np.arange(144), seed=0)
    names = ("origin_row_col_px", "g002_row_col_px", "g010_row_col_px")
    return SimpleNamespace(
        name=request.param,
        preset=preset,
        picture=as_drawn(np.log1p(counts.astype(np.float32)).mean(axis=0, dtype=float)),
        mean=counts.mean(axis=0, dtype=float),
        radius_px=renderer.optics.radius_px,
        lattice=Lattice(*(tuple(entry.axes[name].value) for name in names)),
        bound=entry.acquisition["counts_per_pattern"].value,
        published=mean_pattern_numbers(request.param),
    )


def test_lattice_is_the_published_one(pair, from_notebook):
    """The preset has the lattice fitted to the picture. A fit that starts 2 px off finds spacings, angle and centre within 2 % of it."""
    pattern, lattice, turn = pair.preset.pattern, pair.lattice, np.array([[1, 0.02], [-0.02, 1]])
    for ours, fitted in zip((pattern.origin_row_col, pattern.g002_row_col, pattern.g010_row_col), (lattice.centre, lattice.g002, lattice.g010)):
        np.testing.assert_allclose(ours, fitted)
    guess = Lattice(tuple(np.add(lattice.centre, (1.5, -1.5))), tuple(turn @ lattice.g002), tuple(turn @ lattice.g010))
    found = refine_lattice(pair.mean, guess, pair.radius_px)
    positions = from_notebook("realism", "positions")
    here, there = (list(positions(each, 1.0).values()) for each in (found, lattice))
    np.testing.assert_allclose(here[2:], there[2:], rtol=0.02)
    assert np.linalg.norm(np.subtract(found.centre, lattice.centre)) < 0.02 * np.linalg.norm(lattice.g002)


def test_disc_radius_is_the_published_one(pair, from_notebook):
    """The direct beam has the published half-maximum radius within 2 % for DS1; that of DS2, too bright, is narrower."""
    radius = from_notebook("realism", "half_maximum_radius")(pair.picture, pair.lattice.centre)
    assert radius == pytest.approx(pair.published["half_maximum_radius_px"], rel={"ds1": 0.02, "ds2": 0.10}[pair.name])


def test_background_is_the_published_one(pair):
    """Between the discs, the counts agree ring by ring: DS1 within 2 %, DS2 within 7 % to 40 px and 2 % beyond."""
    mask = between_discs(pair.lattice, pair.picture.shape, pair.published["clearance_px"], pair.preset.detector.dead_pixels)
    edges = np.array(pair.published["rings_px"])
    ratios = ring_background(pair.picture, pair.lattice, mask, edges) / pair.published["ring_counts"]
    inner = edges[:-1] < 40
    np.testing.assert_allclose(ratios[inner], 1, atol={"ds1": 0.02, "ds2": 0.07}[pair.name])
    np.testing.assert_allclose(ratios[~inner], 1, atol=0.02)


def test_counts_lie_above_the_published_bound(pair):
    """The mean count exceeds the bound that the mean of the logarithm sets; at few counts per pixel by more."""
    least, most = {"ds1": (1.0, 1.06), "ds2": (1.1, 1.3)}[pair.name]
    assert least * pair.bound < pair.mean.sum() < most * pair.bound


def test_discs_rank_as_in_the_picture(pair):
    """Of the reflections 00l and 0k0, strong ones are strong in both: the logarithms correlate above 0.88."""
    published = pair.published["disc_sums"]
    here = disc_counts(pair.picture, pair.lattice, list(published), pair.published["disc_px"])
    assert np.corrcoef(np.log(np.maximum([here, list(published.values())], 5)))[0, 1] > 0.88


def test_plus_c_side_is_excited_as_in_the_picture(pair):
    """With what lies below the discs, 002 is brighter than 00-2, and in DS1 004 than 00-4, as in the real patterns, and so is the half towards +c.

    In the twin of DS2 the pair 004 and 00-4 is equal within 3 %, where the real one has at least 1.5: a known mismatch.
    """
    rows, cols = np.indices(pair.picture.shape)
    places = {l: pair.lattice.position(0, l) for l in (2, -2, 4, -4)}
    disc = {l: pair.picture[np.hypot(rows - row, cols - col) < 4].mean() for l, (row, col) in places.items()}
    least = {"ds1": {2: 1, 4: 1.5}, "ds2": {2: 4}}[pair.name]
    assert all(disc[l] > least[l] * disc[-l] for l in least)
    published = pair.published["disc_sums"]
    assert published[0, 2] > 3 * published[0, -2] and published[0, 4] > 1.5 * published[0, -4]
    if pair.name == "ds1":  # 5 % more; not measured on the picture of DS2
        side = (rows - pair.lattice.centre[0]) * pair.lattice.g002[0] + (cols - pair.lattice.centre[1]) * pair.lattice.g002[1]
        assert pair.picture[side > 0].sum() > 1.05 * pair.picture[side < 0].sum()
