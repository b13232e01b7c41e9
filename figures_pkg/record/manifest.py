"""The data manifest: which files exist on the records, what is known about them, and what stands in for them."""

import difflib
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from inspect import signature
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from figures_pkg.workspace import YAML

FACT_GROUPS = ("container", "axes", "acquisition", "boxes", "training")
MANIFEST_VARIABLE = "FIGURES_PKG_MANIFEST"  # another manifest, for a rehearsal or another record
LOCK_NAME = "data_lock.yaml"  # beside a manifest, or written into the data folder by us
REPOSITORY_MANIFEST = Path(__file__).resolve().parents[2] / "data_manifest.yaml"

DEVICES = "(con|prn|aux|nul|com[1-9]|lpt[1-9])"  # no names for files on Windows, which sets the rules; hidden names belong to the fetcher
PART = rf"(?!{DEVICES}(\.|/|$))[a-z0-9_]([a-z0-9._-]{{0,98}}[a-z0-9_-])?"


class ManifestError(ValueError):
    """A data manifest or a data lock breaks a rule; the message names the entry, the value and the rule."""


@dataclass(frozen=True)
class Fact:
    """One value with where it comes from, and what other sources say instead."""

    value: Any
    basis: str  # a key of the manifest's `bases`
    source: str  # where in that source, or why it follows
    conflicts: tuple["Fact", ...] = ()


@dataclass(frozen=True)
class Record:
    """One Zenodo record, a fixed version with its own DOI."""

    id: str
    doi: str
    record: str  # the number in the record's address
    licence: str  # SPDX, from the paper's "Data availability"
    title: str


@dataclass(frozen=True)
class Dataset:
    """One file of a record, as an entry of the manifest states it."""

    id: str
    role: str  # "measured" or "checkpoint"
    record: Record
    remote: str  # exact name on the record
    local: str  # path inside the data folder, forward slashes, safe everywhere
    pin: str  # "resolve": size and checksum come from the record; "given": they stand here
    expected_bytes: Fact  # value (least, most); a record that says otherwise is refused
    used_by: tuple[str, ...]  # figures
    substitute: str | None  # preset of the twin that can stand in for it
    size: int | None = None  # bytes
    checksum: str | None = None  # "md5:..." or "sha256:..."
    container: Mapping[str, Fact] = field(default_factory=dict)
    axes: Mapping[str, Fact] = field(default_factory=dict)
    acquisition: Mapping[str, Fact] = field(default_factory=dict)
    boxes: Mapping[str, Fact] = field(default_factory=dict)
    training: Mapping[str, Fact] = field(default_factory=dict)


@dataclass(frozen=True)
class Manifest:
    """All datasets by id; ``manifest["ds1"]`` is one of them."""

    path: Path
    bases: Mapping[str, str]
    figures: Mapping[str, Mapping[str, str]]  # panel of the paper: what it `shows`, and where its `data` is
    records: Mapping[str, Record]
    datasets: Mapping[str, Dataset]

    def __getitem__(self, id: str) -> Dataset:
        """The dataset called `id`; the error proposes near names."""
        if id not in self.datasets:
            near = difflib.get_close_matches(str(id), self.datasets, n=3) or list(self.datasets)[:5]
            raise ManifestError(f"no dataset {id!r} in {self.path}; did you mean {', '.join(near)}?")
        return self.datasets[id]

    def of_record(self, record: str) -> list[Dataset]:
        """The datasets of one record, in the manifest's order."""
        return [dataset for dataset in self.datasets.values() if dataset.record.id == record]

    def select(self, ids: str | Iterable[str] | None = None) -> list[Dataset]:
        """The datasets that ids, of datasets or of whole records, mean, each once; without ids all that a figure of the paper needs."""
        if ids is None:
            return [dataset for dataset in self.datasets.values() if dataset.used_by]
        groups = [self.of_record(name) if name in self.records else [self[name]] for name in ([ids] if isinstance(ids, str) else ids)]
        return list({dataset.id: dataset for group in groups for dataset in group}.values())


def manifest_of(data: str) -> Path:
    """Manifest of the scans of a source: the one that FIGURES_PKG_MANIFEST names, but for the "twin" always the repository's, to which it was fitted."""
    return REPOSITORY_MANIFEST if data == "twin" else Path(os.environ.get(MANIFEST_VARIABLE) or REPOSITORY_MANIFEST)


def load_manifest(path: str | Path | None = None) -> Manifest:
    """
    Read a data manifest: at `path`, else the one that FIGURES_PKG_MANIFEST names, else ``data_manifest.yaml`` of the repository.

    A file that is not there is a FileNotFoundError, an entry that breaks a rule a `ManifestError`.
    """
    path = Path(path or manifest_of("zenodo"))
    if not path.is_file():
        raise FileNotFoundError(f"no data manifest at {path}; work in a clone of the repository installed with `pip install -e .`, "
                                "or pass the path of its data_manifest.yaml")  # fmt: skip
    content = read_yaml(path, "bases", "figures", "records", "datasets", optional=("pictures",))
    try:
        bases, figures = (check_type(content[name], dict, name) for name in ("bases", "figures"))
        records = read_each(content["records"], "records", lambda entry, where: read_entry(
            Record, {"id": where.removeprefix("records.")} | check_type(entry, dict, where), where, id=_id))  # fmt: skip
        datasets = [_dataset(entry, bases, figures, records) for entry in check_type(content["datasets"], list, "datasets")]
        local = [dataset.local.lower() for dataset in datasets]  # a disk may ignore case
        local += {str(folder) for path in set(local) for folder in PurePosixPath(path).parents}
        for names in ([*records, *(dataset.id for dataset in datasets)], [(dataset.record.id, dataset.remote) for dataset in datasets], local):
            if twice := {name for name, times in Counter(names).items() if times > 1}:
                raise ManifestError(f"{twice} occurs twice; ids, record names, files of a record and, case ignored, local files and folders must differ")
    except ManifestError as error:
        raise ManifestError(f"{path}: {error}") from error
    return Manifest(path, bases, figures, records, {dataset.id: dataset for dataset in datasets})


class _StrictLoader(YAML):
    """YAML's safe loader, but a key that is given twice is an error and not the last one's victory."""

    def construct_mapping(self, node, deep=False):
        twice = [key for key, times in Counter(str(key.value) for key, _ in node.value).items() if times > 1]
        if twice:
            raise ManifestError(f"line {node.start_mark.line + 1}: {', '.join(twice)} is given twice; keep one")
        return super().construct_mapping(node, deep)


def read_yaml(path: Path, *keys: str, optional: Iterable[str] = ()) -> dict:
    """The mapping in a YAML file, of schema 1 with these keys where any are named; a `ManifestError` if it is none, is no YAML, or gives a key twice."""
    try:
        content = check_type(yaml.load(path.read_text(encoding="utf-8"), Loader=_StrictLoader), dict, "top level")
        if keys:
            check_keys(content, ("schema", *keys), optional, "top level")
            _checked(content["schema"], content["schema"] == 1, "schema", "1, which this version of the package reads")
        return content
    except (yaml.YAMLError, UnicodeDecodeError, ManifestError) as error:
        raise ManifestError(f"{path} cannot be read as YAML of the form expected: {error}") from error


def check_keys(entry, required: Iterable[str], optional: Iterable[str], where: str) -> None:
    """Raise unless the mapping `entry` has all `required` keys and no others than these and the `optional` ones."""
    check_type(entry, dict, where)
    if missing := sorted(set(required) - set(entry)):
        raise ManifestError(f"{where}: missing {', '.join(missing)}; every entry must state it")
    if unknown := sorted(map(str, set(entry) - set(required) - set(optional))):
        raise ManifestError(f"{where}: unknown {', '.join(unknown)}; known are {', '.join([*required, *optional])}")


def _checked(value, good: object, where: str, expected: str):
    """`value` if it is good, else an error that says what was expected."""
    if not good:
        raise ManifestError(f"{where}: expected {expected}, got {value!r}")
    return value


def check_type(value, kind: type, where: str):
    """`value`, if it is of the YAML type `kind` (dict or list), else an error."""
    return _checked(value, isinstance(value, kind), where, "a mapping" if kind is dict else "a list")


def check_choice(value, choices: Iterable[str], where: str) -> str:
    """`value`, if it is one of `choices`, else an error with the list."""
    return _checked(value, isinstance(value, str) and value in choices, where, f"one of {', '.join(choices)}")


def _text(pattern: str, expected: str) -> Callable:
    """A reader of texts that match a regular expression as a whole; YAML turns unquoted numbers into numbers, which are none."""
    return lambda value, where: _checked(value, isinstance(value, str) and re.fullmatch(pattern, value), where, expected)


def _one_of(choices: Iterable[str]) -> Callable:
    return lambda value, where: check_choice(value, choices, where)


check_text = _text(r"(?s).*\S.*", "text; quote it in the YAML file")
_id = _text(rf"(?!{DEVICES}$)[a-z0-9]+(-[a-z0-9]+)*", "an id of a-z and 0-9, joined by single hyphens")
_local = _text(rf"(?i)(?!{LOCK_NAME}$){PART}(/{PART})*", "a safe local name: a relative path of A-Z a-z 0-9 . _ - whose parts neither begin nor end "
               "with a dot and are no Windows device names")  # fmt: skip
FILE_RULES = {  # for read_entry
    "size": lambda value, where: _checked(value, type(value) is int and value > 0, where, "a number of bytes above zero"),
    "checksum": _text(r"md5:[0-9a-f]{32}|sha256:[0-9a-f]{64}", "a checksum, md5:<32 hex> or sha256:<64 hex>"),
}


def read_entry(kind: type, entry, where: str, **readers: Callable):
    """A dataclass from a mapping with a key for each field, those with a default left out at will; values are text where no reader is named."""
    keys = signature(kind).parameters.values()
    check_keys(entry, [key.name for key in keys if key.default is key.empty], [key.name for key in keys if key.default is not key.empty], where)
    return kind(**{key: readers.get(key, check_text)(value, f"{where}.{key}") for key, value in entry.items()})


def read_each(entry, where: str, reader: Callable) -> dict:
    """The values of a mapping, each read."""
    return {name: reader(value, f"{where}.{name}") for name, value in check_type(entry, dict, where).items()}


def _all(entry, where: str, reader: Callable) -> tuple:
    return tuple(reader(value, where) for value in check_type(entry, list, where))


def _dataset(entry, bases, figures, records) -> Dataset:
    def fact(entry, where: str, value: Callable = lambda value, where: value) -> Fact:
        return read_entry(Fact, entry, where, value=value, basis=_one_of(bases), conflicts=lambda facts, where: _all(facts, where, fact))

    def bracket(value, where: str) -> tuple:
        bounds = _all(value, where, FILE_RULES["size"])
        return _checked(bounds, len(bounds) == 2 and bounds[0] <= bounds[1], where, "[least, most] in bytes")

    where = check_type(entry, dict, "datasets").get("id", "a dataset without id")
    dataset = read_entry(
        Dataset, entry, where, id=_id, role=_one_of(("measured", "checkpoint")), record=lambda name, where: records[check_choice(name, records, where)],
        local=_local, pin=_one_of(("resolve", "given")), expected_bytes=lambda entry, where: fact(entry, where, bracket),
        used_by=lambda names, where: _all(names, where, _one_of(figures)),
        substitute=lambda preset, where: None if preset is None else check_text(preset, where),
        **FILE_RULES, **dict.fromkeys(FACT_GROUPS, lambda entry, where: read_each(entry, where, fact)),
    )  # fmt: skip
    if (dataset.size is not None, dataset.checksum is not None) != ((True, True) if dataset.pin == "given" else (False, False)):
        raise ManifestError(f"{where}: `pin: given` needs a size and a checksum, `pin: resolve` takes both from the record")
    return dataset
