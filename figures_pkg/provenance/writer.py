"""The one writer of figures: picture, drawing, numbers and passport of a figure of the paper, side by side."""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from figures_pkg.workspace import available_cores, check_source, commit, replacing, repository, tree_state

from .figures import KINDS, SCHEMA, CatalogueError, figures_folder, memory, paper_figures, sha256, write_passport

if TYPE_CHECKING:  # a command that only reads passports imports neither
    import xarray as xr
    from matplotlib.figure import Figure

PICTURE_DPI = 160
MANY_MARKS = 500  # collections and lines with more are stored as pixels in the drawing, which else would take megabytes
PACKAGES = ("numpy", "torch", "abtem", "matplotlib")
STARTED = time.monotonic()  # the chapter's imports


def publish(figure: Figure, name: str, source: xr.DataArray | str | Iterable[xr.DataArray] | None, profile: str, data: str,
            arrays: Mapping, **settings) -> None:
    """Stamp a figure of the paper and write it with its numbers and its passport.

    The files are ``figures/<data>/<name>.png``, ``.svg``, ``.npz`` and ``.json`` among the artefacts of the profile. What the figure
    was made from is added to the passport when the chapter has run to its end (:mod:`figures_pkg.book.execute`). A name that not exactly one
    notebook announces is a CatalogueError; an unknown source and arrays that are missing or no numbers are a ValueError.

    Parameters
    ----------
    figure, name
        All of it, drawn; its name in the metadata of the notebook's cell and in its front matter, e.g. ``"fig-4cd"``.
    source
        The scan behind it, or several of one origin; ``"simulation"`` for calculated patterns without a scan; None for a drawing of a model, which
        gets no stamp.
    profile, data
        As in the notebook's parameters.
    arrays, settings
        Name -> array of what is drawn; Datasets and mappings may be nested, their names are joined with ``/``. Further parameters of the chapter.
    """
    from matplotlib import rc_context
    from xarray import DataArray

    from figures_pkg.plotting.style import stamp

    check_source(data)
    figures = paper_figures(data=data)
    if name not in figures:
        raise CatalogueError(f"no notebook announces a figure called {name!r}; list it under `companion: figures` in the front matter. "
                             f"There are {', '.join(figures)}")  # fmt: skip
    announced = figures[name]
    if source is None or isinstance(source, str):
        scans, origin = [], "model" if source is None else "simulation"
    else:
        scans = [source] if isinstance(source, DataArray) else list(source)
        origin = scans[0].attrs["source"]
    if source is not None:
        stamp(figure, origin if scans else source)
    flat = _flat(arrays)
    if not flat:
        raise ValueError(f"{name}: no arrays are given; hand over what is drawn, so that a change of the numbers can be seen")
    base = figures_folder(profile, data) / name
    told = {"Title": f"{announced.panel} of doi:10.1038/s41524-024-01265-y, rebuilt", "Description": f"How it was made: {name}.json"}
    how = {"dpi": PICTURE_DPI, "bbox_inches": "tight", "facecolor": "white"}
    with replacing(base.with_suffix(".png")) as temporary:
        figure.savefig(temporary, metadata=told, **how)
    with rc_context({"svg.hashsalt": name}), _many_marks_as_pixels(figure), replacing(base.with_suffix(".svg")) as temporary:
        figure.savefig(temporary, metadata={**told, "Date": None}, **how)  # the same figure gives the same bytes
    with replacing(base.with_suffix(".npz")) as temporary:
        np.savez_compressed(temporary, **flat)
    pins, versions = repository() / "constraints.txt", {}
    for package in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            versions[package] = metadata.version(package)
    peak_mb = None  # Windows does not tell
    with suppress(ImportError):
        import resource

        unit = 2**20 if sys.platform == "darwin" else 2**10  # bytes there, kB elsewhere
        peak_mb = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit)
    passport = {
        "schema": SCHEMA, "id": name, "panel": announced.panel, "notebook": f"notebooks/{announced.chapter}.md", "chapter": announced.chapter,
        "functions": list(announced.functions), "caption": announced.caption,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "software": {"commit": commit(), "tree": tree_state(), "pins_sha256": sha256(pins) if pins.is_file() else "",
                     "python": platform.python_version(), "packages": versions},
        "machine": {"device": _device(), "system": f"{platform.system()} {platform.machine()}", "wall_s": round(time.monotonic() - STARTED, 2),
                    "cpu_s": round(time.process_time(), 2), "peak_memory_mb": peak_mb, "measured": "the chapter from its imports up to this figure"},
        "origin": origin,
        "scans": [scan_facts(scan, profile) for scan in scans], "settings": {"profile": profile, "data": data, **settings},
        "arrays": {key: {"shape": list(value.shape), "dtype": str(value.dtype)} for key, value in flat.items()},
        "files": {kind: sha256(base.with_suffix(f".{kind}")) for kind in KINDS},
    }  # fmt: skip
    write_passport(base.with_suffix(".json"), passport)


def _flat(arrays: Mapping, above: str = "") -> dict[str, np.ndarray]:
    found = {}
    for key, value in arrays.items():
        if isinstance(value, Mapping):  # a Dataset is one too
            found |= _flat(value, f"{above}{key}/")
            continue
        array = np.asarray(value)
        if array.dtype.kind not in "biuf":
            raise ValueError(f"array {above + str(key)!r} has dtype {array.dtype}; expected numbers")
        found[f"{above}{key}"] = array
    return found


@contextmanager
def _many_marks_as_pixels(figure: Figure):
    """Within the block, whatever has very many marks is drawn as pixels."""
    crowded = [line for ax in figure.axes for line in ax.lines if len(line.get_xdata()) > MANY_MARKS]
    crowded += [each for ax in figure.axes for each in ax.collections
                if max(len(np.atleast_2d(each.get_offsets())), np.size(each.get_array()) if each.get_array() is not None else 0) > MANY_MARKS]  # fmt: skip
    before = [artist.get_rasterized() for artist in crowded]
    try:
        for artist in crowded:
            artist.set_rasterized(True)
        yield
    finally:
        for artist, state in zip(crowded, before):
            artist.set_rasterized(state)


def scan_facts(scan: xr.DataArray, profile: str) -> dict:
    """Name, origin and checksum of a scan, from its attributes; preset, size and seed where the twin noted them."""
    path = Path(scan.attrs["path"])
    facts = {"id": path.stem, "origin": scan.attrs["source"], "file": path.name, "sha256": sha256(path, memory(profile))}
    noted = {name: scan.attrs[name] for name in ("preset", "size", "seed", "fingerprint") if name in scan.attrs}
    return facts | {name: value.item() if isinstance(value, np.generic) else value for name, value in noted.items()}


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


