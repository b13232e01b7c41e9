"""Networks in files: ours are safetensors with everything that made them beside the weights, no pickle."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from figures_pkg.workspace import check_target, replacing

from .autoencoder import Autoencoder
from .config import NetworkConfig
from .published import load_published
from .transform import InputTransform
from .vae import BetaVAE

FORMAT = "figures_pkg trained autoencoder 1"
KINDS = {"autoencoder": Autoencoder, "beta-vae": BetaVAE}
OWN = ("format", "network", "kind")  # entries of the metadata that are written here


class CheckpointError(ValueError):
    """The file holds no network of ours, or one of other sizes than it says."""


def save_checkpoint(path: str | Path, net: Autoencoder, transform: InputTransform | None = None, **metadata) -> Path:
    """
    Write a network with its configuration, under a temporary name first.

    Parameters
    ----------
    path
        Ends in ``.safetensors``; an existing file is replaced.
    net
        An autoencoder or β-VAE.
    transform
        What was done to the counts before the network saw them.
    metadata
        Whatever JSON can hold: recipe, checksum of the data, git commit, scores.

    Returns
    -------
    pathlib.Path
        The file.
    """
    path = check_target(path, ".safetensors", overwrite=True)
    clash = sorted(set(OWN) & set(metadata))
    if clash:
        raise ValueError(f"metadata named {clash} is written anyway; leave it out or rename it")
    tensors = {f"net.{name}": value.detach().cpu().contiguous() for name, value in net.state_dict().items()}
    if transform is not None:
        tensors |= {f"transform.{name}": torch.from_numpy(value.copy()) for name, value in transform.to_arrays().items()}
    kind = next(name for name, cls in KINDS.items() if type(net) is cls)
    told = {"network": asdict(net.config), "kind": kind, **metadata}
    with replacing(path) as temporary:
        save_file(tensors, temporary, {"format": FORMAT} | {key: json.dumps(value) for key, value in told.items()})
    return path


def load_checkpoint(path: str | Path) -> Autoencoder:
    """
    The network of a file: ours (``.safetensors``) or the record's (``.pkl``).

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    Autoencoder
        Or :class:`BetaVAE`, on the CPU, in evaluation mode. Its attribute ``transform`` is what to do to counts before it sees
        them: the stored one, the paper's logarithm for the record's files, None if none was stored; ``about`` is the
        stored description.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    CheckpointError, PublishedFileError
        For a file of another kind, a damaged one, or one whose tensors do not fit.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such checkpoint; train a network, or fetch the published weights first")
    if path.suffix in (".pkl", ".pt", ".pth"):
        net = load_published(path)
        net.transform, net.about = InputTransform("log"), {"format": "published"}
        return net
    if path.suffix != ".safetensors":
        raise CheckpointError(f"{path}: suffix {path.suffix!r}, expected .safetensors (ours) or .pkl (the record's)")
    return _load_ours(path)


def read_metadata(path: str | Path) -> dict:
    """What a file of ours says about itself: network, kind, recipe, data, commit, scores, without loading the weights."""
    return _read(Path(path), with_tensors=False)[0]


def _load_ours(path: Path) -> Autoencoder:
    """The network of a file that :func:`save_checkpoint` wrote."""
    about, tensors = _read(path)
    net = KINDS[about.get("kind", "autoencoder")](NetworkConfig(**about["network"]), seed=0)
    weights = {name.removeprefix("net."): value for name, value in tensors.items() if name.startswith("net.")}
    _check(path, weights, net.state_dict())
    net.load_state_dict(weights)
    arrays = {name.removeprefix("transform."): value.numpy() for name, value in tensors.items() if name.startswith("transform.")}
    net.transform, net.about = InputTransform.from_arrays(arrays) if arrays else None, about
    return net.eval()


def _read(path: Path, with_tensors: bool = True) -> tuple[dict, dict]:
    """Metadata, decoded, and tensors of a file of ours."""
    try:
        with safe_open(path, "pt") as file:
            told = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()} if with_tensors else {}
    except SafetensorError as error:
        raise CheckpointError(f"{path} is damaged or no safetensors file ({error}); copy it again or train anew") from None
    if told.get("format") != FORMAT:
        raise CheckpointError(f"{path} says format {told.get('format')!r}, expected {FORMAT!r}: it holds no network of ours")
    return {key: value if key == "format" else json.loads(value) for key, value in told.items()}, tensors


def _check(path: Path, weights: dict, expected: dict) -> None:
    """Raise unless names and shapes are those of the configuration in the file."""
    missing, surplus = sorted(set(expected) - set(weights)), sorted(set(weights) - set(expected))
    if missing or surplus:
        raise CheckpointError(f"{path}: missing tensors {missing}, unexpected ones {surplus}; the file is of another configuration")
    for name, value in expected.items():
        if weights[name].shape != value.shape:
            raise CheckpointError(f"{path}: tensor {name!r} has shape {tuple(weights[name].shape)}, the configuration in the file "
                                  f"expects {tuple(value.shape)}")  # fmt: skip
