"""An asymmetric specimen goes through writer, reader, virtual dark field and centre of mass; a flipped axis fails."""

from dataclasses import replace

import numpy as np
import pytest
import zarr

from figures_pkg.chapters.conventions import AXES, FRAME, LETTER, ORIGIN, SPOT, letter_counts, write_letter
from figures_pkg.data.scan import open_scan
from figures_pkg.imaging import Box, summarise

UPPER, LOWER = Box((2, 5), (15, 18)), Box((15, 18), (15, 18))


@pytest.mark.parametrize("suffix, shape", [("hspy", None), ("mib", None), ("npy", LETTER.shape), ("zarr", None)])
@pytest.mark.parametrize("orientation, sign, box", [("lab", 1, UPPER), ("camera", -1, LOWER)])
def test_vdf_com_and_mean_pattern_keep_the_orientation_of_the_file(tmp_path, orientation, sign, box, suffix, shape):
    """In "lab" orientation the F stands upright, the beam below the origin has com_y > 0, the reflection above and right of it, bright inside the F,
    pulls up and right. In "camera" orientation the pattern is upside down, com_y changes its sign, and com_x and the F stay. All formats say the same;
    but for .hspy the caller gives the axes."""
    path = tmp_path / f"letter.{suffix}"
    zarr.save_array(path, letter_counts()) if suffix == "zarr" else write_letter(path)
    axes = replace(AXES, origin_row_col=(ORIGIN[0] if sign == 1 else FRAME[0] - 1 - ORIGIN[0], ORIGIN[1])) if suffix != "hspy" else None
    images = summarise(open_scan(path, orientation, axes, scan_shape=shape), {"vdf": box, "none": LOWER if box is UPPER else UPPER})
    np.testing.assert_array_equal(images.vdf, 60 * LETTER)
    assert not images.none.any()
    weight = np.where(LETTER, 60, 0)  # of the reflection; the beam has 100 at (11, 10)
    for axis, centre, beam, spot, side in (("y", ORIGIN[0], 11, SPOT[0], sign), ("x", ORIGIN[1], 10, SPOT[1], 1)):
        expected = side * (100 * (beam - centre) + weight * (spot - centre)) / (100 + weight) * AXES.det_scale_inv_angstrom
        np.testing.assert_allclose(images[f"com_{axis}"], expected, atol=1e-12)
    assert sign * images.com_y[0, 0] > 0 > images.com_x[0, 0]
    assert sign * images.com_y[1, 1] < sign * images.com_y[0, 0] and images.com_x[1, 1] > images.com_x[0, 0]
    mean = images.mean_pattern.values[::sign]
    assert np.unravel_index(mean.argmax(), FRAME) == (11, 10)
    np.testing.assert_allclose(mean[SPOT], 60 * LETTER.mean())
