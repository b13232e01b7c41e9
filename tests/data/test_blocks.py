"""Every position of a scan lies in one block, and results come from threads and clusters alike."""

import dask.array as da
import numpy as np
import pytest
import xarray as xr

from figures_pkg.data.blocks import BLOCK_BYTES, block_places, finished, read_block, scan_digest, walk_blocks

COUNTS = np.random.default_rng(0).poisson(3, (7, 5, 4, 6)).astype(np.uint16)
DIMS = ("scan_y", "scan_x", "det_y", "det_x")
STORED = xr.DataArray(da.from_array(COUNTS, chunks=(3, 2, 2, -1)), dims=DIMS)
HELD = xr.DataArray(COUNTS, dims=DIMS)


@pytest.mark.parametrize("scan, parts", [(STORED, 1), (HELD, 1), (HELD, 3), (HELD, 50)])
def test_blocks_cover_every_position_once(scan, parts):
    seen = np.zeros(COUNTS.shape[:2], int)
    for place in block_places(scan, parts):
        seen[place] += 1
        np.testing.assert_array_equal(read_block(scan, place), COUNTS[place])
    assert (seen == 1).all()


def test_stored_blocks_follow_the_chunks_and_rows_of_an_array_the_parts():
    assert len(block_places(STORED)) == 9
    assert len(block_places(HELD, 3)) == 3


def test_blocks_of_a_large_array_stay_small():
    large = np.broadcast_to(np.uint16(1), (400, 64, 128, 128))
    rows = block_places(large)[0][0]
    assert large[rows].size * 2 <= BLOCK_BYTES


@pytest.mark.parametrize("scan", [STORED, HELD])
def test_walking_yields_the_blocks_in_order(scan):
    places = block_places(scan)
    for (place, counts), expected in zip(walk_blocks(scan), places, strict=True):
        assert place == expected
        np.testing.assert_array_equal(counts, COUNTS[place])


def double(item, more):
    return 2 * item + more


def test_results_come_from_threads():
    assert dict(finished(double, range(5), (10,), threads=2)) == {n: 2 * n + 10 for n in range(5)}


def test_results_come_from_a_cluster():
    distributed = pytest.importorskip("distributed")
    options = {"n_workers": 1, "threads_per_worker": 1, "processes": False, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster):
        assert dict(finished(double, range(5), (10,), threads=1)) == {n: 2 * n + 10 for n in range(5)}


def test_an_error_stops_what_has_not_begun():
    begun = []

    def fail(item):
        begun.append(item)
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        list(finished(fail, range(200), (), threads=1))
    assert len(begun) < 200


def test_the_digest_tells_scans_apart():
    other = HELD.copy(data=COUNTS.copy())
    other[0, 0, 0, 0] += 1
    assert scan_digest(HELD) == scan_digest(STORED) != scan_digest(other)
