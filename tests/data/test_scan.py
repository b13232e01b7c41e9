"""Opening a scan, by its path or its name: orientation, coordinates, blocks, and one clear error for each thing that is no scan."""

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import xarray as xr
import yaml
from hypothesis import given
from hypothesis import strategies as st

from figures_pkg.chapters.conventions import AXES as CARD_AXES
from figures_pkg.chapters.conventions import LETTER, letter_counts, write_letter
from figures_pkg.data import load_manifest, locate, open_dataset
from figures_pkg.data.axes import DIMS, Axes, ScanFileError, check_scan
from figures_pkg.data.datasets import recorded_axes
from figures_pkg.data.hspy import HspyWriter
from figures_pkg.data.readers import BLOCK_BYTES, LARGEST_BLOCK_BYTES, FrameReader, box_and_rest, scan_blocks
from figures_pkg.data.scan import open_scan, saturated_pixels, wrapped_pixels
from figures_pkg.record import MissingDataset
from figures_pkg.record.fetch import Pin, add_pins

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
    with HspyWriter(tmp_path / "a.hspy", (2, 2, 4, 4), chunks=(2, 2, 4, 4), scan_step_nm=0.977, det_scale_inv_angstrom=0.1,
                    origin_row_col=(2, 2)) as writer:
        writer.write((0, 0), np.zeros((2, 2, 4, 4), np.uint16))
    scan = open_scan(tmp_path / "a.hspy", axes=dict(scan_step_nm=1.4, origin_row_col=(1, 0)))
    assert scan.scan_y[1] == 1.4 and scan.det_y[1] == 0 and scan.det_x[1] == 0.1


def test_unknown_calibration_counts_pixels(npy):
    with pytest.warns(UserWarning, match="scan_step_nm and det_scale_inv_angstrom unknown"):
        scan = open_scan(npy)
    assert scan.scan_y.attrs["units"] == scan.det_x.attrs["units"] == "px"
    assert scan.attrs["origin_row_col"] == (3, 3.5) and np.isnan(scan.attrs["beam_energy_kev"])


@pytest.mark.parametrize("wrong", [dict(scan_step_nm=0), dict(det_scale_inv_angstrom=float("nan")), dict(origin_row_col=3),
                                   dict(scan_step_nm=(1, 2, 3))])
def test_impossible_axes_are_refused(npy, wrong):
    with pytest.raises(ValueError, match="expected"):
        open_scan(npy, axes=wrong)


def test_unknown_words_are_refused(npy):
    with pytest.raises(ValueError, match="'up'.*lab"):
        open_scan(npy, "up")
    with pytest.raises(ValueError, match="'simulated'.*twin"):
        open_scan(npy, axes=AXES, source="simulated")


def test_check_scan_names_the_repair():
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


def write_scan(path, source, shape=(2, 3, 8, 8)):
    """A tiny scan whose own axes differ from the manifest's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with HspyWriter(path, shape, chunks=shape, scan_step_nm=9.0, det_scale_inv_angstrom=0.5,
                    origin_row_col=(1.0, 2.0), extra={"source": source}) as writer:
        writer.write((0, 0), np.arange(np.prod(shape), dtype=np.uint16).reshape(shape))


def test_the_twin_brings_its_own_axes(tmp_path, monkeypatch):
    monkeypatch.setenv("FIGURES_PKG_ARTEFACTS", str(tmp_path))
    write_scan(tmp_path / "smoke" / "ds1.hspy", "twin")
    scan = open_dataset("ds1", "twin", "smoke")
    assert scan.source == "twin" and float(scan.scan_x[1]) == 9.0


@pytest.fixture
def record(tmp_path, monkeypatch):
    """A function that puts a file where the record's first scan lies, pinned by a server; its manifest expects 2 × 3 positions of 8 × 8 px."""
    content = yaml.safe_load(Path(load_manifest().path).read_text(encoding="utf-8"))
    content["datasets"][0]["container"]["shape"]["value"] = [2, 3, 8, 8]
    (tmp_path / "data_manifest.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    monkeypatch.setenv("FIGURES_PKG_MANIFEST", str(tmp_path / "data_manifest.yaml"))
    monkeypatch.setenv("FIGURES_PKG_DATA", str(tmp_path / "data"))

    def place(url, source="user", shape=(2, 3, 8, 8)):
        path = tmp_path / "data" / load_manifest()["ds1"].local
        write_scan(path, source, shape)
        digits = hashlib.md5(path.read_bytes()).hexdigest()
        entry = load_manifest()["ds1"]
        add_pins({"ds1": Pin(entry.record.record, entry.remote, path.stat().st_size, f"md5:{digits}", url, "2026-01-01T00:00:00")})

    return place


def test_the_record_takes_the_manifests_axes(record):
    """The authors' file is opened with the values that the manifest gives, and says that it is measured."""
    record("https://zenodo.org/api/records/7837986/files/ds1/content")
    scan = open_dataset("ds1", "zenodo")
    axes = load_manifest()["ds1"].axes
    assert scan.source == "record"
    assert float(scan.scan_x[1]) == axes["scan_step_nm"].value
    assert float(scan.det_x[1] - scan.det_x[0]) == pytest.approx(axes["det_scale_inv_angstrom"].value)
    assert recorded_axes(load_manifest()["ds1"]).origin_row_col == tuple(axes["origin_row_col_px"].value)


@pytest.mark.parametrize(
    ("url", "source"),
    [("http://127.0.0.1:8000/ds1", "user"), ("https://zenodo.org.example.net/ds1", "user"), ("https://zenodo.org/api/ds1", "twin")],
)
def test_only_zenodos_word_makes_a_scan_measured(record, url, source):
    """A file pinned by another server, or one that says that it is simulated, is a stand-in whatever was asked for."""
    record(url, source)
    assert open_dataset("ds1", "zenodo").source == "rehearsal"


def test_a_record_that_lies_upside_down_is_turned(record, tmp_path):
    """The manifest's orientation says how the rows lie in the file; the scan opens in "lab" all the same."""
    record("https://zenodo.org/api/ds1")
    as_stored = open_dataset("ds1", "zenodo").values
    path = tmp_path / "data_manifest.yaml"
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    content["datasets"][0]["axes"]["orientation"]["value"] = "camera"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    turned = open_dataset("ds1", "zenodo")
    np.testing.assert_array_equal(turned.values, as_stored[:, :, ::-1])
    assert turned.orientation == "lab" and as_stored[0, 0, 0, 0] != as_stored[0, 0, -1, 0]


def test_a_record_of_another_shape_is_refused(record):
    """Steps and reflections of the manifest belong to one shape; the message gives both and the next step."""
    record("https://zenodo.org/api/ds1", shape=(3, 3, 8, 8))
    with pytest.raises(ScanFileError, match="holds 3 × 3 × 8 × 8 numbers, the manifest expects 2 × 3 × 8 × 8 of ds1.*figures_pkg inspect ds1"):
        open_dataset("ds1", "zenodo")


def test_a_missing_twin_names_the_command(tmp_path, monkeypatch):
    monkeypatch.setenv("FIGURES_PKG_ARTEFACTS", str(tmp_path))
    with pytest.raises(MissingDataset, match="figures_pkg twin ds1 --size smoke --out"):
        locate("ds1", "twin", "smoke")


def test_a_missing_record_is_not_downloaded(tmp_path, monkeypatch):
    monkeypatch.setenv("FIGURES_PKG_DATA", str(tmp_path))
    with pytest.raises(MissingDataset, match="figures_pkg fetch ds1"):
        open_dataset("ds1", "zenodo")


def test_an_unknown_source_is_refused():
    with pytest.raises(ValueError, match="it must be one of twin, zenodo"):
        locate("ds1", "internet")


@pytest.mark.parametrize("suffix, how", [("hspy", {}), ("mib", {"axes": CARD_AXES}), ("npy", {"axes": CARD_AXES, "scan_shape": LETTER.shape})])
def test_every_format_opens_as_the_same_scan(tmp_path, suffix, how):
    """Counts and coordinates do not depend on the file; a format without metadata takes both from the caller."""
    scan = open_scan(write_letter(tmp_path / f"letter.{suffix}"), **how)
    np.testing.assert_array_equal(scan, letter_counts())
    assert float(scan.det_y[9]) == 0 == float(scan.det_x[11]) and float(scan.scan_x[1]) == pytest.approx(1.4)


def test_another_suffix_is_refused(tmp_path):
    with pytest.raises(ValueError, match=".hspy, .mib or .npy"):
        write_letter(tmp_path / "letter.tif")
