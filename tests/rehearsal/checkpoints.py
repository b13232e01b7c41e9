"""Small networks in the layout of the published weights, trained on a stand-in in seconds.

They take ln(1 + N) of 256 x 256 px and give 32 channels, with 8 filters instead of 128. The decoder starts from the mean pattern, the encoder from a
fit to the principal components of the scan; one pass over 64 patterns does the rest. Nobody is told the truth.
"""

from pathlib import Path

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from figures_pkg.model.autoencoder import Autoencoder, BetaVAE, NetworkConfig
from figures_pkg.model.losses import gaussian_divergence

CONFIG = NetworkConfig(pattern=256, filters=8, pools=(4, 4, 2), channels=32)
SIDE = 8  # the networks see 8 x 8 positions of the scan
COMPONENTS = 4
BATCH = 8
RATE = 2e-3
EMPHASIS = 0.1  # of the error along the components beside that of all pixels, most of which is noise


def some_patterns(scan: xr.DataArray) -> Tensor:
    """ln(1 + N) of positions on a grid, float32 (n, 256, 256)."""
    chosen = scan[:: max(1, scan.shape[0] // SIDE), :: max(1, scan.shape[1] // SIDE)]
    return torch.from_numpy(np.log1p(chosen.values.reshape(-1, *scan.shape[2:]).astype(np.float32)))


def mean_and_whitening(patterns: Tensor) -> tuple[Tensor, Tensor]:
    """Mean pattern, and the strongest components (pixels, n) over the standard deviations of their scores."""
    mean = patterns.mean(0)
    centred = (patterns - mean).flatten(1)
    _, vectors = torch.linalg.eigh(centred @ centred.T)
    components = centred.T @ vectors[:, -COMPONENTS:]
    components = components / components.norm(dim=0)
    return mean, components / (centred @ components).std(0)


def train_small(patterns: Tensor, variational: bool = False) -> tuple[Autoencoder, torch.optim.Adam]:
    """A network that draws these patterns, and the optimiser that trained it."""
    torch.manual_seed(0)
    net = (BetaVAE if variational else Autoencoder)(CONFIG, seed=0)
    _start_from(net, patterns, *mean_and_whitening(patterns))
    return net, train_further(net, patterns)


def train_further(net: Autoencoder, patterns: Tensor, l1: float = 1e-5) -> torch.optim.Adam:
    """One pass over the patterns, the rate up and down once."""
    _, whiten = mean_and_whitening(patterns)
    optimizer = torch.optim.Adam(net.parameters(), lr=RATE)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=-(-len(patterns) // BATCH))
    for chosen in torch.randperm(len(patterns)).split(BATCH):
        drawn, embedding, *spread = net(patterns[chosen])
        error = drawn - patterns[chosen]
        loss = error.square().mean() + EMPHASIS * (error.flatten(1) @ whiten).square().mean() + l1 * embedding.abs().sum(1).mean()
        if spread:
            loss = loss + 1e-4 * gaussian_divergence(embedding, spread[0]).mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        rates.step()
    return optimizer


@torch.no_grad()
def _start_from(net: Autoencoder, patterns: Tensor, mean: Tensor, whiten: Tensor) -> None:
    """Let the decoder draw the mean pattern, and each channel of the encoder follow a component."""
    norm = net.dec.block_layer[-1].norm_1
    norm.weight.mul_(0.3)
    norm.bias.copy_(mean)
    net.dec.cov2d_1.weight.mul_(0.3)
    net.dec.cov2d_1.weight[:, :, 1, 1] += 1 / CONFIG.filters
    net.dec.cov2d_1.bias.zero_()
    seen = []
    hook = net.enc.cov2d_1.register_forward_hook(lambda layer, given, out: seen.append(out.flatten(1)))
    for part in patterns.split(BATCH):
        net.encode(part)
    hook.remove()
    features = torch.cat(seen)
    centre = features.mean(0)
    features = features - centre
    mixtures = torch.randn(CONFIG.channels - 2 * COMPONENTS, COMPONENTS)  # channels follow each component, its opposite, then mixtures of all
    directions = torch.cat([torch.eye(COMPONENTS), -torch.eye(COMPONENTS), mixtures / mixtures.norm(dim=1, keepdim=True)])
    scores = (patterns - mean).flatten(1) @ whiten @ directions.T
    ridge = features.square().sum(0).mean() / 10 * torch.eye(features.shape[1])
    weight = torch.linalg.solve(features.T @ features + ridge, features.T @ scores).T / 2
    net.enc.dense.weight.copy_(weight)
    net.enc.dense.bias.copy_(0.5 - weight @ centre)
    if isinstance(net, BetaVAE):
        net.enc.set_mean.weight.copy_(2 * torch.eye(CONFIG.channels))
        net.enc.set_mean.bias.fill_(-1.0)
        net.enc.set_std.weight.zero_()
        net.enc.set_std.bias.fill_(-4.0)


def save_published(net: Autoencoder, optimizer: torch.optim.Adam, path: Path, epoch: int, **more) -> Path:
    """Write a checkpoint with the keys of the published training."""
    torch.save({"net": net.state_dict(), "optimizer": optimizer.state_dict(), "epoch": epoch, "encoder": net.enc.state_dict(),
                "decoder": net.dec.state_dict(), **more}, path)  # fmt: skip
    return path
