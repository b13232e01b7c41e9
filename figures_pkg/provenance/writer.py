"""The one writer of figures: picture, drawing, numbers and passport of a figure of the paper, side by side."""

import hashlib
import json
import platform
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from figures_pkg.plotting.style import stamp
from figures_pkg.provenance.figures import CatalogueError, paper_figures
from figures_pkg.workspace import artefacts_folder, available_cores, check_source, commit, replacing, repository, tree_state

SCHEMA = 1
PICTURE_DPI = 160
MANY_MARKS = 500  # collections and lines with more are stored as pixels in the drawing, which else would take megabytes
KINDS = ("png", "svg", "npz")
PACKAGES = ("numpy", "torch", "abtem", "matplotlib")
STARTED = time.monotonic()  # the chapter's imports
SMALL_BYTES = 2**20  # a file below this is read each time: its date alone could deceive


def publish(figure: Figure, name: str, source: xr.DataArray | str | Iterable[xr.DataArray] | None, profile: str, data: str,
            arrays: Mapping, **settings) -> None:
    """
    Stamp a figure of the paper and write it with its numbers and its passport.

    The files are ``figures/<data>/<name>.png``, ``.svg``, ``.npz`` and ``.json`` among the artefacts of the profile. What the figure
    was made from is added to the passport when the chapter has run to its end (:mod:`figures_pkg.book.execute`).

    Parameters
    ----------
    figure
        All of it, drawn; it stays as it is except for the stamp.
    name
        Its name in the metadata of the notebook's cell and in its front matter, e.g. ``"fig-4cd"``.
    source
        The scan behind it, or several of one origin; ``"simulation"`` for calculated patterns without a scan; None for a drawing of a model, which
        gets no stamp.
    profile, data
        As in the notebook's parameters.
    arrays
        Name -> array of what is drawn; Datasets and mappings may be nested, their names are joined with ``/``.
    settings
        Further parameters of the chapter that the figure depends on.

    Raises
    ------
    CatalogueError
        If no notebook announces a figure of this name, or two do.
    ValueError
        For an unknown source, no arrays, or an array that is not made of numbers.
    """
    check_source(data)
    figures = paper_figures(data=data)
    if name not in figures:
        raise CatalogueError(f"no notebook announces a figure called {name!r}; list it under `companion: figures` in the front matter. "
                             f"There are {', '.join(figures)}")  # fmt: skip
    announced = figures[name]
    if source is None or isinstance(source, str):
        scans, origin = [], "model" if source is None else "simulation"
    else:
        scans = [source] if isinstance(source, xr.DataArray) else list(source)
        origin = scans[0].attrs["source"]
    if source is not None:
        stamp(figure, origin if scans else source)
    flat = _flat(arrays)
    if not flat:
        raise ValueError(f"{name}: no arrays are given; hand over what is drawn, so that a change of the numbers can be seen")
    base = figures_folder(profile, data) / name
    _write_pictures(figure, base, announced.panel)
    with replacing(base.with_suffix(".npz")) as temporary:
        np.savez_compressed(temporary, **flat)
    passport = {
        "schema": SCHEMA, "id": name, "panel": announced.panel, "notebook": f"notebooks/{announced.chapter}.md", "chapter": announced.chapter,
        "functions": list(announced.functions), "caption": announced.caption,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "software": software(), "machine": machine(), "origin": origin,
        "scans": [scan_facts(scan, profile) for scan in scans], "settings": {"profile": profile, "data": data, **settings},
        "arrays": {key: {"shape": list(value.shape), "dtype": str(value.dtype)} for key, value in flat.items()},
        "files": {kind: sha256(base.with_suffix(f".{kind}")) for kind in KINDS},
    }  # fmt: skip
    write_passport(base.with_suffix(".json"), passport)


def figures_folder(profile: str, data: str) -> Path:
    """Where the figures of a profile from one source lie."""
    return artefacts_folder(profile) / "figures" / data


def write_passport(path: Path, passport: dict) -> None:
    """Write a passport as JSON that a person can read."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(passport, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _flat(arrays: Mapping, above: str = "") -> dict[str, np.ndarray]:
    found = {}
    for key, value in arrays.items():
        if isinstance(value, (Mapping, xr.Dataset)):
            found |= _flat(value, f"{above}{key}/")
            continue
        array = np.asarray(value)
        if array.dtype.kind not in "biuf":
            raise ValueError(f"array {above + str(key)!r} has dtype {array.dtype}; expected numbers")
        found[f"{above}{key}"] = array
    return found


def _write_pictures(figure: Figure, base: Path, panel: str) -> None:
    """The picture for eyes and the drawing for print; the same figure gives the same bytes."""
    told = {"Title": f"{panel} of doi:10.1038/s41524-024-01265-y, rebuilt", "Description": f"How it was made: {base.name}.json"}
    how = {"bbox_inches": "tight", "facecolor": "white"}
    with replacing(base.with_suffix(".png")) as temporary:
        figure.savefig(temporary, dpi=PICTURE_DPI, metadata=told, **how)
    with mpl.rc_context({"svg.hashsalt": base.name}), _many_marks_as_pixels(figure), replacing(base.with_suffix(".svg")) as temporary:
        figure.savefig(temporary, dpi=PICTURE_DPI, metadata={**told, "Date": None}, **how)


@contextmanager
def _many_marks_as_pixels(figure: Figure):
    """Within the block, whatever has very many marks is drawn as pixels."""
    crowded = [artist for ax in figure.axes for artist in (*ax.collections, *ax.lines) if _marks(artist) > MANY_MARKS]
    before = [artist.get_rasterized() for artist in crowded]
    try:
        for artist in crowded:
            artist.set_rasterized(True)
        yield
    finally:
        for artist, state in zip(crowded, before):
            artist.set_rasterized(state)


def _marks(artist) -> int:
    """Number of points or cells."""
    if hasattr(artist, "get_offsets"):
        array = artist.get_array()
        return max(len(np.atleast_2d(artist.get_offsets())), 0 if array is None else np.size(array))
    return len(artist.get_xdata())


def sha256(path: Path, memory: Path | None = None) -> str:
    """
    SHA-256 of a file's content, in hexadecimal; of a folder (a zarr store), that of the names and contents in it.

    ``memory`` is a JSON file that remembers checksums of large files: one with the same path, size and date is not read again. A memory that
    cannot be read or written costs time, not correctness.
    """
    path = Path(path)
    if path.is_dir():
        parts = [f"{file.relative_to(path).as_posix()} {sha256(file)}" for file in sorted(path.rglob("*")) if file.is_file()]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()
    about = path.stat()
    if memory is None or about.st_size < SMALL_BYTES:
        return _digest(path)
    key, mark = str(path.resolve()), [about.st_size, about.st_mtime_ns]
    known = _read(memory)
    if known.get(key, [])[:2] == mark:
        return known[key][2]
    checksum = _digest(path)
    with suppress(OSError), replacing(memory) as temporary:
        temporary.write_text(json.dumps(_read(memory) | {key: [*mark, checksum]}, indent=0), encoding="utf-8")
    return checksum


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(memory: Path) -> dict:
    try:
        known = json.loads(memory.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def software() -> dict:
    """Commit and state of the checkout, checksum of the pins, and versions of the packages that decide about numbers."""
    pins, versions = repository() / "constraints.txt", {}
    for name in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return {
        "commit": commit(),
        "tree": tree_state(),
        "pins_sha256": sha256(pins) if pins.is_file() else "",
        "python": platform.python_version(),
        "packages": versions,
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
    """Name, origin and checksum of a scan, from its attributes; preset, size and seed where the twin noted them."""
    path = Path(scan.attrs["path"])
    facts = {"id": path.stem, "origin": scan.attrs["source"], "file": path.name, "sha256": sha256(path, memory(profile))}
    noted = {name: scan.attrs[name] for name in ("preset", "size", "seed", "fingerprint") if name in scan.attrs}
    return facts | {name: value.item() if isinstance(value, np.generic) else value for name, value in noted.items()}


def model_facts(path: Path, profile: str) -> dict:
    """
    Checksum of a file that a chapter reads, and what made it, where it is a trained network (``.safetensors``) or an embedding.

    Seed and recipe stand in the network beside an embedding; one by a released network holds the name and the checksum of its weights itself.
    """
    facts = {"file": path.name, "sha256": sha256(path, memory(profile))}
    weights = path.with_suffix(".safetensors")
    if not weights.is_file():
        return facts | (_released_weights(path) if path.suffix == ".nc" else {})
    from safetensors import safe_open

    with safe_open(weights, "numpy") as file:
        told = file.metadata() or {}
    told = {name: json.loads(told[name]) for name in ("seed", "recipe", "commit") if name in told}
    recipe = told.get("recipe")
    told["recipe"] = recipe.get("name") if isinstance(recipe, dict) else recipe
    return facts | {"weights_sha256": sha256(weights, memory(profile))} | told


def _released_weights(path: Path) -> dict:
    """``weights_id``, ``weights_file`` and ``weights_sha256`` of an embedding by a released network; empty for other netCDF files."""
    with xr.open_dataset(path, engine="h5netcdf") as dataset:
        told = dataset["embedding"].attrs if "embedding" in dataset else {}
    return {name: told[name] for name in ("weights_id", "weights_file", "weights_sha256") if name in told}


def memory(profile: str) -> Path:
    """File that remembers the checksums of a profile's large files."""
    return artefacts_folder(profile) / "checksums.json"


def _device() -> str:
    """The GPU when torch uses one in this process, else the processor."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        return f"cuda: {torch.cuda.get_device_name()}"
    cores, lines = available_cores(), []
    with suppress(OSError):  # other systems than Linux tell its kind only
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"cpu: {next(iter(named), platform.processor() or platform.machine())}, {cores} core{'s' if cores > 1 else ''}"


def _peak_memory_mb() -> int | None:
    """Largest resident memory of this process so far; None where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 2**20 if sys.platform == "darwin" else 2**10  # bytes there, kB elsewhere
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit)
