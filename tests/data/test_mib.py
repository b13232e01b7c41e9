"""Reading Merlin files: the same counts as RosettaSciIO, the right way up, and no silent loss of frames."""

import numpy as np
import pytest
from rsciio.quantumdetector import file_reader

from figures_pkg.chapters.conventions import write_mib as write
from figures_pkg.data.axes import ScanFileError
from figures_pkg.data.scan import open_scan

AXES = dict(scan_step_nm=1.0, det_scale_inv_angstrom=0.01)


def counts(dtype="u2", frames=12) -> np.ndarray:
    """Random frames of 8 x 6 pixels, values below every counter's limit."""
    return np.random.default_rng(2).integers(0, 60, (frames, 8, 6)).astype(dtype)


def interrupted(path):
    """A file of 11 frames in lines of 4 whose ``.hdr`` promises 12."""
    header = write(path, counts(frames=11), per_line=4).with_suffix(".hdr")
    header.write_text(header.read_text().replace("Acquisition (Number):\t11", "Acquisition (Number):\t12"))
    return path


def test_real_files_equal_rosettasciio_and_the_laboratorys_own(realdata):
    """RosettaSciIO's array is our "camera" orientation, "lab" its mirror image; the laboratory's own .hspy holds the same rows, modulo 256."""
    path = realdata / "merlin_ntnu" / "001_4x2_6bit.mib"
    theirs = file_reader(str(path))[0]["data"]
    with pytest.warns(UserWarning, match="saturated counters: .* stand at 63"):
        camera = open_scan(path, orientation="camera", axes=AXES)
    np.testing.assert_array_equal(camera.values, theirs)
    lab = open_scan(path, axes=AXES, check_counts=False)
    np.testing.assert_array_equal(lab.values, theirs[:, :, ::-1])
    assert lab.attrs["counter_bits"] == 6 and lab.attrs["dwell_time_ms"] == 100
    theirs = file_reader(str(realdata / "merlin_ntnu" / "test_CL30cm.mib"))[0]["data"]
    for orientation, rows in (("camera", theirs), ("lab", theirs[::-1])):
        mib, hspy = (open_scan(realdata / "merlin_ntnu" / f"test_CL30cm.{suffix}", orientation, AXES, scan_shape=(1, 1), check_counts=False).values
                     for suffix in ("mib", "hspy"))
        np.testing.assert_array_equal(mib[0, 0], rows)
        np.testing.assert_array_equal(mib % 256, hspy)


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4"])
def test_frames_are_laid_out_row_by_row(tmp_path, dtype):
    """Frame number y * columns + x stands at (y, x), in native byte order, also in slices."""
    data = counts(dtype).reshape(3, 4, 8, 6)
    scan = open_scan(write(tmp_path / "a.mib", counts(dtype), per_line=4), axes=AXES)
    assert scan.dtype == np.dtype(dtype) and scan.dtype.isnative
    np.testing.assert_array_equal(scan.values, data)
    np.testing.assert_array_equal(scan[1:, 1:3, ::2, 4].values, data[1:, 1:3, ::2, 4])


def test_given_scan_shape_wins_and_may_drop_an_unfinished_row(tmp_path):
    """A shape from the user replaces the guess; complete rows of an interrupted scan open."""
    scan = open_scan(interrupted(tmp_path / "a.mib"), axes=AXES, scan_shape=(2, 4))
    np.testing.assert_array_equal(scan.values, counts(frames=11)[:8].reshape(2, 4, 8, 6))
    assert open_scan(write(tmp_path / "b.mib", counts(frames=1)), axes=AXES, scan_shape=(1, 1)).shape == (1, 1, 8, 6)


def edit(change):
    """A function that writes 12 frames in lines of 4 and changes the bytes of the ``.mib``."""
    return lambda path: path.write_bytes(change(write(path, counts(), per_line=4).read_bytes()))


@pytest.mark.parametrize("make, shape, message", [
    (interrupted, None, "11 of 12 frames.*scan_shape"),
    (interrupted, (3, 4), "asks for 12 frames, the file holds 11; 2 complete rows"),
    (lambda path: write(path, counts(frames=11), per_line=4), None, "11 frames of which RosettaSciIO makes"),
    (lambda path: write(path, counts(frames=1)), None, r"\(1, 1\) for a single pattern"),
    (edit(lambda content: content.replace(b"U16", b"R64")), None, "'R64', expected one of U08"),
    (edit(lambda content: content[:-100]), None, "bytes more, so the file is truncated or damaged"),
    (edit(lambda content: content + bytes(1579)), None, "bytes more, so the file is truncated or damaged"),
    (edit(lambda content: bytes(5000)), None, "instead of 'MQ1'"),
    (edit(lambda content: content.replace(b",01,0006", b"", 1)), None, "damaged Merlin header.*MQ1,000001,00384"),
    (lambda path: write(path, counts(), 4).with_suffix(".hdr").write_text("HDR,\t\nChip ID:\tW559\n"), None, "a.hdr"),
], ids=["interrupted", "too many", "no lines", "pattern", "raw", "truncated", "longer", "foreign", "without fields", "hdr"])  # fmt: skip
def test_frames_that_make_no_scan_are_explained(tmp_path, make, shape, message):
    make(tmp_path / "a.mib")
    with pytest.raises(ScanFileError, match=message):
        open_scan(tmp_path / "a.mib", scan_shape=shape)
