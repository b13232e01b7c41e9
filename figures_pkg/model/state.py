"""What a training keeps on disk while it runs, so that a kill costs one epoch at most."""

from __future__ import annotations

import errno
import io
import json
import shutil
from dataclasses import asdict
from pathlib import Path

import torch

from figures_pkg.workspace import replacing

from .recipe import Recipe

FULL = (errno.ENOSPC, errno.EDQUOT) if hasattr(errno, "EDQUOT") else (errno.ENOSPC,)


def state_path(out: Path) -> Path:
    """Where the state of the training of ``out`` lies until it is finished: ``model.training.pt`` for ``model.safetensors``."""
    return out.with_suffix(".training.pt")


def stop_path(out: Path) -> Path:
    """The file whose presence ends a training of ``out`` after the current epoch: ``model.stop`` for ``model.safetensors``."""
    return out.with_suffix(".stop")


def training_identity(recipe: Recipe, seed: int, digest: str, start: str) -> str:
    """A text that is the same for a training and its continuation only."""
    told = {key: value for key, value in asdict(recipe).items() if key not in ("sources", "title", "precision")}
    return json.dumps(told | {"seed": seed, "data": digest, "start": start}, sort_keys=True)


def write_state(path: Path, state: dict) -> None:
    """
    Write a state under a temporary name and rename it, so that the one of before stays until the new one is complete.

    Raises
    ------
    OSError
        Where the disk is full; the state of before is untouched.
    """
    memory = io.BytesIO()
    torch.save(state, memory)  # in memory first: PyTorch's own writer hides the reason of a failed write
    try:
        with replacing(path) as temporary:
            temporary.write_bytes(memory.getbuffer())
    except OSError as error:
        raise _explained(error, path, memory.getbuffer().nbytes, state.get("epoch")) from error


def _explained(error: OSError, path: Path, size: int, epoch: int | None) -> OSError:
    """A full disk in words; other errors as they are."""
    if error.errno not in FULL:
        return error
    kept = f"the state of epoch {epoch - 1} is kept there" if path.exists() else "nothing was kept"
    return OSError(error.errno, f"no room for the {size / 1e6:.0f} MB of the training's state after epoch {epoch}; {kept}. "
                   "Free some space and give the same command again", str(path))


def check_room(path: Path, parameters: int) -> None:
    """Raise unless the disk has room for two states (the old one and the new one) and the model: 28 bytes a parameter."""
    needed, free = 28 * parameters, shutil.disk_usage(path.parent).free
    if free < needed:
        raise OSError(errno.ENOSPC, f"a training of {parameters:,} parameters keeps up to {needed / 1e6:.0f} MB here and "
                      f"{free / 1e6:.0f} MB are free; free some space or choose another disk", str(path.parent))


def read_state(path: Path, identity: str, overwrite: bool) -> dict | None:
    """
    The state of an interrupted training, or None where there is none to go on with.

    Raises
    ------
    ValueError
        If the file belongs to another training and ``overwrite`` is false, or cannot be read.
    """
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file raises whatever its bytes suggest
        if overwrite:
            return None
        kind = type(error).__name__
        raise ValueError(f"{path} cannot be read as the state of a training ({kind}); remove it to start afresh") from error
    if state.get("identity") == identity:
        return state
    if overwrite:
        return None
    raise ValueError(f"{path} belongs to a training with another {_difference(state.get('identity'), identity)}; give the same as "
                     "then to go on, another output, or overwrite=True (--overwrite) to start afresh")


def _difference(before: str | None, now: str) -> str:
    """Names of what differs between two identities."""
    before, now = json.loads(before or "{}"), json.loads(now)
    return ", ".join(key for key in now if before.get(key) != now[key]) or "format"
