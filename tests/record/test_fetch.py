"""Downloading from an imitation of Zenodo that fails in every way."""

import dataclasses
import errno
import hashlib
import shutil
import time

import pytest
from fake_zenodo import Fault
from fetch_world import MIB, ODD, QUICK, SCAN

from figures_pkg.record import download
from figures_pkg.record.download import RemoteError
from figures_pkg.record.fetch import MissingDataset


def test_a_fetched_file_is_the_one_on_the_record(world):
    (path,) = world.fetch()
    assert path == world.data / "scan" / "scan.bin" == world.ensure()
    assert path.read_bytes() == world.server.files[SCAN]
    assert [asked for asked, _ in world.server.asked] == ["record", SCAN]
    assert list(path.parent.iterdir()) == [path]


def test_all_odd_names_arrive_under_safe_ones(world):
    """Colons, blanks, per cent, hash, slashes and steps upwards are remote names only; nothing lands outside."""
    before = {path for path in world.data.parent.rglob("*") if world.data not in path.parents}
    paths = world.fetch(["sed"])
    assert [path.read_bytes() for path in paths] == [world.server.files[name] for name in (SCAN, *ODD.values())]
    assert {path for path in world.data.parent.rglob("*") if world.data not in path.parents} - before == {world.data}
    assert len(world.server.requests_of("record")) == 1


CUTS = {
    "with Content-Length": Fault(stop_after=MIB + 77),
    "without Content-Length": Fault(stop_after=MIB + 77, length=False),
    "in HTTP chunks": Fault(stop_after=MIB + 77, chunked=True),
    "reset": Fault(stop_after=MIB + 77, how="reset"),
    "stall": Fault(stop_after=MIB + 77, how="stall"),
}


@pytest.mark.parametrize("fault", CUTS.values(), ids=CUTS.keys())
def test_a_broken_transfer_goes_on_where_it_stopped(world, fault):
    """Nothing that has arrived is asked for again, whichever way the connection ends."""
    world.server.faults[SCAN] = [fault]
    silence_s = 0.5 if fault.how == "stall" else 5
    (path,) = world.fetch(patience=dataclasses.replace(QUICK, silence_s=silence_s))
    assert path.read_bytes() == world.server.files[SCAN]
    assert world.server.ranges_of(SCAN) == [None, f"bytes={MIB + 77}-"]


def test_many_breaks_are_survived_as_long_as_bytes_arrive(world):
    world.server.faults[SCAN] = [Fault(stop_after=300_000)] * 9
    (path,) = world.fetch()
    assert path.read_bytes() == world.server.files[SCAN]
    assert world.server.ranges_of(SCAN)[-1] == "bytes=2700000-"


def test_a_transfer_without_progress_is_given_up_and_resumed_by_the_next_call(world):
    world.server.faults[SCAN] = [Fault(stop_after=MIB)] + [Fault(stop_after=0)] * QUICK.tries
    with pytest.raises(RemoteError, match="goes on from there"):
        world.fetch()
    assert not (world.data / "scan" / "scan.bin").exists()
    (path,) = world.fetch()
    assert path.read_bytes() == world.server.files[SCAN]
    assert world.server.ranges_of(SCAN)[-1] == f"bytes={MIB}-"


def test_a_server_that_ignores_range_is_started_over(world):
    """A 200 instead of 206 carries the whole file; its bytes replace the part and are not appended."""
    world.server.faults[SCAN] = [Fault(stop_after=MIB), Fault(ignore_range=True)]
    (path,) = world.fetch()
    assert path.read_bytes() == world.server.files[SCAN]


def test_a_server_that_ignores_range_and_always_breaks_ends(world):
    """Starting over to the same point is no progress."""
    world.server.always[SCAN] = Fault(stop_after=MIB, ignore_range=True)
    with pytest.raises(RemoteError, match="gave up"):
        world.fetch()
    assert len(world.server.requests_of(SCAN)) == 1 + QUICK.tries


@pytest.mark.parametrize("stated", ["bytes 0-9/{size}", f"bytes {MIB}-{MIB + 9}/10", "items 3", None])
def test_a_server_that_sends_another_range_is_refused(world, stated):
    """A part is never glued to bytes that do not follow it, or that belong to a file of another size."""
    stated = stated and stated.format(size=len(world.server.files[SCAN]))
    wrong = Fault(206, {"Content-Range": stated} if stated else {}, b"0123456789")
    world.server.faults[SCAN] = [Fault(stop_after=MIB), wrong]
    with pytest.raises(RemoteError, match=f"{stated}.*not the one that was pinned"):
        world.fetch()


def test_a_server_that_sends_too_much_is_stopped(world):
    world.server.faults[SCAN] = [Fault(body=world.server.files[SCAN] + b"more")]
    with pytest.raises(RemoteError, match="more than"):
        world.fetch()
    assert world.fetch()[0].read_bytes() == world.server.files[SCAN]


def test_a_wrong_checksum_once_costs_a_second_transfer(world):
    world.server.faults[SCAN] = [Fault(corrupt=True)]
    assert world.fetch()[0].read_bytes() == world.server.files[SCAN]
    assert world.server.ranges_of(SCAN) == [None, None]


def test_a_wrong_checksum_always_is_an_error(world):
    world.server.always[SCAN] = Fault(corrupt=True)
    with pytest.raises(RemoteError, match="md5:" + hashlib.md5(world.server.files[SCAN]).hexdigest()):
        world.fetch()
    assert len(world.server.requests_of(SCAN)) == QUICK.corrupt_tries
    assert not (world.data / "scan" / "scan.bin").exists() and world.part() is None
    with pytest.raises(MissingDataset):
        world.ensure()


def test_429_on_a_file_waits_as_told(world):
    world.server.faults[SCAN] = [Fault(stop_after=MIB), Fault(429, {"Retry-After": "1"}, b"slow down")]
    start = time.monotonic()
    assert world.fetch()[0].read_bytes() == world.server.files[SCAN]
    assert time.monotonic() - start > 0.95
    assert world.server.ranges_of(SCAN) == [None, f"bytes={MIB}-", f"bytes={MIB}-"]


@pytest.mark.parametrize("status", [403, 404])
def test_a_refused_file_is_asked_for_once(world, status):
    world.server.always[SCAN] = Fault(status, body=b'{"message": "Permission denied."}', kind="application/json")
    with pytest.raises(RemoteError, match=f"{status}.*Permission denied"):
        world.fetch()
    assert len(world.server.requests_of(SCAN)) == 1


def test_a_killed_process_is_succeeded_by_one_that_resumes(world):
    """After SIGKILL in the middle the next call asks for the rest only and leaves no litter."""
    world.server.faults[SCAN] = [Fault(piece_pause_s=0.03)]
    process = world.start()
    deadline = time.monotonic() + 30
    while not (world.part() and world.part().stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.communicate()
    arrived = world.part().stat().st_size
    assert 0 < arrived < len(world.server.files[SCAN])
    (path,) = world.fetch()
    assert path.read_bytes() == world.server.files[SCAN]
    assert world.server.ranges_of(SCAN) == [None, f"bytes={arrived}-"]
    assert {leftover.suffix for leftover in (world.data / ".fetch").iterdir()} == {".lock", ".stamp"}


def test_four_processes_share_one_transfer(world):
    world.server.faults[SCAN] = [Fault(piece_pause_s=0.01)]
    processes = [world.start() for _ in range(4)]
    ends = [process.communicate(timeout=60) for process in processes]
    outputs = [out.decode() for out, _ in ends]
    assert outputs == [str(world.data / "scan" / "scan.bin")] * 4, [error.decode() for _, error in ends]
    assert sorted(asked for asked, _ in world.server.asked) == sorted(["record", SCAN])


def test_a_size_outside_the_bracket_is_refused_before_downloading(world):
    world.server.stated_sizes[SCAN] = 10**12
    with pytest.raises(RemoteError, match="1000000000000 bytes, the manifest expects"):
        world.fetch()
    assert world.server.requests_of(SCAN) == []
    assert world.fetch("colon")[0].is_file()  # the other files of the record are not held up


def test_a_size_that_the_record_states_wrongly_is_noticed(world):
    """A stated size inside the bracket that the file does not have ends as an error, not as a short file."""
    world.server.stated_sizes[SCAN] = len(world.server.files[SCAN]) + 10
    with pytest.raises(RemoteError):
        world.fetch()
    assert not (world.data / "scan" / "scan.bin").exists()


def test_a_file_that_the_record_lacks_is_told_with_those_it_has(world):
    world.write_manifest(remote="a scan.hspy")
    with pytest.raises(RemoteError, match="holds no 'a scan.hspy'.*Weight_epoch:0000"):
        world.fetch()


def test_a_full_disk_is_told_before_downloading(world, monkeypatch):
    """The room needed is compared with the room there is, less what has already arrived."""
    world.server.faults[SCAN] = [Fault(stop_after=2 * MIB)] + [Fault(stop_after=0)] * QUICK.tries
    with pytest.raises(RemoteError):
        world.fetch()
    asked = len(world.server.requests_of(SCAN))
    rest = len(world.server.files[SCAN]) - 2 * MIB
    free = shutil.disk_usage(world.data)._replace(free=download.SPARE_BYTES + rest - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: free)
    with pytest.raises(OSError, match="FIGURES_PKG_DATA") as caught:
        world.fetch()
    assert caught.value.errno == errno.ENOSPC and len(world.server.requests_of(SCAN)) == asked
    free = free._replace(free=free.free + 1)
    assert world.fetch()[0].is_file()


def test_a_disk_too_small_for_the_whole_is_told_before_the_first_file(world, monkeypatch):
    """Room for each file alone is not room for both; nothing is begun, and what fits can be asked for by itself."""
    both = [len(world.server.files[name]) for name in (SCAN, ODD["colon"])]
    free = shutil.disk_usage(world.data.parent)._replace(free=download.SPARE_BYTES + sum(both) - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: free)
    with pytest.raises(OSError, match="are needed; make room or point FIGURES_PKG_DATA"):
        world.fetch(["scan", "colon"])
    assert world.server.requests_of(SCAN) == [] and world.part() is None
    assert world.fetch("scan")[0].is_file()


def test_the_bar_goes_to_stderr(world, capsys):
    world.fetch("colon")
    assert capsys.readouterr().err == ""
    world.fetch(progress=True)
    output = capsys.readouterr()
    assert "scan" in output.err and output.out == ""
