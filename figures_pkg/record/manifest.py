"""The data manifest: which files exist on the records, what is known about them, and what stands in for them."""

import difflib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

import yaml

ROLES = ("measured", "checkpoint")
PINS = ("resolve", "given")
FIGURE_DATA = ("record", "simulation", "unpublished")
FACT_GROUPS = ("container", "axes", "acquisition", "boxes", "training")
MANIFEST_VARIABLE = "FIGURES_PKG_MANIFEST"  # another manifest, for a rehearsal or another record
REPOSITORY_MANIFEST = Path(__file__).resolve().parents[2] / "data_manifest.yaml"

_CHECKSUM = re.compile(r"md5:[0-9a-f]{32}|sha256:[0-9a-f]{64}")
_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_PART = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]{0,98}[A-Za-z0-9_-])?")  # Windows sets the rules; hidden names belong to the fetcher
_WINDOWS_DEVICES = {"con", "prn", "aux", "nul"} | {f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10)}
_RESERVED_LOCAL = "data_lock.yaml"  # written into the data folder by us


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
class Substitute:
    """What to make when a dataset is not there: a callable ``module:name`` of this package and its arguments."""

    generator: str
    args: Mapping[str, object]


@dataclass(frozen=True)
class Figure:
    """A panel of the paper and where its data is."""

    shows: str
    data: str  # one of FIGURE_DATA
    note: str = ""


@dataclass(frozen=True)
class Dataset:
    """One file of a record."""

    id: str
    role: str  # one of ROLES
    record: Record
    remote: str  # exact name on the record
    local: str  # path inside the data folder, forward slashes, safe everywhere
    pin: str  # "resolve": size and checksum come from the record; "given": they stand here
    size: int | None  # bytes
    checksum: str | None  # "md5:..." or "sha256:..."
    expected_bytes: Fact  # value (least, most); a record that says otherwise is refused
    used_by: tuple[str, ...]  # figures
    substitute: Substitute | None
    container: Mapping[str, Fact]
    axes: Mapping[str, Fact]
    acquisition: Mapping[str, Fact]
    boxes: Mapping[str, Fact]
    training: Mapping[str, Fact]


@dataclass(frozen=True)
class Manifest:
    """All datasets by id; ``manifest["ds1"]`` is one of them."""

    path: Path
    bases: Mapping[str, str]
    figures: Mapping[str, Figure]
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
        names = [ids] if isinstance(ids, str) else ids
        groups = [self.of_record(name) if name in self.records else [self[name]] for name in names]
        return list({dataset.id: dataset for group in groups for dataset in group}.values())


def manifest_of(data: str) -> Path:
    """
    Path of the manifest that a scan of a source is described by.

    Parameters
    ----------
    data
        "zenodo" for the one that FIGURES_PKG_MANIFEST names, else the repository's; "twin" always for the repository's, whose pictures the
        twin was fitted to.
    """
    return REPOSITORY_MANIFEST if data == "twin" else Path(os.environ.get(MANIFEST_VARIABLE) or REPOSITORY_MANIFEST)


def load_manifest(path: str | Path | None = None) -> Manifest:
    """
    Read and check a data manifest.

    Parameters
    ----------
    path
        The YAML file. Without it: the one that the environment variable FIGURES_PKG_MANIFEST names, else
        ``data_manifest.yaml`` of the repository in which the package lies.

    Returns
    -------
    Manifest
        Immutable; every rule of the schema holds.

    Raises
    ------
    FileNotFoundError
        If there is no such file, for example because the package was installed without its repository.
    ManifestError
        If an entry breaks a rule.
    """
    path = Path(path or manifest_of("zenodo"))
    if not path.is_file():
        raise FileNotFoundError(
            f"no data manifest at {path}; work in a clone of the repository installed with `pip install -e .`, "
            "or pass the path of its data_manifest.yaml"
        )
    content = read_yaml(path)
    try:
        return _manifest(path, content)
    except ManifestError as error:
        raise ManifestError(f"{path}: {error}") from error


class _StrictLoader(yaml.SafeLoader):
    """YAML's safe loader, but a key that is given twice is an error and not the last one's victory."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = sorted({str(key) for key in keys if keys.count(key) > 1})
        if twice:
            raise ManifestError(f"line {node.start_mark.line + 1}: {', '.join(twice)} is given twice; keep one")
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> dict:
    """The mapping in a YAML file; a `ManifestError` if the text is not YAML, gives a key twice, or is no mapping."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_StrictLoader)
    except (yaml.YAMLError, UnicodeDecodeError, ManifestError) as error:
        raise ManifestError(f"{path} cannot be read as YAML: {error}") from error
    if not isinstance(content, dict):
        raise ManifestError(f"{path} holds {type(content).__name__}, expected a mapping at the top level")
    return content


def check_keys(entry, required: Iterable[str], optional: Iterable[str], where: str) -> None:
    """Raise unless the mapping `entry` has all `required` keys and no others than these and the `optional` ones."""
    check_type(entry, dict, where)
    missing = sorted(set(required) - set(entry))
    unknown = sorted(map(str, set(entry) - set(required) - set(optional)))
    if missing:
        raise ManifestError(f"{where}: missing {', '.join(missing)}; every entry must state it")
    if unknown:
        raise ManifestError(f"{where}: unknown {', '.join(unknown)}; known are {', '.join([*required, *optional])}")


def check_type(value, kind: type, where: str):
    """`value`, if it is of the YAML type `kind` (dict or list), else an error."""
    if not isinstance(value, kind):
        raise ManifestError(f"{where}: expected {'a mapping' if kind is dict else 'a list'}, got {value!r}")
    return value


def check_text(value, where: str) -> str:
    """`value`, if it is text with something in it, else an error; YAML turns unquoted numbers into numbers."""
    if not isinstance(value, str) or not value.strip():
        raise ManifestError(f"{where}: expected text, got {value!r}; quote it in the YAML file")
    return value


def check_choice(value, choices: Iterable[str], where: str) -> str:
    """`value`, if it is one of `choices`, else an error with the list."""
    if not isinstance(value, str) or value not in choices:
        raise ManifestError(f"{where}: got {value!r}, expected one of {', '.join(choices)}")
    return value


def check_file(size, checksum, where: str) -> None:
    """Raise unless `size` is a number of bytes above zero and `checksum` reads ``md5:`` or ``sha256:`` and its hexadecimal digits."""
    _check_size(size, f"{where}.size")
    if not isinstance(checksum, str) or not _CHECKSUM.fullmatch(checksum):
        raise ManifestError(f"{where}.checksum: {checksum!r} is no checksum; expected md5:<32 hex> or sha256:<64 hex>")


def _check_size(value, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise ManifestError(f"{where}: got {value!r}, expected a number of bytes above zero")
    return value


def _check_id(value, where: str) -> str:
    if not isinstance(value, str) or not _ID.fullmatch(value) or value in _WINDOWS_DEVICES:
        raise ManifestError(f"{where}: {value!r} is no usable id; use a-z and 0-9, joined by single hyphens")
    return value


def _check_local(value, where: str) -> str:
    """A path inside the data folder that every operating system accepts: no device names such as ``aux.pkl``, no way out."""
    parts = check_text(value, where).split("/")
    device = any(part.split(".")[0].lower() in _WINDOWS_DEVICES for part in parts)
    if device or not all(map(_PART.fullmatch, parts)) or value.lower() == _RESERVED_LOCAL:
        raise ManifestError(
            f"{where}: {value!r} is no safe local name; use a relative path of A-Z a-z 0-9 . _ - whose parts "
            "neither begin nor end with a dot and are no Windows device names"
        )
    return value


def _manifest(path: Path, content: dict) -> Manifest:
    check_keys(content, ("schema", "bases", "figures", "records", "datasets"), (), "top level")
    if content["schema"] != 1:
        raise ManifestError(f"schema {content['schema']!r} is not known; this version of the package reads schema 1")
    for key, kind in (("bases", dict), ("figures", dict), ("records", dict), ("datasets", list)):
        check_type(content[key], kind, key)
    bases = {name: check_text(text, f"bases.{name}") for name, text in content["bases"].items()}
    figures = {name: _figure(entry, f"figures.{name}") for name, entry in content["figures"].items()}
    records = {name: _record(name, entry) for name, entry in content["records"].items()}
    entries = [single for entry in content["datasets"] for single in _expand_series(entry)]
    datasets = [_dataset(entry, bases, figures, records) for entry in entries]
    _check_apart(datasets, records)
    by_id = {dataset.id: dataset for dataset in datasets}
    return Manifest(path, MappingProxyType(bases), MappingProxyType(figures), MappingProxyType(records), MappingProxyType(by_id))


def _figure(entry, where: str) -> Figure:
    check_keys(entry, ("shows", "data"), ("note",), where)
    check_choice(entry["data"], FIGURE_DATA, f"{where}.data")
    return Figure(**entry)


def _record(name: str, entry) -> Record:
    """One record; its number is text, or YAML would drop leading zeros."""
    where = f"records.{name}"
    check_keys(entry, ("doi", "record", "licence", "title"), (), where)
    fields = {key: check_text(value, f"{where}.{key}") for key, value in entry.items()}
    if not fields["record"].isdecimal():
        raise ManifestError(f"{where}.record: got {fields['record']!r}, expected the digits of the record's address")
    return Record(_check_id(name, where), **fields)


def _expand_series(entry) -> list:
    """The entries that a series spells out row by row, ``{token}`` replaced in id, remote and local; or the entry itself."""
    if not isinstance(entry, dict) or "series" not in entry:
        return [entry]
    where = f"{entry.get('id')}.series"
    series, template = entry["series"], {key: value for key, value in entry.items() if key != "series"}
    check_keys(series, ("tokens", "rows"), ("used_by",), where)
    tokens, rows = (check_type(series[key], list, f"{where}.{key}") for key in ("tokens", "rows"))
    used_by = check_type(series.get("used_by", {}), dict, f"{where}.used_by")
    filled = {}
    for row in rows:
        if not isinstance(row, list) or len(row) != len(tokens) or not all(isinstance(text, str) for text in row):
            raise ManifestError(f"{where}: row {row!r} must give quoted text for {tokens}")
        one = filled[row[0]] = template | {"used_by": used_by.get(row[0], template.get("used_by"))}
        for key in ("id", "remote", "local"):
            for token, text in zip(tokens, row):
                one[key] = check_text(one.get(key), f"{where}.{key}").replace(f"{{{token}}}", text)
    if len(filled) != len(rows) or set(used_by) - set(filled):
        raise ManifestError(f"{where}: first texts of the rows must differ, and used_by may name only these")
    return list(filled.values())


def _dataset(entry, bases, figures, records) -> Dataset:
    required = ("id", "role", "record", "remote", "local", "pin", "expected_bytes", "used_by", "substitute")
    where = entry.get("id", "a dataset without id") if isinstance(entry, dict) else "datasets"
    check_keys(entry, required, ("size", "checksum", *FACT_GROUPS), where)
    for figure in check_type(entry["used_by"], list, f"{where}.used_by"):
        check_choice(figure, figures, f"{where}.used_by")
    size, checksum = entry.get("size"), entry.get("checksum")
    if check_choice(entry["pin"], PINS, f"{where}.pin") == "given":
        check_file(size, checksum, where)
    elif (size, checksum) != (None, None):
        raise ManifestError(f"{where}: `pin: resolve` and a size or checksum exclude each other; write `pin: given`")
    facts = {group: check_type(entry.get(group, {}), dict, f"{where}.{group}") for group in FACT_GROUPS}
    return Dataset(
        id=_check_id(entry["id"], where),
        role=check_choice(entry["role"], ROLES, f"{where}.role"),
        record=records[check_choice(entry["record"], records, f"{where}.record")],
        remote=check_text(entry["remote"], f"{where}.remote"),
        local=_check_local(entry["local"], f"{where}.local"),
        pin=entry["pin"],
        size=size,
        checksum=checksum,
        expected_bytes=_size_bracket(entry["expected_bytes"], bases, f"{where}.expected_bytes"),
        used_by=tuple(entry["used_by"]),
        substitute=_substitute(entry["substitute"], f"{where}.substitute"),
        **{group: MappingProxyType({name: _fact(fact, bases, f"{where}.{group}.{name}") for name, fact in known.items()})
           for group, known in facts.items()},
    )


def _fact(entry, bases, where: str) -> Fact:
    check_keys(entry, ("value", "basis", "source"), ("conflicts",), where)
    others = check_type(entry.get("conflicts", []), list, f"{where}.conflicts")
    conflicts = tuple(_fact(other, bases, f"{where}.conflicts") for other in others)
    basis = check_choice(entry["basis"], bases, f"{where}.basis")
    return Fact(entry["value"], basis, check_text(entry["source"], f"{where}.source"), conflicts)


def _size_bracket(entry, bases, where: str) -> Fact:
    """A fact whose value is (least, most) in bytes."""
    fact = _fact(entry, bases, where)
    if not isinstance(fact.value, list) or len(fact.value) != 2:
        raise ManifestError(f"{where}: got {fact.value!r}, expected [least, most] in bytes")
    least, most = (_check_size(bound, where) for bound in fact.value)
    if least > most:
        raise ManifestError(f"{where}: {least} is above {most}; write the smaller size first")
    return replace(fact, value=(least, most))


def _substitute(entry, where: str) -> Substitute | None:
    """What stands in for a dataset; None must be written out."""
    if entry is None:
        return None
    check_keys(entry, ("generator", "args"), (), where)
    if not re.match(r"figures_pkg\..*:", check_text(entry["generator"], where)):
        raise ManifestError(f"{where}: generator {entry['generator']!r} must read figures_pkg.<room>:<function>")
    return Substitute(entry["generator"], MappingProxyType(check_type(entry["args"], dict, f"{where}.args")))


def _check_apart(datasets: list[Dataset], records: Mapping[str, Record]) -> None:
    """Raise if two datasets share an id, a remote file or, on a disk that ignores case, a local one, or if an id is that of a record."""
    names = [*records, *(dataset.id for dataset in datasets), *((dataset.record.id, dataset.remote) for dataset in datasets)]
    for name in names:
        if names.count(name) > 1:
            raise ManifestError(f"{name!r} occurs twice; ids, record names and files of a record must differ")
    local: dict[str, Dataset] = {}
    for dataset in datasets:
        other = local.setdefault(dataset.local.lower(), dataset)
        if other is not dataset:
            raise ManifestError(f"local {dataset.local!r} and {other.local!r} are the same file where case is ignored")
    for dataset in datasets:
        for folder in PurePosixPath(dataset.local.lower()).parents:
            if str(folder) in local:
                raise ManifestError(f"local {local[str(folder)].local!r} is a file and also the folder of {dataset.local!r}")
