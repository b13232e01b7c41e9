"""A scan packed for the browser: what is joined, how counts are rounded, and that a damaged file is noticed."""

import numpy as np
import pytest
import xarray as xr
from drawn_patterns import scan_of

from figures_pkg.data.axes import DIMS
from figures_pkg.imaging import Lattice
from figures_pkg.interactive import explorer_page
from figures_pkg.interactive.explorer_page import MOST_CODES, UNIT, Layer, Packed, choose_bins, known_layers, pack, quantise


@pytest.fixture(scope="module")
def scan():
    """Poisson counts, dark at the left and bright at the right."""
    mean = np.broadcast_to(np.linspace(1, 60, 8), (5, 4, 6, 8))
    return scan_of(np.random.default_rng(0).poisson(mean).astype(np.uint16), (3.0, 4.0), step_nm=2.0)


def packed_of(scan, ramp=np.arange(20.0).reshape(5, 4), **more):
    layer = Layer("ramp", "a ramp", "from the data", xr.DataArray(ramp, {d: scan[d] for d in DIMS[:2]}, DIMS[:2]), "nm")
    return pack(scan, [layer], {"source": "user", "title": "a test"}, **more)


@pytest.mark.parametrize("shape, bins", [
    ((48, 48, 256, 256), (1, 2)), ((96, 96, 256, 256), (1, 4)), ((256, 256, 256, 256), (3, 4)), ((5, 4, 8, 6), (1, 1)), ((600, 600, 1024, 1024), None),
])  # fmt: skip
def test_joined_scans_fit_a_browser(shape, bins):
    """Whatever its size, a scan is joined until it fits, pixels never below about 64 along the longer side; the book's scans keep their detail."""
    scan_bin, det_bin = chosen = choose_bins(shape)
    size = np.prod([n // b for n, b in zip(shape, (scan_bin, scan_bin, det_bin, det_bin))], dtype=float)
    assert size <= MOST_CODES and max(shape[2:]) // det_bin >= min(64, max(shape[2:])) and (bins is None or chosen == bins)


@pytest.mark.parametrize("mean", [0.05, 1.0, 4.0, 33.0, 2000.0])
def test_rounding_keeps_the_mean_and_adds_little_noise(mean, step=1.5):
    """Of Poisson counts the mean is kept to 0.15 counts; the added variance is that of the rounding, step²/12 of the noise's; a bright pixel stays."""
    counts = np.append(np.random.default_rng(1).poisson(mean, 50_000), 10_000_000)
    codes, table = quantise(counts[:-1], step)
    error = (table * UNIT)[codes] - counts[:-1]
    assert abs(error.mean()) < 0.15 and error.var() < (step**2 / 12 + 0.1) * max(mean, 1)
    codes, table = quantise(counts, step)  # ten million counts have the last code and come back within its step
    assert codes[-1] == 255 and (table * UNIT)[codes[-1]] == pytest.approx(1e7, rel=0.005)


def test_unpacked_is_the_rounded_scan(scan, tmp_path):
    """Written and read, the data are the rounded counts in their places, with the scan's coordinates, and the maps to 1/65535."""
    packed = Packed.read(packed_of(scan).write(tmp_path / "data.js"))
    codes, table = quantise(scan.values.astype(np.int32), packed.head["step"])
    back = packed.scan()
    np.testing.assert_array_equal(back.values, (table * UNIT)[codes])
    for dim in DIMS:
        np.testing.assert_allclose(back[dim], scan[dim], atol=1e-12)
    np.testing.assert_allclose(packed.maps()["ramp"], np.arange(20).reshape(5, 4), atol=19 / 65535)
    np.testing.assert_array_equal(packed_of(scan, np.full((5, 4), 7.0)).maps()["ramp"], 7.0)  # a map without contrast
    lattice = Lattice((3.0, 4.0), (-1.0, 0.5), (0.5, 1.0))
    disc = packed_of(scan, lattice=lattice, radius_px=1.5).head["disc"]  # the aperture starts on 004, or on the origin
    assert (disc["row"], disc["col"], disc["radius"]) == pytest.approx((1.0, 5.0, 1.65)) and packed.head["disc"]["row"] == pytest.approx(3.0)


def test_joined_pixels_are_added_and_lie_in_the_middle(monkeypatch):
    """Joining 2 x 2 pixels and positions adds counts, moves coordinates to the middle, and averages the maps."""
    monkeypatch.setattr(explorer_page, "choose_bins", lambda shape: (2, 2))
    packed = packed_of(scan_of(np.ones((5, 4, 6, 8), np.uint16), (3.0, 4.0), step_nm=2.0))
    back = packed.scan()
    codes, table = quantise(np.array([16]), packed.head["step"])
    assert back.shape == (2, 2, 3, 4) and (back.values == (table * UNIT)[codes]).all()
    assert back.scan_y.values.tolist() == [1.0, 5.0] and back.det_x.values[0] == pytest.approx((0.5 - 4) * 0.01)
    np.testing.assert_allclose(packed.maps()["ramp"], [[2.5, 4.5], [10.5, 12.5]], atol=1e-3)


@pytest.mark.parametrize("damage", [lambda t: t[:-40], lambda t: t.replace("A", "B", 1), lambda t: "", lambda t: t.replace('"] = "', '"] = "AAAA')])
def test_a_damaged_file_is_refused(scan, tmp_path, damage):
    """Truncated, altered or empty: one error that names the file and the command."""
    path = packed_of(scan).write(tmp_path / "data.js")
    path.write_text(damage(path.read_text()))
    with pytest.raises(explorer_page.ExplorerFileError, match="data.js is no whole data file.*figures_pkg explore"):
        Packed.read(path)


@pytest.mark.parametrize("change, ramp, message", [
    (lambda scan: scan.astype(float) - 5, 1.0, "negative or missing"),
    (lambda scan: scan.astype(float) * 1e6, 1.0, "divide the scan"),
    (lambda scan: scan, np.nan, "'ramp'"),
])  # fmt: skip
def test_what_a_page_cannot_show_is_refused(scan, change, ramp, message):
    with pytest.raises(ValueError, match=message):
        packed_of(change(scan), np.full((5, 4), ramp))


def test_what_is_known_is_offered(scan):
    """Of a truth what is finite; matched domains are called so, and positions with a poor fit belong to neither, whatever the match prefers there."""
    names = list(explorer_page.KNOWN_MAPS)
    truth = xr.Dataset({name: (DIMS[:2], np.ones((5, 4)), {"units": "nm"}) for name in names}, {d: scan[d] for d in DIMS[:2]})
    assert [each.key for each in known_layers(truth)] == names and known_layers(None) == []
    assert [each.key for each in known_layers(truth.assign(wall_distance_nm=truth.wall_distance_nm * np.inf))] == names[:-1]  # without a wall
    maps = {name: (DIMS[:2], np.ones((5, 4))) for name in ("domain", "polarization", "thickness_nm")}
    known = xr.Dataset(maps | {"poor_fit": (DIMS[:2], np.zeros((5, 4), bool))}, {d: scan[d] for d in DIMS[:2]}, {"basis": "matched", "sign_known": 1})
    known.domain[0, 0], known.thickness_nm[0, 0], known.poor_fit[0, 0] = 0, 80, True
    polarization, thickness = known_layers(known)
    assert (polarization.key, polarization.group, thickness.title) == ("polarization", "matched to the library", "matched thickness")
    assert np.asarray(polarization.values)[0, 0] == 0 and (np.asarray(thickness.values) == 1).all()  # as nearest to the poor fit


def test_a_page_of_its_own_has_its_data_beside_it(scan, tmp_path):
    """The data's name and size stand in it, and the numbers do not."""
    packed = packed_of(scan)
    html = explorer_page.write_page(packed, tmp_path / "mine.html", "Mine").read_text()
    assert '"file":"mine.js"' in html and f'"bytes":{len(packed.payload)}' in html and len(html) < 60_000
    assert Packed.read(tmp_path / "mine.js").key == packed.key
