"""Converting: same bits, resumable after any end, constant memory."""

import json
import os
import shutil
import sys
from contextlib import nullcontext

import filelock
import numpy as np
import pytest
import xarray as xr
import zarr

from figures_pkg.data.convert import convert
from figures_pkg.data.hspy import HspyWriter
from figures_pkg.data.scan import open_scan

SHAPE = (13, 10, 20, 16)
DATA = np.random.default_rng(5).poisson(3, SHAPE).astype(np.uint16)
DATA[4:9] = 0  # empty chunks must be stored as well


def write(path, data):
    with HspyWriter(path, SHAPE, chunks=(4, 5, 16, 16), scan_step_nm=1.4, det_scale_inv_angstrom=0.01, origin_row_col=(10, 8.5),
                    extra={"source": "twin"}) as writer:
        writer.write((0, 0), data)
    return path


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A file, and blocks small enough that there are many."""
    monkeypatch.setattr("figures_pkg.data.readers.BLOCK_BYTES", 1e4)
    return write(tmp_path / "a.hspy", DATA)


@pytest.mark.parametrize("orientation", ["lab", "camera"])
def test_every_count_and_label_survives(source, tmp_path, orientation, capfd):
    """Also for anybody with xarray and without our package; nothing is left beside the store, and progress goes to stderr."""
    assert convert(source, tmp_path / "b.zarr", orientation=orientation) == tmp_path / "b.zarr"
    out, err = capfd.readouterr()
    assert out == "" and "100%" in err
    before, after = open_scan(source).compute(), open_scan(tmp_path / "b.zarr").compute()
    xr.testing.assert_equal(after, before)
    np.testing.assert_array_equal(after, DATA)
    assert after.dtype == before.dtype and after.attrs["source"] == "twin"
    foreign = xr.open_zarr(tmp_path / "b.zarr", consolidated=False)["counts"]
    xr.testing.assert_equal(foreign.compute(), open_scan(source, orientation).compute())
    stored = zarr.open_array(tmp_path / "b.zarr", path="counts")
    assert stored.chunks[2:] == SHAPE[2:] and stored.attrs["orientation"] == orientation
    assert sorted(os.listdir(tmp_path)) == ["a.hspy", "b.zarr"]
    json.loads((tmp_path / "b.zarr" / "counts" / "zarr.json").read_text(), parse_constant=pytest.fail)  # no NaN in JSON


def copied_blocks(source, target, stop=None, aside=None) -> list:
    """Convert, and return the blocks that were read; with ``stop``, until Ctrl-C after so many, when the unfinished work is copied ``aside``."""
    module, places = sys.modules["figures_pkg.data.convert"], []
    read_block = module.read_block

    def limited(scan, place, scheduler):
        if len(places) == stop:
            if aside:
                shutil.copytree(f"{target}.part", aside)
            raise KeyboardInterrupt
        places.append((place[0].start, place[1].start))
        return read_block(scan, place, scheduler)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "read_block", limited)
        with pytest.raises(KeyboardInterrupt) if stop else nullcontext():
            convert(source, target, workers=1 if stop else 2, progress=False)
    return places


@pytest.mark.parametrize("end, again", [("interrupted", 0), ("killed", 0), ("a note cut by 1 byte", 1), ("a note cut by 3 bytes", 1)])
def test_conversion_goes_on_where_it_stopped(source, tmp_path, end, again):
    """The target is absent until the next call, which copies only the missing blocks, and one whose note is not whole; a killed process
    leaves what is on the disk while a block is read."""
    target, part = tmp_path / "b.zarr", tmp_path / "b.zarr.part"
    first = copied_blocks(source, target, stop=2, aside=tmp_path / "killed")
    assert not target.exists()
    if end == "killed":
        shutil.rmtree(part)
        shutil.move(tmp_path / "killed", part)
    notes = part / "finished.txt"
    os.truncate(notes, notes.stat().st_size - (int(end.split()[-2]) if again else 0))
    rest = copied_blocks(source, target)
    assert len(rest) == np.prod(open_scan(source).data.numblocks) - 2 + again
    assert set(first) & set(rest) == set(first[2 - again:])
    np.testing.assert_array_equal(open_scan(target).values, DATA)


def test_partial_work_of_a_changed_source_is_discarded(source, tmp_path):
    copied_blocks(source, tmp_path / "b.zarr", stop=3)
    write(source, np.full(SHAPE, 9, np.uint16))
    with pytest.warns(UserWarning, match="discarded"):
        convert(source, tmp_path / "b.zarr", progress=False)
    assert (open_scan(tmp_path / "b.zarr") == 9).all()


def test_targets_that_are_in_use_or_there_are_refused(source, tmp_path):
    target = tmp_path / "b.zarr"
    (tmp_path / "b.zarr.part").mkdir()
    with filelock.FileLock(tmp_path / "b.zarr.part" / "lock"), pytest.raises(RuntimeError, match="another process"):
        convert(source, target, progress=False)
    target.mkdir()
    with pytest.raises(FileExistsError, match="overwrite=True"):
        convert(source, target, progress=False)
    convert(source, target, overwrite=True, progress=False)
    np.testing.assert_array_equal(open_scan(target).values, DATA)
    with pytest.raises(ValueError, match="ends in .zarr"):
        convert(source, tmp_path / "b.hdf5")
