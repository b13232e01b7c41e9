"""Every position of a scan lies in one block, and results come from threads and clusters alike."""

import dask.array as da
import numpy as np
import pytest
import xarray as xr

from figures_pkg.data.axes import DIMS
from figures_pkg.data.blocks import BLOCK_BYTES, block_places, finished, read_block, scan_digest, walk_blocks

COUNTS = np.random.default_rng(0).poisson(3, (7, 5, 4, 6)).astype(np.uint16)
STORED = xr.DataArray(da.from_array(COUNTS, chunks=(3, 2, 2, -1)), dims=DIMS)
HELD = xr.DataArray(COUNTS, dims=DIMS)


@pytest.mark.parametrize("scan, parts, number", [(STORED, 1, 9), (HELD, 1, 1), (HELD, 3, 3), (HELD, 50, 7)])
def test_blocks_cover_every_position_once(scan, parts, number):
    """They follow the chunks of stored scans, and the rows of arrays; walking yields them in order."""
    seen, places = np.zeros(COUNTS.shape[:2], int), block_places(scan, parts)
    for place in places:
        seen[place] += 1
        np.testing.assert_array_equal(read_block(scan, place), COUNTS[place])
    assert (seen == 1).all() and len(places) == number
    for (place, counts), expected in zip(walk_blocks(scan), block_places(scan), strict=True):
        assert place == expected
        np.testing.assert_array_equal(counts, COUNTS[place])


def test_blocks_of_a_large_array_stay_small():
    large = np.broadcast_to(np.uint16(1), (400, 64, 128, 128))
    assert large[block_places(large)[0][0]].size * 2 <= BLOCK_BYTES


def double(item, more):
    return 2 * item + more


def test_results_come_from_threads_and_from_a_cluster():
    """An error stops what has not begun."""
    wanted = {n: 2 * n + 10 for n in range(5)}
    assert dict(finished(double, wanted, (10,), threads=2)) == wanted
    begun = []
    with pytest.raises(ZeroDivisionError):
        list(finished(lambda item: begun.append(item) or 1 // item, range(200), (), threads=1))
    assert len(begun) < 200
    distributed = pytest.importorskip("distributed")
    with distributed.Client(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None):
        assert dict(finished(double, wanted, (10,), threads=1)) == wanted


def test_the_digest_tells_scans_apart():
    other = HELD.copy(data=COUNTS.copy())
    other[0, 0, 0, 0] += 1
    assert scan_digest(HELD) == scan_digest(STORED) != scan_digest(other)
