"""Read the published weights: a pickle, of which nothing but tensors is ever unpacked."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from .autoencoder import Autoencoder
from .config import NetworkConfig
from .vae import BetaVAE

LARGEST_BYTES = 2**30  # the paper's file has 56.5 MB, with the optimiser's two copies of the weights
HINT = "expected a file of the record's weights: a dict whose entry 'net' holds the tensors of encoder and decoder"


class PublishedFileError(ValueError):
    """The file is not one of the published weights."""


def load_published(path: str | Path) -> Autoencoder:
    """
    The network of a published ``.pkl`` file, with sizes that follow from its tensors.

    The file is unpacked with ``torch.load(weights_only=True)`` to the CPU: code in it is refused and not run, and weights
    saved from a GPU need none. Only ``net`` is used; ``encoder`` and ``decoder`` repeat it, ``optimizer`` is ignored.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    Autoencoder
        Or a :class:`BetaVAE` if the file holds ``enc.set_mean``; in evaluation mode.

    Raises
    ------
    PublishedFileError
        For a file that is too large, damaged, holds anything but tensors and numbers, or lacks a tensor, has one too
        many, or one of another shape or type, or with values that are not finite.
    """
    path = Path(path)
    weights = _unpack(path)
    try:
        config = infer_config(weights)
    except KeyError as error:
        raise PublishedFileError(f"{path}: tensor {error.args[0]!r} is missing; {HINT}") from None
    except (IndexError, ValueError, ZeroDivisionError) as error:
        raise PublishedFileError(f"{path}: the shapes of the tensors fit no network ({error}); {HINT}") from None
    kind = BetaVAE if "enc.set_mean.weight" in weights else Autoencoder
    with torch.device("meta"):  # shapes without memory: the file is checked before anything of its size is made
        expected = kind(config).state_dict()
    _check(path, weights, expected)
    net = kind(config, seed=0)
    net.load_state_dict(weights)
    return net.eval()


def infer_config(weights: Mapping[str, Tensor]) -> NetworkConfig:
    """
    The sizes of a network from the shapes of its tensors.

    Raises
    ------
    KeyError, ValueError
        If a tensor that tells a size is missing, or the shapes contradict each other.
    """
    levels = sum(1 for name in weights if name.startswith("enc.block_layer.") and name.endswith(".norm_3.weight"))
    sides = [weights[f"enc.block_layer.{3 * level}.norm_3.weight"].shape[0] for level in range(max(levels, 1))]
    channels, flat = weights["enc.dense.weight"].shape
    sides.append(round(flat**0.5))
    pools = tuple(large // small for large, small in zip(sides, sides[1:]))
    return NetworkConfig(sides[0], weights["enc.cov2d.weight"].shape[0], pools, channels)


def _unpack(path: Path) -> Mapping[str, Tensor]:
    """The entry ``net`` of the file."""
    size = path.stat().st_size
    if size > LARGEST_BYTES:
        raise PublishedFileError(f"{path} has {size / 1e9:.1f} GB, the published weights 0.06 GB; {HINT}")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise PublishedFileError(f"{path} holds objects other than tensors and numbers, which could run code; it was refused and "
                                 f"nothing in it was run; {HINT}") from None  # fmt: skip
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise PublishedFileError(f"{path} cannot be read ({first}); fetch or copy it again; {HINT}") from None
    net = content.get("net") if isinstance(content, Mapping) else None
    if not isinstance(net, Mapping) or not all(isinstance(value, Tensor) for value in net.values()):
        found = sorted(map(str, content)) if isinstance(content, Mapping) else type(content).__name__
        raise PublishedFileError(f"{path} has no entry 'net' of tensors, but {found}; {HINT}")
    return net


def _check(path: Path, weights: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Raise unless names, shapes, types and values are those of the network that the shapes tell."""
    missing, surplus = sorted(set(expected) - set(weights)), sorted(set(weights) - set(expected))
    if missing or surplus:
        raise PublishedFileError(f"{path}: missing tensors {missing}, unexpected ones {surplus}; {HINT}")
    for name, tensor in weights.items():
        if tensor.shape != expected[name].shape:
            raise PublishedFileError(f"{path}: tensor {name!r} has shape {tuple(tensor.shape)}, expected "
                                     f"{tuple(expected[name].shape)}, from the sizes of the other tensors")  # fmt: skip
        if tensor.layout != torch.strided or not tensor.is_floating_point():
            raise PublishedFileError(f"{path}: tensor {name!r} is {tensor.dtype} ({tensor.layout}), expected dense real numbers")
        if not torch.isfinite(tensor).all():
            raise PublishedFileError(f"{path}: tensor {name!r} holds values that are not finite; the training "
                                     "diverged or the file is damaged")
