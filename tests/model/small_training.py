"""A training of seconds and what its tests compare, and the content of a published file; for tests only."""

import numpy as np
import torch
import xarray as xr
from lightning_fabric import Fabric

from figures_pkg.data.axes import DIMS
from figures_pkg.model import Autoencoder, BetaVAE, NetworkConfig, Recipe, Stage
from figures_pkg.model.losses import LossWeights
from figures_pkg.model.train import Step, VariationalStep

SMALL = NetworkConfig(pattern=8, filters=3, pools=(2,), channels=4)
STAGE = Stage(3, 1e-3, l1=1e-2, similarity=1e-3, divergence=1e-3, schedule="one-cycle", peak_rate=1e-2, ramp=(0.3, 1))
RECIPE = Recipe("test", "Test", SMALL, (STAGE,), "anscombe-whitened", 10, components=3, start_bias=0.3, precision="32-true")
WEIGHTS = LossWeights(1e-2, 0.3, 0.05)


def small_scan() -> xr.DataArray:
    """A scan of 6 x 6 patterns of 16 x 16 px, two domains that differ in one disc."""
    mean = np.full((6, 6, 16, 16), 50.0)
    mean[:, :3, 2:6, 2:6] += 40
    mean[..., 10:14, 10:14] += 10 * np.arange(6).reshape(6, 1, 1, 1)
    return xr.DataArray(np.random.default_rng(0).poisson(mean).astype(np.uint16), dims=DIMS)


def batch() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(4).normal(size=(10, 8, 8)))


def double_fabric() -> Fabric:
    """One CPU in double precision; Fabric rounds the outputs of a module to float32 all the same."""
    return Fabric(accelerator="cpu", devices=1, precision="64-true")


STEPS = {  # name: the step of a batch of ten for a fabric and a micro-batch, and weights of its losses
    "contrastive": (lambda fabric, micro_batch=None: Step(fabric, Autoencoder(SMALL, seed=3), 10, "book", micro_batch), WEIGHTS),
    "published code": (lambda fabric, micro_batch=None: Step(fabric, Autoencoder(SMALL, seed=3), 10, "published-code", micro_batch), WEIGHTS),
    "L1": (lambda fabric, micro_batch=None: Step(fabric, Autoencoder(SMALL, seed=3), 10, "book", micro_batch), LossWeights(1e-2)),
    "β-VAE": (lambda fabric, micro_batch=None: VariationalStep(fabric, BetaVAE(SMALL, seed=3), 10, 0.3, 5, micro_batch), None),
}


def gradients(step: Step) -> list[torch.Tensor]:
    return [parameter.grad for parameter in step.plain.parameters()]


def same_weights(one, other) -> bool:  # bit for bit
    return all(torch.equal(a, b) for a, b in zip(one.net.parameters(), other.net.parameters(), strict=True))


def assert_close(found, expected) -> None:
    """Equal to the rounding of float32, which Fabric brings in; a loss per rank or per micro-batch would be wrong by some per cent."""
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6 * float(other.abs().max()) + 1e-12)


def published_content(net, **extra) -> dict:
    """The dict that the published training saves after an epoch."""
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-5)
    sum(p.square().sum() for p in net.parameters()).backward()
    optimizer.step()
    return {"net": net.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 376, "encoder": net.enc.state_dict(),
            "decoder": net.dec.state_dict(), **extra}
