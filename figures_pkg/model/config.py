"""The sizes of the network: one frozen dataclass, from which every shape follows."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod


@dataclass(frozen=True)
class NetworkConfig:
    """
    Sizes of the autoencoder. The defaults are the paper's (Methods and Fig. 3 of doi:10.1038/s41524-024-01265-y).

    Parameters
    ----------
    pattern, filters, pools, channels
        See the comments at the fields.

    Raises
    ------
    TypeError, ValueError
        For a size that is no positive integer, or pools whose product does not divide the side of the pattern.

    Examples
    --------
    >>> NetworkConfig().encoder_sides, NetworkConfig().decoder_sides
    ((256, 64, 16), (8, 16, 64, 256))
    >>> NetworkConfig(pattern=64, filters=16, pools=(4, 2), channels=12).bottleneck_side
    8
    """

    pattern: int = 256  # side in px: the detector has 256 x 256, and each LayerNorm has a weight per pixel of its level
    filters: int = 128  # of every convolution inside; the cost grows with their square
    pools: tuple[int, ...] = (4, 4, 2)  # side of each MaxPool: 256 -> 64 -> 16 -> 8; one level of blocks per entry
    channels: int = 32  # of the embedding: more than the contrasts expected, since sparsity switches off what is left over

    def __post_init__(self) -> None:
        """Check every size; a list of pools becomes a tuple, so that configurations compare and hash."""
        object.__setattr__(self, "pools", tuple(self.pools))
        for name, value in {"pattern": self.pattern, "filters": self.filters, "channels": self.channels}.items():
            _check_count(name, value, 1)
        if not self.pools:
            raise ValueError("pools=() gives a network without a level; expected at least one pool, for instance (4, 2)")
        for value in self.pools:
            _check_count("pools", value, 2)
        if self.pattern % prod(self.pools):
            raise ValueError(f"patterns of {self.pattern} px cannot be pooled by {self.pools}: their product "
                             f"{prod(self.pools)} must divide the side; bin or crop the patterns, or change the pools")  # fmt: skip

    @property
    def encoder_sides(self) -> tuple[int, ...]:
        """Side in px of the images in each level of the encoder, before its pool."""
        return tuple(self.pattern // prod(self.pools[:level]) for level in range(len(self.pools)))

    @property
    def bottleneck_side(self) -> int:
        """Side in px of the image that is flattened into the embedding."""
        return self.pattern // prod(self.pools)

    @property
    def decoder_scales(self) -> tuple[int, ...]:
        """Factors of the upsampling, the pools in reverse: 8 -> 16 -> 64 -> 256 px."""
        return self.pools[::-1]

    @property
    def decoder_sides(self) -> tuple[int, ...]:
        """Side in px of the images in each level of the decoder; the last one is the pattern's."""
        return tuple(self.bottleneck_side * prod(self.decoder_scales[:level]) for level in range(len(self.pools) + 1))


def _check_count(name: str, value, least: int) -> None:
    """Raise unless ``value`` is an integer of at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name}={value!r}: expected an integer (for pools: a sequence of integers)")
    if value < least:
        raise ValueError(f"{name}={value}: expected at least {least}")
