"""Every storage layout of .hspy gives the same counts, every trap of the labels is met, and no crash of the writer leaves half a file."""

import os
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import cloudpickle
import h5py
import numpy as np
import pytest
import rsciio.hspy

from figures_pkg.data.axes import ScanFileError
from figures_pkg.data.hspy import HspyWriter
from figures_pkg.data.scan import open_scan

SIGNAL = "Experiments/__unnamed__"
SHAPE = (5, 7, 12, 10)
COUNTS = np.random.default_rng(1).integers(0, 60, SHAPE).astype("u2")
PACKED = dict(chunks=(2, 3, 5, 4), compression="gzip", shuffle=True)


def writer(path, chunks=(2, 3, 5, 4), **changes) -> HspyWriter:
    """A writer of a small scan with an off-centre origin."""
    options = dict(scan_step_nm=1.4, det_scale_inv_angstrom=0.01, origin_row_col=(7.5, 4.25), camera_length_cm=12.0, extra={"source": "twin", "seed": 5})
    return HspyWriter(path, SHAPE, chunks=chunks, **(options | changes))


def edit(path, change):
    """Apply ``change`` to the only signal of a file; returns the path."""
    with h5py.File(path, "r+") as file:
        change(file[SIGNAL])
    return path


def write(path, data=COUNTS, version="3.0", **storage):
    """A file in the authors' layout with the dataset stored in another way; returns the path."""
    with writer(path, chunks=SHAPE) as target:
        target.write((0, 0), COUNTS)
    with h5py.File(path, "r+") as file:
        file.attrs["file_format_version"] = version
        del file[SIGNAL]["data"]
        file[SIGNAL].create_dataset("data", data=data, **storage)
    return path


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4", ">u2"])
@pytest.mark.parametrize("storage", [
    PACKED, dict(PACKED, chunks=(1, 1, 12, 10)), dict(chunks=(2, 3, 12, 10), compression="gzip"), dict(chunks=(2, 3, 12, 10), shuffle=True),
    dict(chunks=(4, 4, 5, 10)), {}, dict(chunks=(2, 3, 12, 10), compression="lzf"), dict(PACKED, fletcher32=True)])
def test_every_layout_gives_the_stored_counts(tmp_path, storage, dtype):
    data = np.random.default_rng(1).bytes(np.prod(SHAPE) * np.dtype(dtype).itemsize)  # every byte of an element matters
    data = np.frombuffer(data, dtype).reshape(SHAPE)
    path = write(tmp_path / "a.hspy", data, **storage)
    lab, camera = (open_scan(path, orientation=name, check_counts=False) for name in ("lab", "camera"))
    assert lab.dtype == data.dtype.newbyteorder("=")
    np.testing.assert_array_equal(lab.values, data)
    np.testing.assert_array_equal(camera.values, data[:, :, ::-1])
    for box in (np.s_[1:4, 2, 3:11:2, ::-3], np.s_[3, 4:7, 5:6, 4:9], np.s_[4:, ::2, :7, 3], np.s_[0, 0, 11, 9]):
        np.testing.assert_array_equal(lab[box].values, data[box])
        np.testing.assert_array_equal(camera[box].values, data[:, :, ::-1][box])


def test_chunks_that_were_never_written_are_filled(tmp_path):
    def with_hole(group):
        del group["data"]
        dataset = group.create_dataset("data", SHAPE, "u2", chunks=(2, 3, 12, 10), fillvalue=9, compression="gzip")
        dataset[:2] = COUNTS[:2]

    np.testing.assert_array_equal(open_scan(edit(write(tmp_path / "a.hspy"), with_hole)).values, np.concatenate([COUNTS[:2], np.full_like(COUNTS[2:], 9)]))


@pytest.mark.parametrize("skipped", [0b00, 0b01, 0b10, 0b11])
def test_chunks_stored_without_their_filters_are_read(tmp_path, skipped):
    """HDF5 may skip a filter chunk by chunk and notes it in a mask, which is respected. One that does not inflate raises the file's name, no counts."""
    path = write(tmp_path / "a.hspy", chunks=(5, 7, 12, 5), compression="gzip", shuffle=True)
    stored = np.ascontiguousarray(COUNTS[..., 5:])
    stored = stored if skipped & 0b01 else stored.reshape(-1).view("u1").reshape(-1, 2).T
    stored = stored.tobytes() if skipped & 0b10 else zlib.compress(stored.tobytes())
    edit(path, lambda group: group["data"].id.write_direct_chunk((0, 0, 0, 5), stored, filter_mask=skipped))
    np.testing.assert_array_equal(open_scan(path).values, COUNTS)
    edit(path, lambda group: group["data"].id.write_direct_chunk((0, 0, 0, 0), b"no zlib stream"))
    with pytest.raises(OSError, match="a.hspy: a compressed chunk is damaged"):
        open_scan(path, check_counts=False).compute()


def test_graph_travels_to_another_process(tmp_path):
    """The task graph holds the path and no counts, so it pickles small and computes where the file is visible."""
    sent = cloudpickle.dumps(open_scan(write(tmp_path / "a.hspy", **PACKED)).data)
    assert len(sent) < 20_000
    np.testing.assert_array_equal(cloudpickle.loads(sent).compute(scheduler="synchronous"), COUNTS)


def test_file_written_by_rosettasciio_opens(tmp_path):
    """Its energy is in keV, its lengths in µm and 1/nm."""
    axes = [dict(name=name, size=size, scale=scale, offset=0.0, units=units, navigate=index < 2, _type="UniformDataAxis")
            for index, (name, size, scale, units) in enumerate(zip("yxvu", SHAPE, (2, 2, 0.1, 0.1), ("µm", "µm", "1/nm", "1/nm")))]
    metadata = {"General": {"title": "new"}, "Signal": {"signal_type": "electron_diffraction"},
                "Acquisition_instrument": {"TEM": {"beam_energy": 80.0}}}
    signal = dict(data=COUNTS, axes=axes, metadata=metadata, original_metadata={}, learning_results={}, attributes={"_lazy": False},
                  tmp_parameters={}, models=None, package_info={"package": "hyperspy", "package_version": "2.5"})
    rsciio.hspy.file_writer(str(tmp_path / "new.hspy"), signal)
    scan = open_scan(tmp_path / "new.hspy")
    np.testing.assert_array_equal(scan.values, COUNTS)
    assert scan.attrs["beam_energy_kev"] == 80 and scan.attrs["title"] == "new" and scan.attrs["format"] == "hspy 3.3"
    assert scan.scan_x[1] == 2000 and scan.det_x[1] == pytest.approx(0.01)


@pytest.mark.parametrize("unit, message", [("mrad", None), ("px", "unknown"), ("_None_", "unknown"), ("furlong", "not understood")])
def test_odd_units_of_the_detector(tmp_path, unit, message):
    """An angle is divided by the wavelength, 0.02508 Å; without a calibration the coordinates are pixels, and the caller is told what to pass."""
    path = edit(write(tmp_path / "a.hspy"), lambda group: [group[f"axis-{index}"].attrs.update(units=unit, scale=0.25, offset=-1.5) for index in (2, 3)])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        scan = open_scan(path)
    assert any(message in str(item.message) for item in caught) if message else not caught
    assert scan.det_y.attrs["units"] == ("px" if message else "1/angstrom") and scan.attrs["origin_row_col"] == (6, 6)
    np.testing.assert_allclose(scan.det_y, (np.arange(12) - 6) * (1 if message else 0.25e-3 / 0.0250793), rtol=1e-4)
    assert scan.scan_y.attrs["units"] == "nm"


def test_navigation_axes_come_first_wherever_they_stand(tmp_path):
    def swap(group):
        for index in range(4):
            group.move(f"axis-{index}", f"old-{index}")
        for new, old in enumerate((2, 3, 0, 1)):
            group.move(f"old-{old}", f"axis-{new}")

    path = edit(write(tmp_path / "a.hspy", COUNTS.transpose(2, 3, 0, 1), chunks=(4, 5, 2, 7), compression="gzip", shuffle=True), swap)
    scan = open_scan(path)
    np.testing.assert_array_equal(scan.values, COUNTS)
    np.testing.assert_allclose(scan.det_y, 0.01 * (np.arange(12) - 7.5))
    np.testing.assert_array_equal(open_scan(path, orientation="camera").values, COUNTS[:, :, ::-1])


@pytest.mark.parametrize("make, message", [
    (lambda path: path.write_bytes(write(path, chunks=(1, 1, 12, 10)).read_bytes()[:-500]), r"truncated: it has \d+ of \d+ bytes"),
    (lambda path: path.write_bytes(b"\0" * 600 + write(path).read_bytes()[600:]), "header"),
    (lambda path: edit(write(path), lambda group: group.__delitem__("axis-1")), "lacks axis-1"),
    (lambda path: write(path, version="2.2"), "save it again"),
    (lambda path: h5py.File(path, "w").create_group("data").file.close(), "not one of HyperSpy's"),
    (lambda path: write(path, COUNTS[0]), "3 axes"),
    (lambda path: edit(write(path), lambda group: group["axis-2"].attrs.__setitem__("navigate", True)), "3 of the axes .* expected 2"),
    (lambda path: edit(write(path), lambda group: group.copy(group, group.parent, "second")), r"2 signals.*second.*\(5, 7, 12, 10\).*experiment="),
], ids=["cut", "head", "axis", "old", "foreign", "rank", "navigation", "two"])  # fmt: skip
def test_unusable_files_are_explained(tmp_path, make, message):
    """Damaged, incomplete, of another program, of an old format, of another rank: one clear error each. Of several signals one is chosen by name."""
    make(tmp_path / "a.hspy")
    with pytest.raises(ScanFileError, match=message):
        open_scan(tmp_path / "a.hspy")
    if "signals" in message:
        np.testing.assert_array_equal(open_scan(tmp_path / "a.hspy", experiment="second").values, COUNTS)
        with pytest.raises(ScanFileError, match="no 'third'"):
            open_scan(tmp_path / "a.hspy", experiment="third")


def spot(peak: float, clip=None) -> np.ndarray:
    """Patterns of one smooth bright spot on a weak background with Poisson noise, as integers."""
    y, x = np.mgrid[:12, :10]
    noisy = np.random.default_rng(0).poisson(4 + peak * np.exp(-((y - 6) ** 2 + (x - 5) ** 2) / 8), SHAPE)
    return noisy if clip is None else np.minimum(noisy, clip)


@pytest.mark.parametrize("data, warned", [
    ((spot(500) % 256).astype("u1"), "wrapped modulo 256"), (spot(200).astype("u1"), None), (spot(600, 255).astype("u1"), "saturated"),
    (spot(9000, 4095).astype("u2"), "4095"), (spot(3000, 4095).astype("u2"), None), (spot(100, 63).astype("u1"), "saturated"),
    (spot(200).astype("u1") * (np.arange(120).reshape(12, 10) != 65), None)])  # a dead pixel in the middle of the spot
def test_overflowed_counters_are_found_and_good_ones_left_alone(tmp_path, data, warned):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        open_scan(write(tmp_path / "a.hspy", data))
    assert len(caught) == (warned is not None) and (warned is None or warned in str(caught[0].message))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16])
def test_written_file_opens_in_rosettasciio_with_the_same_counts(tmp_path, dtype):
    """Large blocks come from threads in any order; labels and storage are those of the authors' converter."""
    data = np.random.default_rng(3).integers(0, 2**16, SHAPE, np.uint16).astype(dtype)
    with writer(tmp_path / "a.hspy", dtype=dtype, compression_level=6, title="a/b") as target, ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda y: target.write((y, 0), data[y:y + 2]), (4, 2, 0)))
    found = rsciio.hspy.file_reader(str(tmp_path / "a.hspy"), lazy=True)[0]
    np.testing.assert_array_equal(found["data"].compute(), data)
    assert [(axis["name"], axis["navigate"], axis["units"]) for axis in found["axes"]] == [
        ("y", True, "nm"), ("x", True, "nm"), ("ky", False, "$A^{-1}$"), ("kx", False, "$A^{-1}$")]
    assert found["axes"][2]["offset"] == pytest.approx(-7.5 * 0.01)
    assert found["metadata"]["Acquisition_instrument"]["TEM"]["beam_energy"] == 200000  # in V, as the authors' files
    scan = open_scan(tmp_path / "a.hspy", check_counts=False)
    np.testing.assert_allclose(scan.scan_y, 1.4 * np.arange(5))
    np.testing.assert_allclose(scan.det_x, 0.01 * (np.arange(10) - 4.25))
    assert scan.attrs["format"] == "hspy 3.0" and scan.attrs["beam_energy_kev"] == 200
    assert scan.attrs["source"] == "twin" and scan.attrs["seed"] == found["original_metadata"]["figures_pkg"]["seed"] == 5
    with h5py.File(tmp_path / "a.hspy") as file:
        stored = file["Experiments/a-b/data"]
        assert (stored.chunks, stored.compression_opts, stored.shuffle, stored.maxshape) == ((2, 3, 5, 4), 6, True, (None,) * 4)


def test_layout_is_that_of_the_authors_converter(tmp_path, realdata):
    """Groups and attribute names of the metadata agree with a real file of the same laboratory, whose wrapped counts warn."""
    def tree(path):
        with h5py.File(path) as file:
            group = file[SIGNAL]
            found = {"": set(group.attrs), **{f"axis-{i}": set(group[f"axis-{i}"].attrs) for i in range(2)}}
            group["metadata"].visititems(lambda name, node: found.setdefault(name, set(node.attrs)))
            return found, dict(file.attrs), dict(group.attrs), group["metadata/Acquisition_instrument/TEM"].attrs["beam_energy"]

    theirs = realdata / "merlin_ntnu" / "test_CL30cm.hspy"
    assert tree(write(tmp_path / "a.hspy")) == tree(theirs)
    with pytest.warns(UserWarning, match="wrapped modulo 256"):
        open_scan(theirs, scan_shape=(1, 1), axes={"scan_step_nm": 1.0})


@pytest.mark.parametrize("error, says", [(RuntimeError, r"3 blocks are missing, the first at \(4, 0\)"), (ZeroDivisionError, None), (KeyboardInterrupt, None)])
def test_an_unfinished_writer_leaves_what_was_there(tmp_path, error, says):
    """Until the last block is written readers see the old file, also after an error or Ctrl-C, and nothing lies beside it."""
    path = write(tmp_path / "a.hspy")
    with pytest.raises(error, match=says), writer(path, fingerprint="other") as target:
        assert target.missing() == [(y, x) for y in (0, 2, 4) for x in (0, 3, 6)]
        target.write((0, 0), 0 * COUNTS[:4])
        if not says:
            raise error
    np.testing.assert_array_equal(open_scan(path).values, COUNTS)
    assert os.listdir(tmp_path) == ["a.hspy"]


def test_wrong_blocks_are_refused(tmp_path):
    """Off the grid of chunks, part of a chunk, beyond the end, of another detector, and no counts."""
    for origin, shape, dtype in (((1, 0), (2, 3, 12, 10), "u2"), ((0, 0), (1, 3, 12, 10), "u2"), ((4, 6), (2, 1, 12, 10), "u2"),
                                 ((0, 0), (2, 3, 12, 8), "u2"), ((0, 0), (2, 3, 12, 10), "f4")):  # fmt: skip
        with pytest.raises((ValueError, TypeError), match="expected"), writer(tmp_path / "a.hspy") as target:
            target.write(origin, np.zeros(shape, dtype))
