"""Converting: same bits, resumable after any end, constant memory."""

import json
import os
import signal
import subprocess
import sys
import textwrap

import filelock
import numpy as np
import pytest
import xarray as xr
import zarr

from figures_pkg.data.convert import convert
from figures_pkg.data.hspy import HspyWriter
from figures_pkg.data.scan import open_scan

pytestmark = pytest.mark.process

SHAPE = (23, 18, 40, 32)
AXES = dict(scan_step_nm=1.4, det_scale_inv_angstrom=0.01, origin_row_col=(20, 16.5), beam_energy_kev=200.0)


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A scan with odd sizes in 4D chunks, and blocks small enough that there are many."""
    monkeypatch.setattr("figures_pkg.data.readers.BLOCK_BYTES", 1e5)
    data = np.random.default_rng(5).poisson(3, SHAPE).astype(np.uint16)
    data[4:9] = 0  # empty chunks must be stored as well
    with HspyWriter(tmp_path / "a.hspy", SHAPE, chunks=(4, 5, 16, 16), scan_step_nm=1.4, det_scale_inv_angstrom=0.01,
                    origin_row_col=(20, 16.5), extra={"source": "twin"}) as writer:
        writer.write((0, 0), data)
    return tmp_path / "a.hspy"


def test_every_count_and_label_survives(source, tmp_path):
    assert convert(source, tmp_path / "b.zarr", progress=False) == tmp_path / "b.zarr"
    before, after = open_scan(source), open_scan(tmp_path / "b.zarr")
    np.testing.assert_array_equal(after.values, before.values)
    xr.testing.assert_equal(after.compute(), before.compute())
    assert after.dtype == before.dtype and after.attrs["source"] == "twin"
    assert zarr.open_array(tmp_path / "b.zarr", path="counts").chunks[2:] == SHAPE[2:]
    assert sorted(os.listdir(tmp_path)) == ["a.hspy", "b.zarr"]
    json.loads((tmp_path / "b.zarr" / "counts" / "zarr.json").read_text(), parse_constant=pytest.fail)  # no NaN in JSON


def test_store_opens_in_xarray(source, tmp_path):
    """Anybody with xarray sees the same array with coordinates, without our package."""
    convert(source, tmp_path / "b.zarr", progress=False)
    opened = xr.open_zarr(tmp_path / "b.zarr", consolidated=False)["counts"]
    xr.testing.assert_equal(opened.compute(), open_scan(source).compute())


def test_orientation_is_converted_and_noted(source, tmp_path):
    convert(source, tmp_path / "b.zarr", orientation="camera", progress=False)
    assert zarr.open_array(tmp_path / "b.zarr", path="counts").attrs["orientation"] == "camera"
    xr.testing.assert_equal(open_scan(tmp_path / "b.zarr").compute(), open_scan(source).compute())


def interrupt_after(monkeypatch, blocks):
    """Let the copy fail like a pressed Ctrl-C after some blocks; return the list of blocks that were read."""
    module, places = sys.modules["figures_pkg.data.convert"], []
    read_block = module.read_block

    def limited(scan, place, scheduler):
        if len(places) >= blocks:
            raise KeyboardInterrupt
        places.append((place[0].start, place[1].start))
        return read_block(scan, place, scheduler)

    monkeypatch.setattr(module, "read_block", limited)
    return places


def test_interrupted_conversion_goes_on_where_it_stopped(source, tmp_path):
    """After an interruption the target is absent; the next call copies only the missing blocks."""
    with pytest.MonkeyPatch.context() as patch:
        first = interrupt_after(patch, 7)
        with pytest.raises(KeyboardInterrupt):
            convert(source, tmp_path / "b.zarr", workers=1, progress=False)
    assert not (tmp_path / "b.zarr").exists() and len(first) == 7
    with pytest.MonkeyPatch.context() as patch:
        second = interrupt_after(patch, 10**6)
        convert(source, tmp_path / "b.zarr", workers=2, progress=False)
    blocks = np.prod(open_scan(source).data.numblocks)
    assert len(second) == blocks - 7 and not set(first) & set(second)
    np.testing.assert_array_equal(open_scan(tmp_path / "b.zarr").values, open_scan(source).values)


def test_partial_work_of_a_changed_source_is_discarded(source, tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        interrupt_after(patch, 3)
        with pytest.raises(KeyboardInterrupt):
            convert(source, tmp_path / "b.zarr", workers=1, progress=False)
    with HspyWriter(source, SHAPE, chunks=(4, 5, 16, 16), scan_step_nm=1.4, det_scale_inv_angstrom=0.01, origin_row_col=(20, 16.5)) as writer:
        writer.write((0, 0), np.full(SHAPE, 9, np.uint16))
    with pytest.warns(UserWarning, match="discarded"):
        convert(source, tmp_path / "b.zarr", progress=False)
    assert (open_scan(tmp_path / "b.zarr") == 9).all()


def test_killed_conversion_is_resumed_by_the_next_process(source, tmp_path):
    program = textwrap.dedent(f"""
        import sys
        from figures_pkg.data import readers
        from figures_pkg.data.convert import convert
        module = sys.modules["figures_pkg.data.convert"]
        readers.BLOCK_BYTES = 1e5
        read_block = module.read_block
        def slow(*args, **options):
            print("block", flush=True)
            sys.stdin.readline()
            return read_block(*args, **options)
        module.read_block = slow
        convert({str(source)!r}, {str(tmp_path / "b.zarr")!r}, workers=1, progress=False)
    """)
    process = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    for _ in range(4):
        process.stdout.readline()
        process.stdin.write("\n")
        process.stdin.flush()
    process.stdout.readline()  # the fifth block is being read, so four are in the store
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "b.zarr").exists()
    with pytest.MonkeyPatch.context() as patch:
        rest = interrupt_after(patch, 10**6)
        convert(source, tmp_path / "b.zarr", progress=False)
    assert len(rest) <= np.prod(open_scan(source).data.numblocks) - 4
    np.testing.assert_array_equal(open_scan(tmp_path / "b.zarr").values, open_scan(source).values)


@pytest.mark.parametrize("cut", [1, 3])
def test_a_note_cut_by_a_crash_costs_one_block(source, tmp_path, cut):
    """A block whose note is not whole is copied again, whatever remains of the line."""
    with pytest.MonkeyPatch.context() as patch:
        first = interrupt_after(patch, 5)
        with pytest.raises(KeyboardInterrupt):
            convert(source, tmp_path / "b.zarr", workers=1, progress=False)
    notes = tmp_path / "b.zarr.part" / "finished.txt"
    os.truncate(notes, notes.stat().st_size - cut)
    with pytest.MonkeyPatch.context() as patch:
        rest = interrupt_after(patch, 10**6)
        convert(source, tmp_path / "b.zarr", workers=1, progress=False)
    assert set(first) & set(rest) == {first[-1]}
    np.testing.assert_array_equal(open_scan(tmp_path / "b.zarr").values, open_scan(source).values)


def test_a_second_process_is_kept_out(source, tmp_path):
    (tmp_path / "b.zarr.part").mkdir()
    with filelock.FileLock(tmp_path / "b.zarr.part" / "lock"), pytest.raises(RuntimeError, match="another process"):
        convert(source, tmp_path / "b.zarr", progress=False)


def test_existing_target_is_replaced_only_when_asked(source, tmp_path):
    """A finished store is not overwritten by accident; a wrong suffix is refused."""
    convert(source, tmp_path / "b.zarr", progress=False)
    with pytest.raises(FileExistsError, match="overwrite=True"):
        convert(source, tmp_path / "b.zarr", progress=False)
    convert(source, tmp_path / "b.zarr", overwrite=True, orientation="camera", progress=False)
    assert open_scan(tmp_path / "b.zarr", "camera").attrs["orientation"] == "camera"
    with pytest.raises(ValueError, match="ends in .zarr"):
        convert(source, tmp_path / "b.hdf5")


def test_progress_goes_to_stderr(source, tmp_path, capfd):
    convert(source, tmp_path / "b.zarr")
    out, err = capfd.readouterr()
    assert out == "" and "100%" in err


def test_memory_does_not_grow_with_the_scan(tmp_path):
    program = textwrap.dedent("""
        import resource, sys
        import numpy as np
        from figures_pkg.data import readers
        from figures_pkg.data.convert import convert
        readers.BLOCK_BYTES = 4e6
        for rows in (32, 96):
            name = f"{sys.argv[1]}/{rows}"
            np.lib.format.open_memmap(name + ".npy", "w+", np.uint16, (rows, 32, 128, 128))
            axes = dict(scan_step_nm=1.0, det_scale_inv_angstrom=0.01)
            convert(name + ".npy", name + ".zarr", axes=axes, workers=2, progress=False)
            print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
    """)
    printed = subprocess.run([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True, check=True)
    small, large = map(int, printed.stdout.split())
    assert large - small < 30e6, f"{small / 1e6:.0f} MB for 34 MB of data, {large / 1e6:.0f} MB for 101 MB"
