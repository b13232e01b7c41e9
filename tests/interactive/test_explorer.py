"""A scan packed for the browser: what is joined, how counts are rounded, and that a damaged file is noticed."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from figures_pkg.data.axes import DIMS, Axes, build_scan
from figures_pkg.imaging import Lattice
from figures_pkg.interactive.explorer_maps import KNOWN_MAPS, known_layers
from figures_pkg.interactive.explorer_page import (
    MOST_CODES,
    UNIT,
    ExplorerFileError,
    Layer,
    choose_bins,
    code_means,
    explorer,
    map_values,
    pack,
    quantise,
    read_script,
    unpack,
    write_page,
    write_script,
)  # fmt: skip


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
    """Whatever its size, a scan is joined until it fits, pixels never below about 64 along the longer side."""
    scan_bin, det_bin = choose_bins(shape)
    size = np.prod([n // b for n, b in zip(shape, (scan_bin, scan_bin, det_bin, det_bin))], dtype=float)
    assert size <= MOST_CODES and max(shape[2:]) // det_bin >= min(64, max(shape[2:]))


def test_the_books_scans_keep_their_detail():
    """The smoke scan keeps every position and 128 pixels, the laptop's every position, the paper's 85 of 256."""
    assert [choose_bins((n, n, 256, 256)) for n in (48, 96, 256)] == [(1, 2), (1, 4), (3, 4)]


@pytest.mark.parametrize("step", [1.5, 2.0])
@pytest.mark.parametrize("mean", [0.05, 1.0, 4.0, 13.0, 33.0, 250.0, 2000.0])
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
    packed = read_script(write_script(packed_of(scan), tmp_path / "data.js"))
    codes, table = quantise(scan.values.astype(np.int32), packed.head["step"])
    back = unpack(packed)
    np.testing.assert_array_equal(back.values, (table * UNIT)[codes])
    for dim in DIMS:
        np.testing.assert_allclose(back[dim], scan[dim], atol=1e-12)
    np.testing.assert_allclose(map_values(packed)["ramp"], np.arange(20).reshape(5, 4), atol=19 / 65535)
    np.testing.assert_array_equal(map_values(packed_of(scan, np.full((5, 4), 7.0)))["ramp"], 7.0)  # a map without contrast


def test_joined_pixels_are_added_and_lie_in_the_middle(monkeypatch):
    """Joining 2 x 2 pixels and positions adds counts, moves coordinates to the middle, and averages the maps."""
    monkeypatch.setattr("figures_pkg.interactive.explorer_page.choose_bins", lambda shape: (2, 2))
    packed = packed_of(scan_of(np.ones((5, 4, 6, 8), np.uint16)))
    back = unpack(packed)
    codes, table = quantise(np.array([16]), packed.head["step"])
    assert back.shape == (2, 2, 3, 4) and (back.values == (table * UNIT)[codes]).all()
    assert back.scan_y.values.tolist() == [1.0, 5.0] and back.det_x.values[0] == pytest.approx((0.5 - 4) * 0.01)
    np.testing.assert_allclose(map_values(packed)["ramp"], [[2.5, 4.5], [10.5, 12.5]], atol=1e-3)


def test_the_aperture_starts_on_004(scan):
    """At the place of the lattice in joined pixels; without one on the origin."""
    lattice = Lattice((3.0, 4.0), (-1.0, 0.5), (0.5, 1.0))
    disc = packed_of(scan, lattice=lattice, radius_px=1.5).head["disc"]
    assert (disc["row"], disc["col"], disc["radius"]) == pytest.approx((1.0, 5.0, 1.65))
    assert packed_of(scan).head["disc"]["row"] == pytest.approx(3.0)


@pytest.mark.parametrize("damage", [lambda t: t[:-40], lambda t: t.replace("A", "B", 1), lambda t: "", lambda t: t.replace('"] = "', '"] = "AAAA')])
def test_a_damaged_file_is_refused(scan, tmp_path, damage):
    """Truncated, altered or empty: one error that names the file and the command."""
    path = write_script(packed_of(scan), tmp_path / "data.js")
    path.write_text(damage(path.read_text()))
    with pytest.raises(ExplorerFileError, match="data.js is no whole data file.*figures_pkg explore"):
        read_script(path)


@pytest.mark.parametrize("change, ramp, message", [
    (lambda scan: scan.astype(float) - 5, 1.0, "negative or missing"),
    (lambda scan: scan.astype(float) * 1e6, 1.0, "divide the scan"),
    (lambda scan: scan, np.nan, "'ramp'"),
])  # fmt: skip
def test_what_a_page_cannot_show_is_refused(scan, change, ramp, message):
    """Negative counts, counts beyond integers of 32 bits, and maps with holes."""
    with pytest.raises(ValueError, match=message):
        packed_of(change(scan), np.full((5, 4), ramp))


def test_the_truth_offers_what_is_finite(scan):
    """Without a wall its distance is infinite and not offered; without a truth nothing is."""
    truth = xr.Dataset({name: (DIMS[:2], np.ones((5, 4)), {"units": "nm"}) for name in KNOWN_MAPS}, {d: scan[d] for d in DIMS[:2]})
    assert [each.key for each in known_layers(truth)] == list(KNOWN_MAPS)
    truth["wall_distance_nm"] = truth.wall_distance_nm * np.inf
    assert "wall_distance_nm" not in [each.key for each in known_layers(truth)]
    assert known_layers(None) == []


def test_matched_domains_are_offered_as_such(scan):
    """Positions with a poor fit belong to neither domain, whatever the match prefers there."""
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
    html = explorer(packed, "data.js", name="x")
    assert "http" not in html and "fetch(" not in html and "XMLHttpRequest" not in html
    assert packed.key in html and f'"bytes":{len(packed.payload)}' in html and len(html) < 60_000
    page = write_page(packed, tmp_path / "mine.html", "Mine")
    assert '"file":"mine.js"' in page.read_text() and read_script(tmp_path / "mine.js").key == packed.key
