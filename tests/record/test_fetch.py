"""Fetching from an imitation of Zenodo that fails in every way, and what is known of the files afterwards."""

import errno
import hashlib
import os
import shutil
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pooch
import pytest
from fake_zenodo import ODD, SCAN, Fault

from figures_pkg.cli import main
from figures_pkg.record import MissingDataset, zenodo
from figures_pkg.record.fetch import FOLDER_VARIABLE, SPARE_BYTES, PinConflict, data_dir, ensure, fetch, read_pins
from figures_pkg.record.manifest import ManifestError
from figures_pkg.record.zenodo import RemoteError

MIB = 1 << 20
TRIES = 3
LOCK = "data_lock.yaml"


def test_fetched_files_are_those_on_the_record(world):
    """One question and one transfer each, pinned in the data folder and nowhere else; colons, slashes and steps upwards are remote names only."""
    before = {path: path.stat().st_mtime_ns for path in world.data.parent.rglob("*")}
    paths = fetch(["sed"])
    assert paths[0] == world.path == ensure("scan")
    assert [path.read_bytes() for path in paths] == [world.server.files[name] for name in (SCAN, *ODD.values())]
    assert [asked for asked, _ in world.server.asked] == ["record", SCAN, *ODD.values()]
    pins = read_pins(world.data / LOCK)
    assert set(pins) == {"scan", *ODD} and pins["scan"].size == len(world.content)
    outside = {path: path.stat().st_mtime_ns for path in world.data.parent.rglob("*") if world.data not in (path, *path.parents)}
    assert outside == before and list(world.path.parent.iterdir()) == [world.path]


def another_range(stated):  # the answer to a request for the rest
    return [Fault(stop_after=MIB), Fault(206, {"Content-Range": stated} if stated else {}, b"0123456789")]


CUTS = {"with Content-Length": {}, "without Content-Length": {"length": False}, "in HTTP chunks": {"chunked": True}, "reset": {"how": "reset"},
        "stall": {"how": "stall"}}  # fmt: skip
MENDED = {name: ([Fault(stop_after=300_077, **cut)] * (breaks := 1 if "how" in cut else 4), [None, *(f"bytes={300_077 * n}-" for n in range(1, breaks + 1))])
          for name, cut in CUTS.items()} | {
    "a server that ignores Range": ([Fault(stop_after=MIB), Fault(ignore_range=True)], [None, f"bytes={MIB}-"]),
    "one wrong checksum": ([Fault(corrupt=True)], [None, None]),
}  # fmt: skip


@pytest.mark.parametrize(("faults", "ranges"), MENDED.values(), ids=MENDED.keys())
def test_a_broken_transfer_goes_on_where_it_stopped(world, monkeypatch, faults, ranges):
    """Nothing that has arrived is asked for again, however often the connection ends; an answer with the whole file replaces the part."""
    monkeypatch.setattr(zenodo, "SILENCE_S", 0.3)
    world.server.faults[SCAN] = [*faults]
    assert fetch("scan")[0].read_bytes() == world.content and world.server.ranges_of(SCAN) == ranges


WRONG = {
    "no progress": ([Fault(stop_after=MIB), Fault(stop_after=0), Fault(429, body=b"slow down"), Fault(stop_after=0)], "goes on from there"),
    "started over to the same point": ([Fault(stop_after=MIB, ignore_range=True)] * (1 + TRIES), "gave up after 3"),
    "another range": (another_range("bytes 0-9/3158073"), "bytes 0-9.*not the one that was pinned"),
    "a range of another file": (another_range(f"bytes {MIB}-{MIB + 9}/10"), "/10.*not the one that was pinned"),
    "an unknown range": (another_range(None), "None.*not the one that was pinned"),
    "too much": ([Fault(body=bytes(4 * MIB))], "more than"),
    "a wrong checksum, twice": ([Fault(corrupt=True)] * 2, "does not deliver the bytes that were pinned"),
    "a refusal": ([Fault(403, body=b'{"message": "Permission denied."}')], "403.*Permission denied"),
}


@pytest.mark.parametrize(("faults", "words"), WRONG.values(), ids=WRONG.keys())
def test_wrong_answers_are_refused_and_the_next_call_mends_them(world, faults, words):
    """A part is never glued to bytes that do not follow it, nothing that is not believed lies at the file's place, and no request is repeated."""
    world.server.faults[SCAN] = [*faults]
    with pytest.raises(RemoteError, match=words):
        fetch("scan")
    assert not world.path.exists() and len(world.server.ranges_of(SCAN)) == len(faults)
    assert fetch("scan")[0].read_bytes() == world.content
    if words == "goes on from there":
        assert world.server.ranges_of(SCAN)[-1] == f"bytes={MIB}-"


@pytest.mark.process
def test_a_killed_process_is_succeeded_by_two_that_share_the_rest(world):
    """After SIGKILL in the middle the next asks for the rest only, another one waits for it, and no litter stays."""
    code = "import sys; from figures_pkg.record import fetch; sys.stdout.write(str(fetch('scan')[0]))"
    start = partial(subprocess.Popen, [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def bytes_here():
        return sum(part.stat().st_size for part in (world.data / ".fetch").glob("scan.*.part"))

    world.server.faults[SCAN] = [Fault(piece_pause_s=0.03), Fault(piece_pause_s=0.01)]
    killed, deadline = start(), time.monotonic() + 60
    while not bytes_here() and time.monotonic() < deadline:
        time.sleep(0.01)
    killed.kill()
    killed.communicate()
    arrived = bytes_here()
    assert 0 < arrived < len(world.content)
    ends = [process.communicate(timeout=120) for process in [start(), start()]]
    assert [out.decode() for out, _ in ends] == [str(world.path)] * 2, [error.decode() for _, error in ends]
    assert world.path.read_bytes() == world.content
    assert world.server.ranges_of(SCAN) == [None, f"bytes={arrived}-"] and len(world.server.ranges_of("record")) == 1
    assert {leftover.suffix for leftover in (world.data / ".fetch").iterdir()} == {".lock", ".stamp"}


def test_a_file_that_is_not_what_the_manifest_expects_is_refused_before_downloading(world):
    """Its size lies outside the bracket, or the record has no such file; the other files of the record are not held up."""
    world.server.stated_sizes[SCAN] = 10**12
    with pytest.raises(RemoteError, match="1000000000000 bytes, the manifest expects"):
        fetch("scan")
    assert world.server.ranges_of(SCAN) == [] and fetch("colon")[0].is_file()
    world.write_manifest(remote="a scan.hspy")
    with pytest.raises(RemoteError, match="holds no 'a scan.hspy'.*Weight_epoch:0000"):
        fetch("scan")


def test_a_full_disk_is_told_before_the_first_file(world, monkeypatch):
    """The room for all files is compared with the room there is, less what has already arrived."""
    world.server.faults[SCAN] = [Fault(stop_after=2 * MIB)] + [Fault(stop_after=0)] * TRIES
    with pytest.raises(RemoteError):
        fetch("scan")
    asked = len(world.server.ranges_of(SCAN))
    rest = len(world.content) - 2 * MIB + len(world.server.files[ODD["colon"]])
    free = shutil.disk_usage(world.data)._replace(free=SPARE_BYTES + rest - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: free)
    with pytest.raises(OSError, match="are needed; make room or point FIGURES_PKG_DATA") as caught:
        fetch(["scan", "colon"])
    assert caught.value.errno == errno.ENOSPC and len(world.server.ranges_of(SCAN)) == asked
    free = free._replace(free=free.free + 1)
    assert all(path.is_file() for path in fetch(["scan", "colon"]))


def test_ensure_never_downloads(world, monkeypatch):
    with pytest.raises(MissingDataset) as caught:
        ensure("scan")
    assert all(word in str(caught.value) for word in ("'scan'", "GB", "10.5281/zenodo.1234567", "figures_pkg fetch scan", "figures_pkg twin scan"))
    with pytest.raises(ManifestError, match="did you mean scan"):
        fetch("scam")
    assert world.server.asked == [] and not world.data.exists()
    monkeypatch.delenv(FOLDER_VARIABLE)
    assert data_dir().is_absolute() and "figures_pkg" in str(data_dir())
    monkeypatch.setenv(FOLDER_VARIABLE, "~/data")
    assert data_dir() == Path.home() / "data"


def test_a_whole_file_is_checked_only_when_size_or_date_change(world, monkeypatch):
    """Neither asked for nor hashed again, as hashing gigabytes takes half a minute; a touched one is hashed, one of another size need not be."""
    (path,) = fetch("scan")
    world.server.asked.clear()
    os.utime(path)
    with monkeypatch.context() as read_only:
        read_only.setattr(Path, "touch", lambda *args: (_ for _ in ()).throw(PermissionError("a disk that is read only")))
        assert ensure("scan") == path
    assert fetch("scan") == [path]
    monkeypatch.setattr(pooch, "file_hash", lambda *args, **options: pytest.fail("hashed again"))
    assert fetch("scan") == [ensure("scan")] and world.server.asked == []
    path.write_bytes(b"short")
    with pytest.raises(MissingDataset, match="not the file of its record"):
        ensure("scan")


def test_a_damaged_file_is_noticed_and_fetched_again(world):
    """Rot that keeps size and date passes the stamp and not the checksum."""
    (path,) = fetch("scan")
    date = path.stat().st_mtime_ns
    path.write_bytes(bytes([world.content[0] ^ 1]) + world.content[1:])
    os.utime(path, ns=(date, date))
    assert ensure("scan") == path
    os.utime(path)
    with pytest.raises(MissingDataset, match="not the file"):
        ensure("scan")
    os.utime(path, ns=(date, date))
    assert fetch("scan", rehash=True)[0].read_bytes() == world.content


def test_a_file_brought_by_hand_is_checked_and_not_downloaded(world):
    """A copy from a colleague is trusted after the record was asked for its checksum, not before."""
    world.path.parent.mkdir(parents=True)
    world.path.write_bytes(world.content)
    with pytest.raises(MissingDataset, match="not known yet"):
        ensure("scan")
    assert fetch("scan") == [ensure("scan")] and world.server.ranges_of(SCAN) == []


def test_a_lock_beside_the_manifest_has_the_last_word(world):
    """A committed lock is used without asking the record, and contradiction is an error."""
    fetch("scan")
    committed = world.manifest_path.with_name(LOCK)
    shutil.copy(world.data / LOCK, committed)
    shutil.rmtree(world.data)
    world.server.asked.clear()
    fetch("scan")
    assert [asked for asked, _ in world.server.asked] == [SCAN] and not (world.data / LOCK).exists()
    fetch("scan", refresh=True)  # writes a lock of its own
    committed.write_text(committed.read_text().replace(hashlib.md5(world.content).hexdigest(), "0" * 32))
    with pytest.raises(PinConflict, match="remove scan"):
        ensure("scan")


def test_a_record_that_changes_is_not_believed(world, capsys):
    """The command tells other bytes under the same name in one sentence, and what is here stays as it was."""
    assert main(["fetch", "scan"]) == 0
    world.server.files[SCAN] = bytes(len(world.content))
    assert main(["fetch", "--refresh", "scan"]) == 1
    said = capsys.readouterr().err
    assert "Traceback" not in said and said.count("figures_pkg: ") == 1 and "never changes" in said and "md5:" in said, said
    assert world.path.read_bytes() == world.content and ensure("scan") == world.path


def test_a_pin_of_another_file_does_not_count(world):
    fetch("scan")
    world.server.files["another scan.hspy"] = bytes(5000)
    world.write_manifest(remote="another scan.hspy", expected_bytes={"value": [1, 10**6], "basis": "paper", "source": "log"})
    with pytest.raises(MissingDataset, match="not known yet"):
        ensure("scan")
    assert fetch("scan")[0].read_bytes() == bytes(5000) and ensure("scan").is_file()


def test_a_checksum_in_the_manifest_is_the_judge(world):
    """`pin: given` may use sha256, which is then what the file is checked against."""
    world.write_manifest(pin="given", size=len(world.content), checksum=f"sha256:{'0' * 64}")
    with pytest.raises(RemoteError, match="sha256:000"):
        fetch("scan")
    world.write_manifest(pin="given", size=len(world.content), checksum=f"sha256:{hashlib.sha256(world.content).hexdigest()}")
    assert fetch("scan")[0].read_bytes() == world.content


@pytest.mark.parametrize("text", ["schema: 1\n", "schema: 1\npins: {scan: {size: 1}}\n", "schema: 2\npins: {}\n", "{", "schema: 1\npins: 5\n"])
def test_a_damaged_lock_is_told(world, text):
    world.data.mkdir()
    (world.data / LOCK).write_text(text)
    with pytest.raises(ManifestError, match=LOCK):
        fetch("scan")
    assert (world.data / LOCK).read_text() == text
