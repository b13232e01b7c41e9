"""Reading Merlin files: the same counts as RosettaSciIO, the right way up, and no silent loss of frames."""

import numpy as np
import pytest
from rsciio.quantumdetector import file_reader

from figures_pkg.data.axes import ScanFileError
from figures_pkg.data.mib import write_mib as write
from figures_pkg.data.scan import open_scan

AXES = dict(scan_step_nm=1.0, det_scale_inv_angstrom=0.01)


def counts(dtype="u2", frames=12) -> np.ndarray:
    """Random frames of 8 x 6 pixels, values below every counter's limit."""
    return np.random.default_rng(2).integers(0, 60, (frames, 8, 6)).astype(dtype)


def test_real_scan_equals_rosettasciio(realdata):
    """The real 4 x 2 scan: RosettaSciIO's array is our "camera" orientation, "lab" is its mirror image."""
    path = realdata / "merlin_ntnu" / "001_4x2_6bit.mib"
    theirs = file_reader(str(path))[0]["data"]
    with pytest.warns(UserWarning, match="saturated counters: .* stand at 63"):
        camera = open_scan(path, orientation="camera", axes=AXES)
    assert camera.shape == (2, 4, 256, 256)
    np.testing.assert_array_equal(camera.values, theirs)
    lab = open_scan(path, axes=AXES, check_counts=False)
    np.testing.assert_array_equal(lab.values, theirs[:, :, ::-1])
    assert lab.attrs["counter_bits"] == 6 and lab.attrs["dwell_time_ms"] == 100


@pytest.mark.parametrize("orientation", ["lab", "camera"])
def test_real_pair_of_mib_and_hspy_agrees_in_either_orientation(realdata, orientation):
    """The laboratory's own conversion of a frame holds the same rows as our reading of the frame, modulo 256."""
    opened = [open_scan(realdata / "merlin_ntnu" / f"test_CL30cm.{suffix}", orientation, AXES, scan_shape=(1, 1), check_counts=False)
              for suffix in ("mib", "hspy")]
    np.testing.assert_array_equal(opened[0].values % 256, opened[1].values)
    theirs = file_reader(str(realdata / "merlin_ntnu" / "test_CL30cm.mib"))[0]["data"]
    wanted = theirs if orientation == "camera" else theirs[::-1]
    np.testing.assert_array_equal(opened[0].values[0, 0], wanted)


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4"])
def test_frames_are_laid_out_row_by_row(tmp_path, dtype):
    """Frame number y * columns + x stands at (y, x), in native byte order, also in slices."""
    data = counts(dtype)
    scan = open_scan(write(tmp_path / "a.mib", data, per_line=4), axes=AXES)
    assert scan.dtype == np.dtype(dtype) and scan.dtype.isnative
    np.testing.assert_array_equal(scan.values, data.reshape(3, 4, 8, 6))
    np.testing.assert_array_equal(scan[1:, 1:3, ::2, 4].values, data.reshape(3, 4, 8, 6)[1:, 1:3, ::2, 4])


def test_given_scan_shape_wins_and_may_drop_an_unfinished_row(tmp_path):
    """A shape from the user replaces the guess; complete rows of an interrupted scan open."""
    path = write(tmp_path / "a.mib", counts(frames=11), per_line=4, ordered=12)
    np.testing.assert_array_equal(open_scan(path, axes=AXES, scan_shape=(2, 4)).values, counts(frames=11)[:8].reshape(2, 4, 8, 6))
    assert open_scan(write(tmp_path / "b.mib", counts(frames=1)), axes=AXES, scan_shape=(1, 1)).shape == (1, 1, 8, 6)


@pytest.mark.parametrize("content, how, message", [
    (dict(counts=counts(frames=11), per_line=4, ordered=12), {}, "11 of 12 frames.*scan_shape"),
    (dict(counts=counts(frames=11), per_line=4, ordered=12), dict(scan_shape=(3, 4)), "asks for 12 frames, the file holds 11; 2 complete rows"),
    (dict(counts=counts(frames=11), per_line=4), {}, "11 frames of which RosettaSciIO makes"),
    (dict(counts=counts(frames=1)), {}, r"\(1, 1\) for a single pattern"),
    (dict(counts=counts(), kind="R64"), {}, "'R64', expected one of U08"),
])
def test_frames_that_make_no_scan_are_explained(tmp_path, content, how, message):
    with pytest.raises(ScanFileError, match=message):
        open_scan(write(tmp_path / "a.mib", **content), **how)


@pytest.mark.parametrize("damage, message", [
    (lambda path: path.write_bytes(path.read_bytes()[:-100]), "bytes more, so the file is truncated or damaged"),
    (lambda path: path.write_bytes(path.read_bytes() + bytes(1579)), "bytes more, so the file is truncated or damaged"),
    (lambda path: path.write_bytes(bytes(5000)), "instead of 'MQ1'"),
    (lambda path: path.write_bytes(path.read_bytes().replace(b",01,0006", b"", 1)), "damaged Merlin header.*MQ1,000001,00384"),
    (lambda path: path.with_suffix(".hdr").write_text("HDR,\t\nChip ID:\tW559\n"), "a.hdr"),
], ids=["truncated", "longer", "foreign", "without fields", "hdr"])  # fmt: skip
def test_damaged_files_are_refused(tmp_path, damage, message):
    damage(path := write(tmp_path / "a.mib", counts(), per_line=4))
    with pytest.raises(ScanFileError, match=message):
        open_scan(path)
