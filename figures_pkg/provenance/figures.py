"""The figures of the paper, as the front matter and the cells of the notebooks announce them, and the passports of those that are published."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from figures_pkg.code import code_cells
from figures_pkg.workspace import YAML, artefacts_folder, read_front_matter, replacing, repository

SCHEMA = 1  # of a passport
KINDS = ("png", "svg", "npz")  # files of a figure beside its passport
SMALL_BYTES = 2**20  # a file below this is read each time: its date alone could deceive
DRAWING = re.compile(r"^from (figures_pkg\.(?:plotting|chapters)[\w.]*) import ([^\n(]+|\([^)]*\))", re.MULTILINE)


class CatalogueError(ValueError):
    """The notebooks announce a figure in a way that leaves its passport unclear; the message says which and where."""


@dataclass(frozen=True)
class PaperFigure:
    """A figure of the paper as its notebook announces it."""

    id: str  # name of the figure on the page, e.g. "fig-4cd"
    panel: str  # what the paper calls it, e.g. "Fig. 4c,d"
    chapter: str  # notebook without its suffix
    caption: str
    alt: str
    functions: tuple[str, ...]  # that draw it, with their modules
    own_source: str = ""  # "twin" where its chapter reads the twin in every book
    only: str = ""  # "truth" or "measured" where its cell exists for this kind of scan alone
    measured: tuple[str, str] = ("", "")  # caption and alt on a measured scan, where they differ

    def source(self, data: str) -> str:
        """The source that it is drawn from in the book on ``data``."""
        return self.own_source or data

    def drawn(self, data: str) -> bool:
        """Whether the book on ``data`` draws it."""
        return self.only != ("measured" if self.source(data) == "twin" else "truth")

    def worded(self, data: str) -> PaperFigure:
        """The figure with the words that it has in the book on ``data``."""
        if self.source(data) == "twin":
            return self
        return replace(self, caption=self.measured[0] or self.caption, alt=self.measured[1] or self.alt)


def paper_figures(folder: Path | None = None, data: str | None = None) -> dict[str, PaperFigure]:
    """All figures of the paper by id, in the order of its panels: those that a notebook's front matter lists under ``companion: figures``.

    With ``data``, ``"twin"`` or ``"zenodo"``, only those that the book on this source draws, in its words. :class:`CatalogueError` for an id that
    two notebooks announce, or one that no cell has. ``folder`` has the notebooks; by default the repository's.
    """
    announced: dict[str, PaperFigure] = {}
    for path in _notebooks(folder):
        for figure in _announced_in(path):
            if figure.id in announced:
                raise CatalogueError(f"two figures are called {figure.id!r}, in {announced[figure.id].chapter}.md and {path.name}; rename one")
            announced[figure.id] = figure
    if data is not None:
        announced = {name: figure.worded(data) for name, figure in announced.items() if figure.drawn(data)}

    def place(name: str) -> tuple:
        """Sorts the paper's own figures before its supplement, by number and letter."""
        panel = announced[name].panel
        number = re.search(r"\d+", panel)
        return panel.startswith("Suppl"), int(number[0]) if number else 0, panel

    return {name: announced[name] for name in sorted(announced, key=place)}


def figure_names(folder: Path | None = None) -> dict[str, str]:
    """Every figure with a name on the pages, of the paper or not: name -> chapter; raises :class:`CatalogueError` if two cells have one name."""
    chapters: dict[str, str] = {}
    for path in _notebooks(folder):
        for name, *_ in _named_cells(path.read_text(encoding="utf-8")):
            if name in chapters:
                raise CatalogueError(f"two figures are called {name!r}, in {chapters[name]}.md and {path.name}; rename one")
            chapters[name] = path.stem
    return chapters


def _notebooks(folder: Path | None) -> list[Path]:
    return sorted((folder or repository() / "notebooks").glob("*.md"))


def _named_cells(text: str) -> Iterator[tuple[str, dict, str]]:
    """Name of the figure, metadata and source of each code cell whose figure has a name."""
    for head, source in code_cells(text):
        metadata = yaml.load(head, YAML) if "figure:" in head else None
        if name := ((metadata or {}).get("mystnb", {}).get("figure") or {}).get("name"):
            yield name, metadata, source


def _announced_in(path: Path) -> list[PaperFigure]:
    companion = read_front_matter(path).get("companion") or {}
    if "figures" not in companion:
        return []
    text = path.read_text(encoding="utf-8")
    cells = {name: (metadata, source) for name, metadata, source in _named_cells(text)}
    if missing := sorted(set(companion["figures"]) - set(cells)):
        raise CatalogueError(f"{path.name} announces the figure {missing[0]!r} under `companion: figures`, but no cell has this name in its metadata")
    # Functions that draw: imported from the plotting room or the chapter's own module, or defined in the notebook.
    drawers = {name: f"{module}.{name}" for module, names in DRAWING.findall(text) for name in re.findall(r"\b[a-z]\w*", names)}
    drawers |= {name: f"{path.stem}.md: {name}" for name in re.findall(r"^def (\w+)", text, re.MULTILINE)}
    found = []
    for name, panel in companion["figures"].items():
        metadata, source = cells[name]
        shown, measured = metadata["mystnb"], metadata.get("measured", {})
        functions = tuple(sorted(drawers[word] for word in set(re.findall(r"\w+", source)) & set(drawers) - {"stamp", "use_style"}))
        only = next((tag for tag in metadata.get("tags", []) if tag in ("truth", "measured")), "")
        words = shown["figure"].get("caption", ""), shown.get("image", {}).get("alt", "")
        other = measured.get("caption", ""), measured.get("alt", "")
        found.append(PaperFigure(name, panel, path.stem, *words, functions, companion.get("data", ""), only, other))
    return found


class PassportError(ValueError):
    """A passport is missing, damaged or without its data; the message names the figure and the command that makes it again."""


@dataclass(frozen=True)
class PublishedFigure:
    """A published figure as it lies among the artefacts."""

    figure: PaperFigure
    passport: dict
    base: Path  # of its files, without suffix


def published_figures(figures: Mapping[str, PaperFigure], profile: str, data: str) -> dict[str, PublishedFigure]:
    """The published figures of a profile from one source with their passports, in the given order; :class:`PassportError` for one missing or surplus."""
    own = {name for name, figure in figures.items() if figure.source(data) == data}
    surplus = sorted(path.stem for path in figures_folder(profile, data).glob("*.json") if path.stem not in own)
    if surplus:
        raise PassportError(f"no notebook makes the figure {surplus[0]!r}, but {figures_folder(profile, data) / surplus[0]}.json is there; remove it, "
                            "or restore the cell that publishes it")  # fmt: skip
    return {name: published_figure(figure, profile, data) for name, figure in figures.items()}


def published_figure(figure: PaperFigure, profile: str, data: str) -> PublishedFigure:
    """One figure of a profile with its passport; raises :class:`PassportError` if a file of it is missing or spoiled."""
    data = figure.source(data)
    base = figures_folder(profile, data) / figure.id
    again = f"figures_pkg notebook {figure.chapter} --profile {profile} --data {data}"
    passport = read_passport(base.with_suffix(".json"), again)
    missing = [kind for kind in KINDS if not base.with_suffix(f".{kind}").is_file()]
    if missing:
        files = ", ".join(f"{base.name}.{kind}" for kind in missing)
        raise PassportError(f"the passport of {base.name!r} is without its data: {files} missing in {base.parent}; make them with `{again}`")
    return PublishedFigure(figure, passport, base)


def changed_inputs(passport: dict, current: Mapping[str, str]) -> list[str]:
    """Names of the inputs, with their checksums of now in ``current``, that differ from what a figure was made of; one sentence if that is unknown."""
    made_of = passport.get("inputs")
    if not made_of:
        return ["what it was made of is unknown: its chapter was not run to the end by `figures_pkg`"]
    return sorted(name for name in {*made_of, *current} if made_of.get(name) != current.get(name))


def read_passport(path: Path, again: str) -> dict:
    """Read one passport; ``again`` is the command that makes it, for the message."""
    try:
        passport = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PassportError(f"the figure {path.stem!r} has no passport at {path}; make it with `{again}`") from None
    except ValueError as error:
        raise PassportError(f"{path} is damaged ({error}); make it again with `{again}`") from None
    if not isinstance(passport, dict) or passport.get("schema") != SCHEMA or passport.get("id") != path.stem:
        raise PassportError(f"{path} is no passport of {path.stem!r} in schema {SCHEMA}; make it again with `{again}`")
    return passport


def write_passport(path: Path, passport: dict) -> None:
    """Write a passport as JSON that a person can read."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(passport, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def figures_folder(profile: str, data: str) -> Path:
    """Where the figures of a profile from one source lie."""
    return artefacts_folder(profile) / "figures" / data


def memory(profile: str) -> Path:
    """File that remembers the checksums of a profile's large files."""
    return artefacts_folder(profile) / "checksums.json"


def sha256(path: Path, memory: Path | None = None) -> str:
    """SHA-256 of a file's content, in hexadecimal; of a folder (a zarr store), that of the names and contents in it.

    ``memory`` is a JSON file with checksums of large files: one with the same path, size and date is not read again.
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


def model_facts(path: Path, profile: str) -> dict:
    """Checksum of a file that a chapter reads, and what made it: seed and recipe of the network that it is or lies beside, or the released weights."""
    facts = {"file": path.name, "sha256": sha256(path, memory(profile))}
    weights = path.with_suffix(".safetensors")
    if not weights.is_file():
        if path.suffix != ".nc":
            return facts
        import xarray as xr

        with xr.open_dataset(path, engine="h5netcdf") as dataset:
            told = dataset["embedding"].attrs if "embedding" in dataset else {}
        return facts | {name: told[name] for name in ("weights_id", "weights_file", "weights_sha256") if name in told}
    from safetensors import safe_open

    with safe_open(weights, "numpy") as file:
        told = file.metadata() or {}
    told = {name: json.loads(told[name]) for name in ("seed", "recipe", "commit") if name in told}
    recipe = told.get("recipe")
    told["recipe"] = recipe.get("name") if isinstance(recipe, dict) else recipe
    return facts | {"weights_sha256": sha256(weights, memory(profile))} | told
