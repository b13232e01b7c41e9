"""The embedding of a scan is that of its patterns, whatever the blocks; bad counts are refused in one sentence."""

import dask.array as da
import numpy as np
import pytest
import torch
from drawn_patterns import scan_of

from figures_pkg.model import Autoencoder, NetworkConfig, embed
from figures_pkg.model.transform import InputTransform

NET = Autoencoder(NetworkConfig(pattern=16, filters=3, pools=(2, 2), channels=4), seed=1)
COUNTS = np.random.default_rng(0).poisson(5.0, (5, 7, 16, 16)).astype(np.uint16)


@pytest.mark.parametrize("chunks", [(2, 3, 16, 16), (1, 7, 8, 16)])
def test_blocks_make_no_difference(chunks):
    found = embed(NET, scan_of(da.from_array(COUNTS, chunks=chunks)), batch=3)
    with torch.no_grad():
        expected = NET.encode(torch.log1p(torch.from_numpy(COUNTS.reshape(-1, 16, 16).astype(np.float32))))
    assert found.dims == ("scan_y", "scan_x", "channel") and found.shape == (5, 7, 4)
    np.testing.assert_allclose(found.values.reshape(-1, 4), expected, atol=1e-5)  # float32: batches take other kernels
    assert found.attrs["source"] == "user" and float(found.scan_x[1]) == pytest.approx(1.4)
    large = scan_of(np.kron(COUNTS, np.ones((1, 1, 2, 2), np.uint16)))  # binned by the transform that is given, in place of the network's
    np.testing.assert_allclose(embed(NET, large, InputTransform("log", 2)), embed(NET, scan_of(4 * COUNTS)), atol=1e-5)


def test_bad_input_is_refused_with_one_message():
    for data, says in ((np.zeros((1, 1, 32, 32), np.uint16), "16 x 16"), (np.full((2, 2, 16, 16), np.nan), "NaN"), (COUNTS - np.float32(9), "negative")):
        with pytest.raises(ValueError, match=says):
            embed(NET, scan_of(data))
