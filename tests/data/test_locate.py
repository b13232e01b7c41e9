"""A notebook asks for a dataset by name and gets the twin's or the authors' scan, or is told how to get it."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import yaml

from figures_pkg.data import HspyWriter, MissingDataset, ScanFileError, load_manifest, locate, open_dataset
from figures_pkg.data.scan import recorded_axes
from figures_pkg.record.fetch import Pin, add_pins


def write_scan(path, source, shape=(2, 3, 8, 8)):
    """A tiny scan whose own axes differ from the manifest's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with HspyWriter(path, shape, chunks=shape, scan_step_nm=9.0, det_scale_inv_angstrom=0.5,
                    origin_row_col=(1.0, 2.0), extra={"source": source}) as writer:
        writer.write((0, 0), np.arange(np.prod(shape), dtype=np.uint16).reshape(shape))


def test_the_twin_brings_its_own_axes(tmp_path, monkeypatch):
    """The twin lies with its profile and is opened as its file says."""
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
    assert recorded_axes("ds1").origin_row_col == tuple(axes["origin_row_col_px"].value)


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
    """Nothing is made by itself; the message holds the command that would."""
    monkeypatch.setenv("FIGURES_PKG_ARTEFACTS", str(tmp_path))
    with pytest.raises(MissingDataset, match="figures_pkg twin ds1 --size smoke --out"):
        locate("ds1", "twin", "smoke")


def test_a_missing_record_is_not_downloaded(tmp_path, monkeypatch):
    """Without the file, the error names the record and the command that fetches it."""
    monkeypatch.setenv("FIGURES_PKG_DATA", str(tmp_path))
    with pytest.raises(MissingDataset, match="figures_pkg fetch ds1"):
        open_dataset("ds1", "zenodo")


def test_an_unknown_source_is_refused():
    """Data comes from the twin or from the record."""
    with pytest.raises(ValueError, match="it must be one of twin, zenodo"):
        locate("ds1", "internet")
