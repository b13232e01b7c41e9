"""What a passport says of the machine, the software and the files behind a figure."""

import json
import platform
import sys
import time
from importlib import metadata
from pathlib import Path

import numpy as np
import xarray as xr

from figures_pkg.workspace import available_cores
from figures_pkg.workspace import artefacts_folder, repository
from figures_pkg.workspace import commit, tree_state

from .checksums import sha256

STARTED = time.monotonic()  # the chapter's imports
PACKAGES = ("numpy", "torch", "abtem", "matplotlib")


def software() -> dict:
    """Commit and state of the checkout, checksum of the pins, and versions of the packages that decide about numbers."""
    pins = repository() / "constraints.txt"
    return {
        "commit": commit(),
        "tree": tree_state(),
        "pins_sha256": sha256(pins) if pins.is_file() else "",
        "python": platform.python_version(),
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
    }


def machine() -> dict:
    """Device, wall and processor time in s and peak memory in MB of the process since the chapter's imports."""
    return {
        "device": _device(),
        "system": f"{platform.system()} {platform.machine()}",
        "wall_s": round(time.monotonic() - STARTED, 2),
        "cpu_s": round(time.process_time(), 2),
        "peak_memory_mb": _peak_memory_mb(),
        "measured": "the chapter from its imports up to this figure",
    }


def scan_facts(scan: xr.DataArray, profile: str) -> dict:
    """
    Name, origin and checksum of a scan; preset, size and seed where the twin noted them.

    Parameters
    ----------
    scan
        From :func:`figures_pkg.data.open_dataset`; its attributes are read, not its counts.
    profile
        Keeps the checksums.
    """
    path = Path(scan.attrs["path"])
    facts = {"id": path.stem, "origin": scan.attrs["source"], "file": path.name, "sha256": sha256(path, memory(profile))}
    return facts | {name: _plain(scan.attrs[name]) for name in ("preset", "size", "seed", "fingerprint") if name in scan.attrs}


def model_facts(path: Path, profile: str) -> dict:
    """Checksum of a trained network (``.safetensors``) or of an embedding beside one, and the seed and recipe that made it."""
    facts = {"file": path.name, "sha256": sha256(path, memory(profile))}
    weights = path.with_suffix(".safetensors")
    if not weights.is_file():
        return facts
    from safetensors import safe_open

    with safe_open(weights, "numpy") as file:
        told = file.metadata() or {}
    told = {name: json.loads(told[name]) for name in ("seed", "recipe", "commit") if name in told}
    recipe = told.get("recipe")
    told["recipe"] = recipe.get("name") if isinstance(recipe, dict) else recipe
    return facts | {"weights_sha256": sha256(weights, memory(profile))} | told


def memory(profile: str) -> Path:
    """File that remembers the checksums of a profile's large files."""
    return artefacts_folder(profile) / "checksums.json"


def _plain(value):
    """A number of numpy as one that JSON can hold."""
    return value.item() if isinstance(value, np.generic) else value


def _version(package: str) -> str | None:
    """Version of an installed package, None if it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _device() -> str:
    """The GPU when torch uses one in this process, else the processor."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        return f"cuda: {torch.cuda.get_device_name()}"
    cores = available_cores()
    return f"cpu: {_processor()}, {cores} core{'s' if cores > 1 else ''}"


def _processor() -> str:
    """The processor's name; its kind where the system does not tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return next(iter(named), platform.processor() or platform.machine())


def _peak_memory_mb() -> int | None:
    """Largest resident memory of this process so far; None where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 2**20 if sys.platform == "darwin" else 2**10  # bytes there, kB elsewhere
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit)
