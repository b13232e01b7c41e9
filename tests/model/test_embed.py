"""The embedding of a scan is that of its patterns, whatever the blocks; bad counts are refused in one sentence."""

import platform
import subprocess
import sys

import dask.array as da
import numpy as np
import pytest
import torch

from figures_pkg.data.axes import Axes, build_scan
from figures_pkg.model import Autoencoder, NetworkConfig, embed
from figures_pkg.model.embed import decoded_counts
from figures_pkg.model.transform import InputTransform

NET = Autoencoder(NetworkConfig(pattern=16, filters=3, pools=(2, 2), channels=4), seed=1)
COUNTS = np.random.default_rng(0).poisson(5.0, (5, 7, 16, 16)).astype(np.uint16)


def scan_of(data):
    """A scan around an array."""
    axes = Axes(scan_step_nm=1.4, det_scale_inv_angstrom=0.01, origin_row_col=(8, 8), beam_energy_kev=200.0)
    return build_scan(data, axes, orientation="lab", source="user", path="", title="", format="")


@pytest.mark.parametrize("chunks", [(2, 3, 16, 16), (1, 7, 8, 16)])
def test_blocks_make_no_difference(chunks):
    """Each position has the embedding of its own pattern; coordinates and attributes are the scan's."""
    found = embed(NET, scan_of(da.from_array(COUNTS, chunks=chunks)), batch=3)
    with torch.no_grad():
        expected = NET.encode(torch.log1p(torch.from_numpy(COUNTS.reshape(-1, 16, 16).astype(np.float32))))
    assert found.dims == ("scan_y", "scan_x", "channel") and found.shape == (5, 7, 4)
    np.testing.assert_allclose(found.values.reshape(-1, 4), expected, atol=1e-5)  # float32: batches take other kernels
    assert found.attrs["source"] == "user" and float(found.scan_x[1]) == pytest.approx(1.4)


def test_the_transform_of_the_network_is_used_unless_another_is_given():
    """Binned counts of a larger detector fit a smaller network."""
    large = scan_of(np.kron(COUNTS, np.ones((1, 1, 2, 2), np.uint16)))
    np.testing.assert_allclose(embed(NET, large, InputTransform("log", 2)), embed(NET, scan_of(4 * COUNTS)), atol=1e-5)


@pytest.mark.parametrize(("data", "says"), [
    (np.zeros((1, 1, 32, 32), np.uint16), "16 x 16"), (np.full((2, 2, 16, 16), np.nan), "NaN, infinite or negative"),
    (COUNTS - np.float32(9), "NaN, infinite or negative")])
def test_bad_input_is_refused_with_one_message(data, says):
    """Patterns of another size, and counts that are NaN or negative."""
    with pytest.raises(ValueError, match=says):
        embed(NET, scan_of(data))


FAULTS = """
import resource
from figures_pkg.model.embed import keep_freed_memory

def faults():
    bytearray(48 * 2**20)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for turn in range(5):
        bytearray(48 * 2**20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

plain = faults()
keep_freed_memory()
print(plain, faults())
"""


@pytest.mark.process
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the allocator of glibc alone is told")
def test_freed_memory_is_kept_for_the_next_image():
    """Without being told, the system hands out a block of 48 MB page by page each time; told, once."""
    done = subprocess.run([sys.executable, "-c", FAULTS], check=True, capture_output=True, text=True)
    plain, kept = map(int, done.stdout.split())
    assert kept < 0.1 * plain


def test_patterns_are_drawn_in_parts_that_fit_the_memory(monkeypatch):
    """Twenty patterns of the paper's network at once took 3 GB."""
    net = Autoencoder(NetworkConfig(pattern=32, filters=2, pools=(2, 2), channels=3), seed=0)
    net.transform = InputTransform("log")
    vectors = np.random.default_rng(0).random((5, 3))
    whole, sizes, decode = decoded_counts(net, vectors), [], net.decode
    monkeypatch.setattr(sys.modules["figures_pkg.model.embed"], "BATCH_BYTES", 2 * 12 * 2 * 32**2)
    monkeypatch.setattr(net, "decode", lambda some: sizes.append(len(some)) or decode(some))
    np.testing.assert_allclose(decoded_counts(net, vectors), whole, rtol=1e-4, atol=1e-6)
    assert sizes == [2, 2, 1]
