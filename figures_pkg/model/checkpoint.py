"""Networks in files: ours are safetensors with all that made them; the record's are pickles, of which only tensors are unpacked."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from figures_pkg.workspace import check_target, replacing

from .autoencoder import Autoencoder, BetaVAE, NetworkConfig
from .transform import InputTransform

FORMAT = "figures_pkg trained autoencoder 1"
KINDS = {"autoencoder": Autoencoder, "beta-vae": BetaVAE}
LARGEST_BYTES = 2**30  # the paper's file has 56.5 MB, with the optimiser's two copies of the weights
HINT = "expected a file of the record's weights: a dict whose entry 'net' holds the tensors of encoder and decoder"


class CheckpointError(ValueError):
    """The file holds no network of ours, or one of other sizes than it says."""


class PublishedFileError(ValueError):
    """The file is not one of the published weights."""


def save_checkpoint(path: str | Path, net: Autoencoder, transform: InputTransform | None = None, **metadata) -> Path:
    """
    Write a network with its configuration as ``.safetensors``, under a temporary name first; an existing file is replaced.

    The transform is what was done to the counts before the network saw them; metadata is whatever JSON can hold.
    """
    path = check_target(path, ".safetensors", overwrite=True)
    tensors = {f"net.{name}": value.detach().cpu().contiguous() for name, value in net.state_dict().items()}
    if transform is not None:
        tensors |= {f"transform.{name}": torch.from_numpy(value.copy()) for name, value in transform.to_arrays().items()}
    kind = next(name for name, cls in KINDS.items() if type(net) is cls)
    about = {"network": asdict(net.config), "kind": kind, **metadata}
    with replacing(path) as temporary:
        save_file(tensors, temporary, {"format": FORMAT} | {key: json.dumps(value) for key, value in about.items()})
    return path


def load_checkpoint(path: str | Path) -> Autoencoder:
    """
    The network of a file: ours (``.safetensors``) or the record's (``.pkl``).

    An :class:`Autoencoder` or a :class:`BetaVAE`, on the CPU, in evaluation mode. Its attribute ``transform`` is what to do to counts before it sees
    them: the stored one, the paper's logarithm for the record's files, None if none was stored; ``about`` is the stored description. No file is a
    FileNotFoundError, one of another kind, a damaged one or tensors that do not fit a :class:`CheckpointError` or :class:`PublishedFileError`.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such checkpoint; train a network, or fetch the published weights first")
    if path.suffix in (".pkl", ".pt", ".pth"):
        return load_published(path)
    if path.suffix != ".safetensors":
        raise CheckpointError(f"{path}: suffix {path.suffix!r}, expected .safetensors (ours) or .pkl (the record's)")
    try:
        with safe_open(path, "pt") as file:
            stored = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except SafetensorError as error:
        raise CheckpointError(f"{path} is damaged or no safetensors file ({error}); copy it again or train anew") from None
    if stored.get("format") != FORMAT:
        raise CheckpointError(f"{path} says format {stored.get('format')!r}, expected {FORMAT!r}: it holds no network of ours")
    about = {key: value if key == "format" else json.loads(value) for key, value in stored.items()}
    net = KINDS[about.get("kind", "autoencoder")](NetworkConfig(**about["network"]), seed=0)
    weights = {name.removeprefix("net."): value for name, value in tensors.items() if name.startswith("net.")}
    if wrong := _misfit(weights, net.state_dict()):
        raise CheckpointError(f"{path}: {wrong}; the file is of another configuration than it says")
    net.load_state_dict(weights)
    arrays = {name.removeprefix("transform."): value.numpy() for name, value in tensors.items() if name.startswith("transform.")}
    net.transform, net.about = InputTransform.from_arrays(arrays) if arrays else None, about
    return net.eval()


def _misfit(weights: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> str:
    """How the names and shapes of tensors differ from a network's, as part of a sentence; empty if they do not."""
    missing, surplus = sorted(set(expected) - set(weights)), sorted(set(weights) - set(expected))
    if missing or surplus:
        return f"missing tensors {missing}, unexpected ones {surplus}"
    for name, value in expected.items():
        if weights[name].shape != value.shape:
            return f"tensor {name!r} has shape {tuple(weights[name].shape)}, expected {tuple(value.shape)} from the other sizes"
    return ""


def load_published(path: str | Path) -> Autoencoder:
    """
    The network of a published ``.pkl`` file, in evaluation mode, with sizes that follow from its tensors; a β-VAE if it holds ``enc.set_mean``.

    ``torch.load(weights_only=True)`` unpacks it to the CPU: code in it is refused and not run. Only ``net`` is used; ``encoder`` and ``decoder`` repeat
    it, ``optimizer`` is ignored. What does not fit is a :class:`PublishedFileError` that names it.
    """
    weights = _unpack(path := Path(path))
    try:
        levels = max(1, sum(name.startswith("enc.block_layer.") and name.endswith(".norm_3.weight") for name in weights))
        sides = [weights[f"enc.block_layer.{3 * level}.norm_3.weight"].shape[0] for level in range(levels)]
        channels, pixels = weights["enc.dense.weight"].shape
        sides.append(round(pixels**0.5))
        pools = tuple(large // small for large, small in zip(sides, sides[1:]))
        config = NetworkConfig(sides[0], weights["enc.cov2d.weight"].shape[0], pools, channels)
    except KeyError as error:
        raise PublishedFileError(f"{path}: tensor {error.args[0]!r} is missing; {HINT}") from None
    except (IndexError, ValueError, ZeroDivisionError) as error:
        raise PublishedFileError(f"{path}: the shapes of the tensors fit no network ({error}); {HINT}") from None
    kind = BetaVAE if "enc.set_mean.weight" in weights else Autoencoder
    with torch.device("meta"):  # shapes without memory: the file is checked before anything of its size is made
        wrong = _misfit(weights, kind(config).state_dict())
    if wrong:
        raise PublishedFileError(f"{path}: {wrong}; {HINT}")
    for name, tensor in weights.items():
        if tensor.layout != torch.strided or not tensor.is_floating_point():
            raise PublishedFileError(f"{path}: tensor {name!r} is {tensor.dtype} ({tensor.layout}), expected dense real numbers")
        if not torch.isfinite(tensor).all():
            raise PublishedFileError(f"{path}: tensor {name!r} holds values that are not finite; the training diverged or the file is damaged")
    net = kind(config, seed=0)
    net.load_state_dict(weights)
    with path.open("rb") as file:
        checksum = hashlib.file_digest(file, "sha256").hexdigest()
    net.transform, net.about = InputTransform("log"), {"format": "published", "file": path.name, "sha256": checksum}
    return net.eval()


def _unpack(path: Path) -> Mapping[str, Tensor]:
    """The entry ``net`` of a published file."""
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
        entries = sorted(map(str, content)) if isinstance(content, Mapping) else type(content).__name__
        raise PublishedFileError(f"{path} has no entry 'net' of tensors, but {entries}; {HINT}")
    return net
