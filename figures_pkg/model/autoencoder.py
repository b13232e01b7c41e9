"""The paper's autoencoder (Fig. 3): a pattern in, an embedding of a few non-negative channels, a pattern out; and its β-VAE (Supplementary Fig. 1)."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

if TYPE_CHECKING:
    from .transform import InputTransform


@dataclass(frozen=True)
class NetworkConfig:
    """
    Sizes of the autoencoder. The defaults are the paper's (Methods and Fig. 3 of doi:10.1038/s41524-024-01265-y).

    A size that is no positive integer is a ValueError, and so are pools whose product does not divide the side of the pattern.
    """

    pattern: int = 256  # side in px: the detector has 256 x 256, and each LayerNorm has a weight per pixel of its level
    filters: int = 128  # of every convolution inside; the cost grows with their square
    pools: tuple[int, ...] = (4, 4, 2)  # side of each MaxPool: 256 -> 64 -> 16 -> 8; one level of blocks per entry
    channels: int = 32  # of the embedding: more than the contrasts expected, since sparsity switches off what is left over

    def __post_init__(self) -> None:
        """Check every size; a list of pools becomes a tuple, so that configurations compare and hash."""
        object.__setattr__(self, "pools", tuple(self.pools))
        sizes = [(name, getattr(self, name), 1) for name in ("pattern", "filters", "channels")] + [("pools", pool, 2) for pool in self.pools]
        for name, value, least in sizes:
            if not isinstance(value, int) or value < least:
                raise ValueError(f"{name}={value!r}: expected an integer of at least {least} (for pools: a sequence of them)")
        if not self.pools:
            raise ValueError("pools=() gives a network without a level; expected at least one pool, for instance (4, 2)")
        if self.pattern % prod(self.pools):
            raise ValueError(f"patterns of {self.pattern} px cannot be pooled by {self.pools}: their product "
                             f"{prod(self.pools)} must divide the side; bin or crop the patterns, or change the pools")  # fmt: skip

    @property
    def bottleneck_side(self) -> int:
        """Side in px of the image that is flattened into the embedding."""
        return self.pattern // prod(self.pools)


def _convolution(inputs: int, outputs: int) -> nn.Conv2d:
    """A 3 x 3 convolution that keeps the size, with zeros outside the image."""
    return nn.Conv2d(inputs, outputs, 3, padding=1)


class ConvBlock(nn.Module):
    """Three convolutions in a row, LayerNorm, ReLU, and the block's input added (Fig. 3b, left part)."""

    def __init__(self, filters: int, side: int):
        super().__init__()
        self.cov1d_1 = _convolution(filters, filters)
        self.cov1d_2 = _convolution(filters, filters)
        self.cov1d_3 = _convolution(filters, filters)
        self.norm_3 = nn.LayerNorm([side, side])  # one mean and variance per image and filter; weights shared by the filters

    def forward(self, start: Tensor) -> Tensor:
        """Images (n, filters, side, side) to images of the same shape."""
        return self.finish(start, self.cov1d_3(self.cov1d_2(self.cov1d_1(start))))

    def finish(self, start: Tensor, convolved: Tensor) -> Tensor:
        """LayerNorm, ReLU and shortcut, which follow the convolutions."""
        return F.relu(self.norm_3(convolved), inplace=True) + start


class IdentityBlock(nn.Module):
    """One convolution, LayerNorm, ReLU; no shortcut, in spite of the name that the published code gives it."""

    def __init__(self, filters: int, side: int):
        super().__init__()
        self.cov1d_1 = _convolution(filters, filters)
        self.norm_1 = nn.LayerNorm([side, side])

    def forward(self, images: Tensor) -> Tensor:
        """Images (n, filters, side, side) to images of the same shape."""
        return F.relu(self.norm_1(self.cov1d_1(images)), inplace=True)


class Encoder(nn.Module):
    """Patterns to the non-negative embedding. The order of construction is the published one: optimisers count on it."""

    def __init__(self, config: NetworkConfig):
        super().__init__()
        blocks: list[nn.Module] = []
        side = config.pattern
        for pool in config.pools:
            blocks += [ConvBlock(config.filters, side), IdentityBlock(config.filters, side), nn.MaxPool2d(pool)]
            side //= pool
        self.block_layer = nn.ModuleList(blocks)
        self.cov2d = _convolution(1, config.filters)
        self.cov2d_1 = _convolution(config.filters, 1)
        self.dense = nn.Linear(config.bottleneck_side**2, config.channels)
        self.collapses = config.filters >= 16 and config.pattern >= 64  # below either, the border costs what the collapse saves

    def forward(self, patterns: Tensor) -> Tensor:
        """Patterns (n, height, width) to activations (n, channels)."""
        images = patterns.unsqueeze(1)  # (n, 1, height, width)
        start = self.cov2d(images)  # (n, filters, height, width)
        first, *others = self.block_layer
        assert isinstance(first, ConvBlock)
        if self.collapses and not torch.is_grad_enabled():
            out = first.finish(start, self.collapsed(images, start, first))
        else:
            out = first(start)
        for block in others:  # ConvBlock, IdentityBlock, MaxPool in turn: sides 256, 64, 16, then 8
            out = block(out)
        out = self.cov2d_1(out).flatten(1)  # (n, 64)
        return F.relu(self.dense(out))  # (n, channels)

    def collapsed(self, images: Tensor, start: Tensor, block: ConvBlock) -> Tensor:
        """
        What the convolutions of the first block give, as one of 9 x 9 px; for embedding, where it halves the time.

        Nothing nonlinear stands between ``cov2d`` and these three, so away from the border the four are one convolution of the patterns
        (n, 1, height, width), 42 times cheaper at the paper's 128 filters. The zeros around the image make the outermost three lines different; those
        are computed by the convolutions themselves, from six lines of ``start``, the output of ``cov2d``. The result differs by rounding only.
        """
        convolutions = block.cov1d_1, block.cov1d_2, block.cov1d_3
        kernel: Tensor = self.cov2d.weight
        bias: Tensor = self.cov2d.get_parameter("bias")
        with torch.autocast(kernel.device.type, enabled=False):
            for convolution in convolutions:
                outer = convolution.weight  # (filters, filters, 3, 3)
                kernel = F.conv2d(kernel.transpose(0, 1), outer.flip(2, 3), padding=2).transpose(0, 1)  # 3 -> 5 -> 7 -> 9 px
                bias = outer.sum((2, 3)) @ bias + convolution.get_parameter("bias")
        out = F.conv2d(images, kernel, bias, padding=4)
        for outer_lines, ring in zip(_borders(6), _borders(3)):
            strip = start[outer_lines]
            for convolution in convolutions:  # each spoils one more line on the inner side, of the six that there are
                strip = convolution(strip)
            out[ring] = strip[ring]
        return out


def _borders(lines: int) -> list[tuple]:
    """Indices of so many lines along top, bottom, left and right of images."""
    first, last = slice(None, lines), slice(-lines, None)
    return [(..., first, slice(None)), (..., last, slice(None)), (..., first), (..., last)]


class Upsample(nn.Upsample):
    """
    Bilinear upsampling with ``align_corners``, as in the published code: its weights expect images stretched by (8 n - 1) / (n - 1).

    On a GPU it is two products with a matrix, since PyTorch's own kernel has no repeatable gradient there; their result lies in memory with the
    filters last, as convolutions on a GPU want it.
    """

    def __init__(self, scale: int):
        super().__init__(scale_factor=scale, mode="bilinear", align_corners=True)
        self.scale = scale

    def forward(self, images: Tensor) -> Tensor:
        """Images (n, filters, side, side) to (n, filters, scale * side, scale * side)."""
        return self.as_products(images) if images.device.type == "cuda" else super().forward(images)

    def as_products(self, images: Tensor) -> Tensor:
        """The same on any device, in products of matrices."""
        side = images.shape[-1]
        large = self.scale * side
        places = torch.arange(large, device=images.device, dtype=torch.float64) * ((side - 1) / (large - 1))
        shares = (1 - (places[:, None] - torch.arange(side, device=images.device)).abs()).clamp(min=0).to(images)  # (large, side)
        rows = shares @ images.permute(0, 2, 3, 1).flatten(2)  # (n, large, side * filters)
        return (shares @ rows.unflatten(2, (side, -1))).permute(0, 3, 1, 2)  # (n, filters, large, large)


class Decoder(nn.Module):
    """An embedding to patterns, which are not forced to be positive."""

    def __init__(self, config: NetworkConfig):
        super().__init__()
        self.side = config.bottleneck_side
        self.dense = nn.Linear(config.channels, self.side**2)
        self.cov2d = _convolution(1, config.filters)
        self.cov2d_1 = _convolution(config.filters, 1)
        blocks: list[nn.Module] = [ConvBlock(config.filters, self.side), IdentityBlock(config.filters, self.side)]
        side = self.side
        for scale in reversed(config.pools):
            side *= scale
            blocks += [Upsample(scale), ConvBlock(config.filters, side), IdentityBlock(config.filters, side)]
        self.block_layer = nn.ModuleList(blocks)

    def forward(self, embedding: Tensor) -> Tensor:
        """Activations (n, channels) to patterns (n, height, width)."""
        out = self.dense(embedding).unflatten(1, (1, self.side, self.side))  # (n, 1, 8, 8)
        out = self.cov2d(out)  # (n, filters, 8, 8)
        for block in self.block_layer:  # ConvBlock, IdentityBlock, then both behind each Upsample: sides 8, 16, 64, 256
            out = block(out)
        return self.cov2d_1(out).squeeze(1)  # (n, height, width)


class Autoencoder(nn.Module):
    """
    The autoencoder of Fig. 3, with the names and the order of parameters of the published weights.

    It takes patterns as the training saw them: the transform of the counts (logarithm, Anscombe, whitening) is not part
    of it. A pattern's row 0 is the top row of the detector, as in the scan. The sizes are the paper's by default, which give 4,700,770
    parameters. ``seed`` decides the initial weights (PyTorch's defaults) and leaves PyTorch's global state as it was; None draws them from it.
    """

    encoder = Encoder

    def __init__(self, config: NetworkConfig | None = None, seed: int | None = None):
        super().__init__()
        self.config = config or NetworkConfig()
        self.transform: InputTransform | None = None  # of the counts before they enter, for a network from a file
        self.about: dict[str, Any] = {}  # how it was made, for a network from a file
        with torch.random.fork_rng(devices=[], enabled=seed is not None):
            if seed is not None:
                torch.random.default_generator.manual_seed(seed)
            self.enc = self.encoder(self.config)
            self.dec = Decoder(self.config)

    def encode(self, patterns: Tensor) -> Tensor:
        """The embedding (n, channels), zero or positive, of patterns (n, height, width) transformed as in training."""
        self._check_patterns(patterns)
        return self.enc(patterns)

    def decode(self, embedding: Tensor) -> Tensor:
        """The patterns (n, height, width) of activations (n, channels), in the units of the transformed patterns."""
        if embedding.ndim != 2 or embedding.shape[1] != self.config.channels:
            raise ValueError(f"embedding of shape {tuple(embedding.shape)}; this network expects (n, {self.config.channels})")
        return self.dec(embedding)

    def forward(self, patterns: Tensor) -> tuple[Tensor, ...]:
        """Patterns (n, height, width) to their reconstruction (n, height, width) and embedding (n, channels)."""
        embedding = self.encode(patterns)
        return self.decode(embedding), embedding

    def _check_patterns(self, patterns: Tensor) -> None:
        side = self.config.pattern
        if patterns.ndim != 3 or patterns.shape[1:] != (side, side):
            raise ValueError(f"patterns of shape {tuple(patterns.shape)}; this network expects (n, {side}, {side}): "
                             "bin or crop the patterns, or build a network of their size")  # fmt: skip


def count_parameters(net: nn.Module) -> int:
    """How many numbers the network learns."""
    return sum(parameter.numel() for parameter in net.parameters())


class VariationalEncoder(Encoder):
    """Patterns to the mean and the log-variance of the embedding, two linear layers behind the ReLU of the body."""

    def __init__(self, config: NetworkConfig):
        super().__init__(config)
        self.set_mean = nn.Linear(config.channels, config.channels)
        self.set_std = nn.Linear(config.channels, config.channels)  # gives the log-variance, in spite of its published name

    def forward(self, patterns: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """Patterns (n, height, width) to mean and log-variance, (n, channels) each."""
        selection = super().forward(patterns)
        return self.set_mean(selection), self.set_std(selection)


class BetaVAE(Autoencoder):
    """The β-VAE beside the autoencoder: an embedding of both signs without an incentive to be sparse; the paper's sizes give 4,702,882 parameters."""

    encoder = VariationalEncoder

    def encode(self, patterns: Tensor) -> Tensor:
        """The mean of the embedding (n, channels), of both signs; the published code returns a random draw here."""
        self._check_patterns(patterns)
        return self.enc(patterns)[0]

    def forward(self, patterns: Tensor, noise: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """
        Reconstruction (n, height, width) from a draw of the embedding, and the embedding's mean and log-variance (n, channels).

        ``noise`` (n, channels), standard normal numbers, makes the draw; by default it comes from PyTorch's global state.
        """
        self._check_patterns(patterns)
        mean, log_variance = self.enc(patterns)
        noise = torch.randn_like(mean) if noise is None else noise
        return self.decode(mean + torch.exp(0.5 * log_variance) * noise), mean, log_variance
