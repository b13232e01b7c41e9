"""A network is arranged for the device that it trains on, with the same parameters."""

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
