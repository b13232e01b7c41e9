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
    path = stand_in.make_record(dict.fromkeys(stand_in.SCANS, tiny), tmp_path / "record")
    with FakeZenodo({name: path.parent / name for name in (DS1, DS2)}, record=SED) as server:
        monkeypatch.setenv(API_VARIABLE, server.api)
        monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "data"))
        monkeypatch.setenv(manifest.MANIFEST_VARIABLE, str(path))
        yield server


@pytest.fixture
def refused(capsys):
    """Run a command that has to fail; returns what it says, without a traceback."""

    def _refused(*command: str) -> str:
        assert main(list(command)) == 1
        said = capsys.readouterr().err
        assert "Traceback" not in said and said.count("figures_pkg: ") == 1
        return said

    return _refused


def test_a_stand_in_is_fetched_and_says_that_it_is_a_rehearsal(record, tiny):
    """The server is not Zenodo, so its word makes no measured scan; the manifest's axes replace the nominal ones."""
    assert main(["fetch", "ds1", "ds2"]) == 0
    scan = open_dataset("ds1", "zenodo")
    assert origin_of("ds1") == "rehearsal" == scan.source and scan.attrs["origin_row_col"] == (31, 30)
    assert scan.attrs["scan_step_nm"] == pytest.approx((7.4667, 7.4667))
    np.testing.assert_array_equal(scan[3, 4].values, open_dataset("ds2", "zenodo")[3, 4].values)


def renamed(record):
    """The same file under another name."""
    record.files["a better name.hspy"] = record.files.pop(DS1)


GONE = Fault(404, body=b'{"message": "The persistent identifier has been deleted."}', kind="application/json")


@pytest.mark.parametrize(("change", "words"), [
    (lambda record: record.answers_as.update({SED: "9900099"}), [f"records/{SED}", "9900099", "data_manifest.yaml"]),
    (lambda record: record.always.update(record=GONE), ["404", "deleted", "data_manifest.yaml"]),
    (renamed, [DS1, "a better name.hspy"]), (lambda record: record.files.update({DS1: b"short"}), ["5 bytes", "expected_bytes"]),
], ids=["the old number answers for a new version", "gone", "renamed", "another size"])  # fmt: skip
def test_a_record_that_is_not_the_one_expected_is_not_believed(record, refused, change, words):
    """It is asked once, the sentence says what it holds and where to look, and nothing is downloaded."""
    change(record)
    said = refused("fetch", "ds1")
    assert all(word in said for word in words), said
    assert [asked for asked, _ in record.asked] == ["record"]
    with pytest.raises(MissingDataset):
        ensure("ds1")


def test_a_record_that_changes_later_changes_nothing_here(record, refused, tmp_path):
    """What was pinned at the first contact is fetched and used; another number, and other bytes under the same name, are refused."""
    assert main(["fetch", "ds1"]) == 0
    before = ensure("ds1").read_bytes()
    record.answers_as[SED] = "9900099"
    assert "9900099" in refused("fetch", "--refresh", "ds1")
    assert main(["fetch", "ds2"]) == 0 and ensure("ds2").is_file()
    record.answers_as.clear()
    record.files[DS1] = before[:-1] + bytes([before[-1] ^ 1])
    said = refused("fetch", "--refresh", "ds1")
    assert "never changes" in said and said.count("md5:") == 2
    assert ensure("ds1", verify="full").read_bytes() == before


def test_a_scan_of_another_shape_is_refused_where_it_is_opened(record, tiny, tmp_path):
    """One sentence, with both shapes and the next step."""
    record.files[DS1] = stand_in.write_scan(tiny, tmp_path / "moved.hspy", "moved")
    assert main(["fetch", "ds1"]) == 0
    with pytest.raises(ValueError, match="11 × 8 × 64 × 64.*12 × 8 × 64 × 64.*inspect ds1 --source zenodo"):
        open_dataset("ds1", "zenodo")
