"""Every position of a scan lies in one block, and results come from threads."""

import dask.array as da
import numpy as np
import pytest
import xarray as xr

from figures_pkg.data.axes import DIMS
from figures_pkg.data.blocks import block_places, finished, read_block, scan_digest, walk_blocks

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


def test_results_come_from_threads():
    """An error stops what has not begun."""
    assert dict(finished(lambda item, more: 2 * item + more, range(5), (10,), threads=2)) == {n: 2 * n + 10 for n in range(5)}
    begun = []
    with pytest.raises(ZeroDivisionError):
        list(finished(lambda item: begun.append(item) or 1 // item, range(200), (), threads=1))
    assert len(begun) < 200


def test_the_digest_tells_scans_apart():
    other = HELD.copy(data=COUNTS.copy())
    other[0, 0, 0, 0] += 1
    assert scan_digest(HELD) == scan_digest(STORED) != scan_digest(other)
