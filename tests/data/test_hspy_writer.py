"""The writer makes the authors' kind of file, and no crash costs finished work or leaves half a file."""

import itertools
import os
import signal
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np
import pytest
from rsciio.hspy import file_reader

from figures_pkg.data.hspy_writer import HspyWriter, stored_fingerprint
from figures_pkg.data.journal import Journal
from figures_pkg.data.scan import open_scan

SHAPE, CHUNKS = (7, 6, 20, 18), (3, 4, 8, 8)


def counts(shape=SHAPE, dtype=np.uint16) -> np.ndarray:
    """Random counts that use all bytes of the type."""
    return np.random.default_rng(3).integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)


def writer(path, **changes) -> HspyWriter:
    """A writer of a small scan with an off-centre origin."""
    options = dict(chunks=CHUNKS, scan_step_nm=1.4, det_scale_inv_angstrom=0.01, origin_row_col=(12.25, 8.5),
                   camera_length_cm=12.0, extra={"source": "twin", "seed": 5})
    return HspyWriter(path, SHAPE, **(options | changes))


def fill(target: HspyWriter, data: np.ndarray, origins=None) -> None:
    """Write the blocks at ``origins``, by default all missing ones."""
    cy, cx = target.header.chunks[:2]
    for y, x in target.missing() if origins is None else origins:
        target.write((y, x), data[y:y + cy, x:x + cx])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.int16])
def test_written_file_opens_in_rosettasciio_with_the_same_counts(tmp_path, dtype):
    """RosettaSciIO, which did not write the file, reads back every count and the calibration."""
    data = counts(dtype=dtype)
    with writer(tmp_path / "a.hspy", dtype=dtype) as target:
        fill(target, data)
    signal_ = file_reader(str(tmp_path / "a.hspy"), lazy=True)[0]
    np.testing.assert_array_equal(signal_["data"].compute(), data)
    assert [axis["name"] for axis in signal_["axes"]] == ["y", "x", "ky", "kx"]
    assert [axis["navigate"] for axis in signal_["axes"]] == [True, True, False, False]
    assert signal_["axes"][2]["offset"] == pytest.approx(-12.25 * 0.01)
    assert [axis["units"] for axis in signal_["axes"]] == ["nm", "nm", "$A^{-1}$", "$A^{-1}$"]
    assert signal_["metadata"]["Acquisition_instrument"]["TEM"]["beam_energy"] == 200000  # in V, as the authors' files
    assert signal_["original_metadata"]["figures_pkg"]["seed"] == 5


def test_layout_is_that_of_the_authors_converter(tmp_path, realdata):
    """Groups and attribute names of the metadata agree with a real file of the same laboratory."""
    with writer(tmp_path / "a.hspy") as target:
        fill(target, counts())

    def tree(path):
        with h5py.File(path) as file:
            group = file["Experiments/__unnamed__"]
            found = {"": set(group.attrs), **{f"axis-{i}": set(group[f"axis-{i}"].attrs) for i in range(2)}}
            group["metadata"].visititems(lambda name, node: found.setdefault(name, set(node.attrs)))
            return found, dict(file.attrs), dict(group.attrs), group["metadata/Acquisition_instrument/TEM"].attrs["beam_energy"]

    assert tree(tmp_path / "a.hspy") == tree(realdata / "merlin_ntnu" / "test_CL30cm.hspy")


def test_dataset_is_chunked_and_compressed_as_asked(tmp_path):
    """The stored chunks, filters and open maximum shape are those of the record's files, and HDF5 decodes them."""
    data = counts()
    with writer(tmp_path / "a.hspy", compression_level=6, title="a/b") as target:
        fill(target, data)
    with h5py.File(tmp_path / "a.hspy") as file:
        dataset = file["Experiments/a-b/data"]
        told = (dataset.chunks, dataset.compression, dataset.compression_opts, dataset.shuffle, dataset.maxshape)
        assert told == (CHUNKS, "gzip", 6, True, (None,) * 4)
        np.testing.assert_array_equal(dataset[...], data)


def test_threads_write_large_blocks_in_any_order(tmp_path):
    """Blocks of several chunks written by threads give the same file as one chunk at a time."""
    data = counts()
    with writer(tmp_path / "a.hspy") as target, ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda yx: target.write(yx, data[yx[0]:yx[0] + 3]), [(6, 0), (3, 0), (0, 0)]))
    scan = open_scan(tmp_path / "a.hspy")
    np.testing.assert_array_equal(scan.values, data)
    assert scan.attrs["source"] == "twin" and scan.attrs["seed"] == 5


def test_unfinished_file_is_refused_then_resumed(tmp_path):
    """close() names the missing blocks, the target stays absent, and a new writer asks for exactly these."""
    data, path = counts(), tmp_path / "a.hspy"
    target = writer(path)
    every = target.missing()
    assert every == list(itertools.product((0, 3, 6), (0, 4)))
    fill(target, data, every[:4])
    with pytest.raises(RuntimeError, match="2 blocks are missing"):
        target.close()
    assert not path.exists()
    with writer(path) as target:
        assert target.missing() == every[4:]
        fill(target, data)
    np.testing.assert_array_equal(open_scan(path).values, data)
    assert os.listdir(tmp_path) == ["a.hspy"]


def test_an_exception_keeps_the_partial_work(tmp_path):
    """Leaving the ``with`` block by an error neither finishes the file nor throws blocks away."""
    with pytest.raises(ZeroDivisionError), writer(tmp_path / "a.hspy") as target:
        fill(target, counts(), [(0, 0)])
        raise ZeroDivisionError
    target = writer(tmp_path / "a.hspy")
    assert (0, 0) not in target.missing() and len(target.missing()) == 5
    target.abandon()


@pytest.mark.parametrize("lost", [1, 30, 2000])
def test_journal_cut_at_any_byte_loses_only_what_was_cut(tmp_path, lost):
    """A record whose end is missing is rendered again; the records before it count."""
    data, path = counts(), tmp_path / "a.hspy"
    target = writer(path)
    fill(target, data, [(0, 0), (0, 4), (3, 0)])
    target.abandon()
    journal = path.with_name("a.hspy.part") / "journal"
    os.truncate(journal, journal.stat().st_size - lost)
    with writer(path) as target:
        assert (3, 0) in target.missing() and (0, 0) not in target.missing()
        fill(target, data)
    np.testing.assert_array_equal(open_scan(path).values, data)


def test_journal_notices_damaged_bytes(tmp_path):
    """A record whose bytes changed on the disk is not counted, nor any after it."""
    journal = Journal(tmp_path / "journal")
    for number in range(3):
        journal.append((number, 0), bytes([number]) * 100)
    place = journal.entries[1, 0][0]
    journal.close()
    with open(tmp_path / "journal", "r+b") as file:
        file.seek(place + 50)
        file.write(b"X")
    assert list(Journal(tmp_path / "journal").entries) == [(0, 0)]


def test_other_fingerprint_discards_partial_work_with_a_warning(tmp_path):
    """Work of another seed, say, is never mixed in."""
    target = writer(tmp_path / "a.hspy", fingerprint="seed 1")
    fill(target, counts(), [(0, 0)])
    target.abandon()
    with pytest.warns(UserWarning, match="another origin .* discarded"):
        target = writer(tmp_path / "a.hspy", fingerprint="seed 2")
    assert len(target.missing()) == 6
    target.abandon()


def test_finished_file_with_the_same_fingerprint_needs_nothing(tmp_path):
    """Opening the writer again on finished work is free, and on other work replaces the file only at the end."""
    path = tmp_path / "a.hspy"
    with writer(path, fingerprint="one") as target:
        fill(target, counts())
    before = path.stat().st_mtime_ns
    with writer(path, fingerprint="one") as target:
        assert target.missing() == []
    assert path.stat().st_mtime_ns == before and stored_fingerprint(path) == "one"
    with writer(path, fingerprint="two") as target:
        fill(target, 7 * np.ones_like(counts()))
        assert stored_fingerprint(path) == "one"
    assert stored_fingerprint(path) == "two" and (open_scan(path) == 7).all()


def test_two_writers_of_one_file_are_refused(tmp_path):
    """The second writer is told that somebody is writing."""
    target = writer(tmp_path / "a.hspy")
    with pytest.raises(RuntimeError, match="another process"):
        writer(tmp_path / "a.hspy")
    target.abandon()


@pytest.mark.parametrize("origin, block, error", [
    ((1, 0), np.zeros((3, 4, 20, 18), np.uint16), ValueError),      # not on the chunk grid
    ((0, 0), np.zeros((2, 4, 20, 18), np.uint16), ValueError),      # part of a chunk inside the scan
    ((6, 4), np.zeros((3, 4, 20, 18), np.uint16), ValueError),      # beyond the end
    ((0, 0), np.zeros((3, 4, 20, 16), np.uint16), ValueError),      # another detector
    ((0, 0), np.zeros((3, 4, 20, 18), np.float32), TypeError),      # not counts
])
def test_wrong_blocks_are_refused(tmp_path, origin, block, error):
    """A block that does not fit is refused with what was expected."""
    target = writer(tmp_path / "a.hspy")
    with pytest.raises(error, match="expected"):
        target.write(origin, block)
    target.abandon()


def test_killed_writer_is_resumed_by_the_next_process(tmp_path):
    """SIGKILL in the middle of writing leaves the finished blocks; the next process completes the same file."""
    program = textwrap.dedent(f"""
        import sys; sys.path.insert(0, {os.path.dirname(__file__)!r})
        from test_hspy_writer import counts, writer
        target, data = writer({str(tmp_path / "a.hspy")!r}), counts()
        for y, x in target.missing():
            target.write((y, x), data[y:y + 3, x:x + 4])
            print(y, x, flush=True)
            sys.stdin.readline()
    """)
    process = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    for _ in range(2):
        process.stdout.readline()
        process.stdin.write("\n")
        process.stdin.flush()
    process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.wait()
    with writer(tmp_path / "a.hspy") as target:
        assert target.missing() == [(3, 4), (6, 0), (6, 4)]
        fill(target, counts())
    np.testing.assert_array_equal(open_scan(tmp_path / "a.hspy").values, counts())
