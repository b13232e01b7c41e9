"""Whole datasets: what lies in the files, and that nothing but preset, size, seed and library decides it."""

from importlib.resources import files
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import xarray as xr

from figures_pkg.data import open_scan
from figures_pkg.data.hspy import HspyWriter
from figures_pkg.twin import dataset
from figures_pkg.twin.dataset import library_settings, make_dataset, memory_bytes
from figures_pkg.twin.presets import load_preset
from figures_pkg.twin.truth import DESCRIPTION, read_truth, simulate_truth

pytestmark = pytest.mark.physics


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """DS1 with six by four positions."""
    text = (files("figures_pkg.twin") / "presets" / "ds1.yaml").read_text(encoding="utf-8")
    path = tmp_path_factory.mktemp("preset") / "tiny.yaml"
    path.write_text(text.partition("sizes:")[0] + "sizes: {small: {scan: [6, 4]}}\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def make(tiny, rocking_library):
    """Make the tiny dataset on the analytic library."""
    return lambda out, **options: make_dataset(tiny, "small", **{"out": out, "library": rocking_library, "seed": 3} | options)


@pytest.fixture(scope="module")
def made(make, tmp_path_factory):
    """One tiny dataset, for tests that only read."""
    return make(tmp_path_factory.mktemp("twin") / "tiny.hspy")


def test_scan_opens_like_a_measured_one(made):
    """The file gives dimensions, step, energy, origin and orientation as the authors' files do."""
    scan = open_scan(made)
    assert scan.dims == ("scan_y", "scan_x", "det_y", "det_x") and scan.shape == (6, 4, 256, 256)
    assert scan.dtype == np.uint16 and scan.attrs["source"] == "twin" and scan.attrs["orientation"] == "lab"
    assert scan.attrs["beam_energy_kev"] == 200 and scan.attrs["camera_length_cm"] == 12 and np.isnan(scan.attrs["convergence_mrad"])
    np.testing.assert_allclose(scan.attrs["origin_row_col"], (124.0, 128.6))
    np.testing.assert_allclose(scan.scan_x, np.arange(4) * 358.4 / 4)
    assert float(scan.det_y[125] - scan.det_y[124]) == pytest.approx(0.009555)


def test_truth_lies_on_the_scan(made):
    """The truth has the coordinates of the scan, all variables with units, the geometry of the pattern, and says how both were made."""
    scan, truth = open_scan(made), read_truth(made)
    assert all(scan.attrs[key] == truth.attrs[key] for key in ("source", "preset", "size", "seed", "version", "fingerprint"))
    assert (truth.attrs["preset"], truth.attrs["size"], truth.attrs["seed"]) == ("tiny", "small", 3)
    xr.testing.assert_equal(scan.scan_y.drop_attrs(), truth.scan_y.drop_attrs())
    xr.testing.assert_equal(scan.scan_x.drop_attrs(), truth.scan_x.drop_attrs())
    assert set(truth.data_vars) == set(DESCRIPTION)
    assert all(truth[name].attrs["units"] and truth[name].dims == ("scan_y", "scan_x") for name in truth.data_vars)
    np.testing.assert_allclose(truth.attrs["g002_row_col"], (-17.41, -5.89))
    assert truth.attrs["disc_radius_px"] == pytest.approx(5.34, abs=0.02)
    hkl = np.reshape(truth.attrs["reflections_hkl"], (-1, 3))
    assert (hkl[:, 0] == 0).all() and (hkl[:, 2] % 2 == 0).all()
    assert read_truth(made.with_suffix(".truth.nc")).identical(truth)


def test_plus_p_is_left_and_c_points_up(made, rocking_library):
    """+P lies at small scan_x, and its patterns differ from those of -P as the library says, with +l in upper rows."""
    scan, truth = open_scan(made), read_truth(made)
    assert (truth.domain[:, 0] == 1).all() and (truth.domain[:, -1] == -1).all()
    state = truth.isel(scan_y=3, scan_x=0)
    intensity = rocking_library.intensities(1, *(float(state[n]) for n in ("thickness_nm", "tilt_b_mrad", "tilt_c_mrad")))
    up, down = (intensity[rocking_library.hkl.tolist().index([0, 0, l])] for l in (2, -2))
    pattern = scan[3, 0].values.astype(float)
    rows, cols = np.indices(pattern.shape)
    disc = {l: pattern[np.hypot(rows - 124 + 17.41 * l / 2, cols - 128.6 + 5.89 * l / 2) < 4].mean() for l in (2, -2)}
    assert up > 1.2 * down and disc[2] > disc[-2] + 5


def test_chunks_and_threads_change_nothing_and_the_seed_everything(make, made, tmp_path):
    """Another layout of the file and another number of threads give the same counts and truth, another seed gives others."""
    other, seed = make(tmp_path / "other.hspy", chunks=(5, 3, 64, 128), workers=3), make(tmp_path / "seed.hspy", seed=4)
    with h5py.File(other) as file:
        stored = []
        file.visititems(lambda name, item: stored.append(item.chunks) if getattr(item, "ndim", 0) == 4 else None)
    assert stored == [(5, 3, 64, 128)]
    np.testing.assert_array_equal(open_scan(other).values, open_scan(made).values)
    assert read_truth(other).identical(read_truth(made))
    assert (open_scan(seed).values != open_scan(made).values).mean() > 0.5
    assert not np.allclose(read_truth(seed).thickness_nm, read_truth(made).thickness_nm)


def test_files_appear_whole_and_are_not_replaced_unasked(make, made, tmp_path, monkeypatch):
    """Ctrl-C half way leaves no file, whole or half. An existing one is refused and left alone, unless `overwrite` says otherwise."""
    write, written = HspyWriter.write, []

    def failing_write(self, origin, block):
        if written:
            raise KeyboardInterrupt
        write(self, origin, block)
        written.append(origin)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(HspyWriter, "write", failing_write)
        make(tmp_path / "broken.hspy", workers=1)
    assert len(written) == 1 and list(tmp_path.iterdir()) == []
    out = tmp_path / "kept.hspy"
    out.write_bytes(made.read_bytes())
    with pytest.raises(FileExistsError, match="overwrite=True"):
        make(out, seed=9)
    assert out.read_bytes() == made.read_bytes()
    make(out, seed=9, overwrite=True)
    assert open_scan(out).attrs["seed"] == 9 and read_truth(out).attrs["seed"] == 9


@pytest.mark.parametrize("options, message", [
    ({"preset": "ds7"}, "known are .*ds1"),
    ({"preset": "mine.yaml"}, "no preset file at mine.yaml"),
    ({"size": "gigantic"}, "preset 'ds1' has no size 'gigantic'; it comes in smoke, laptop, paper"),
    ({"seed": -1}, "seed is -1"),
    ({"out": "scan.zarr"}, "ends in"),
])  # fmt: skip
def test_wrong_requests_are_refused(options, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=message):
        make_dataset(**{"out": "scan.hspy"} | options)


def test_truth_of_a_measured_scan_is_asked_for_in_vain(tmp_path):
    with pytest.raises(FileNotFoundError, match="only simulated scans have a truth"):
        read_truth(tmp_path / "measured.hspy")


@pytest.mark.parametrize("name, seed", [("ds1", None), ("hard", 0), ("null-step", 7), ("overview", 0)])
def test_library_of_a_preset_covers_its_truth(name, seed):
    """Every state of a scan, with the disc around its tilt, lies inside the library of its seed, and of none."""
    preset = load_preset(name)
    settings, truth = library_settings(preset, seed), simulate_truth(preset, "smoke", 5 if seed is None else seed)
    reach = {axis: abs(truth[f"tilt_{axis}_mrad"]).max() + preset.beam.convergence_mrad for axis in "bc"}
    assert reach["b"] <= settings.tilt_b_mrad[-1] and reach["c"] <= settings.tilt_c_mrad[-1]
    nm = settings.periods * 0.6112
    assert nm[0] <= truth.thickness_nm.min() and truth.thickness_nm.max() <= nm[-1]


def test_memory_of_a_library_is_estimated_before_work(tmp_path, monkeypatch):
    """The estimate grows with library and scan, and is below 1 GB for a small one; too little is an error that names preset and size."""
    small, large = (library_settings(load_preset(name), 0) for name in ("easy", "hard"))
    shape = (48, 48, 256, 256)
    assert 4e8 < memory_bytes(small, shape) < memory_bytes(large, shape) < 1e9
    assert memory_bytes(small, shape, built=True) < memory_bytes(small, shape) < memory_bytes(small, (4096, 4096, 256, 256))
    monkeypatch.setattr(dataset, "available_memory_bytes", lambda: 2e8)
    with pytest.raises(OSError, match="preset 'hard' in size 'smoke' needs about .* GB of memory and 0.2 GB are free"):
        make_dataset("hard", "smoke", out=tmp_path / "hard.hspy")
    assert list(tmp_path.iterdir()) == []


def test_disk_is_asked_where_the_file_will_lie(tmp_path, monkeypatch):
    """The nearest folder that exists is asked; the message holds need, room and advice; just enough passes."""
    asked = []
    monkeypatch.setattr(dataset.shutil, "disk_usage", lambda path: asked.append(path) or SimpleNamespace(free=2 * 10**9))
    out = tmp_path / "new" / "deeper" / "scan.hspy"
    dataset.require_disk(out, 2 * 10**9)
    with pytest.raises(OSError, match="takes up to 3 GB .* has 2 GB; choose a smaller size or another disk"):
        dataset.require_disk(out, 3 * 10**9)
    assert asked == [tmp_path, tmp_path] and not out.parent.exists()


@pytest.mark.parametrize("names", dataset.LIMITS)
def test_limit_of_a_container_bounds_the_memory(names, tmp_path, monkeypatch):
    """What is left of a control group's limit bounds the machine's memory, in both versions; "max" is no bound."""
    monkeypatch.setattr(dataset, "CGROUP", tmp_path)
    for name, text in zip(names, ("3000000\n", "1000000\n")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert dataset.available_memory_bytes() == 2e6
    (tmp_path / names[0]).write_text("max\n")
    assert dataset.available_memory_bytes() > 2e6
