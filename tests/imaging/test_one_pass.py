"""The one pass agrees with plain NumPy, whatever the type, the blocks, the detectors and who does the work."""

import weakref
from functools import partial

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from drawn_patterns import STEP
from drawn_patterns import scan_of as scan_around
from hypothesis import given, settings
from hypothesis import strategies as st

from figures_pkg.imaging import Annulus, Box, CenterOfMass, Disc, asymmetry, summarise

SHAPE = (5, 7, 19, 22)  # no multiple of eight anywhere, so every remainder loop runs
CENTRE = (8.5, 10.25)
DETECTORS = {"disc": Disc(CENTRE, 3.2), "annulus": Annulus(CENTRE, 4, 30), "box": Box((2, 5), (0, 22))}


def counts(dtype="uint16") -> np.ndarray:
    """Random values that fill the range of a type, floats with a fraction."""
    rng, dtype = np.random.default_rng(1), np.dtype(dtype)
    if dtype.kind == "f":
        return rng.gamma(1.0, 50.0, SHAPE).astype(dtype)
    info = np.iinfo(dtype)
    return rng.integers(max(info.min, -10**9), info.max, SHAPE, dtype.newbyteorder("="), endpoint=True).astype(dtype)


scan_of = partial(scan_around, origin=CENTRE)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "int16", "uint32", ">u2"])
def test_images_and_patterns_equal_numpy(dtype):
    """Integer sums are exact to the last count, floats agree to 1e-6, on sizes that leave remainders."""
    data, unsigned = counts(dtype), np.dtype(dtype).kind != "i"
    values, weights = data.astype(np.float64), np.random.default_rng(2).normal(size=SHAPE[2:])
    scan = scan_of(data)
    images = summarise(scan, DETECTORS | {"soft": weights}, com=unsigned, maximum=True, mean_log=unsigned)
    assert images.attrs == scan.attrs and all(images[dim].identical(scan[dim]) for dim in scan.dims)
    masks = {"total": np.ones(SHAPE[2:], bool), **{name: detector.mask(SHAPE[2:]) for name, detector in DETECTORS.items()}}
    for name, mask in masks.items():
        if np.dtype(dtype).kind == "f":
            np.testing.assert_allclose(images[name], values[:, :, mask].sum(-1), rtol=1e-6)
        else:
            assert images[name].dtype == np.int64
            np.testing.assert_array_equal(images[name], data.astype(object)[:, :, mask].sum(-1).astype(np.int64))
    soft = (values * weights).sum((2, 3))
    np.testing.assert_allclose(images.soft, soft, rtol=1e-6, atol=1e-6 * abs(soft).max())
    np.testing.assert_allclose(images.mean_pattern, values.mean((0, 1)), rtol=1e-12)
    np.testing.assert_array_equal(images.max_pattern, data.max((0, 1)))
    if unsigned:
        np.testing.assert_allclose(images.mean_log_pattern, np.log1p(values).mean((0, 1)), rtol=1e-12)
        for axis, index, centre in zip("yx", np.indices(SHAPE[2:]), CENTRE):
            expected = (values * (index - centre) * STEP).sum((2, 3)) / values.sum((2, 3))
            np.testing.assert_allclose(images[f"com_{axis}"], expected, rtol=1e-6, atol=1e-6 * STEP)
        assert images.com_y.attrs["units"] == "1/angstrom" and "downward" in images.com_y.attrs["sign_convention"]


def test_saturated_counters_do_not_overflow():
    """A block of 16-bit patterns at their largest value is summed exactly, also along 256 rows."""
    data = np.full((2, 40, 256, 256), 65535, np.uint16)
    images = summarise(scan_of(data, origin=(127.5, 127.5)), {"all": Box((0, 256), (0, 256))}, mean_log=True)
    assert (images.total == 65535 * 65536).all() and (images["all"] == images.total).all()
    assert (images.mean_pattern == 65535).all()
    np.testing.assert_allclose(images.mean_log_pattern, np.log(65536))
    np.testing.assert_allclose(images.com_y, 0, atol=1e-12)


@settings(max_examples=8, deadline=None)
@given(st.tuples(st.integers(1, 5), st.integers(1, 7), st.integers(4, 19), st.integers(4, 22)))
def test_blocks_do_not_matter(chunks):
    data = counts()[:, :, ::-1, ::-1]  # a view in another order, which its copy gives too
    group = {"even": np.indices(SHAPE[:2]).sum(0) % 2 == 0}
    whole = summarise(scan_of(data.copy()), DETECTORS, groups=group, mean_log=True)
    cut = summarise(scan_of(da.from_array(data, chunks)), DETECTORS, groups=group, mean_log=True)
    xr.testing.assert_allclose(cut.mean_log_pattern, whole.mean_log_pattern, rtol=1e-13)
    xr.testing.assert_identical(cut.drop_vars("mean_log_pattern"), whole.drop_vars("mean_log_pattern"))


def test_a_cluster_gives_the_same():
    distributed = pytest.importorskip("distributed")
    with distributed.Client(n_workers=1, threads_per_worker=2, processes=False, dashboard_address="127.0.0.1:0"):
        found = summarise(scan_of(da.from_array(counts(), (2, 3, 10, -1))), DETECTORS)
    xr.testing.assert_identical(found, summarise(scan_of(counts()), DETECTORS))


def test_areas_and_edges_of_detectors():
    assert abs(Disc((50.3, 49.8), 30).mask((100, 100)).sum() / (np.pi * 900) - 1) < 0.005
    assert Box((2, 4), (5, 8)).mask((10, 10)).sum() == 6
    for make, message in ((lambda: Disc((1, 2), -1), "radius_px=-1.*positive"), (lambda: Box((4, 2), (0, 1)), "start < stop"),
                          (lambda: Disc((np.nan, 2), 1), "finite"), (lambda: Box((0.5, 2), (0, 1)), "whole pixels"),
                          (lambda: Annulus((1, 2), 5, 4), "inner_px < outer_px")):
        with pytest.raises(ValueError, match=message):
            make()


def test_asymmetry_is_odd_and_bounded():
    """Exchanging the reflections changes the sign; unsigned counts do not wrap; empty positions give zero."""
    up, down = np.array([[5, 0, 0]], np.uint16), np.array([[1, 4, 0]], np.uint16)
    np.testing.assert_allclose(asymmetry(up, down), [[2 / 3, -1, 0]])
    np.testing.assert_allclose(asymmetry(down, up), -asymmetry(up, down))


def test_groups_are_means_over_their_positions():
    data, places = counts(), np.indices(SHAPE[:2])
    groups = {"random": np.random.default_rng(3).random(SHAPE[:2]) < 0.4, "half": places[1] < 4, "one": places.sum(0) == 10}
    images = summarise(scan_of(data), groups=groups)
    for name, mask in groups.items():
        np.testing.assert_allclose(images.group_mean_pattern.sel(group=name), data[mask].astype(float).mean(0), rtol=1e-14)
        assert images.group_size.sel(group=name) == mask.sum()


def test_memory_does_not_grow_with_the_scan():
    alive, most = set(), 0

    def block(block_info=None):
        nonlocal most
        alive.add(place := block_info[None]["chunk-location"])
        most = max(most, len(alive))
        values = np.ones(block_info[None]["chunk-shape"], np.uint16)
        weakref.finalize(values, alive.discard, place)
        return values

    summarise(scan_of(da.map_blocks(block, chunks=((2,) * 40, (4,), (32,), (32,)), dtype=np.uint16)), threads=2)
    assert 1 <= most <= 8


@pytest.mark.parametrize("make, error, message", [
    (lambda scan: summarise(scan.values), TypeError, "xarray.DataArray"),
    (lambda scan: summarise(scan.transpose("det_y", "det_x", "scan_y", "scan_x")), ValueError, "transpose"),
    (lambda scan: summarise(scan[:0]), ValueError, "empty"),
    (lambda scan: summarise(scan.astype(complex)), TypeError, "complex"),
    (lambda scan: summarise(scan.astype("float32").where(scan.scan_x != scan.scan_x[2])), ValueError, r"5 patterns.*\(0, 2\)"),
    (lambda scan: summarise(scan, {"a": np.ones((3, 3), bool)}), ValueError, r"'a' has shape \(3, 3\).*\(19, 22\)"),
    (lambda scan: summarise(scan, {"a": np.zeros(SHAPE[2:], bool)}), ValueError, "no pixel"),
    (lambda scan: summarise(scan, {"a": np.full(SHAPE[2:], np.nan)}), ValueError, "nan or infinite"),
    (lambda scan: summarise(scan, {"a": Disc((0, 0), 3)}), ValueError, "reaches over the edge"),
    (lambda scan: summarise(scan, {"a": Box((0, 30), (0, 5))}), ValueError, "does not fit"),
    (lambda scan: summarise(scan, {"com_y": Box((0, 3), (0, 5))}), ValueError, "rename"),
    (lambda scan: summarise(scan, groups={"g": np.zeros(SHAPE[:2], bool)}), ValueError, "no position"),
    (lambda scan: summarise(scan, groups={"g": np.ones((2, 2), bool)}), ValueError, "scan's shape"),
    (lambda scan: summarise(scan, com=CenterOfMass(mask=np.ones(SHAPE[2:]) / 2)), ValueError, "boolean"),
    (lambda scan: summarise(scan.astype("int32") - 10**6, mean_log=True), ValueError, "ln"),
    (lambda scan: summarise(scan.copy(data=da.map_blocks(lambda: counts()[:, :, 1:], chunks=[(n,) for n in SHAPE], dtype=np.uint16))),
     ValueError, "wrong chunks"),  # blocks of another shape than the array states, which would be read past their end
])  # fmt: skip
def test_bad_input_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make(scan_of(counts()))
