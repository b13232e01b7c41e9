"""Fetching from an imitation of Zenodo that fails in every way, and what is known of the files afterwards."""

import errno
import hashlib
import os
import shutil
import sys
import time
from pathlib import Path

import pooch
import pytest
from fake_zenodo import ODD, SCAN, FakeZenodo, Fault

from figures_pkg.record import zenodo
from figures_pkg.record.fetch import FOLDER_VARIABLE, SPARE_BYTES, MissingDataset, PinConflict, data_dir, read_pins
from figures_pkg.record.manifest import ManifestError
from figures_pkg.record.zenodo import RemoteError

MIB = 1 << 20
TRIES = 3
LOCK = "data_lock.yaml"


def test_a_fetched_file_is_the_one_on_the_record(world):
    """One question and one transfer; the first contact is pinned in the data folder, and nothing else is written anywhere."""
    before = world.manifest_path.read_bytes()
    (path,) = world.fetch()
    assert path == world.data / "scan" / "scan.bin" == world.ensure() and path.read_bytes() == world.content
    assert [asked for asked, _ in world.server.asked] == ["record", SCAN]
    pins = read_pins(world.data / LOCK)
    assert set(pins) == {"scan", *ODD} and pins["scan"].size == len(world.content)
    assert list(path.parent.iterdir()) == [path] and list(world.manifest_path.parent.iterdir()) == [world.manifest_path]
    assert world.manifest_path.read_bytes() == before


def test_all_odd_names_arrive_under_safe_ones(world):
    """Colons, blanks, per cent, hash, slashes and steps upwards are remote names only; nothing lands outside."""
    before = {path for path in world.data.parent.rglob("*") if world.data not in path.parents}
    paths = world.fetch(["sed"])
    assert [path.read_bytes() for path in paths] == [world.server.files[name] for name in (SCAN, *ODD.values())]
    assert {path for path in world.data.parent.rglob("*") if world.data not in path.parents} - before == {world.data}
    assert len(world.server.requests_of("record")) == 1


CUTS = {
    "with Content-Length": {}, "without Content-Length": {"length": False}, "in HTTP chunks": {"chunked": True}, "reset": {"how": "reset"},
    "stall": {"how": "stall"},
}  # fmt: skip


@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS.keys())
def test_a_broken_transfer_goes_on_where_it_stopped(world, monkeypatch, cut):
    """Nothing that has arrived is asked for again, whichever way the connection ends."""
    monkeypatch.setattr(zenodo, "SILENCE_S", 0.3)
    world.server.faults[SCAN] = [Fault(stop_after=MIB + 77, **cut)]
    assert world.fetch()[0].read_bytes() == world.content
    assert world.server.ranges_of(SCAN) == [None, f"bytes={MIB + 77}-"]


def test_many_breaks_are_survived_as_long_as_bytes_arrive(world):
    world.server.faults[SCAN] = [Fault(stop_after=300_000)] * 9
    assert world.fetch()[0].read_bytes() == world.content
    assert world.server.ranges_of(SCAN)[-1] == "bytes=2700000-"


def test_a_transfer_without_progress_is_given_up_and_resumed_by_the_next_call(world):
    """The pauses double; a server that asks for one itself is obeyed."""
    world.server.faults[SCAN] = [Fault(stop_after=MIB), Fault(stop_after=0), Fault(429, {"Retry-After": "7"}, b"slow down"), Fault(stop_after=0)]
    with pytest.raises(RemoteError, match="goes on from there"):
        world.fetch()
    assert world.slept == [1, 1, 7] and not (world.data / "scan" / "scan.bin").exists()
    assert world.fetch()[0].read_bytes() == world.content
    assert world.server.ranges_of(SCAN)[-1] == f"bytes={MIB}-"


def test_a_server_that_ignores_range_is_started_over(world):
    """A 200 instead of 206 carries the whole file; its bytes replace the part. Starting over to the same point is no progress."""
    world.server.faults[SCAN] = [Fault(stop_after=MIB), Fault(ignore_range=True)]
    assert world.fetch()[0].read_bytes() == world.content
    shutil.rmtree(world.data / "scan")
    world.server.asked.clear()
    world.server.always[SCAN] = Fault(stop_after=MIB, ignore_range=True)
    with pytest.raises(RemoteError, match="gave up"):
        world.fetch()
    assert len(world.server.requests_of(SCAN)) == 1 + TRIES


@pytest.mark.parametrize("stated", ["bytes 0-9/{size}", f"bytes {MIB}-{MIB + 9}/10", "items 3", None])
def test_a_server_that_sends_another_range_is_refused(world, stated):
    """A part is never glued to bytes that do not follow it, or that belong to a file of another size."""
    stated = stated and stated.format(size=len(world.content))
    world.server.faults[SCAN] = [Fault(stop_after=MIB), Fault(206, {"Content-Range": stated} if stated else {}, b"0123456789")]
    with pytest.raises(RemoteError, match=f"{stated}.*not the one that was pinned"):
        world.fetch()


def test_a_server_that_sends_too_much_is_stopped(world):
    world.server.faults[SCAN] = [Fault(body=world.content + b"more")]
    with pytest.raises(RemoteError, match="more than"):
        world.fetch()
    assert world.fetch()[0].read_bytes() == world.content


def test_a_wrong_checksum_costs_a_second_transfer_and_then_is_an_error(world):
    """Once is an accident of the line; always is a file that is not believed, and of which nothing is left."""
    world.server.always[SCAN] = Fault(corrupt=True)
    with pytest.raises(RemoteError, match="md5:" + hashlib.md5(world.content).hexdigest()):
        world.fetch()
    assert world.server.ranges_of(SCAN) == [None, None]
    assert not (world.data / "scan" / "scan.bin").exists() and world.part() is None
    world.server.always.clear()
    world.server.faults[SCAN] = [Fault(corrupt=True)]
    assert world.fetch()[0].read_bytes() == world.content


def test_a_refused_file_is_asked_for_once(world):
    world.server.always[SCAN] = Fault(403, body=b'{"message": "Permission denied."}', kind="application/json")
    with pytest.raises(RemoteError, match="403.*Permission denied"):
        world.fetch()
    assert len(world.server.requests_of(SCAN)) == 1


@pytest.mark.process
def test_a_killed_process_is_succeeded_by_two_that_share_the_rest(world):
    """After SIGKILL in the middle the next asks for the rest only, another one waits for it, and no litter stays."""
    world.server.faults[SCAN] = [Fault(piece_pause_s=0.03), Fault(piece_pause_s=0.01)]
    killed = world.start()
    deadline = time.monotonic() + 30
    while not (world.part() and world.part().stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.01)
    killed.kill()
    killed.communicate()
    arrived = world.part().stat().st_size
    assert 0 < arrived < len(world.content)
    ends = [process.communicate(timeout=60) for process in [world.start(), world.start()]]
    path = world.data / "scan" / "scan.bin"
    assert [out.decode() for out, _ in ends] == [str(path)] * 2, [error.decode() for _, error in ends]
    assert path.read_bytes() == world.content
    assert world.server.ranges_of(SCAN) == [None, f"bytes={arrived}-"] and len(world.server.requests_of("record")) == 1
    assert {leftover.suffix for leftover in (world.data / ".fetch").iterdir()} == {".lock", ".stamp"}


def test_a_file_that_is_not_what_the_manifest_expects_is_refused_before_downloading(world):
    """Its size lies outside the bracket, or the record has no such file; the other files of the record are not held up."""
    world.server.stated_sizes[SCAN] = 10**12
    with pytest.raises(RemoteError, match="1000000000000 bytes, the manifest expects"):
        world.fetch()
    assert world.server.requests_of(SCAN) == []
    assert world.fetch("colon")[0].is_file()
    world.write_manifest(remote="a scan.hspy")
    with pytest.raises(RemoteError, match="holds no 'a scan.hspy'.*Weight_epoch:0000"):
        world.fetch()


def test_a_size_that_the_record_states_wrongly_is_noticed(world):
    """A stated size inside the bracket that the file does not have ends as an error, not as a short file."""
    world.server.stated_sizes[SCAN] = len(world.content) + 10
    with pytest.raises(RemoteError):
        world.fetch()
    assert not (world.data / "scan" / "scan.bin").exists()


def test_a_full_disk_is_told_before_the_first_file(world, monkeypatch):
    """The room for all files is compared with the room there is, less what has already arrived."""
    world.server.faults[SCAN] = [Fault(stop_after=2 * MIB)] + [Fault(stop_after=0)] * TRIES
    with pytest.raises(RemoteError):
        world.fetch()
    asked = len(world.server.requests_of(SCAN))
    rest = len(world.content) - 2 * MIB + len(world.server.files[ODD["colon"]])
    free = shutil.disk_usage(world.data)._replace(free=SPARE_BYTES + rest - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: free)
    with pytest.raises(OSError, match="are needed; make room or point FIGURES_PKG_DATA") as caught:
        world.fetch(["scan", "colon"])
    assert caught.value.errno == errno.ENOSPC and len(world.server.requests_of(SCAN)) == asked
    free = free._replace(free=free.free + 1)
    assert all(path.is_file() for path in world.fetch(["scan", "colon"]))


def test_the_bar_goes_to_stderr(world, capsys):
    world.fetch("colon")
    assert capsys.readouterr().err == ""
    world.fetch(progress=True)
    output = capsys.readouterr()
    assert "scan" in output.err and output.out == ""


def test_ensure_never_downloads(world):
    """A missing dataset is an error with its name, size, DOI, the command and the twin; no request is made."""
    with pytest.raises(MissingDataset) as caught:
        world.ensure()
    for word in ("'scan'", "GB", "10.5281/zenodo.1234567", "figures_pkg fetch scan", "make_dataset"):
        assert word in str(caught.value)
    with pytest.raises(ManifestError, match="did you mean scan"):
        world.fetch("scam")
    assert world.server.asked == [] and not world.data.exists()


def test_the_default_folder_is_the_users_cache(monkeypatch):
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    assert data_dir().is_absolute() and "figures_pkg" in str(data_dir())
    monkeypatch.setenv(FOLDER_VARIABLE, "~/data")
    assert data_dir() == Path.home() / "data"


def test_a_whole_file_is_checked_only_when_size_or_date_change(world, monkeypatch):
    """Neither asked for nor hashed again, as hashing gigabytes takes half a minute; a touched one is hashed, one of another size need not be."""
    (path,) = world.fetch()
    world.server.asked.clear()
    os.utime(path)
    assert world.fetch() == [path]
    monkeypatch.setattr(pooch, "file_hash", lambda *args, **options: pytest.fail("hashed again"))
    assert world.fetch() == [world.ensure()] and world.server.asked == []
    path.write_bytes(b"short")
    with pytest.raises(MissingDataset, match="not the file of its record"):
        world.ensure()


def test_a_damaged_file_is_noticed_and_fetched_again(world):
    """Rot that keeps size and date passes the stamp and not the checksum."""
    (path,) = world.fetch()
    date = path.stat().st_mtime_ns
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])
    os.utime(path, ns=(date, date))
    assert world.ensure() == path
    with pytest.raises(MissingDataset, match="not the file"):
        world.ensure(verify="full")
    os.utime(path)
    with pytest.raises(MissingDataset, match="not the file"):
        world.ensure()
    assert world.fetch()[0].read_bytes() == world.content
    with pytest.raises(ValueError, match="expected one of"):
        world.ensure(verify="deep")


def test_a_file_brought_by_hand_is_checked_and_not_downloaded(world):
    """A copy from a colleague is trusted after the record was asked for its checksum, not before."""
    path = world.data / "scan" / "scan.bin"
    path.parent.mkdir(parents=True)
    path.write_bytes(world.content)
    with pytest.raises(MissingDataset, match="not known yet"):
        world.ensure()
    assert world.fetch() == [path] == [world.ensure()]
    assert world.server.requests_of(SCAN) == []


def test_ensure_works_in_a_folder_that_cannot_be_written(world, monkeypatch):
    """On a shared read-only disk the check is repeated, not refused."""

    def refuse(*args):
        raise PermissionError("read-only")

    (path,) = world.fetch()
    os.utime(path)
    monkeypatch.setattr(sys.modules["figures_pkg.record.fetch"], "replacing", refuse)
    assert world.ensure() == path


def test_a_record_that_changes_its_mind_is_an_error(world):
    world.fetch()
    world.server.files[SCAN] = world.content[::-1]
    assert world.fetch()  # all pinned and here: nobody is asked
    with pytest.raises(PinConflict, match="the record now"):
        world.fetch(refresh=True)
    assert world.ensure(verify="full").read_bytes() == world.content[::-1]


def test_a_lock_beside_the_manifest_has_the_last_word(world):
    """A committed lock is used without asking the record, and contradiction is an error."""
    world.fetch()
    committed = world.manifest_path.with_name(LOCK)
    shutil.copy(world.data / LOCK, committed)
    shutil.rmtree(world.data)
    world.server.asked.clear()
    world.fetch()
    assert [asked for asked, _ in world.server.asked] == [SCAN] and not (world.data / LOCK).exists()
    world.fetch(refresh=True)  # writes a lock of its own
    committed.write_text(committed.read_text().replace(hashlib.md5(world.content).hexdigest(), "0" * 32))
    with pytest.raises(PinConflict, match="remove scan"):
        world.ensure()


def test_a_pin_of_another_file_does_not_count(world):
    """When the manifest names another file under the same id, the old pin is replaced and the new file fetched."""
    world.fetch()
    remote = "a second scan.hspy"
    world.server.files[remote] = bytes(5000)
    world.write_manifest(remote=remote, expected_bytes={"value": [1, 10**6], "basis": "paper", "source": "log"})
    with pytest.raises(MissingDataset, match="not known yet"):
        world.ensure()
    assert world.fetch()[0].read_bytes() == bytes(5000) and world.ensure().is_file()
    assert read_pins(world.data / LOCK)["scan"].remote == remote


def test_a_checksum_in_the_manifest_is_the_judge(world):
    """`pin: given` may use sha256, which is then what the file is checked against."""
    given = {"pin": "given", "size": len(world.content), "checksum": "sha256:" + hashlib.sha256(world.content).hexdigest()}
    world.write_manifest(**given)
    assert world.fetch()[0].read_bytes() == world.content
    shutil.rmtree(world.data)
    world.write_manifest(**given | {"checksum": "sha256:" + "0" * 64})
    with pytest.raises(RemoteError, match="sha256:000"):
        world.fetch()


def test_a_new_address_of_the_api_is_followed(world, monkeypatch):
    world.fetch()
    shutil.rmtree(world.data / "scan")
    with FakeZenodo(world.server.files) as other:
        monkeypatch.setenv(zenodo.API_VARIABLE, other.api)
        world.server.asked.clear()
        assert world.fetch()[0].is_file()
        assert [asked for asked, _ in other.asked] == ["record", SCAN] and world.server.asked == []


@pytest.mark.parametrize("text", ["schema: 1\n", "schema: 1\npins: {scan: {size: 1}}\n", "schema: 2\npins: {}\n", "{", "schema: 1\npins: 5\n"])
def test_a_damaged_lock_is_told(world, text):
    world.data.mkdir()
    (world.data / LOCK).write_text(text)
    with pytest.raises(ManifestError, match=LOCK):
        world.fetch()
    assert (world.data / LOCK).read_text() == text
