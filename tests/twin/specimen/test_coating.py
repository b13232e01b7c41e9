"""What lies beside the crystal in an overview: carbon without reflections, markers that weaken everything."""

import dataclasses

import numpy as np
import pytest

from figures_pkg.twin.specimen.coating import coating_maps
from figures_pkg.twin.presets import load_preset
from figures_pkg.twin.render import Renderer
from figures_pkg.twin.truth import simulate_truth, states_of

FOIL = [1.0, 63.0, 1.0, -4.0, 0.0, 0.0]


@pytest.fixture(scope="module")
def overview(rocking_library):
    """The overview on the analytic library, without dead pixels."""
    preset = load_preset("overview")
    return Renderer(dataclasses.replace(preset, detector=dataclasses.replace(preset.detector, dead_pixels=())), rocking_library)


def disc_excess(renderer, pattern, hkl):
    """Counts per pixel of a disc above its surroundings."""
    index = [tuple(row) for row in renderer.library.hkl].index(hkl)
    distance = np.hypot(*(np.indices(pattern.shape) - renderer.optics.centres[index][:, None, None]))
    return pattern[distance < 4].mean() - pattern[(distance > 8) & (distance < 9)].mean()


def direct_disc(renderer, carbon):
    """What the direct disc adds to the pattern of carbon: the difference to a layer that stops the direct beam."""
    preset = renderer.preset
    stopped = dataclasses.replace(preset, coating=dataclasses.replace(preset.coating, carbon_direct_beam=0.0))
    return carbon - Renderer(stopped, renderer.library).expected([*FOIL, 0.0, 1.0])[0]


def test_crystal_without_marker_is_the_plain_foil(overview):
    """A share of one and a transmission of one change nothing."""
    np.testing.assert_array_equal(overview.expected([*FOIL, 1.0, 1.0]), overview.expected(FOIL))


def test_carbon_has_the_direct_beam_alone(overview):
    """In carbon the direct disc holds half of the beam and no reflection rises above the background."""
    carbon = overview.expected([*FOIL, 0.0, 1.0])[0]
    foil = overview.expected(FOIL)[0]
    assert direct_disc(overview, carbon).sum(dtype=float) == pytest.approx(0.5 * overview.optics.bragg_counts, rel=1e-3)
    for hkl in [(0, 0, 2), (0, 0, -2), (0, 1, 0), (0, 0, 4)]:
        assert abs(disc_excess(overview, carbon, hkl)) < 0.03 * disc_excess(overview, foil, (0, 0, 2))


def test_edge_mixes_and_marker_weakens(overview):
    """Half crystal is the mean of both; a marker multiplies."""
    foil, carbon, half, marked = overview.expected([[*FOIL, 1, 1], [*FOIL, 0, 1], [*FOIL, 0.5, 1], [*FOIL, 0, 0.25]])
    np.testing.assert_allclose(half, (foil + carbon) / 2, rtol=1e-5)
    np.testing.assert_allclose(marked, carbon / 4, rtol=1e-5)


def test_layer_lies_at_the_bottom_with_markers_in_it():
    """The share falls from one to zero across the edge; markers have their size, in nm, and lie in the carbon."""
    coating, field = load_preset("overview").coating, (1000.0, 1000.0)
    y, x = np.meshgrid(np.arange(1000) + 0.5, np.arange(1000) + 0.5, indexing="ij")
    maps = coating_maps(coating, field, y, x)
    share, marked = maps["crystal_share"], maps["transmission"] < 1
    assert (share[:815] == 1).all() and (share[845:] == 0).all() and share[829:831].mean() == pytest.approx(0.5, abs=0.01)
    assert marked.sum() == len(coating.marker_fraction_yx) * np.prod(coating.marker_nm_yx)
    assert (share[marked] == 0).all()


def test_overview_has_three_domains_and_a_coating():
    """-P, +P and -P from left to right, and eight numbers for each position; other presets have six."""
    truth = simulate_truth(load_preset("overview"), "smoke", 0)
    np.testing.assert_array_equal(truth.domain_state[20, [2, 24, 45]], (5, 0, 1))
    assert states_of(truth).shape == (48, 48, 13)
    assert states_of(simulate_truth(load_preset("ds2"), "smoke", 0)).shape == (48, 48, 11)
