"""Opening a scan, by its path or its name: orientation, coordinates, blocks, and one clear error for each thing that is no scan."""

import hashlib
import os
from pathlib import Path
from unittest.mock import Mock

import dask.array as da
import numpy as np
import pytest
import yaml
import zarr

from figures_pkg.data import load_manifest, locate, open_dataset
from figures_pkg.data.axes import DIMS, Axes, ScanFileError, check_scan
from figures_pkg.data.hspy import HspyWriter
from figures_pkg.data.scan import open_scan
from figures_pkg.record import MissingDataset
from figures_pkg.record.fetch import Pin, add_pins

AXES = Axes(scan_step_nm=(2.0, 3.0), det_scale_inv_angstrom=0.01, origin_row_col=(2.0, 4.5), beam_energy_kev=200.0)
COUNTS = np.arange(4 * 5 * 6 * 7, dtype=np.uint16).reshape(4, 5, 6, 7)  # every count tells its position


@pytest.fixture
def npy(tmp_path):
    np.save(tmp_path / "scan.npy", COUNTS)
    return tmp_path / "scan.npy"


def write_scan(path, source="user", data=COUNTS[:2, :3], origin=(1.0, 2.0)):
    """A tiny scan whose own axes differ from the manifest's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with HspyWriter(path, data.shape, chunks=data.shape, scan_step_nm=9.0, det_scale_inv_angstrom=0.1, origin_row_col=origin,
                    extra={"source": source}) as writer:
        writer.write((0, 0), data)
    return path


def test_scan_is_labelled_as_promised(npy):
    """Name, dimensions, units, coordinates and attributes are those that every room relies on; unknown axes count pixels."""
    scan = open_scan(npy, axes=AXES, source="record")
    check_scan(scan)
    assert scan.name == "counts" and scan.chunks is not None
    np.testing.assert_allclose(scan.scan_x, [0, 3, 6, 9, 12])
    np.testing.assert_allclose(scan.det_y, 0.01 * (np.arange(6) - 2))
    assert [scan[dim].attrs["units"] for dim in DIMS] == ["nm", "nm", "1/angstrom", "1/angstrom"]
    told = {key: scan.attrs[key] for key in ("beam_energy_kev", "orientation", "origin_row_col", "source", "path", "format")}
    assert told == dict(beam_energy_kev=200, orientation="lab", origin_row_col=(2, 4.5), source="record", path=str(npy), format="npy")
    assert np.isnan(scan.attrs["camera_length_cm"]) and np.isnan(scan.attrs["convergence_mrad"])
    with pytest.warns(UserWarning, match="scan_step_nm and det_scale_inv_angstrom unknown"):
        scan = open_scan(npy)
    assert {scan[dim].attrs["units"] for dim in DIMS} == {"px"} and scan.attrs["origin_row_col"] == (3, 3.5)


def test_the_other_orientation_turns_rows_and_origin_together(tmp_path):
    """A spot keeps its distance from the origin and changes the sign of det_y; columns stay."""
    data = np.zeros((2, 2, 9, 8), np.uint16)
    data[:, :, 1, 6] = 7
    path = write_scan(tmp_path / "a.hspy", data=data, origin=(3.25, 2.5))
    lab, camera = open_scan(path), open_scan(path, "camera")

    def spot(scan):
        weights = scan.isel(scan_y=0, scan_x=1).compute() / 7
        return float((weights * scan.det_y).sum()), float((weights * scan.det_x).sum())

    assert spot(lab) == pytest.approx((-0.225, 0.35)) and spot(camera) == pytest.approx((0.225, 0.35))
    assert camera.attrs["origin_row_col"] == (8 - 3.25, 2.5) and camera.attrs["orientation"] == "camera"
    said = open_scan(path, stored_orientation="camera", axes=dict(scan_step_nm=1.4, origin_row_col=(1, 0)))
    np.testing.assert_array_equal(said.values, camera.values)
    assert said.attrs["orientation"] == "lab"
    assert said.scan_y[1] == 1.4 and said.det_y[1] == 0 and said.det_x[1] == 0.1  # given axes replace those of the file


@pytest.mark.parametrize("wrong, message", [
    (dict(axes=dict(scan_step_nm=0)), "expected"), (dict(axes=dict(det_scale_inv_angstrom=float("nan"))), "expected"),
    (dict(axes=dict(origin_row_col=3)), "expected"), (dict(axes=dict(scan_step_nm=(1, 2, 3))), "expected"),
    (dict(orientation="up"), "'up'.*lab"), (dict(axes=AXES, source="simulated"), "'simulated'.*twin")])
def test_impossible_axes_and_unknown_words_are_refused(npy, wrong, message):
    with pytest.raises(ValueError, match=message):
        open_scan(npy, **wrong)


@pytest.mark.parametrize("name, make, error, message", [
    ("none.hspy", lambda path: None, FileNotFoundError, "no such scan"), ("empty.hspy", Path.touch, ScanFileError, "0 bytes"),
    ("folder.hspy", Path.mkdir, IsADirectoryError, "is a folder, expected a file"), ("a.hdr", Path.touch, ScanFileError, "give the .mib"),
    ("file.zarr", Path.touch, IsADirectoryError, "expected a folder"), ("notes.txt", Path.touch, ScanFileError, r"'\.txt'.*\.hspy"),
    ("bare.zarr", Path.mkdir, ScanFileError, "no zarr store"),
    ("group.zarr", lambda path: zarr.save_group(path, other=COUNTS), ScanFileError, r"holds \['other'\], expected an array 'counts'"),
    ("flat.zarr", lambda path: zarr.save_array(path, COUNTS[0]), ScanFileError, "expected four axes"),
    ("cut.npy", lambda path: (np.save(path, COUNTS), os.truncate(path, path.stat().st_size - 2)), ScanFileError, "truncated"),
    ("head.npy", lambda path: path.write_bytes(b"\0" * 200), ScanFileError, "damaged .npy header"),
    ("fortran.npy", lambda path: np.save(path, np.asfortranarray(COUNTS)), ScanFileError, "Fortran order"),
    ("text.npy", lambda path: np.save(path, COUNTS.astype(str)), ScanFileError, "expected numbers"),
    ("stack.npy", lambda path: np.save(path, COUNTS.reshape(20, 6, 7)), ScanFileError, r"\(20, 6, 7\), expected four axes.*scan_shape"),
])  # fmt: skip
def test_what_is_no_scan_is_explained(tmp_path, name, make, error, message):
    make(tmp_path / name)
    with pytest.raises(error, match=message):
        open_scan(tmp_path / name)


@pytest.mark.parametrize("orientation", ["lab", "camera"])
@pytest.mark.parametrize("dtype", ["u1", "u2", ">u2", "f4", "i8"])
def test_parts_of_a_scan_are_those_of_the_whole(tmp_path, orientation, dtype):
    """Slices, steps, reversals, lists and masks of the lazy array give what they give in memory, either way up; a stack is laid out as asked."""
    whole = (COUNTS % 200).astype(dtype)
    np.save(tmp_path / "a.npy", whole.reshape(20, 6, 7))
    scan = open_scan(tmp_path / "a.npy", orientation, AXES, scan_shape=(4, 5), check_counts=False)
    whole = whole[:, :, ::-1] if orientation == "camera" else whole
    assert scan.dtype.isnative
    np.testing.assert_array_equal(scan.values, whole)
    for key in [np.s_[1:3, 4], np.s_[:, :, 1:3], np.s_[:, 1, 4, ::-2], np.s_[..., [5, 0, 1]], np.s_[[3, 1]], np.s_[2, :, [4, 1]],
                np.s_[:, :, 4:1:-1], np.s_[np.array([True, False, False, True])], np.s_[1:1]]:
        np.testing.assert_array_equal(scan.data[key].compute(), da.from_array(whole)[key].compute())


def test_files_that_change_or_close_are_named(npy, monkeypatch):
    """One that shrinks after it was opened, and one that may not be read."""
    scan = open_scan(npy, axes=AXES)
    os.truncate(npy, 600)
    with pytest.raises(OSError, match="too early"):
        scan.compute()
    monkeypatch.setattr(Path, "open", Mock(side_effect=PermissionError))
    with pytest.raises(PermissionError, match="no permission to read this scan; change its mode"):
        open_scan(npy)


@pytest.fixture
def record(tmp_path, monkeypatch):
    """Puts a file where the record's first scan lies, pinned by a server, with a manifest that expects 2 × 3 positions of 6 × 7 px, and opens it."""
    content = yaml.safe_load(Path(load_manifest().path).read_text(encoding="utf-8"))
    content["datasets"][0]["container"]["shape"]["value"] = [2, 3, 6, 7]
    monkeypatch.setenv("FIGURES_PKG_MANIFEST", str(tmp_path / "data_manifest.yaml"))
    monkeypatch.setenv("FIGURES_PKG_DATA", str(tmp_path / "data"))

    def opened(url="https://zenodo.org/api/records/7837986/files/ds1/content", source="user", data=COUNTS[:2, :3], rows="lab"):
        content["datasets"][0]["axes"]["orientation"]["value"] = rows
        (tmp_path / "data_manifest.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
        entry = load_manifest()["ds1"]
        path = write_scan(tmp_path / "data" / entry.local, source, data)
        digits = hashlib.md5(path.read_bytes()).hexdigest()
        add_pins({"ds1": Pin(entry.record.record, entry.remote, path.stat().st_size, f"md5:{digits}", url, "2026-01-01T00:00:00")})
        return open_dataset("ds1", "zenodo")

    return opened


def test_the_record_takes_the_manifests_axes(record):
    """The authors' file is opened with the values that the manifest gives, rows as it says, and says that it is measured."""
    scan, axes = record(), load_manifest()["ds1"].axes
    assert scan.source == "record" and float(scan.scan_x[1]) == axes["scan_step_nm"].value
    assert float(scan.det_x[1] - scan.det_x[0]) == pytest.approx(axes["det_scale_inv_angstrom"].value)
    assert scan.attrs["origin_row_col"] == tuple(axes["origin_row_col_px"].value)
    as_stored, turned = scan.values, record(rows="camera")
    np.testing.assert_array_equal(turned.values, as_stored[:, :, ::-1])
    assert turned.orientation == "lab"


@pytest.mark.parametrize("url, source", [
    ("http://127.0.0.1:8000/ds1", "user"), ("https://zenodo.org.example.net/ds1", "user"), ("https://zenodo.org/api/ds1", "twin")])
def test_only_zenodos_word_makes_a_scan_measured(record, url, source):
    """A file pinned by another server, or one that says that it is simulated, is a stand-in whatever was asked for."""
    assert record(url, source).source == "rehearsal"


def test_a_record_of_another_shape_is_refused(record):
    """Steps and reflections of the manifest belong to one shape; the message gives both and the next step."""
    with pytest.raises(ScanFileError, match="holds 3 × 3 × 6 × 7 numbers, the manifest expects 2 × 3 × 6 × 7 of ds1.*figures_pkg inspect ds1"):
        record(data=COUNTS[:3, :3])


@pytest.mark.parametrize("name, error, message", [
    (("ds1", "twin", "smoke"), MissingDataset, "figures_pkg twin ds1 --size smoke --out"), (("ds1", "zenodo"), MissingDataset, "figures_pkg fetch ds1"),
    (("ds1", "internet"), ValueError, "it must be one of twin, zenodo")])
def test_a_scan_that_is_not_there_names_the_command(tmp_path, monkeypatch, name, error, message):
    """Nothing is made, and nothing is downloaded; a twin that is there brings its own axes."""
    monkeypatch.setenv("FIGURES_PKG_ARTEFACTS", str(tmp_path))
    monkeypatch.setenv("FIGURES_PKG_DATA", str(tmp_path))
    with pytest.raises(error, match=message):
        locate(*name)
    write_scan(tmp_path / "smoke" / "ds1.hspy", "twin")
    scan = open_dataset("ds1", "twin", "smoke")
    assert scan.source == "twin" and float(scan.scan_x[1]) == 9.0
