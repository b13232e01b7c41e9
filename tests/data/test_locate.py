"""A notebook asks for a dataset by name and gets the twin's or the authors' scan, or is told how to get it."""

import sys

import numpy as np
import pytest

from figures_pkg.data import HspyWriter, MissingDataset, load_manifest, locate, open_dataset
from figures_pkg.data.locate import recorded_axes


def write_scan(path, source):
    """A tiny scan whose own axes differ from the manifest's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with HspyWriter(path, (2, 3, 8, 8), chunks=(2, 3, 8, 8), scan_step_nm=9.0, det_scale_inv_angstrom=0.5,
                    origin_row_col=(1.0, 2.0), extra={"source": source}) as writer:
        writer.write((0, 0), np.ones((2, 3, 8, 8), np.uint16))


def test_the_twin_brings_its_own_axes(tmp_path, monkeypatch):
    """The twin lies with its profile and is opened as its file says."""
    monkeypatch.setenv("FIGURES_PKG_ARTEFACTS", str(tmp_path))
    write_scan(tmp_path / "smoke" / "ds1.hspy", "twin")
    scan = open_dataset("ds1", "twin", "smoke")
    assert scan.source == "twin" and float(scan.scan_x[1]) == 9.0


def test_the_record_takes_the_manifests_axes(tmp_path, monkeypatch):
    """The authors' file is opened with the values that the manifest gives, and says that it is measured."""
    write_scan(tmp_path / "ds1.hspy", "")
    monkeypatch.setattr(sys.modules["figures_pkg.data.locate"], "ensure", lambda dataset: tmp_path / "ds1.hspy")
    scan = open_dataset("ds1", "zenodo")
    axes = load_manifest()["ds1"].axes
    assert scan.source == "record"
    assert float(scan.scan_x[1]) == axes["scan_step_nm"].value
    assert float(scan.det_x[1] - scan.det_x[0]) == pytest.approx(axes["det_scale_inv_angstrom"].value)
    assert recorded_axes("ds1").origin_row_col == tuple(axes["origin_row_col_px"].value)


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
