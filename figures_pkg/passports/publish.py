"""The one writer of figures: picture, drawing, numbers and passport of a figure of the paper, side by side."""

import json
from collections.abc import Iterable, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from figures_pkg.workspace import SOURCES, artefacts_folder
from figures_pkg.workspace import replacing
from figures_pkg.plotting.style import stamp

from .catalogue import CatalogueError, PaperFigure, paper_figures
from .checksums import sha256
from .facts import machine, scan_facts, software

SCHEMA = 1
PICTURE_DPI = 160
MANY_MARKS = 500  # collections and lines with more are stored as pixels in the drawing, which else would take megabytes
KINDS = ("png", "svg", "npz")


def publish(figure: Figure, name: str, source: xr.DataArray | str | Iterable[xr.DataArray] | None, profile: str, data: str,
            arrays: Mapping, *, panel: str, **settings) -> None:
    """
    Stamp a figure of the paper and write it with its numbers and its passport.

    The files are ``figures/<data>/<name>.png``, ``.svg``, ``.npz`` and ``.json`` among the artefacts of the profile. What the figure
    was made from is added to the passport when the chapter has run to its end (:mod:`figures_pkg.book.seal`).

    Parameters
    ----------
    figure
        All of it, drawn; it stays as it is except for the stamp.
    name
        Its name in the metadata of the notebook's cell, e.g. ``"fig-4cd"``, written out.
    source
        The scan behind it, or several of one origin; ``"simulation"`` for calculated patterns without a scan; None for a drawing of a model, which
        gets no stamp.
    profile, data
        As in the notebook's parameters.
    arrays
        Name -> array of what is drawn; Datasets and mappings may be nested, their names are joined with ``/``.
    panel
        What the paper calls it, e.g. ``"Fig. 4c,d"``, written out.
    settings
        Further parameters of the chapter that the figure depends on.

    Raises
    ------
    CatalogueError
        If no notebook announces a figure of this name, or two do.
    ValueError
        For an unknown source, no arrays, or an array that is not made of numbers.
    """
    if data not in SOURCES:
        raise ValueError(f"data is {data!r}; it must be one of {', '.join(SOURCES)}")
    announced = _announced(name, data)
    scans = _scans(source)
    if source is not None:
        stamp(figure, scans[0].attrs["source"] if scans else source)
    flat = _flat(arrays)
    if not flat:
        raise ValueError(f"{name}: no arrays are given; hand over what is drawn, so that a change of the numbers can be seen")
    base = figures_folder(profile, data) / name
    _write_pictures(figure, base, panel)
    _write(base.with_suffix(".npz"), lambda path: np.savez_compressed(path, **flat))
    passport = {
        "schema": SCHEMA, "id": name, "panel": panel, "notebook": f"notebooks/{announced.chapter}.md", "chapter": announced.chapter,
        "functions": list(announced.functions), "caption": announced.caption,
        "made": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "software": software(), "machine": machine(), "origin": _origin(source, scans),
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
    text = json.dumps(passport, indent=1, ensure_ascii=False) + "\n"
    _write(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def _announced(name: str, data: str) -> PaperFigure:
    """What the notebooks say of a figure."""
    known = paper_figures(data=data)
    if name not in known:
        raise CatalogueError(f"no notebook publishes a figure called {name!r}; name it in the metadata of its cell. There are {', '.join(known)}")
    return known[name]


def _scans(source) -> list[xr.DataArray]:
    """The scans behind a figure; none for a simulation or a drawing."""
    if source is None or isinstance(source, str):
        return []
    return [source] if isinstance(source, xr.DataArray) else list(source)


def _origin(source, scans: list[xr.DataArray]) -> str:
    """Where the numbers of a figure come from: twin, record, user, simulation or model."""
    if scans:
        return scans[0].attrs["source"]
    return "model" if source is None else "simulation"


def _flat(arrays: Mapping, above: str = "") -> dict[str, np.ndarray]:
    """Nested arrays in one level."""
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
    _write(base.with_suffix(".png"), lambda path: figure.savefig(path, dpi=PICTURE_DPI, metadata=told, **how))
    with mpl.rc_context({"svg.hashsalt": base.name}), _many_marks_as_pixels(figure):
        _write(base.with_suffix(".svg"), lambda path: figure.savefig(path, dpi=PICTURE_DPI, metadata={**told, "Date": None}, **how))


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
    """Number of points or cells that an artist draws."""
    if hasattr(artist, "get_offsets"):
        array = artist.get_array()
        return max(len(np.atleast_2d(artist.get_offsets())), 0 if array is None else np.size(array))
    return len(artist.get_xdata())


def _write(path: Path, write) -> None:
    """Write under a temporary name, then rename."""
    with replacing(path) as temporary:
        write(temporary)
