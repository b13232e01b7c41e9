"""What is here, whether it is whole, and what its record said at the first contact."""

import hashlib
import os
import shutil
import sys
from pathlib import Path

import pooch
import pytest
from fake_zenodo import FakeZenodo
from fetch_world import ODD, SCAN

from figures_pkg.record.download import RemoteError
from figures_pkg.record.fetch import FOLDER_VARIABLE, MissingDataset, PinConflict, data_dir, read_pins
from figures_pkg.record.manifest import ManifestError
from figures_pkg.record.zenodo import API_VARIABLE


def test_a_second_call_neither_asks_nor_hashes(world, monkeypatch):
    """A stamp of size and date stands for the checksum, as hashing gigabytes takes half a minute."""
    world.fetch()
    world.server.asked.clear()
    monkeypatch.setattr(pooch, "file_hash", lambda *args, **options: pytest.fail("hashed again"))
    assert world.fetch() == [world.ensure()]
    assert world.server.asked == []


def test_ensure_never_downloads(world):
    """A missing dataset is an error with its name, size, DOI, the command and the twin; no request is made."""
    with pytest.raises(MissingDataset) as caught:
        world.ensure()
    for word in ("'scan'", "GB", "10.5281/zenodo.1234567", "figures_pkg fetch scan", "make_dataset"):
        assert word in str(caught.value)
    assert world.server.asked == [] and not world.data.exists()


def test_the_default_folder_is_the_users_cache(monkeypatch):
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    assert data_dir().is_absolute() and "figures_pkg" in str(data_dir())
    monkeypatch.setenv(FOLDER_VARIABLE, "~/data")
    assert data_dir() == Path.home() / "data"


def test_a_changed_file_is_noticed_and_fetched_again(world, monkeypatch):
    """A file whose date or size differs from its stamp is checked; if damaged, ensure refuses and fetch repairs."""
    (path,) = world.fetch()
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(MissingDataset, match="not the file of its record"):
        world.ensure()
    assert world.fetch()[0].read_bytes() == world.server.files[SCAN]
    path.write_bytes(b"short")
    monkeypatch.setattr(pooch, "file_hash", lambda *args, **options: pytest.fail("the size said it all"))
    with pytest.raises(MissingDataset):
        world.ensure()


def test_a_touched_file_is_checked_once_and_kept(world):
    (path,) = world.fetch()
    os.utime(path)
    world.server.asked.clear()
    assert world.ensure() == path and world.fetch() == [path]
    assert world.server.asked == []


def test_a_full_check_sees_what_the_stamp_does_not(world):
    """Rot that keeps size and date passes the stamp and not the checksum."""
    (path,) = world.fetch()
    date = path.stat().st_mtime_ns
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])
    os.utime(path, ns=(date, date))
    assert world.ensure() == path
    with pytest.raises(MissingDataset, match="not the file"):
        world.ensure(verify="full")
    assert world.fetch(verify="full")[0].read_bytes() == world.server.files[SCAN]
    with pytest.raises(ValueError, match="expected one of"):
        world.ensure(verify="deep")


def test_a_file_brought_by_hand_is_checked_and_not_downloaded(world):
    """A copy from a colleague is trusted after the record was asked for its checksum, not before."""
    path = world.data / "scan" / "scan.bin"
    path.parent.mkdir(parents=True)
    path.write_bytes(world.server.files[SCAN])
    with pytest.raises(MissingDataset, match="not known yet"):
        world.ensure()
    assert world.fetch() == [path] == [world.ensure()]
    assert world.server.requests_of(SCAN) == []


def test_the_first_contact_is_pinned_in_the_data_folder(world):
    """The lock holds size and checksum of every file of the record; manifest and repository stay as they were."""
    before = world.manifest_path.read_bytes()
    world.fetch()
    pins = read_pins(world.data / "data_lock.yaml")
    assert set(pins) == {"scan", *ODD} and pins["scan"].size == len(world.server.files[SCAN])
    assert world.manifest_path.read_bytes() == before
    assert list(world.manifest_path.parent.iterdir()) == [world.manifest_path]


def test_a_record_that_changes_its_mind_is_an_error(world):
    world.fetch()
    world.server.files[SCAN] = world.server.files[SCAN][::-1]
    assert world.fetch()  # all pinned and here: nobody is asked
    with pytest.raises(PinConflict, match="the record now"):
        world.fetch(refresh=True)
    assert read_pins(world.data / "data_lock.yaml")["scan"].size == len(world.server.files[SCAN])


def test_a_lock_beside_the_manifest_has_the_last_word(world):
    """A committed lock is used without asking the record, and contradiction is an error."""
    world.fetch()
    committed = world.manifest_path.with_name("data_lock.yaml")
    shutil.copy(world.data / "data_lock.yaml", committed)
    shutil.rmtree(world.data)
    world.server.asked.clear()
    world.fetch()
    assert [asked for asked, _ in world.server.asked] == [SCAN]
    assert not (world.data / "data_lock.yaml").exists()
    world.fetch(refresh=True)  # writes a lock of its own
    committed.write_text(committed.read_text().replace(hashlib.md5(world.server.files[SCAN]).hexdigest(), "0" * 32))
    with pytest.raises(PinConflict, match="remove scan"):
        world.ensure()


def test_a_pin_of_another_file_does_not_count(world):
    """When the manifest names another file under the same id, the old pin is replaced and the new file fetched."""
    world.fetch()
    remote = "a second scan.hspy"
    world.server.files[remote] = bytes(5000)
    size = {"value": [1, 10**6], "basis": "paper", "source": "log"}
    world.write_manifest(remote=remote, expected_bytes=size)
    with pytest.raises(MissingDataset, match="not known yet"):
        world.ensure()
    assert world.fetch()[0].read_bytes() == world.server.files[remote]
    assert world.ensure() == world.data / "scan" / "scan.bin"
    assert read_pins(world.data / "data_lock.yaml")["scan"].remote == remote


def test_a_checksum_in_the_manifest_is_the_judge(world):
    """`pin: given` may use sha256, which is then what the file is checked against."""
    content = world.server.files[SCAN]
    given = {"pin": "given", "size": len(content), "checksum": "sha256:" + hashlib.sha256(content).hexdigest()}
    world.write_manifest(**given)
    assert world.fetch()[0].read_bytes() == content
    shutil.rmtree(world.data)
    world.write_manifest(**given | {"checksum": "sha256:" + "0" * 64})
    with pytest.raises(RemoteError, match="sha256:000"):
        world.fetch()


def test_a_new_address_of_the_api_is_followed(world, monkeypatch):
    world.fetch()
    shutil.rmtree(world.data / "scan")
    with FakeZenodo(world.server.files) as other:
        monkeypatch.setenv(API_VARIABLE, other.api)
        world.server.asked.clear()
        assert world.fetch()[0].is_file()
        assert [asked for asked, _ in other.asked] == ["record", SCAN] and world.server.asked == []


DAMAGED = ["schema: 1\n", "schema: 1\npins: {scan: {size: 1}}\n", "schema: 2\npins: {}\n", "{", "schema: 1\npins: 5\n"]


@pytest.mark.parametrize("text", DAMAGED)
def test_a_damaged_lock_is_told(world, text):
    world.data.mkdir()
    (world.data / "data_lock.yaml").write_text(text)
    with pytest.raises(ManifestError, match="data_lock.yaml"):
        world.fetch()
    assert (world.data / "data_lock.yaml").read_text() == text


def test_ensure_works_in_a_folder_that_cannot_be_written(world, monkeypatch):
    """On a shared read-only disk the check is repeated, not refused."""
    (path,) = world.fetch()
    os.utime(path)

    def refuse(*args):
        raise PermissionError("read-only")

    monkeypatch.setattr(sys.modules["figures_pkg.record.fetch"], "replacing", refuse)
    assert world.ensure() == path


def test_an_unknown_id_asks_nobody(world):
    with pytest.raises(ManifestError, match="did you mean scan"):
        world.fetch("scam")
    assert world.server.asked == []
