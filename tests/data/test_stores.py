"""Reading .npy arrays and .zarr stores."""

import cloudpickle
import numpy as np
import pytest
import zarr

from figures_pkg.data.axes import ScanFileError
from figures_pkg.data.convert import convert
from figures_pkg.data.readers import FrameReader
from figures_pkg.data.scan import open_scan

AXES = dict(scan_step_nm=1.4, det_scale_inv_angstrom=0.01, origin_row_col=(3, 2.5), beam_energy_kev=200.0)


def counts(dtype="u2") -> np.ndarray:
    """Random small counts (5, 4, 7, 6)."""
    return np.random.default_rng(4).integers(0, 60, (5, 4, 7, 6)).astype(dtype)


@pytest.mark.parametrize("dtype", ["u1", "u2", ">u2", "f4", "i8"])
def test_npy_gives_its_values(tmp_path, dtype):
    np.save(tmp_path / "a.npy", counts(dtype))
    scan = open_scan(tmp_path / "a.npy", axes=AXES)
    assert scan.dtype.isnative
    np.testing.assert_array_equal(scan.values, counts())
    np.testing.assert_array_equal(open_scan(tmp_path / "a.npy", "camera", AXES)[2, :, 1:].values, counts()[2, :, ::-1][:, 1:])


@pytest.mark.parametrize("header", [0, 13])
def test_frames_are_read_in_every_kind_of_view(tmp_path, header):
    """Whole rows, parts of rows, parts of the detector, transposed and reversed targets: all filled alike."""
    data = counts()
    record = np.zeros(20, [("head", "V", header), ("frame", "u2", (7, 6))] if header else [("frame", "u2", (7, 6))])
    record["frame"] = data.reshape(20, 7, 6)
    (tmp_path / "raw").write_bytes(b"intro" + record.tobytes())
    reader = FrameReader(tmp_path / "raw", data.shape, "u2", offset=5, header=header)
    for box in [((0, 5), (0, 4), (0, 7), (0, 6)), ((1, 4), (0, 4), (0, 7), (0, 6)), ((1, 3), (1, 3), (0, 7), (0, 6)), ((0, 5), (2, 3), (1, 5), (3, 6))]:
        wanted = data[tuple(slice(*edges) for edges in box)]
        for view in (lambda a: a, lambda a: a[:, :, ::-1], lambda a: a[:, ::-1]):
            out = np.zeros(wanted.shape, "u2")
            reader.read_into(box, view(out))
            np.testing.assert_array_equal(view(out), wanted)
        out = np.zeros(wanted.T.shape, "u2")
        reader.read_into(box, out.T)
        np.testing.assert_array_equal(out.T, wanted)


def test_stack_of_patterns_needs_its_scan_shape(tmp_path):
    """(n, rows, cols) is no scan until the caller gives the rows and columns of the scan."""
    np.save(tmp_path / "a.npy", counts().reshape(20, 7, 6))
    with pytest.raises(ScanFileError, match=r"\(20, 7, 6\), expected four axes.*scan_shape"):
        open_scan(tmp_path / "a.npy")
    np.testing.assert_array_equal(open_scan(tmp_path / "a.npy", axes=AXES, scan_shape=(5, 4)).values, counts())


def test_unusable_npy_is_explained(tmp_path):
    """Truncated, damaged, in Fortran order, or of no numbers: one error each."""
    path = tmp_path / "a.npy"
    np.save(path, counts())
    whole = path.read_bytes()
    path.write_bytes(whole[:-2])
    with pytest.raises(ScanFileError, match="truncated"):
        open_scan(path)
    path.write_bytes(b"\0" * 20 + whole[20:])
    with pytest.raises(ScanFileError, match="damaged .npy header"):
        open_scan(path)
    np.save(path, np.asfortranarray(counts()))
    with pytest.raises(ScanFileError, match="Fortran order"):
        open_scan(path)
    np.save(path, counts().astype(str))
    with pytest.raises(ScanFileError, match="expected numbers"):
        open_scan(path)


def test_file_that_shrinks_after_opening_raises(tmp_path):
    np.save(tmp_path / "a.npy", counts())
    scan = open_scan(tmp_path / "a.npy", axes=AXES)
    with open(tmp_path / "a.npy", "r+b") as file:
        file.truncate(600)
    with pytest.raises(OSError, match="too early"):
        scan.compute()


def test_zarr_keeps_labels_and_travels(tmp_path):
    """A store of ours opens with the calibration it was made from, and its graph pickles."""
    np.save(tmp_path / "a.npy", counts())
    convert(tmp_path / "a.npy", tmp_path / "a.zarr", axes=AXES, orientation="camera", source="twin", progress=False)
    camera, lab = open_scan(tmp_path / "a.zarr", "camera"), open_scan(tmp_path / "a.zarr")
    np.testing.assert_array_equal(camera.values, counts()[:, :, ::-1])
    np.testing.assert_array_equal(cloudpickle.loads(cloudpickle.dumps(lab.data)).compute(), counts())
    assert camera.attrs["origin_row_col"] == (3, 2.5) and lab.attrs["origin_row_col"] == (3, 2.5)
    assert lab.attrs["beam_energy_kev"] == 200 and lab.attrs["source"] == "twin" and lab.scan_y[1] == 1.4
    assert np.isnan(lab.attrs["convergence_mrad"])


def test_bare_and_foreign_zarr(tmp_path):
    """A bare 4D array opens with given axes; a group without our array, or another rank, is explained."""
    zarr.save_array(tmp_path / "bare.zarr", counts())
    np.testing.assert_array_equal(open_scan(tmp_path / "bare.zarr", axes=AXES).values, counts())
    zarr.save_group(tmp_path / "group.zarr", other=counts())
    with pytest.raises(ScanFileError, match=r"holds \['other'\], expected an array 'counts'"):
        open_scan(tmp_path / "group.zarr")
    zarr.save_array(tmp_path / "flat.zarr", counts()[0])
    with pytest.raises(ScanFileError, match="expected four axes"):
        open_scan(tmp_path / "flat.zarr")
