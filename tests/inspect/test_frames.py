"""The frame of a file is told from its mean pattern: mirrors by the lattice, half a turn by the strengths of opposite reflections."""

import numpy as np
import pytest
from drawn_scans import mean_pattern, published_lattice

from figures_pkg.data.published import mean_pattern_numbers
from figures_pkg.inspect.frame import ORIENTATIONS, carried, frame_of, orientation_findings, reoriented

pytestmark = pytest.mark.physics

PUBLISHED = mean_pattern_numbers("ds1")


def frame_and_findings(mean):
    """The frame of a pattern without noise, and its two findings by check."""
    mean_log = np.log1p(mean)
    frame = frame_of(mean, mean_log, published_lattice(), 5.2, PUBLISHED)
    return frame, {finding.check: finding for finding in orientation_findings(frame, mean_log, PUBLISHED)}


@pytest.mark.parametrize("orientation", ["as published", "upside down", "turned by half a turn", "rows and columns exchanged"])
def test_orientations_are_named(orientation):
    """The same pattern is recognised in each orientation, and its lattice lies where it was carried to."""
    marked, place = np.zeros((7, 5)), carried((1, 3), orientation, (7, 5))  # pictures and places are carried alike
    marked[1, 3] = 1
    assert reoriented(marked, orientation)[int(place[0]), int(place[1])] == 1
    frame, findings = frame_and_findings(np.ascontiguousarray(reoriented(mean_pattern(), orientation)))
    assert frame.orientation == orientation and frame.likeness > 0.9
    np.testing.assert_allclose(frame.lattice.centre, carried(published_lattice().centre, orientation, (256, 256)), atol=0.3)
    np.testing.assert_allclose(frame.lattice.g002, np.array(ORIENTATIONS[orientation]) @ published_lattice().g002, atol=0.2)
    wrong = [finding for finding in findings.values() if finding.wrong]
    assert len(wrong) == (orientation != "as published")
    if orientation == "turned by half a turn":
        assert wrong[0].check == "half a turn" and findings["rows and columns"].verdict == "agrees"


def test_half_a_turn_cannot_be_told_where_opposite_reflections_are_alike():
    pattern, centre = mean_pattern(dead=False), published_lattice().centre
    row, col = (int(round(2 * place)) for place in centre)  # the pixel that half a turn about the beam puts on (0, 0)
    turned = np.roll(pattern[::-1, ::-1], (row - 255, col - 255), axis=(0, 1))
    frame, findings = frame_and_findings((pattern + turned) / 2)
    assert findings["half a turn"].verdict == "cannot be told" and "convention" in findings["half a turn"].evidence
    assert findings["rows and columns"].verdict == "agrees" and frame.orientation == "as published"


def test_another_rotation_of_the_scan_is_no_flip_and_noise_is_no_lattice():
    lattice = published_lattice()
    cosine, sine = np.cos(np.radians(20)), np.sin(np.radians(20))
    vectors = [(cosine * row - sine * col, sine * row + cosine * col) for row, col in (lattice.g002, lattice.g010)]
    frame, findings = frame_and_findings(mean_pattern(type(lattice)(lattice.centre, *vectors)))
    assert frame.orientation is None and findings["rows and columns"].verdict == "cannot be told"
    noise = np.random.default_rng(0).poisson(20.0, (256, 256)).astype(float)
    frame, findings = frame_and_findings(noise)
    assert frame.lattice is None and {finding.verdict for finding in findings.values()} == {"cannot be told"}
