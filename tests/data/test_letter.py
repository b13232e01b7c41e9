"""The test card is one scan, whatever the format, and says when it cannot be written."""

import numpy as np
import pytest

from figures_pkg.chapters.conventions import AXES, LETTER, letter_counts, write_letter
from figures_pkg.data.scan import open_scan


@pytest.mark.parametrize("suffix, how", [("hspy", {}), ("mib", {"axes": AXES}), ("npy", {"axes": AXES, "scan_shape": LETTER.shape})])
def test_every_format_opens_as_the_same_scan(tmp_path, suffix, how):
    """Counts and coordinates do not depend on the file; a format without metadata takes both from the caller."""
    scan = open_scan(write_letter(tmp_path / f"letter.{suffix}"), **how)
    np.testing.assert_array_equal(scan, letter_counts())
    assert float(scan.det_y[9]) == 0 == float(scan.det_x[11]) and float(scan.scan_x[1]) == pytest.approx(1.4)


def test_another_suffix_is_refused(tmp_path):
    """The message lists what can be written."""
    with pytest.raises(ValueError, match=".hspy, .mib or .npy"):
        write_letter(tmp_path / "letter.tif")
