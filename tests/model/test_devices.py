"""A network is arranged for the device that it trains on, with the same parameters."""

import platform
import subprocess
import sys

import pytest
import torch

from figures_pkg.model import Autoencoder, NetworkConfig
from figures_pkg.model.devices import COMPILED_PATTERNS, arranged, is_compiled, usual_part
from figures_pkg.model.recipes import RECIPES

CPU, GPU = torch.device("cpu"), torch.device("cuda")
LARGE = NetworkConfig(128, 64, (4, 4), 3)


def test_only_large_networks_on_a_gpu_are_compiled():
    """The paper's is, those that train in a minute are not, and a processor compiles none."""
    assert is_compiled(NetworkConfig(), GPU) and not is_compiled(NetworkConfig(), CPU)
    assert not any(is_compiled(RECIPES[name].network, GPU) for name in ("smoke", "laptop", "recommended"))
    assert usual_part(LARGE, GPU) == COMPILED_PATTERNS and usual_part(LARGE, CPU) is None


def test_a_compiled_network_has_the_parameters_of_the_plain_one():
    """Same tensors, filters last in memory; on a processor it is the same object."""
    net = Autoencoder(LARGE, seed=0)
    assert arranged(net, CPU) is net
    compiled = arranged(net, GPU)
    assert compiled is not net and all(a is b for a, b in zip(compiled.parameters(), net.parameters(), strict=True))
    assert net.enc.block_layer[0].cov1d_1.weight.is_contiguous(memory_format=torch.channels_last)


FAULTS = """
import resource, sys
from figures_pkg.model.devices import keep_freed_memory

if sys.argv[1] == "keep":
    keep_freed_memory()
for turn in range(6):
    if turn == 1:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    image = bytearray(48 * 2**20)
    del image
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the allocator of glibc alone is told")
def test_freed_memory_is_kept_for_the_next_image():
    """Without being told, the system hands out a block of 48 MB page by page each time; told, once."""
    faults = {how: int(subprocess.run([sys.executable, "-c", FAULTS, how], check=True, capture_output=True, text=True).stdout)
              for how in ("plain", "keep")}
    assert faults["keep"] < 0.1 * faults["plain"]
