"""The writer makes the authors' kind of file, and no crash leaves half a file."""

import itertools
import os
from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np
import pytest
from rsciio.hspy import file_reader

from figures_pkg.data.hspy import HspyWriter
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


def test_unfinished_file_is_refused(tmp_path):
    """close() says how many blocks are missing and which is the first; nothing is left on the disk."""
    target = writer(tmp_path / "a.hspy")
    every = target.missing()
    assert every == list(itertools.product((0, 3, 6), (0, 4)))
    fill(target, counts(), every[:4])
    with pytest.raises(RuntimeError, match=r"2 blocks are missing, the first at \(6, 0\)"):
        target.close()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_an_interrupted_writer_leaves_what_was_there(tmp_path, error):
    """Until the last block is written readers see the old file, also after an error or Ctrl-C, and nothing lies beside it."""
    path = tmp_path / "a.hspy"
    with writer(path) as target:
        fill(target, counts())
    with pytest.raises(error), writer(path, fingerprint="other") as target:
        fill(target, 0 * counts(), [(0, 0)])
        raise error
    np.testing.assert_array_equal(open_scan(path).values, counts())
    assert os.listdir(tmp_path) == ["a.hspy"]


@pytest.mark.parametrize("origin, block, error", [
    ((1, 0), np.zeros((3, 4, 20, 18), np.uint16), ValueError),      # not on the chunk grid
    ((0, 0), np.zeros((2, 4, 20, 18), np.uint16), ValueError),      # part of a chunk inside the scan
    ((6, 4), np.zeros((3, 4, 20, 18), np.uint16), ValueError),      # beyond the end
    ((0, 0), np.zeros((3, 4, 20, 16), np.uint16), ValueError),      # another detector
    ((0, 0), np.zeros((3, 4, 20, 18), np.float32), TypeError),      # not counts
])
def test_wrong_blocks_are_refused(tmp_path, origin, block, error):
    """A block that does not fit is refused with what was expected."""
    with pytest.raises(error, match="expected"), writer(tmp_path / "a.hspy") as target:
        target.write(origin, block)
