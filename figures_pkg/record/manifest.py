"""The data manifest: which files exist on the records, what is known about them, and what stands in for them."""

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import MappingProxyType

import yaml

CHECKSUM_LENGTH = {"md5": 32, "sha256": 64}
ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")  # no leading dot: hidden names belong to the fetcher
WINDOWS_DEVICES = {"con", "prn", "aux", "nul"} | {f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10)}
RESERVED_LOCAL = {"data_lock.yaml"}  # written into the data folder by us


class ManifestError(ValueError):
    """A data manifest or a data lock breaks a rule; the message names the entry, the value and the rule."""


class _StrictLoader(yaml.SafeLoader):
    """YAML's safe loader, but a key that is given twice is an error and not the last one's victory."""

    def construct_mapping(self, node, deep=False):
        """Build one mapping after checking that its keys differ."""
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = sorted({str(key) for key in keys if keys.count(key) > 1})
        if twice:
            raise ManifestError(f"line {node.start_mark.line + 1}: {', '.join(twice)} is given twice; keep one")
        return super().construct_mapping(node, deep)


def read_yaml(path):
    """
    Read one YAML file that must hold a mapping.

    Parameters
    ----------
    path : pathlib.Path
        The file.

    Returns
    -------
    dict
        Its content.

    Raises
    ------
    ManifestError
        If the text is not YAML, gives a key twice, or is no mapping.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_StrictLoader)
    except (yaml.YAMLError, UnicodeDecodeError, ManifestError) as error:
        raise ManifestError(f"{path} cannot be read as YAML: {error}") from error
    if not isinstance(content, dict):
        raise ManifestError(f"{path} holds {type(content).__name__}, expected a mapping at the top level")
    return content


def check_keys(entry, required, optional, where):
    """Raise unless the mapping `entry` has all `required` keys and no others than these and the `optional` ones."""
    check_type(entry, dict, where)
    missing = sorted(set(required) - set(entry))
    unknown = sorted(map(str, set(entry) - set(required) - set(optional)))
    if missing:
        raise ManifestError(f"{where}: missing {', '.join(missing)}; every entry must state it")
    if unknown:
        raise ManifestError(f"{where}: unknown {', '.join(unknown)}; known are {', '.join([*required, *optional])}")


def check_type(value, kind, where):
    """Return `value` if it is of the YAML type `kind` (dict or list), else raise."""
    if not isinstance(value, kind):
        expected = {dict: "a mapping", list: "a list"}[kind]
        raise ManifestError(f"{where}: expected {expected}, got {value!r}")
    return value


def check_text(value, where):
    """Return `value` if it is text with something in it, else raise; YAML turns unquoted numbers into numbers."""
    if not isinstance(value, str) or not value.strip():
        raise ManifestError(f"{where}: expected text, got {value!r}; quote it in the YAML file")
    return value


def check_choice(value, choices, where):
    """Return `value` if it is one of `choices`, else raise with the list."""
    if not isinstance(value, str) or value not in choices:
        raise ManifestError(f"{where}: got {value!r}, expected one of {', '.join(choices)}")
    return value


def check_id(value, where):
    """Return `value` if it is a usable id: small letters and digits joined by single hyphens, no device name."""
    if not isinstance(value, str) or not ID.fullmatch(value) or value in WINDOWS_DEVICES:
        raise ManifestError(f"{where}: {value!r} is no usable id; use a-z and 0-9, joined by single hyphens")
    return value


def check_local(value, where):
    """
    Return `value` if it is a path inside the data folder that every operating system accepts.

    Windows sets the rules: no colon, blank or backslash, no trailing dot, no device names such as ``aux.pkl``.
    Names that begin with a dot are kept for the fetcher's own files.

    Parameters
    ----------
    value : str
        The path with forward slashes.
    where : str
        What the path belongs to, for the message.

    Returns
    -------
    str
        The same path.

    Raises
    ------
    ManifestError
        If the path is absolute, climbs out of the folder, or breaks a rule.
    """
    parts = check_text(value, where).split("/")
    safe = all(PART.fullmatch(part) and not part.endswith(".") for part in parts)
    device = any(part.split(".")[0].lower() in WINDOWS_DEVICES for part in parts)
    if not safe or device or value.lower() in RESERVED_LOCAL:
        raise ManifestError(
            f"{where}: {value!r} is no safe local name; use a relative path of A-Z a-z 0-9 . _ - whose parts "
            "neither begin nor end with a dot and are no Windows device names"
        )
    return value


def check_locals_apart(names):
    """Raise if two local names are one file on a disk that ignores case, or if one is a folder of another."""
    seen = {}
    for name in names:
        if name.lower() in seen:
            raise ManifestError(f"local {name!r} and {seen[name.lower()]!r} are the same file where case is ignored")
        seen[name.lower()] = name
    for name in names:
        for folder in PurePosixPath(name.lower()).parents:
            if str(folder) in seen:
                raise ManifestError(f"local {seen[str(folder)]!r} is a file and also the folder of {name!r}")


def check_checksum(value, where):
    """Return `value` if it reads ``md5:`` and 32 or ``sha256:`` and 64 small hexadecimal digits, else raise."""
    algorithm, _, digits = value.partition(":") if isinstance(value, str) else ("", "", "")
    if not re.fullmatch(r"[0-9a-f]+", digits) or CHECKSUM_LENGTH.get(algorithm) != len(digits):
        raise ManifestError(f"{where}: {value!r} is no checksum; expected md5:<32 hex> or sha256:<64 hex>")
    return value


def check_size(value, where):
    """Return `value` if it is a number of bytes above zero, else raise."""
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise ManifestError(f"{where}: got {value!r}, expected a number of bytes above zero")
    return value


def check_bracket(value, where):
    """Return `value` as (least, most) bytes if it is a pair of sizes in ascending order, else raise."""
    if not isinstance(value, list) or len(value) != 2:
        raise ManifestError(f"{where}: got {value!r}, expected [least, most] in bytes")
    least, most = (check_size(bound, where) for bound in value)
    if least > most:
        raise ManifestError(f"{where}: {least} is above {most}; write the smaller size first")
    return least, most


@dataclass(frozen=True)
class Fact:
    """One value with where it comes from, and what other sources say instead."""

    value: object
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


ROLES = ("measured", "checkpoint")
PINS = ("resolve", "given")
FIGURE_DATA = ("record", "simulation", "unpublished")
FACT_GROUPS = ("container", "axes", "acquisition", "boxes", "training")
MANIFEST_VARIABLE = "FIGURES_PKG_MANIFEST"  # another manifest, for a rehearsal or another record
REPOSITORY_MANIFEST = Path(__file__).resolve().parents[2] / "data_manifest.yaml"


@dataclass(frozen=True)
class Manifest:
    """All datasets by id; ``manifest["ds1"]`` is one of them."""

    path: Path
    bases: Mapping[str, str]
    figures: Mapping[str, Figure]
    records: Mapping[str, Record]
    datasets: Mapping[str, Dataset]

    def __getitem__(self, id):
        """Return the dataset called `id`; the error proposes near names."""
        if id not in self.datasets:
            near = difflib.get_close_matches(str(id), self.datasets, n=3) or list(self.datasets)[:5]
            raise ManifestError(f"no dataset {id!r} in {self.path}; did you mean {', '.join(near)}?")
        return self.datasets[id]

    def of_record(self, record):
        """Return the datasets of one record, in the manifest's order."""
        return [dataset for dataset in self.datasets.values() if dataset.record.id == record]

    def select(self, ids=None):
        """
        Return the datasets that `ids` mean.

        Parameters
        ----------
        ids : iterable of str, optional
            Ids of datasets or of whole records. Without it: all that a figure of the paper needs.

        Returns
        -------
        list of Dataset
            Each once, in the order asked for.
        """
        if ids is None:
            return [dataset for dataset in self.datasets.values() if dataset.used_by]
        names = [ids] if isinstance(ids, str) else ids
        groups = [self.of_record(name) if name in self.records else [self[name]] for name in names]
        return list({dataset.id: dataset for group in groups for dataset in group}.values())


def manifest_of(data):
    """
    Return the path of the manifest that a scan of a source is described by.

    Parameters
    ----------
    data : str
        "zenodo" for the one that FIGURES_PKG_MANIFEST names, else the repository's; "twin" always for the repository's, whose pictures the
        twin was fitted to.
    """
    return REPOSITORY_MANIFEST if data == "twin" else Path(os.environ.get(MANIFEST_VARIABLE) or REPOSITORY_MANIFEST)


def load_manifest(path=None):
    """
    Read and check a data manifest.

    Parameters
    ----------
    path : path-like, optional
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


def _manifest(path, content):
    """Build the manifest from its YAML content."""
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
    _check_unique(datasets, records)
    by_id = {dataset.id: dataset for dataset in datasets}
    return Manifest(path, *map(MappingProxyType, (bases, figures, records, by_id)))


def _figure(entry, where):
    """Build one figure."""
    check_keys(entry, ("shows", "data"), ("note",), where)
    check_choice(entry["data"], FIGURE_DATA, f"{where}.data")
    return Figure(**entry)


def _record(name, entry):
    """Build one record; its number is text, or YAML would drop leading zeros."""
    where = f"records.{name}"
    check_keys(entry, ("doi", "record", "licence", "title"), (), where)
    fields = {key: check_text(value, f"{where}.{key}") for key, value in entry.items()}
    if not fields["record"].isdecimal():
        raise ManifestError(f"{where}.record: got {fields['record']!r}, expected the digits of the record's address")
    return Record(check_id(name, where), **fields)


def _expand_series(entry):
    """Return the entries that a series spells out row by row, or the entry itself."""
    if not isinstance(entry, dict) or "series" not in entry:
        return [entry]
    series, where = entry["series"], f"{entry.get('id')}.series"
    check_keys(series, ("tokens", "rows"), ("used_by",), where)
    for key, kind in (("tokens", list), ("rows", list)):
        check_type(series[key], kind, f"{where}.{key}")
    template = {key: value for key, value in entry.items() if key != "series"}
    exceptions = check_type(series.get("used_by", {}), dict, f"{where}.used_by")
    for row in series["rows"]:
        texts = isinstance(row, list) and all(isinstance(text, str) for text in row)
        if not texts or len(row) != len(series["tokens"]):
            raise ManifestError(f"{where}: row {row!r} must give quoted text for {series['tokens']}")
    filled = {row[0]: _fill(template, series["tokens"], row, exceptions, where) for row in series["rows"]}
    if len(filled) != len(series["rows"]) or set(exceptions) - set(filled):
        raise ManifestError(f"{where}: first texts of the rows must differ, and used_by may name only these")
    return list(filled.values())


def _fill(template, tokens, row, exceptions, where):
    """Return one entry of a series: ``{token}`` replaced by the row's text in id, remote and local."""
    entry = dict(template, used_by=exceptions.get(row[0], template.get("used_by")))
    for key in ("id", "remote", "local"):
        for token, text in zip(tokens, row, strict=True):
            entry[key] = check_text(entry.get(key), f"{where}.{key}").replace(f"{{{token}}}", text)
    return entry


def _dataset(entry, bases, figures, records):
    """Build one dataset."""
    required = ("id", "role", "record", "remote", "local", "pin", "expected_bytes", "used_by", "substitute")
    where = entry.get("id", "a dataset without id") if isinstance(entry, dict) else "datasets"
    check_keys(entry, required, ("size", "checksum", *FACT_GROUPS), where)
    for figure in check_type(entry["used_by"], list, f"{where}.used_by"):
        check_choice(figure, tuple(figures), f"{where}.used_by")
    facts = {group: _facts(entry.get(group, {}), bases, f"{where}.{group}") for group in FACT_GROUPS}
    return Dataset(
        id=check_id(entry["id"], where),
        role=check_choice(entry["role"], ROLES, f"{where}.role"),
        record=records[check_choice(entry["record"], tuple(records), f"{where}.record")],
        remote=check_text(entry["remote"], f"{where}.remote"),
        local=check_local(entry["local"], f"{where}.local"),
        **_pin(entry, where),
        expected_bytes=_expected_bytes(entry["expected_bytes"], bases, where),
        used_by=tuple(entry["used_by"]),
        substitute=_substitute(entry["substitute"], f"{where}.substitute"),
        **facts,
    )


def _pin(entry, where):
    """Return pin, size and checksum; either both values are given or the record is to be asked."""
    pin = check_choice(entry["pin"], PINS, f"{where}.pin")
    size, checksum = entry.get("size"), entry.get("checksum")
    if pin == "resolve" and (size is not None or checksum is not None):
        raise ManifestError(f"{where}: `pin: resolve` and a size or checksum exclude each other; write `pin: given`")
    if pin == "given":
        check_size(size, f"{where}.size")
        check_checksum(checksum, f"{where}.checksum")
    return {"pin": pin, "size": size, "checksum": checksum}


def _expected_bytes(entry, bases, where):
    """Build the size bracket, a fact whose value is (least, most) in bytes."""
    fact = _fact(entry, bases, f"{where}.expected_bytes")
    bracket = check_bracket(fact.value, f"{where}.expected_bytes")
    return Fact(bracket, fact.basis, fact.source, fact.conflicts)


def _substitute(entry, where):
    """Build what stands in for a dataset; None must be written out."""
    if entry is None:
        return None
    check_keys(entry, ("generator", "args"), (), where)
    if not check_text(entry["generator"], where).startswith("figures_pkg.") or ":" not in entry["generator"]:
        raise ManifestError(f"{where}: generator {entry['generator']!r} must read figures_pkg.<room>:<function>")
    return Substitute(entry["generator"], MappingProxyType(check_type(entry["args"], dict, f"{where}.args")))


def _facts(entry, bases, where):
    """Build a group of facts."""
    check_type(entry, dict, where)
    return MappingProxyType({name: _fact(fact, bases, f"{where}.{name}") for name, fact in entry.items()})


def _fact(entry, bases, where):
    """Build one fact and its conflicts."""
    check_keys(entry, ("value", "basis", "source"), ("conflicts",), where)
    others = check_type(entry.get("conflicts", []), list, f"{where}.conflicts")
    conflicts = tuple(_fact(other, bases, f"{where}.conflicts") for other in others)
    basis = check_choice(entry["basis"], tuple(bases), f"{where}.basis")
    return Fact(entry["value"], basis, check_text(entry["source"], f"{where}.source"), conflicts)


def _check_unique(datasets, records):
    """Raise if two datasets share an id, a local name or a remote file, or if an id is that of a record."""
    ids = [dataset.id for dataset in datasets]
    files = [(dataset.record.id, dataset.remote) for dataset in datasets]
    twice = [value for value in [*ids, *files] if (ids + files).count(value) > 1] + sorted(set(ids) & set(records))
    if twice:
        raise ManifestError(f"{twice[0]!r} occurs twice; ids, record names and files of a record must differ")
    check_locals_apart([dataset.local for dataset in datasets])
