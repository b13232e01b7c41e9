"""Opening a scan: orientation, coordinates, blocks, and one clear error for each thing that is no scan."""

import os
import shutil
import tempfile
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from figures_pkg.data.axes import DIMS, Axes, check_scan
from figures_pkg.data.scan import saturated_pixels, wrapped_pixels
from figures_pkg.data.readers import FrameReader
from figures_pkg.data.hspy import HspyWriter
from figures_pkg.data.readers import BLOCK_BYTES, LARGEST_BLOCK_BYTES, box_and_rest, scan_blocks
from figures_pkg.data.axes import ScanFileError
from figures_pkg.data.scan import open_scan

AXES = Axes(scan_step_nm=(2.0, 3.0), det_scale_inv_angstrom=0.01, origin_row_col=(2.0, 4.5), beam_energy_kev=200.0)


@pytest.fixture
def npy(tmp_path):
    """A scan whose every count tells its position; as a .npy file."""
    np.save(tmp_path / "scan.npy", np.arange(4 * 5 * 6 * 7, dtype=np.uint16).reshape(4, 5, 6, 7))
    return tmp_path / "scan.npy"


def test_scan_is_labelled_as_promised(npy):
    """Name, dimensions, units, coordinates and attributes are those that every room relies on."""
    scan = open_scan(npy, axes=AXES, source="record")
    check_scan(scan)
    assert scan.name == "counts" and scan.dims == DIMS and scan.chunks is not None
    np.testing.assert_allclose(scan.scan_x, [0, 3, 6, 9, 12])
    np.testing.assert_allclose(scan.det_y, 0.01 * (np.arange(6) - 2))
    assert [scan[dim].attrs["units"] for dim in DIMS] == ["nm", "nm", "1/angstrom", "1/angstrom"]
    told = {key: scan.attrs[key] for key in ("beam_energy_kev", "orientation", "origin_row_col", "source", "path", "format")}
    assert told == dict(beam_energy_kev=200, orientation="lab", origin_row_col=(2, 4.5), source="record", path=str(npy), format="npy")
    assert np.isnan(scan.attrs["camera_length_cm"]) and np.isnan(scan.attrs["convergence_mrad"])


def test_the_other_orientation_turns_rows_and_origin_together(tmp_path):
    """A spot keeps its distance from the origin and changes the sign of det_y; columns stay."""
    data = np.zeros((2, 2, 9, 8), np.uint16)
    data[:, :, 1, 6] = 7
    with HspyWriter(tmp_path / "a.hspy", data.shape, chunks=(1, 1, 9, 8), scan_step_nm=1, det_scale_inv_angstrom=0.1,
                    origin_row_col=(3.25, 2.5)) as writer:
        writer.write((0, 0), data)
    lab, camera = open_scan(tmp_path / "a.hspy"), open_scan(tmp_path / "a.hspy", "camera")

    def spot(scan):
        weights = scan.isel(scan_y=0, scan_x=1).compute() / 7
        return float((weights * scan.det_y).sum()), float((weights * scan.det_x).sum())

    assert spot(lab) == pytest.approx((-0.225, 0.35)) and spot(camera) == pytest.approx((0.225, 0.35))
    assert camera.attrs["origin_row_col"] == (8 - 3.25, 2.5) and camera.attrs["orientation"] == "camera"
    said = open_scan(tmp_path / "a.hspy", stored_orientation="camera")
    np.testing.assert_array_equal(said.values, camera.values)
    assert said.attrs["orientation"] == "lab"


def test_given_axes_replace_those_of_the_file(tmp_path):
    """The manifest's calibration wins over a file's, value by value."""
    with HspyWriter(tmp_path / "a.hspy", (2, 2, 4, 4), chunks=(2, 2, 4, 4), scan_step_nm=0.977, det_scale_inv_angstrom=0.1,
                    origin_row_col=(2, 2)) as writer:
        writer.write((0, 0), np.zeros((2, 2, 4, 4), np.uint16))
    scan = open_scan(tmp_path / "a.hspy", axes=dict(scan_step_nm=1.4, origin_row_col=(1, 0)))
    assert scan.scan_y[1] == 1.4 and scan.det_y[1] == 0 and scan.det_x[1] == 0.1


def test_unknown_calibration_counts_pixels(npy):
    """Without axes a .npy opens in pixels, and says so."""
    with pytest.warns(UserWarning, match="scan_step_nm and det_scale_inv_angstrom unknown"):
        scan = open_scan(npy)
    assert scan.scan_y.attrs["units"] == scan.det_x.attrs["units"] == "px"
    assert scan.attrs["origin_row_col"] == (3, 3.5) and np.isnan(scan.attrs["beam_energy_kev"])


@pytest.mark.parametrize("wrong", [dict(scan_step_nm=0), dict(det_scale_inv_angstrom=float("nan")), dict(origin_row_col=3),
                                   dict(scan_step_nm=(1, 2, 3))])
def test_impossible_axes_are_refused(npy, wrong):
    """Zero, nan or the wrong number of values are no calibration."""
    with pytest.raises(ValueError, match="expected"):
        open_scan(npy, axes=wrong)


def test_unknown_words_are_refused(npy):
    """A misspelt orientation or source is not silently taken for another."""
    with pytest.raises(ValueError, match="'up'.*lab"):
        open_scan(npy, "up")
    with pytest.raises(ValueError, match="'simulated'.*twin"):
        open_scan(npy, axes=AXES, source="simulated")


def test_check_scan_names_the_repair():
    """A transposed array is told to transpose, anything else to use open_scan."""
    good = xr.DataArray(np.zeros((1, 1, 1, 1)), dims=DIMS)
    check_scan(good)
    with pytest.raises(ValueError, match="transpose"):
        check_scan(good.transpose(*DIMS[::-1]))
    with pytest.raises(ValueError, match="open_scan"):
        check_scan(good.rename(det_x="kx"))
    with pytest.raises(TypeError, match="ndarray"):
        check_scan(np.zeros((1, 1, 1, 1)))


def test_paths_that_are_no_scan(tmp_path):
    """Missing, misnamed, empty, a folder, a file for a folder: each error says what was expected."""
    (tmp_path / "empty.hspy").touch()
    (tmp_path / "folder.hspy").mkdir()
    (tmp_path / "file.zarr").write_text("x")
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "a.hdr").write_text("x")
    (tmp_path / "bare.zarr").mkdir()
    for name, error, message in [("none.hspy", FileNotFoundError, "no such scan"), ("empty.hspy", ScanFileError, "0 bytes"),
                                 ("folder.hspy", IsADirectoryError, "is a folder, expected a file"), ("a.hdr", ScanFileError, "give the .mib"),
                                 ("file.zarr", IsADirectoryError, "expected a folder"), ("notes.txt", ScanFileError, r"'\.txt'.*\.hspy"),
                                 ("bare.zarr", ScanFileError, "no zarr store")]:
        with pytest.raises(error, match=message):
            open_scan(tmp_path / name)


def test_missing_permission_is_named(npy):
    """A file that this user may not read raises PermissionError with the next step."""
    folder = Path(tempfile.mkdtemp())  # tmp_path lies in a folder that only its owner may enter
    folder.chmod(0o755)
    shutil.copy(npy, folder / "scan.npy")
    (folder / "scan.npy").chmod(0)
    root = os.geteuid() == 0
    try:
        if root:  # root may read everything, so be nobody for a moment
            os.seteuid(65534)
        with pytest.raises(PermissionError, match="no permission to read this scan; change its mode"):
            open_scan(folder / "scan.npy")
    finally:
        if root:
            os.seteuid(0)
        shutil.rmtree(folder)


def test_one_pattern_is_read_without_its_block(npy, monkeypatch):
    """A slice of the labelled array reaches the reader; the rest of the block is neither read nor held."""
    boxes, read_into = [], FrameReader.read_into
    monkeypatch.setattr(FrameReader, "read_into", lambda self, box, out: (boxes.append(box), read_into(self, box, out)))
    scan = open_scan(npy, axes=AXES, check_counts=False)
    pattern = scan.isel(scan_y=3, scan_x=2).compute()
    np.testing.assert_array_equal(pattern, np.load(npy)[3, 2])
    assert boxes == [((3, 4), (2, 3), (0, 6), (0, 7))]


@pytest.mark.parametrize("orientation", ["lab", "camera"])
def test_parts_of_a_scan_are_those_of_the_whole(npy, orientation):
    """Slices, steps, reversals, lists and masks of the lazy array give what they give in memory, either way up."""
    scan = open_scan(npy, orientation, AXES, check_counts=False)
    whole = np.load(npy)[:, :, ::-1] if orientation == "camera" else np.load(npy)
    np.testing.assert_array_equal(scan.values, whole)
    for key in [np.s_[1:3, 4], np.s_[:, :, 1:3], np.s_[:, 1, 4, ::-2], np.s_[..., [5, 0, 1]], np.s_[[3, 1]], np.s_[2, :, [4, 1]],
                np.s_[:, :, 4:1:-1], np.s_[np.array([True, False, False, True])], np.s_[1:1]]:
        np.testing.assert_array_equal(scan.data[key].compute(), da.from_array(whole)[key].compute())


index = st.one_of(st.integers(-4, 3), st.slices(4), st.lists(st.integers(-4, 3), min_size=1, max_size=3))


@given(st.tuples(index, index, index, index), st.integers(0, 4), st.booleans())
def test_box_and_rest_take_what_the_index_takes(key, length, ellipsis):
    """Reading the box and applying the rest takes the same elements as indexing axis after axis."""
    array = np.arange(4**4).reshape(4, 4, 4, 4)
    key = key[:length]
    box, rest = box_and_rest(key + ((Ellipsis,) if ellipsis else ()), array.shape)
    found, wanted = array[tuple(slice(*edges) for edges in box)], array
    for axis in reversed(range(4)):
        found = found[(slice(None),) * axis + (rest[axis],)]
        wanted = wanted[(slice(None),) * axis + (key[axis],)] if axis < len(key) else wanted
    np.testing.assert_array_equal(found, wanted)


@given(st.tuples(*[st.integers(1, 300)] * 2), st.tuples(*[st.integers(1, 300)] * 2), st.sampled_from([16, 64, 256, 1024]))
def test_blocks_cover_the_scan_in_whole_pieces(scan, piece, pixels):
    """Blocks add up to the scan, start on the stored grid unless a piece is too large, and stay within memory."""
    blocks = scan_blocks(scan + (pixels, pixels), piece, 2)
    assert tuple(map(sum, blocks)) == scan
    pattern, whole = 2 * pixels**2, [min(p, s) for p, s in zip(piece, scan)]
    if whole[0] * whole[1] * pattern <= LARGEST_BLOCK_BYTES:
        assert all(size % p == 0 for sizes, p in zip(blocks, whole) for size in sizes[:-1])
    largest = max(blocks[0]) * max(blocks[1]) * pattern
    assert largest <= max(LARGEST_BLOCK_BYTES, 2 * BLOCK_BYTES)


def test_blocks_of_the_two_layouts_of_the_record():
    """32^4 chunks give blocks of 32 x 32 positions; single patterns are gathered to a few tens of MB."""
    assert scan_blocks((256,) * 4, (32, 32), 2) == ((32,) * 8, (32,) * 8)
    rows, cols = scan_blocks((256,) * 4, (1, 1), 2)
    assert cols == (256,) and 20e6 < rows[0] * 256 * 2 * 256**2 < 60e6


def test_wrapped_pixels_sees_holes_and_forgives_dead_pixels():
    """A hole in a bright disc counts; a pixel that is zero in every pattern does not."""
    y, x = np.mgrid[:32, :32]
    disc = np.where((y - 16) ** 2 + (x - 16) ** 2 < 60, 200, 5).astype(np.uint8)
    dead = np.stack([disc] * 3)
    dead[:, 16, 16] = 0
    assert wrapped_pixels(dead) == 0
    ring = np.stack([np.where((y - 16) ** 2 + (x - 16) ** 2 < 8, 20, disc).astype(np.uint8)] * 3)
    assert wrapped_pixels(ring) == 3 * ((y - 16) ** 2 + (x - 16) ** 2 < 8).sum()


def test_saturated_pixels_counts_the_pile():
    """Only a maximum at a counter's limit is looked at, and compared with the four counts below."""
    assert saturated_pixels(np.array([60, 63, 63, 63, 62])) == (63, 3, 1)
    assert saturated_pixels(np.array([60, 64, 64, 64])) == (0, 0, 0)
