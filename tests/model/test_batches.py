"""The feed shows every pattern once an epoch, the same batches however it reads, and refuses what are no counts."""

import dask.array as da
import numpy as np
import pytest
import torch
import xarray as xr

from figures_pkg.data.axes import DIMS
from figures_pkg.model.batches import Feed, Prepare
from figures_pkg.model.transform import TRANSFORMS, fit_transform


def scan_of(values) -> xr.DataArray:
    return xr.DataArray(da.from_array(values, chunks=(2, 3, -1, -1)), dims=DIMS)


def numbered(dtype=np.uint16) -> np.ndarray:
    """Patterns that hold their own number in every pixel, from 1 up, above 2**15 where the type is uint16."""
    first = 40000 if dtype == np.uint16 else 1
    return np.broadcast_to(np.arange(first, first + 35).reshape(5, 7, 1, 1), (5, 7, 4, 4)).astype(dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32])
def test_streamed_and_held_batches_are_the_same_across_windows_and_hold_every_pattern_once(monkeypatch, dtype):
    monkeypatch.setattr("figures_pkg.model.batches.shuffled_windows.__defaults__", (8,))
    held, streamed = (Feed(scan_of(numbered(dtype)), 4, 5, torch.clone, seed=5, memory_bytes=room) for room in (1e9, 0))
    first, again, second = (torch.stack(list(feed.batches(epoch))) for feed, epoch in ((held, 0), (streamed, 0), (held, 1)))
    assert first.dtype == torch.float32 and first.shape == (7, 5, 4, 4) and torch.equal(first, again) and not torch.equal(first, second)
    assert sorted(first[:, :, 0, 0].ravel().tolist()) == numbered(dtype)[..., 0, 0].ravel().tolist()


@pytest.mark.parametrize("name", TRANSFORMS)
def test_device_transform_equals_the_transform(name):
    rng = np.random.default_rng(3)
    strength = rng.normal(size=(8, 9, 1, 1)) * np.linspace(0, 4, 64).reshape(8, 8)
    counts = rng.poisson(40 + 8 * np.abs(strength)).astype(np.uint16)
    transform = fit_transform(scan_of(counts), name, bin_px=2)
    binned = counts.reshape(-1, 4, 2, 4, 2).sum((2, 4)).astype(np.float32)
    np.testing.assert_allclose(Prepare(transform)(torch.from_numpy(binned)), transform.apply(counts.reshape(-1, 8, 8)), rtol=1e-4, atol=1e-4)


def test_what_are_no_counts_and_sizes_that_do_not_fit_are_refused():
    for bad, room in ((-1.0, 1e9), (np.nan, 0), (np.inf, 1e9)):
        values = numbered(np.float32).copy()
        values[3, 4, 2, 2] = bad
        with pytest.raises(ValueError, match=r"scan_y 3, scan_x 4 .* nan"):
            list(Feed(scan_of(values), 4, 8, torch.clone, memory_bytes=room).batches(0))
    for side, batch, ranks, says in ((3, 8, 1, "cannot be binned"), (4, 36, 1, "larger than the scan, which has 35"), (4, 1, 2, "shared by 2")):
        with pytest.raises(ValueError, match=says):
            Feed(scan_of(numbered()), side, batch, torch.clone, ranks=ranks)
