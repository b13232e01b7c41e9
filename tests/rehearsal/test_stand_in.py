"""Stand-ins are the twin's counts in another writer's file, in which nothing tells of the twin; a reader's `fetch` brings them, and believes no others."""

import h5py
import numpy as np
import pytest
import stand_in
from fake_zenodo import FakeZenodo

from figures_pkg.cli import main
from figures_pkg.data import open_dataset
from figures_pkg.data.scan import open_scan
from figures_pkg.record import zenodo
from figures_pkg.record.fetch import FOLDER_VARIABLE, ensure, origin_of
from figures_pkg.record.manifest import MANIFEST_VARIABLE, load_manifest

pytestmark = pytest.mark.process


@pytest.mark.parametrize("chunks", [stand_in.CONVERTERS_CHUNKS, stand_in.WHOLE_PATTERNS])
def test_a_stand_in_holds_the_counts_and_nothing_of_the_twin(tiny, tmp_path, chunks):
    """Format, package, units, energy in V and nominal axes as the laboratory's converter leaves them; no name, no preset, no seed."""
    path = stand_in.write_scan(tiny, tmp_path / "a.hspy", chunks=chunks)
    scan, texts = open_scan(path, check_counts=False), []
    np.testing.assert_array_equal(scan.values, open_scan(tiny, check_counts=False).values)
    with h5py.File(path) as file:
        file.visititems(lambda name, item: texts.append(f"{name} {dict(item.attrs)}"))
        text, group = f"{dict(file.attrs)} {texts}".lower(), file["Experiments/__unnamed__"]
        assert group.attrs["package"] == "pyxem" and group["axis-3"].attrs["units"] == "$A^{-1}$" and "attributes" not in group
        assert group["metadata/Acquisition_instrument/TEM"].attrs["beam_energy"] == 200000
        assert group["data"].compression == "gzip" and group["data"].chunks == tuple(map(min, chunks, scan.shape))
    assert not [word for word in ("twin", "preset", "seed", "figures_pkg", "truth", "simulat") if word in text]
    assert scan.format == "hspy 3.0" and scan.source == "user" and scan.title == "" and scan.beam_energy_kev == 200
    assert scan.attrs["origin_row_col"] == (128, 128) and scan.attrs["scan_step_nm"] == (7.5, 7.5) and scan.attrs["camera_length_cm"] == 12


def test_a_record_that_changes_is_not_believed(tiny, tmp_path, monkeypatch, capsys):
    """What was fetched is a rehearsal with the manifest's axes; other bytes later are told in one sentence, and what is here stays as it was."""
    monkeypatch.setattr(stand_in, "write_checkpoints", lambda part, source, folder: None)
    for part in stand_in.SCANS:
        stand_in.make_part(part, {}.fromkeys(stand_in.SCANS, tiny), tmp_path)
    monkeypatch.setenv(MANIFEST_VARIABLE, str(stand_in.write_manifest(tmp_path, {name: stand_in.specimen_of(tiny) for name in stand_in.SCANS})))
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "data"))
    manifest = load_manifest()
    assert set(manifest.bases) == {"rehearsal"} and all("rehearsal" in record.title for record in manifest.records.values())  # nothing is the authors' word
    with FakeZenodo({stand_in.REMOTE[name]: tmp_path / stand_in.REMOTE[name] for name in stand_in.SCANS}, record=stand_in.RECORDS["sed"]) as server:
        monkeypatch.setenv(zenodo.API_VARIABLE, server.api)
        assert main(["fetch", "ds1", "ds2"]) == 0
        scan = open_dataset("ds1", "zenodo")
        assert origin_of("ds1") == "rehearsal" == scan.source and scan.attrs["origin_row_col"] == (31, 30)
        assert scan.attrs["scan_step_nm"] == pytest.approx((7.4667, 7.4667))
        np.testing.assert_array_equal(scan[3, 4].values, open_dataset("ds2", "zenodo")[3, 4].values)
        server.files[stand_in.REMOTE["ds1"]] = bytes((tmp_path / stand_in.REMOTE["ds1"]).stat().st_size)
        assert main(["fetch", "--refresh", "ds1"]) == 1
    said = capsys.readouterr().err
    assert "Traceback" not in said and said.count("figures_pkg: ") == 1 and "never changes" in said and "md5:" in said, said
    assert ensure("ds1").read_bytes() == (tmp_path / stand_in.REMOTE["ds1"]).read_bytes()
