"""A reader's `fetch` of a record that is not what the manifest expects: one clear sentence, nothing lost, nothing believed."""

import numpy as np
import pytest
import stand_in
from fake_zenodo import FakeZenodo, Fault

from figures_pkg.cli import main
from figures_pkg.data import open_dataset
from figures_pkg.record import manifest
from figures_pkg.record.fetch import FOLDER_VARIABLE, MissingDataset, ensure, origin_of
from figures_pkg.record.zenodo import API_VARIABLE

pytestmark = pytest.mark.process

SED, DS1, DS2 = stand_in.RECORDS["sed"], stand_in.REMOTE["ds1"], stand_in.REMOTE["ds2"]


@pytest.fixture
def record(tiny, tmp_path, monkeypatch):
    """Both scans of a stand-in on a server, its manifest in force, and an empty data folder."""
    monkeypatch.setattr(stand_in, "write_checkpoints", lambda part, source, folder: None)
    scans = dict.fromkeys(stand_in.SCANS, tiny)
    for part in stand_in.SCANS:
        stand_in.make_part(part, scans, tmp_path / "record")
    path = stand_in.write_manifest(tmp_path / "record", {name: stand_in.specimen_of(tiny) for name in scans})
    with FakeZenodo({name: path.parent / name for name in (DS1, DS2)}, record=SED) as server:
        monkeypatch.setenv(API_VARIABLE, server.api)
        monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "data"))
        monkeypatch.setenv(manifest.MANIFEST_VARIABLE, str(path))
        yield server


def test_a_stand_in_is_fetched_and_says_that_it_is_a_rehearsal(record, tiny):
    """The server is not Zenodo, so its word makes no measured scan; the manifest's axes replace the nominal ones."""
    assert main(["fetch", "ds1", "ds2"]) == 0
    scan = open_dataset("ds1", "zenodo")
    assert origin_of("ds1") == "rehearsal" == scan.source and scan.attrs["origin_row_col"] == (31, 30)
    assert scan.attrs["scan_step_nm"] == pytest.approx((7.4667, 7.4667))
    np.testing.assert_array_equal(scan[3, 4].values, open_dataset("ds2", "zenodo")[3, 4].values)


def other_bytes(record):
    """The pinned file changes on the record."""
    assert main(["fetch", "ds1"]) == 0
    content = record.files[DS1].read_bytes()
    record.files[DS1] = content[:-1] + bytes([content[-1] ^ 1])


@pytest.mark.parametrize(("change", "words"), [
    (lambda record: record.answers_as.update({SED: "9900099"}), [f"records/{SED}", "9900099", "data_manifest.yaml"]),
    (lambda record: record.always.update(record=Fault(404, body=b"The persistent identifier has been deleted.")), ["404", "deleted", "data_manifest.yaml"]),
    (lambda record: record.files.update({"a better name.hspy": record.files.pop(DS1)}), [DS1, "a better name.hspy"]), (other_bytes, ["never changes", "md5:"]),
], ids=["the old number answers for a new version", "gone", "renamed", "other bytes than before"])  # fmt: skip
def test_a_record_that_is_not_the_one_expected_is_not_believed(record, capsys, change, words):
    """The command says what the record holds and where to look, in one sentence without a traceback; what is here already stays as it was."""
    change(record)
    asked, here = len(record.asked), change is other_bytes
    assert main(["fetch", "--refresh", "ds1"]) == 1
    said = capsys.readouterr().err
    assert "Traceback" not in said and said.count("figures_pkg: ") == 1 and all(word in said for word in words), said
    assert [path for path, _ in record.asked[asked:]] == ["record"]
    if here:
        assert ensure("ds1", verify="full").is_file()
    else:
        with pytest.raises(MissingDataset):
            ensure("ds1")


def test_a_scan_of_another_shape_is_refused_where_it_is_opened(record, tiny, tmp_path):
    """One sentence, with both shapes and the next step."""
    record.files[DS1] = stand_in.write_scan(tiny, tmp_path / "moved.hspy", "moved")
    assert main(["fetch", "ds1"]) == 0
    with pytest.raises(ValueError, match="11 × 8 × 64 × 64.*12 × 8 × 64 × 64.*inspect ds1 --source zenodo"):
        open_dataset("ds1", "zenodo")
