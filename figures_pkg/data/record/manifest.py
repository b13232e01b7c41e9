"""The data manifest: which files exist on the records, what is known about them, and what stands in for them."""

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from figures_pkg.data.record import schema
from figures_pkg.data.record.entries import Dataset, Fact, Figure, Record, Substitute
from figures_pkg.data.record.schema import ManifestError

ROLES = ("measured", "checkpoint")
PINS = ("resolve", "given")
FIGURE_DATA = ("record", "simulation", "unpublished")
FACT_GROUPS = ("container", "axes", "acquisition", "boxes", "training")
MANIFEST_VARIABLE = "FIGURES_PKG_MANIFEST"  # another manifest, for a rehearsal or another record
REPOSITORY_MANIFEST = Path(__file__).resolve().parents[3] / "data_manifest.yaml"


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
    content = schema.read_yaml(path)
    try:
        return _manifest(path, content)
    except ManifestError as error:
        raise ManifestError(f"{path}: {error}") from error


def _manifest(path, content):
    """Build the manifest from its YAML content."""
    schema.check_keys(content, ("schema", "bases", "figures", "records", "datasets"), (), "top level")
    if content["schema"] != 1:
        raise ManifestError(f"schema {content['schema']!r} is not known; this version of the package reads schema 1")
    for key, kind in (("bases", dict), ("figures", dict), ("records", dict), ("datasets", list)):
        schema.check_type(content[key], kind, key)
    bases = {name: schema.check_text(text, f"bases.{name}") for name, text in content["bases"].items()}
    figures = {name: _figure(entry, f"figures.{name}") for name, entry in content["figures"].items()}
    records = {name: _record(name, entry) for name, entry in content["records"].items()}
    entries = [single for entry in content["datasets"] for single in _expand_series(entry)]
    datasets = [_dataset(entry, bases, figures, records) for entry in entries]
    _check_unique(datasets, records)
    by_id = {dataset.id: dataset for dataset in datasets}
    return Manifest(path, *map(MappingProxyType, (bases, figures, records, by_id)))


def _figure(entry, where):
    """Build one figure."""
    schema.check_keys(entry, ("shows", "data"), ("note",), where)
    schema.check_choice(entry["data"], FIGURE_DATA, f"{where}.data")
    return Figure(**entry)


def _record(name, entry):
    """Build one record; its number is text, or YAML would drop leading zeros."""
    where = f"records.{name}"
    schema.check_keys(entry, ("doi", "record", "licence", "title"), (), where)
    fields = {key: schema.check_text(value, f"{where}.{key}") for key, value in entry.items()}
    if not fields["record"].isdecimal():
        raise ManifestError(f"{where}.record: got {fields['record']!r}, expected the digits of the record's address")
    return Record(schema.check_id(name, where), **fields)


def _expand_series(entry):
    """Return the entries that a series spells out row by row, or the entry itself."""
    if not isinstance(entry, dict) or "series" not in entry:
        return [entry]
    series, where = entry["series"], f"{entry.get('id')}.series"
    schema.check_keys(series, ("tokens", "rows"), ("used_by",), where)
    for key, kind in (("tokens", list), ("rows", list)):
        schema.check_type(series[key], kind, f"{where}.{key}")
    template = {key: value for key, value in entry.items() if key != "series"}
    exceptions = schema.check_type(series.get("used_by", {}), dict, f"{where}.used_by")
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
            entry[key] = schema.check_text(entry.get(key), f"{where}.{key}").replace(f"{{{token}}}", text)
    return entry


def _dataset(entry, bases, figures, records):
    """Build one dataset."""
    required = ("id", "role", "record", "remote", "local", "pin", "expected_bytes", "used_by", "substitute")
    where = entry.get("id", "a dataset without id") if isinstance(entry, dict) else "datasets"
    schema.check_keys(entry, required, ("size", "checksum", *FACT_GROUPS), where)
    for figure in schema.check_type(entry["used_by"], list, f"{where}.used_by"):
        schema.check_choice(figure, tuple(figures), f"{where}.used_by")
    facts = {group: _facts(entry.get(group, {}), bases, f"{where}.{group}") for group in FACT_GROUPS}
    return Dataset(
        id=schema.check_id(entry["id"], where),
        role=schema.check_choice(entry["role"], ROLES, f"{where}.role"),
        record=records[schema.check_choice(entry["record"], tuple(records), f"{where}.record")],
        remote=schema.check_text(entry["remote"], f"{where}.remote"),
        local=schema.check_local(entry["local"], f"{where}.local"),
        **_pin(entry, where),
        expected_bytes=_expected_bytes(entry["expected_bytes"], bases, where),
        used_by=tuple(entry["used_by"]),
        substitute=_substitute(entry["substitute"], f"{where}.substitute"),
        **facts,
    )


def _pin(entry, where):
    """Return pin, size and checksum; either both values are given or the record is to be asked."""
    pin = schema.check_choice(entry["pin"], PINS, f"{where}.pin")
    size, checksum = entry.get("size"), entry.get("checksum")
    if pin == "resolve" and (size is not None or checksum is not None):
        raise ManifestError(f"{where}: `pin: resolve` and a size or checksum exclude each other; write `pin: given`")
    if pin == "given":
        schema.check_size(size, f"{where}.size")
        schema.check_checksum(checksum, f"{where}.checksum")
    return {"pin": pin, "size": size, "checksum": checksum}


def _expected_bytes(entry, bases, where):
    """Build the size bracket, a fact whose value is (least, most) in bytes."""
    fact = _fact(entry, bases, f"{where}.expected_bytes")
    bracket = schema.check_bracket(fact.value, f"{where}.expected_bytes")
    return Fact(bracket, fact.basis, fact.source, fact.conflicts)


def _substitute(entry, where):
    """Build what stands in for a dataset; None must be written out."""
    if entry is None:
        return None
    schema.check_keys(entry, ("generator", "args"), (), where)
    if not schema.check_text(entry["generator"], where).startswith("figures_pkg.") or ":" not in entry["generator"]:
        raise ManifestError(f"{where}: generator {entry['generator']!r} must read figures_pkg.<room>:<function>")
    return Substitute(entry["generator"], MappingProxyType(schema.check_type(entry["args"], dict, f"{where}.args")))


def _facts(entry, bases, where):
    """Build a group of facts."""
    schema.check_type(entry, dict, where)
    return MappingProxyType({name: _fact(fact, bases, f"{where}.{name}") for name, fact in entry.items()})


def _fact(entry, bases, where):
    """Build one fact and its conflicts."""
    schema.check_keys(entry, ("value", "basis", "source"), ("conflicts",), where)
    others = schema.check_type(entry.get("conflicts", []), list, f"{where}.conflicts")
    conflicts = tuple(_fact(other, bases, f"{where}.conflicts") for other in others)
    basis = schema.check_choice(entry["basis"], tuple(bases), f"{where}.basis")
    return Fact(entry["value"], basis, schema.check_text(entry["source"], f"{where}.source"), conflicts)


def _check_unique(datasets, records):
    """Raise if two datasets share an id, a local name or a remote file, or if an id is that of a record."""
    ids = [dataset.id for dataset in datasets]
    files = [(dataset.record.id, dataset.remote) for dataset in datasets]
    twice = [value for value in [*ids, *files] if (ids + files).count(value) > 1] + sorted(set(ids) & set(records))
    if twice:
        raise ManifestError(f"{twice[0]!r} occurs twice; ids, record names and files of a record must differ")
    schema.check_locals_apart([dataset.local for dataset in datasets])
