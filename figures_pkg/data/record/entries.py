"""What a data manifest is made of: facts with their sources, records, figures and datasets."""

from collections.abc import Mapping
from dataclasses import dataclass


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
