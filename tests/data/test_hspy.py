"""Every storage layout of .hspy gives the same counts, every trap of the labels is met, and no crash of the writer leaves half a file."""

import itertools
import os
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import cloudpickle
import h5py
import numpy as np
import pytest
import rsciio.hspy
from hypothesis import given
from hypothesis import strategies as st
from rsciio.hspy import file_reader

from figures_pkg.data.axes import ScanFileError
from figures_pkg.data.hspy import HspyWriter
from figures_pkg.data.readers import ChunkReader, FrameReader, H5pyReader, hdf5_reader
from figures_pkg.data.scan import open_scan

SIGNAL = "Experiments/__unnamed__"
SHAPE = (5, 7, 12, 10)
COUNTS = np.random.default_rng(1).integers(0, 60, SHAPE).astype("u2")
LAYOUTS = {
    "gzip and shuffle, 4D chunks": (dict(chunks=(2, 3, 5, 4), compression="gzip", shuffle=True), ChunkReader),
    "gzip and shuffle, whole patterns": (dict(chunks=(1, 1, 12, 10), compression="gzip", shuffle=True), ChunkReader),
    "gzip alone": (dict(chunks=(2, 3, 12, 10), compression="gzip"), ChunkReader),
    "shuffle alone": (dict(chunks=(2, 3, 12, 10), shuffle=True), ChunkReader),
    "chunks without filters": (dict(chunks=(4, 4, 5, 10)), ChunkReader),
    "contiguous": (dict(), FrameReader),
    "lzf": (dict(chunks=(2, 3, 12, 10), compression="lzf"), H5pyReader),
    "checksums": (dict(chunks=(2, 3, 12, 10), compression="gzip", fletcher32=True), H5pyReader),
}


def edit(path, change):
    """Apply ``change`` to the only signal of a file; returns the path."""
    with h5py.File(path, "r+") as file:
        change(file[SIGNAL])
    return path


def write(path, data=COUNTS, version="3.0", **storage):
    """A file in the authors' layout with the dataset stored in another way; returns the path."""
    with HspyWriter(path, SHAPE, chunks=SHAPE, scan_step_nm=1.4, det_scale_inv_angstrom=0.01, origin_row_col=(7.5, 4.25)) as target:
        target.write((0, 0), COUNTS)
    with h5py.File(path, "r+") as file:
        file.attrs["file_format_version"] = version
        del file[SIGNAL]["data"]
        file[SIGNAL].create_dataset("data", data=data, **storage)
    return path


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_stored_counts(tmp_path, layout, dtype):
    """Direct reading agrees with what was written, for all values and for odd slices, upright and flipped."""
    storage, reader = LAYOUTS[layout]
    data = np.random.default_rng(1).bytes(np.prod(SHAPE) * np.dtype(dtype).itemsize)  # every byte of an element matters
    data = np.frombuffer(data, dtype).reshape(SHAPE)
    path = write(tmp_path / "a.hspy", data, **storage)
    assert type(hdf5_reader(path, f"{SIGNAL}/data")) is reader
    lab, camera = (open_scan(path, orientation=name, check_counts=False) for name in ("lab", "camera"))
    assert lab.dtype == data.dtype
    np.testing.assert_array_equal(lab.values, data)
    np.testing.assert_array_equal(camera.values, data[:, :, ::-1])
    np.testing.assert_array_equal(camera[1:4, 2, 3:11:2, ::-3].values, data[1:4, 2, ::-1][:, 3:11:2, ::-3])


def test_big_endian_counts_come_out_native(tmp_path):
    scan = open_scan(write(tmp_path / "a.hspy", COUNTS.astype(">u2"), chunks=(2, 3, 12, 10)))
    assert scan.dtype.isnative
    np.testing.assert_array_equal(scan.values, COUNTS)


def test_chunks_that_were_never_written_are_filled(tmp_path):
    """A hole in a dataset has HDF5's fill value, as h5py shows it."""
    def with_hole(group):
        del group["data"]
        dataset = group.create_dataset("data", SHAPE, "u2", chunks=(2, 3, 12, 10), fillvalue=9, compression="gzip")
        dataset[:2] = COUNTS[:2]

    scan = open_scan(edit(write(tmp_path / "a.hspy"), with_hole))
    assert (scan[2:] == 9).all()
    np.testing.assert_array_equal(scan[:2].values, COUNTS[:2])


@pytest.mark.parametrize("skipped", [0b00, 0b01, 0b10, 0b11])
def test_chunks_stored_without_their_filters_are_read(tmp_path, skipped):
    """HDF5 may skip a filter chunk by chunk and notes it in a mask, which is respected."""
    path = write(tmp_path / "a.hspy", chunks=(5, 7, 12, 5), compression="gzip", shuffle=True)
    stored = np.ascontiguousarray(COUNTS[..., 5:])
    stored = stored if skipped & 0b01 else stored.reshape(-1).view("u1").reshape(-1, 2).T
    stored = stored.tobytes() if skipped & 0b10 else zlib.compress(stored.tobytes())
    edit(path, lambda group: group["data"].id.write_direct_chunk((0, 0, 0, 5), stored, filter_mask=skipped))
    np.testing.assert_array_equal(open_scan(path).values, COUNTS)


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """Of a file in small four-dimensional chunks."""
    path = write(tmp_path_factory.mktemp("chunked") / "a.hspy", chunks=(2, 3, 5, 4), compression="gzip", shuffle=True)
    return ChunkReader(path, f"{SIGNAL}/data")


@given(st.tuples(*[st.tuples(st.integers(0, size - 1), st.integers(0, size - 1)) for size in SHAPE]), st.booleans())
def test_any_box_is_read_like_a_slice(reader, edges, reverse):
    box = tuple((min(pair), max(pair) + 1) for pair in edges)
    wanted = COUNTS[tuple(slice(*pair) for pair in box)]
    out = np.zeros(wanted.shape, "u2")
    reader.read_into(box, out[:, :, ::-1] if reverse else out)
    np.testing.assert_array_equal(out[:, :, ::-1] if reverse else out, wanted)


@pytest.mark.parametrize("version", ["3.0", "3.1", "3.2", "3.3"])
def test_all_format_versions_give_the_same_scan(tmp_path, version):
    """Formats 3.0 to 3.3 differ in attributes that do not matter here."""
    def newer(group):
        for index in range(4):
            group[f"axis-{index}"].attrs.update({"_type": "UniformDataAxis", "is_binned": False})

    path = write(tmp_path / "a.hspy", version=version, chunks=(2, 3, 12, 10), compression="gzip")
    scan = open_scan(path if version == "3.0" else edit(path, newer))
    assert scan.attrs["format"] == f"hspy {version}"
    np.testing.assert_allclose(scan.scan_y, 1.4 * np.arange(5))
    np.testing.assert_allclose(scan.det_y, 0.01 * (np.arange(12) - 7.5))
    np.testing.assert_allclose(scan.det_x, 0.01 * (np.arange(10) - 4.25))


def test_file_written_by_rosettasciio_opens(tmp_path):
    axes = [dict(name=name, size=size, scale=scale, offset=0.0, units=units, navigate=index < 2, _type="UniformDataAxis")
            for index, (name, size, scale, units) in enumerate(zip("yxvu", SHAPE, (2, 2, 0.1, 0.1), ("µm", "µm", "1/nm", "1/nm")))]
    metadata = {"General": {"title": "new"}, "Signal": {"signal_type": "electron_diffraction"},
                "Acquisition_instrument": {"TEM": {"beam_energy": 80.0}}}
    signal = dict(data=COUNTS, axes=axes, metadata=metadata, original_metadata={}, learning_results={}, attributes={"_lazy": False},
                  tmp_parameters={}, models=None, package_info={"package": "hyperspy", "package_version": "2.5"})
    rsciio.hspy.file_writer(str(tmp_path / "new.hspy"), signal)
    scan = open_scan(tmp_path / "new.hspy")
    np.testing.assert_array_equal(scan.values, COUNTS)
    assert scan.attrs["beam_energy_kev"] == 80 and scan.attrs["title"] == "new"
    assert scan.scan_x[1] == 2000 and scan.det_x[1] == pytest.approx(0.01)


@pytest.mark.parametrize("stored, kev", [(np.int32(200000), 200), (80, 80)])
def test_beam_energy_in_volts_or_kilovolts(tmp_path, stored, kev):
    """The authors' files hold V, HyperSpy's convention is keV."""
    path = edit(write(tmp_path / "a.hspy"), lambda group: group["metadata/Acquisition_instrument/TEM"].attrs.__setitem__("beam_energy", stored))
    assert open_scan(path).attrs["beam_energy_kev"] == kev


def test_angles_become_inverse_angstrom(tmp_path):
    """A detector axis in mrad is divided by the wavelength, 0.02508 Å at 200 kV."""
    path = edit(write(tmp_path / "a.hspy"), lambda group: [group[f"axis-{index}"].attrs.update(units="mrad", scale=0.25) for index in (2, 3)])
    assert open_scan(path).attrs["det_scale_inv_angstrom"][0] == pytest.approx(0.25e-3 / 0.025079, rel=1e-4)


@pytest.mark.parametrize("unit, message", [("px", "unknown"), ("_None_", "unknown"), ("furlong", "not understood")])
def test_missing_or_odd_units_count_pixels_with_a_warning(tmp_path, unit, message):
    """Without a calibration the coordinates say that they are pixels, and the caller is told what to pass."""
    path = edit(write(tmp_path / "a.hspy"),
                lambda group: [group[f"axis-{index}"].attrs.update(units=unit, scale=1.0, offset=-6.0) for index in (2, 3)])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        scan = open_scan(path)
    assert any(message in str(item.message) for item in caught)
    assert scan.det_y.attrs["units"] == "px" and scan.attrs["origin_row_col"] == (6, 6)
    np.testing.assert_array_equal(scan.det_y, np.arange(12) - 6)
    assert scan.scan_y.attrs["units"] == "nm"


def test_navigation_axes_come_first_wherever_they_stand(tmp_path):
    path = write(tmp_path / "a.hspy", COUNTS.transpose(2, 3, 0, 1), chunks=(4, 5, 2, 7), compression="gzip", shuffle=True)

    def swap(group):
        for index in range(4):
            group.move(f"axis-{index}", f"old-{index}")
        for new, old in enumerate((2, 3, 0, 1)):
            group.move(f"old-{old}", f"axis-{new}")

    scan = open_scan(edit(path, swap))
    np.testing.assert_array_equal(scan.values, COUNTS)
    np.testing.assert_allclose(scan.det_y, 0.01 * (np.arange(12) - 7.5))
    np.testing.assert_array_equal(open_scan(path, orientation="camera").values, COUNTS[:, :, ::-1])


def test_several_signals_must_be_chosen_from(tmp_path):
    path = write(tmp_path / "a.hspy")
    with h5py.File(path, "r+") as file:
        file.copy(SIGNAL, "Experiments/second")
    with pytest.raises(ScanFileError, match=r"2 signals.*second.*\(5, 7, 12, 10\).*experiment="):
        open_scan(path)
    np.testing.assert_array_equal(open_scan(path, experiment="second").values, COUNTS)
    with pytest.raises(ScanFileError, match="no 'third'"):
        open_scan(path, experiment="third")


@pytest.mark.parametrize("make, message", [
    (lambda path: path.write_bytes(write(path, chunks=(1, 1, 12, 10)).read_bytes()[:-500]), r"truncated: it has \d+ of \d+ bytes"),
    (lambda path: path.write_bytes(b"\0" * 600 + write(path).read_bytes()[600:]), "header"),
    (lambda path: edit(write(path), lambda group: group.__delitem__("axis-1")), "lacks axis-1"),
    (lambda path: write(path, version="2.2"), "save it again"),
    (lambda path: h5py.File(path, "w").create_group("data").file.close(), "not one of HyperSpy's"),
    (lambda path: write(path, COUNTS[0]), "3 axes"),
    (lambda path: edit(write(path), lambda group: group["axis-2"].attrs.__setitem__("navigate", True)), "3 of the axes .* expected 2"),
], ids=["cut", "head", "axis", "old", "foreign", "rank", "navigation"])  # fmt: skip
def test_unusable_files_are_explained(tmp_path, make, message):
    """Damaged, incomplete, of another program, of an old format, of another rank: one clear error each."""
    make(tmp_path / "a.hspy")
    with pytest.raises(ScanFileError, match=message):
        open_scan(tmp_path / "a.hspy")


def test_damaged_chunk_is_named(tmp_path):
    """Compressed bytes that do not inflate raise an error with the file's name instead of wrong counts."""
    path = write(tmp_path / "a.hspy", chunks=(5, 7, 12, 10), compression="gzip")
    edit(path, lambda group: group["data"].id.write_direct_chunk((0, 0, 0, 0), b"no zlib stream"))
    with pytest.raises(OSError, match="a.hspy: a compressed chunk is damaged"):
        open_scan(path, check_counts=False).compute()


def spot(peak: float, clip=None) -> np.ndarray:
    """Patterns of one smooth bright spot on a weak background with Poisson noise, as integers."""
    y, x = np.mgrid[:12, :10]
    mean = 4 + peak * np.exp(-((y - 6) ** 2 + (x - 5) ** 2) / 8)
    noisy = np.random.default_rng(0).poisson(mean, SHAPE)
    return noisy if clip is None else np.minimum(noisy, clip)


@pytest.mark.parametrize("data, warned", [
    ((spot(500) % 256).astype("u1"), "wrapped"), (spot(200).astype("u1"), None), (spot(600, 255).astype("u1"), "saturated"),
    (spot(9000, 4095).astype("u2"), "4095"), (spot(3000, 4095).astype("u2"), None), (spot(100, 63).astype("u1"), "saturated")])
def test_overflowed_counters_are_found_and_good_ones_left_alone(tmp_path, data, warned):
    path = write(tmp_path / "a.hspy", data)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        open_scan(path)
    messages = [str(item.message) for item in caught]
    assert len(messages) == (warned is not None), messages
    assert warned is None or warned in messages[0]


def test_the_laboratorys_wrapped_file_warns(realdata):
    with pytest.warns(UserWarning, match="wrapped modulo 256"):
        open_scan(realdata / "merlin_ntnu" / "test_CL30cm.hspy", scan_shape=(1, 1), axes={"scan_step_nm": 1.0})


def test_graph_travels_to_another_process(tmp_path):
    """The task graph holds the path and no counts, so it pickles small and computes where the file is visible."""
    scan = open_scan(write(tmp_path / "a.hspy", chunks=(2, 3, 5, 4), compression="gzip", shuffle=True))
    sent = cloudpickle.dumps(scan.data)
    assert len(sent) < 20_000
    np.testing.assert_array_equal(cloudpickle.loads(sent).compute(scheduler="synchronous"), COUNTS)


WRITTEN, CHUNKS = (7, 6, 20, 18), (3, 4, 8, 8)
DATA = np.random.default_rng(3).integers(0, 2**16, WRITTEN, np.uint16)


def writer(path, **changes) -> HspyWriter:
    """A writer of a small scan with an off-centre origin."""
    options = dict(chunks=CHUNKS, scan_step_nm=1.4, det_scale_inv_angstrom=0.01, origin_row_col=(12.25, 8.5),
                   camera_length_cm=12.0, extra={"source": "twin", "seed": 5})
    return HspyWriter(path, WRITTEN, **(options | changes))


def fill(target: HspyWriter, data: np.ndarray, origins=None) -> None:
    """Write the blocks at ``origins``, by default all missing ones."""
    for y, x in target.missing() if origins is None else origins:
        target.write((y, x), data[y:y + CHUNKS[0], x:x + CHUNKS[1]])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16])
def test_written_file_opens_in_rosettasciio_with_the_same_counts(tmp_path, dtype):
    with writer(tmp_path / "a.hspy", dtype=dtype) as target:
        fill(target, DATA.astype(dtype))
    signal_ = file_reader(str(tmp_path / "a.hspy"), lazy=True)[0]
    np.testing.assert_array_equal(signal_["data"].compute(), DATA.astype(dtype))
    assert [axis["name"] for axis in signal_["axes"]] == ["y", "x", "ky", "kx"]
    assert [axis["navigate"] for axis in signal_["axes"]] == [True, True, False, False]
    assert signal_["axes"][2]["offset"] == pytest.approx(-12.25 * 0.01)
    assert [axis["units"] for axis in signal_["axes"]] == ["nm", "nm", "$A^{-1}$", "$A^{-1}$"]
    assert signal_["metadata"]["Acquisition_instrument"]["TEM"]["beam_energy"] == 200000  # in V, as the authors' files
    assert signal_["original_metadata"]["figures_pkg"]["seed"] == 5


def test_layout_is_that_of_the_authors_converter(tmp_path, realdata):
    """Groups and attribute names of the metadata agree with a real file of the same laboratory."""
    with writer(tmp_path / "a.hspy") as target:
        fill(target, DATA)

    def tree(path):
        with h5py.File(path) as file:
            group = file[SIGNAL]
            found = {"": set(group.attrs), **{f"axis-{i}": set(group[f"axis-{i}"].attrs) for i in range(2)}}
            group["metadata"].visititems(lambda name, node: found.setdefault(name, set(node.attrs)))
            return found, dict(file.attrs), dict(group.attrs), group["metadata/Acquisition_instrument/TEM"].attrs["beam_energy"]

    assert tree(tmp_path / "a.hspy") == tree(realdata / "merlin_ntnu" / "test_CL30cm.hspy")


def test_dataset_is_chunked_and_compressed_as_asked(tmp_path):
    with writer(tmp_path / "a.hspy", compression_level=6, title="a/b") as target:
        fill(target, DATA)
    with h5py.File(tmp_path / "a.hspy") as file:
        dataset = file["Experiments/a-b/data"]
        told = (dataset.chunks, dataset.compression, dataset.compression_opts, dataset.shuffle, dataset.maxshape)
        assert told == (CHUNKS, "gzip", 6, True, (None,) * 4)
        np.testing.assert_array_equal(dataset[...], DATA)


def test_threads_write_large_blocks_in_any_order(tmp_path):
    with writer(tmp_path / "a.hspy") as target, ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda yx: target.write(yx, DATA[yx[0]:yx[0] + 3]), [(6, 0), (3, 0), (0, 0)]))
    scan = open_scan(tmp_path / "a.hspy")
    np.testing.assert_array_equal(scan.values, DATA)
    assert scan.attrs["source"] == "twin" and scan.attrs["seed"] == 5


def test_unfinished_file_is_refused(tmp_path):
    target = writer(tmp_path / "a.hspy")
    every = target.missing()
    assert every == list(itertools.product((0, 3, 6), (0, 4)))
    fill(target, DATA, every[:4])
    with pytest.raises(RuntimeError, match=r"2 blocks are missing, the first at \(6, 0\)"):
        target.close()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_an_interrupted_writer_leaves_what_was_there(tmp_path, error):
    """Until the last block is written readers see the old file, also after an error or Ctrl-C, and nothing lies beside it."""
    path = tmp_path / "a.hspy"
    with writer(path) as target:
        fill(target, DATA)
    with pytest.raises(error), writer(path, fingerprint="other") as target:
        fill(target, 0 * DATA, [(0, 0)])
        raise error
    np.testing.assert_array_equal(open_scan(path).values, DATA)
    assert os.listdir(tmp_path) == ["a.hspy"]


@pytest.mark.parametrize("origin, block, error", [
    ((1, 0), np.zeros((3, 4, 20, 18), np.uint16), ValueError),      # not on the chunk grid
    ((0, 0), np.zeros((2, 4, 20, 18), np.uint16), ValueError),      # part of a chunk inside the scan
    ((6, 4), np.zeros((3, 4, 20, 18), np.uint16), ValueError),      # beyond the end
    ((0, 0), np.zeros((3, 4, 20, 16), np.uint16), ValueError),      # another detector
    ((0, 0), np.zeros((3, 4, 20, 18), np.float32), TypeError),      # not counts
])
def test_wrong_blocks_are_refused(tmp_path, origin, block, error):
    with pytest.raises(error, match="expected"), writer(tmp_path / "a.hspy") as target:
        target.write(origin, block)
