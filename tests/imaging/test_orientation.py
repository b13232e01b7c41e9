"""An asymmetric specimen goes through writer, reader, virtual dark field and centre of mass; a flipped axis fails."""

import numpy as np
import pytest

from figures_pkg.chapters.conventions import AXES, FRAME, LETTER, ORIGIN, SPOT, write_letter
from figures_pkg.data.scan import open_scan
from figures_pkg.imaging import Box, summarise


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """The test card as a file: the beam stands 2 rows below and 1 column left of the origin, inside the F a reflection shines."""
    return write_letter(tmp_path_factory.mktemp("orientation") / "letter.hspy")


def expected_com(row_sign: float) -> tuple[np.ndarray, np.ndarray]:
    """Centre of mass of beam (100) and reflection (60), with rows growing downward (+1) or upward (−1)."""
    weight = np.where(LETTER, 60, 0)
    row = (100 * (11 - ORIGIN[0]) + weight * (SPOT[0] - ORIGIN[0])) / (100 + weight)
    col = (100 * (10 - ORIGIN[1]) + weight * (SPOT[1] - ORIGIN[1])) / (100 + weight)
    return row_sign * row * AXES.det_scale_inv_angstrom, col * AXES.det_scale_inv_angstrom


def test_the_letter_and_the_frame_tell_all_orientations_apart():
    """No flip, turn or transposition maps the F onto itself, so each of them would be seen."""
    square = np.zeros((8, 8), bool)
    square[:7] = LETTER
    images = [np.rot90(view, k) for view in (square, square.T) for k in range(4)]
    assert sum((image[None] == np.stack([np.roll(square, s, (0, 1)) for s in np.ndindex(8, 8)])).all((1, 2)).any()
               for image in images) == 1


def test_vdf_com_and_mean_pattern_keep_the_orientation_of_the_file(path):
    """In "lab" orientation the F stands upright, the beam below the origin has com_y > 0, the reflection pulls up and right."""
    images = summarise(open_scan(path), {"vdf": Box((2, 5), (15, 18)), "below": Box((15, 18), (15, 18))})
    np.testing.assert_array_equal(images.vdf, 60 * LETTER)
    assert not images.below.any()
    for axis, expected in zip("yx", expected_com(+1)):
        np.testing.assert_allclose(images[f"com_{axis}"], expected, atol=1e-12)
    assert images.com_y[0, 0] > 0 > images.com_x[0, 0]
    assert images.com_y[1, 1] < images.com_y[0, 0] and images.com_x[1, 1] > images.com_x[0, 0]
    assert np.unravel_index(images.mean_pattern.values.argmax(), FRAME) == (11, 10)
    np.testing.assert_allclose(images.mean_pattern[SPOT], 60 * LETTER.mean())


def test_the_camera_orientation_turns_rows_upside_down_and_nothing_else(path):
    """In "camera" orientation the pattern is upside down, com_y changes its sign, and com_x and the F stay."""
    images = summarise(open_scan(path, orientation="camera"), {"vdf": Box((15, 18), (15, 18))})
    np.testing.assert_array_equal(images.vdf, 60 * LETTER)
    for axis, expected in zip("yx", expected_com(-1)):
        np.testing.assert_allclose(images[f"com_{axis}"], expected, atol=1e-12)
    lab = summarise(open_scan(path))
    np.testing.assert_array_equal(images.mean_pattern, lab.mean_pattern[::-1])
