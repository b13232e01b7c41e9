"""The paper's convolutional autoencoder: a pattern in, an embedding of a few non-negative channels, a pattern out."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import planes
from .config import NetworkConfig
from .raised import apply_raised
from .stem import apply_stem
from .winograd import convolve

PAPER_PARAMETERS = 4_700_770  # Methods of doi:10.1038/s41524-024-01265-y


class ConvBlock(nn.Module):
    """Three convolutions in a row, LayerNorm, ReLU, and the block's input added (Fig. 3b, left part)."""

    def __init__(self, filters: int, side: int):
        super().__init__()
        self.cov1d_1 = _convolution(filters, filters)
        self.cov1d_2 = _convolution(filters, filters)
        self.cov1d_3 = _convolution(filters, filters)
        self.norm_3 = nn.LayerNorm([side, side])  # one mean and variance per image and filter; weights shared by the filters

    @property
    def convolutions(self) -> tuple[nn.Conv2d, ...]:
        """The three convolutions, in order."""
        return self.cov1d_1, self.cov1d_2, self.cov1d_3

    def forward(self, start: Tensor) -> Tensor:
        """Images (n, filters, side, side) to images of the same shape."""
        return self.finish(start, self.cov1d_3(self.cov1d_2(self.cov1d_1(start))))

    def finish(self, start: Tensor, convolved: Tensor) -> Tensor:
        """What follows the convolutions, whose output is given up: LayerNorm, ReLU, skip connection."""
        if planes.pays(convolved):
            return planes.finished(self.norm_3, convolved, start)
        out = F.relu(self.norm_3(convolved), inplace=True)  # nobody else holds what the LayerNorm gives
        return out + start if torch.is_grad_enabled() else out.add_(start)  # the gradient of ReLU needs its output


class IdentityBlock(nn.Module):
    """One convolution, LayerNorm, ReLU; no skip connection, in spite of the name that the published code gives it."""

    def __init__(self, filters: int, side: int):
        super().__init__()
        self.cov1d_1 = _convolution(filters, filters)
        self.norm_1 = nn.LayerNorm([side, side])

    def forward(self, images: Tensor, pool: nn.MaxPool2d | None = None) -> Tensor:
        """Images (n, filters, side, side) to images of the same shape, or what the pool behind the block makes of them."""
        convolved = convolve(self.cov1d_1, images)
        if planes.pays(convolved):
            return planes.pooled(self.norm_1, convolved, pool.kernel_size) if pool else planes.finished(self.norm_1, convolved)
        out = F.relu(self.norm_1(convolved), inplace=True)
        return pool(out) if pool else out


class Encoder(nn.Module):
    """Patterns to the non-negative embedding. The order of construction is the published one: optimisers count on it."""

    def __init__(self, config: NetworkConfig):
        super().__init__()
        blocks = []
        for side, pool in zip(config.encoder_sides, config.pools):
            blocks += [ConvBlock(config.filters, side), IdentityBlock(config.filters, side), nn.MaxPool2d(pool)]
        self.block_layer = nn.ModuleList(blocks)
        self.cov2d = _convolution(1, config.filters)
        self.cov2d_1 = _convolution(config.filters, 1)
        self.dense = nn.Linear(config.bottleneck_side**2, config.channels)
        self.stem_form = "auto"  # "plain" or "collapsed" to insist on one; see stem.py

    def forward(self, patterns: Tensor) -> Tensor:
        """Patterns (n, height, width) to activations (n, channels)."""
        first, *others = self.block_layer
        images = patterns.unsqueeze(1)  # (n, 1, height, width)
        out = first.finish(*apply_stem(self.cov2d, first.convolutions, images, self.stem_form))  # (n, filters, height, width)
        out = others[0](out, others[1])  # sides 256, 64, 16, then 8
        for block, identity, pool in zip(others[2::3], others[3::3], others[4::3]):
            out = identity(block(out), pool)
        out = self.cov2d_1(out).flatten(1)  # (n, 64)
        return F.relu(self.dense(out))  # (n, channels)


class Decoder(nn.Module):
    """An embedding to patterns, which are not forced to be positive."""

    def __init__(self, config: NetworkConfig):
        super().__init__()
        self.side = config.bottleneck_side
        self.dense = nn.Linear(config.channels, self.side**2)
        self.cov2d = _convolution(1, config.filters)
        self.cov2d_1 = _convolution(config.filters, 1)
        blocks = [ConvBlock(config.filters, self.side), IdentityBlock(config.filters, self.side)]
        for side, scale in zip(config.decoder_sides[1:], config.decoder_scales):
            # align_corners as in the published code: its weights expect images that are stretched by (8 n - 1) / (n - 1)
            blocks.append(nn.Upsample(scale_factor=scale, mode="bilinear", align_corners=True))
            blocks += [ConvBlock(config.filters, side), IdentityBlock(config.filters, side)]
        self.block_layer = nn.ModuleList(blocks)
        self.tail_form = "auto"  # "plain" or "raised" to insist on one; see raised.py

    def forward(self, embedding: Tensor) -> Tensor:
        """Activations (n, channels) to patterns (n, height, width)."""
        out = self.cov2d(self.dense(embedding).unflatten(1, (1, self.side, self.side)))  # (n, filters, 8, 8)
        first, second, *others = self.block_layer
        out = second(first(out))
        for upsample, block, identity in zip(others[::3], others[1::3], others[2::3]):
            out = identity(block.finish(*apply_raised(upsample, block.convolutions, out, self.tail_form)))  # sides 16, 64, 256
        return self.cov2d_1(out).squeeze(1)  # (n, height, width)


class Autoencoder(nn.Module):
    """
    The autoencoder of Fig. 3, with the names and the order of parameters of the published weights.

    It takes patterns as the training saw them: the transform of the counts (logarithm, Anscombe, whitening) is not part
    of it. A pattern's row 0 is the top row of the detector, as in the scan.

    Parameters
    ----------
    config
        The sizes; the paper's by default, which give 4,700,770 parameters.
    seed
        Seed of the initial weights (PyTorch's defaults). None draws them from PyTorch's global state; a number leaves
        that state as it was.

    Examples
    --------
    >>> net = Autoencoder(NetworkConfig(pattern=32, filters=4, pools=(2, 2), channels=3), seed=0)
    >>> reconstruction, embedding = net(torch.zeros(5, 32, 32))
    >>> tuple(reconstruction.shape), tuple(embedding.shape)
    ((5, 32, 32), (5, 3))
    """

    encoder = Encoder
    parameters_of_paper = PAPER_PARAMETERS

    def __init__(self, config: NetworkConfig | None = None, seed: int | None = None):
        super().__init__()
        self.config = config or NetworkConfig()
        with torch.random.fork_rng(devices=[], enabled=seed is not None):
            if seed is not None:
                torch.random.default_generator.manual_seed(seed)
            self.enc = self.encoder(self.config)
            self.dec = Decoder(self.config)
        assert self.config != NetworkConfig() or count_parameters(self) == self.parameters_of_paper

    def encode(self, patterns: Tensor) -> Tensor:
        """
        The embedding of patterns.

        Parameters
        ----------
        patterns
            (n, height, width), transformed as in training.

        Returns
        -------
        Tensor
            (n, channels), zero or positive.

        Raises
        ------
        ValueError
            For patterns of another size than the network's.
        """
        self._check_patterns(patterns)
        return self.enc(patterns)

    def decode(self, embedding: Tensor) -> Tensor:
        """
        The patterns that the network draws for given activations.

        Parameters
        ----------
        embedding
            (n, channels).

        Returns
        -------
        Tensor
            (n, height, width), in the units of the transformed patterns.
        """
        if embedding.ndim != 2 or embedding.shape[1] != self.config.channels:
            raise ValueError(f"embedding of shape {tuple(embedding.shape)}; this network expects (n, {self.config.channels})")
        return self.dec(embedding)

    def forward(self, patterns: Tensor) -> tuple[Tensor, Tensor]:
        """Patterns (n, height, width) to their reconstruction (n, height, width) and embedding (n, channels)."""
        embedding = self.encode(patterns)
        return self.decode(embedding), embedding

    def _check_patterns(self, patterns: Tensor) -> None:
        """Raise unless the patterns have the network's size."""
        side = self.config.pattern
        if patterns.ndim != 3 or patterns.shape[1:] != (side, side):
            raise ValueError(f"patterns of shape {tuple(patterns.shape)}; this network expects (n, {side}, {side}): "
                             "bin or crop the patterns, or build a network of their size")  # fmt: skip


def count_parameters(net: nn.Module) -> int:
    """How many numbers the network learns."""
    return sum(parameter.numel() for parameter in net.parameters())


def _convolution(inputs: int, outputs: int) -> nn.Conv2d:
    """A 3 x 3 convolution that keeps the size, with zeros outside the image."""
    return nn.Conv2d(inputs, outputs, 3, padding=1)
