"""A scan packed for the browser: what is joined, how counts are rounded, and that a damaged file is noticed."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from figures_pkg.data.axes import DIMS, Axes, build_scan
from figures_pkg.imaging import Lattice
from figures_pkg.interactive import explorer_page
from figures_pkg.interactive.explorer_page import MOST_CODES, UNIT, Layer, choose_bins, code_means, known_layers, map_values, pack, quantise, unpack


def scan_of(counts):
    """A scan with round axes."""
    axes = Axes(scan_step_nm=2.0, det_scale_inv_angstrom=0.01, origin_row_col=(3.0, 4.0))
    return build_scan(counts, axes, orientation="lab", source="user", path="", title="", format="")


@pytest.fixture(scope="module")
def scan():
    """Poisson counts, dark at the left and bright at the right."""
    mean = np.broadcast_to(np.linspace(1, 60, 8), (5, 4, 6, 8))
    return scan_of(np.random.default_rng(0).poisson(mean).astype(np.uint16))


def packed_of(scan, ramp=np.arange(20.0).reshape(5, 4), **more):
    """Packed with a map and words for the page."""
    layer = Layer("ramp", "a ramp", "from the data", xr.DataArray(ramp, {d: scan[d] for d in DIMS[:2]}, DIMS[:2]), "nm")
    return pack(scan, [layer], {"source": "user", "title": "a test"}, **more)


@given(st.tuples(*[st.integers(1, 600)] * 2, *[st.integers(8, 1024)] * 2))
def test_joined_scans_fit_a_browser(shape):
    """Whatever its size, a scan is joined until it fits, pixels never below about 64 along the longer side; the book's scans keep their detail."""
    assert [choose_bins((n, n, 256, 256)) for n in (48, 96, 256)] == [(1, 2), (1, 4), (3, 4)]
    scan_bin, det_bin = choose_bins(shape)
    size = np.prod([n // b for n, b in zip(shape, (scan_bin, scan_bin, det_bin, det_bin))], dtype=float)
    assert size <= MOST_CODES and max(shape[2:]) // det_bin >= min(64, max(shape[2:]))


@pytest.mark.parametrize("step", [1.5, 2.0])
@pytest.mark.parametrize("mean", [0.05, 1.0, 4.0, 33.0, 2000.0])
def test_rounding_keeps_the_mean_and_adds_little_noise(mean, step):
    """Of Poisson counts the mean is kept to 0.15 counts; the added variance is that of the rounding, step²/12 of the noise's."""
    counts = np.random.default_rng(1).poisson(mean, 200_000)
    codes, table = quantise(counts, step)
    error = (table * UNIT)[codes] - counts
    assert abs(error.mean()) < 0.15
    assert error.var() < (step**2 / 12 + 0.1) * max(mean, 1)


def test_codes_mean_rising_counts_and_bright_pixels_widen_the_step():
    """No count and a single one are kept; a larger code means more; ten million counts have the last code and come back within its step."""
    means = code_means(1.5)
    assert means[0] == 0 and means[1] == 1 and (np.diff(means) > 0).all()
    codes, table = quantise(np.array([0, 10, 10_000_000]), 1.5)
    assert codes[-1] == 255 and (table * UNIT)[codes[-1]] == pytest.approx(1e7, rel=0.005)


def test_unpacked_is_the_rounded_scan(scan, tmp_path):
    """Written and read, the data are the rounded counts in their places, with the scan's coordinates, and the maps to 1/65535."""
    packed = explorer_page.read_script(explorer_page.write_script(packed_of(scan), tmp_path / "data.js"))
    codes, table = quantise(scan.values.astype(np.int32), packed.head["step"])
    back = unpack(packed)
    np.testing.assert_array_equal(back.values, (table * UNIT)[codes])
    for dim in DIMS:
        np.testing.assert_allclose(back[dim], scan[dim], atol=1e-12)
    np.testing.assert_allclose(map_values(packed)["ramp"], np.arange(20).reshape(5, 4), atol=19 / 65535)
    np.testing.assert_array_equal(map_values(packed_of(scan, np.full((5, 4), 7.0)))["ramp"], 7.0)  # a map without contrast
    lattice = Lattice((3.0, 4.0), (-1.0, 0.5), (0.5, 1.0))
    disc = packed_of(scan, lattice=lattice, radius_px=1.5).head["disc"]  # the aperture starts on 004, or on the origin
    assert (disc["row"], disc["col"], disc["radius"]) == pytest.approx((1.0, 5.0, 1.65)) and packed.head["disc"]["row"] == pytest.approx(3.0)


def test_joined_pixels_are_added_and_lie_in_the_middle(monkeypatch):
    """Joining 2 x 2 pixels and positions adds counts, moves coordinates to the middle, and averages the maps."""
    monkeypatch.setattr(explorer_page, "choose_bins", lambda shape: (2, 2))
    packed = packed_of(scan_of(np.ones((5, 4, 6, 8), np.uint16)))
    back = unpack(packed)
    codes, table = quantise(np.array([16]), packed.head["step"])
    assert back.shape == (2, 2, 3, 4) and (back.values == (table * UNIT)[codes]).all()
    assert back.scan_y.values.tolist() == [1.0, 5.0] and back.det_x.values[0] == pytest.approx((0.5 - 4) * 0.01)
    np.testing.assert_allclose(map_values(packed)["ramp"], [[2.5, 4.5], [10.5, 12.5]], atol=1e-3)


@pytest.mark.parametrize("damage", [lambda t: t[:-40], lambda t: t.replace("A", "B", 1), lambda t: "", lambda t: t.replace('"] = "', '"] = "AAAA')])
def test_a_damaged_file_is_refused(scan, tmp_path, damage):
    """Truncated, altered or empty: one error that names the file and the command."""
    path = explorer_page.write_script(packed_of(scan), tmp_path / "data.js")
    path.write_text(damage(path.read_text()))
    with pytest.raises(explorer_page.ExplorerFileError, match="data.js is no whole data file.*figures_pkg explore"):
        explorer_page.read_script(path)


@pytest.mark.parametrize("change, ramp, message", [
    (lambda scan: scan.astype(float) - 5, 1.0, "negative or missing"),
    (lambda scan: scan.astype(float) * 1e6, 1.0, "divide the scan"),
    (lambda scan: scan, np.nan, "'ramp'"),
])  # fmt: skip
def test_what_a_page_cannot_show_is_refused(scan, change, ramp, message):
    """Negative counts, counts beyond integers of 32 bits, and maps with holes."""
    with pytest.raises(ValueError, match=message):
        packed_of(change(scan), np.full((5, 4), ramp))


def test_what_is_known_is_offered(scan):
    """
    Of a truth what is finite: without a wall its distance is not; without a truth nothing.

    Matched domains are called so, and positions with a poor fit belong to neither, whatever the match prefers there.
    """
    names = list(explorer_page.KNOWN_MAPS)
    truth = xr.Dataset({name: (DIMS[:2], np.ones((5, 4)), {"units": "nm"}) for name in names}, {d: scan[d] for d in DIMS[:2]})
    assert [each.key for each in known_layers(truth)] == names and known_layers(None) == []
    assert [each.key for each in known_layers(truth.assign(wall_distance_nm=truth.wall_distance_nm * np.inf))] == names[:-1]
    maps = {name: (DIMS[:2], np.ones((5, 4))) for name in ("domain", "polarization", "thickness_nm")}
    known = xr.Dataset(maps | {"poor_fit": (DIMS[:2], np.zeros((5, 4), bool))}, {d: scan[d] for d in DIMS[:2]}, {"basis": "matched", "sign_known": 1})
    known.domain[0, 0], known.thickness_nm[0, 0], known.poor_fit[0, 0] = 0, 80, True
    layers = {each.key: each for each in known_layers(known)}
    assert list(layers) == ["polarization", "thickness_nm"] and {each.group for each in layers.values()} == {"matched to the library"}
    assert np.asarray(layers["polarization"].values)[0, 0] == 0
    assert layers["thickness_nm"].title == "matched thickness" and (np.asarray(layers["thickness_nm"].values) == 1).all()  # as nearest to the poor fit


def test_the_page_loads_nothing_by_itself(scan, tmp_path):
    """No address in the HTML, no file read; the data's name and size stand in it; a page of its own has its data beside it."""
    packed = packed_of(scan)
    html = explorer_page.explorer(packed, "data.js", name="x")
    assert "http" not in html and "fetch(" not in html and "XMLHttpRequest" not in html
    assert packed.key in html and f'"bytes":{len(packed.payload)}' in html and len(html) < 60_000
    page = explorer_page.write_page(packed, tmp_path / "mine.html", "Mine")
    assert '"file":"mine.js"' in page.read_text() and explorer_page.read_script(tmp_path / "mine.js").key == packed.key
