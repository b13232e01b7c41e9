"""The data lock: size and checksum of every file as its record gave them at the first contact."""

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import yaml
from filelock import FileLock

from figures_pkg.data.record import schema
from figures_pkg.data.record.schema import ManifestError
from figures_pkg.data.replace import replacing

NAME = "data_lock.yaml"
HEADER = "# Written by figures_pkg: what the records said at the first contact. Later answers must agree.\n"


class PinConflict(ValueError):
    """Two sources disagree about a file that cannot have changed."""


@dataclass(frozen=True)
class Pin:
    """What one file must be."""

    record: str  # number of the Zenodo record
    remote: str  # exact name there
    size: int  # bytes
    checksum: str  # "md5:..." or "sha256:..."
    url: str
    resolved_at: str  # UTC, ISO 8601

    @property
    def file(self):
        """Number of the record and name on it: what the pin is about."""
        return self.record, self.remote

    def agrees(self, other):
        """Return whether both can mean the same bytes; checksums of two algorithms cannot be compared."""
        comparable = self.checksum.split(":")[0] == other.checksum.split(":")[0]
        return self.size == other.size and (self.checksum == other.checksum or not comparable)


def pin_of(dataset, remote_file):
    """Return the pin of a dataset from what its record says now."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Pin(dataset.record.record, dataset.remote, remote_file.size, remote_file.checksum, remote_file.url, now)


def given_pin(dataset):
    """Return the pin of a dataset whose size and checksum stand in the manifest; its address is still to be asked."""
    return Pin(dataset.record.record, dataset.remote, dataset.size, dataset.checksum, "", "")


def read_pins(path):
    """
    Read a data lock.

    Parameters
    ----------
    path : pathlib.Path
        The file; it need not exist.

    Returns
    -------
    dict of str to Pin
        By id of the dataset.

    Raises
    ------
    ManifestError
        If the file is damaged.
    """
    if not path.exists():
        return {}
    content = schema.read_yaml(path)
    schema.check_keys(content, ("schema", "pins"), (), str(path))
    schema.check_type(content["pins"], dict, f"{path}: pins")
    if content["schema"] != 1:
        raise ManifestError(f"{path}: schema {content['schema']!r} is not known; expected 1")
    return {id: _pin(entry, f"{path}: {id}") for id, entry in content["pins"].items()}


def _pin(entry, where):
    """Build one pin from its YAML entry."""
    schema.check_keys(entry, tuple(Pin.__dataclass_fields__), (), where)
    for key in ("record", "remote", "url", "resolved_at"):
        schema.check_text(entry[key], f"{where}.{key}")
    schema.check_size(entry["size"], f"{where}.size")
    schema.check_checksum(entry["checksum"], f"{where}.checksum")
    return Pin(**entry)


def known_pins(manifest, folder):
    """
    Return all pins that hold for a data folder.

    Checksums in the manifest and a lock committed beside it have the last word, so that everybody who clones the
    repository checks against the same bytes. New pins go to the lock in the data folder: that is always writable,
    and fetching never changes the repository behind its owner's back. A pin of another file than the one that the
    manifest names under the same id is out of date and does not count.

    Parameters
    ----------
    manifest : figures_pkg.data.record.manifest.Manifest
        The manifest.
    folder : pathlib.Path
        The data folder.

    Returns
    -------
    dict of str to Pin
        By id of the dataset.

    Raises
    ------
    PinConflict
        If two of them disagree.
    """
    files = {id: (dataset.record.record, dataset.remote) for id, dataset in manifest.datasets.items()}
    given = {id: given_pin(dataset) for id, dataset in manifest.datasets.items() if dataset.pin == "given"}
    pins, said_by = given, str(manifest.path)
    for path in (manifest.path.with_name(NAME), Path(folder, NAME)):
        later = {id: pin for id, pin in read_pins(path).items() if pin.file == files.get(id)}
        for id in pins.keys() & later.keys():
            check_agreement(id, pins[id], later[id], said_by, str(path))
            later[id] = replace(later[id], checksum=pins[id].checksum)  # but the newer address
        pins, said_by = pins | later, f"{said_by} or {path}"
    return pins


def check_agreement(id, pin, other, said_by, other_said_by):
    """Raise PinConflict unless two pins of one dataset mean the same bytes."""
    if not pin.agrees(other):
        raise PinConflict(
            f"{id} ({pin.remote!r}) has {pin.size} bytes and {pin.checksum} according to {said_by}, but {other.size} "
            f"bytes and {other.checksum} according to {other_said_by}. A version of a record never changes: find out "
            f"which is right, then remove {id} from the wrong {NAME}"
        )


def add_pins(folder, pins):
    """
    Add pins to the lock in the data folder; those of the same files that are already there must agree.

    Parameters
    ----------
    folder : pathlib.Path
        The data folder.
    pins : dict of str to Pin
        By id of the dataset.

    Raises
    ------
    PinConflict
        If one disagrees with what is pinned; then nothing is written.
    """
    path = Path(folder, NAME)
    with FileLock(path.with_name(f".{NAME}.lock")):
        old = read_pins(path)
        for id in old.keys() & pins.keys():
            if old[id].file == pins[id].file:
                check_agreement(id, old[id], pins[id], str(path), "the record now")
        new = old | pins  # same bytes, but perhaps a newer address
        rows = {id: asdict(new[id]) for id in sorted(new)}
        write_text(path, HEADER + yaml.safe_dump({"schema": 1, "pins": rows}, sort_keys=False, allow_unicode=True))


def write_text(path, text):
    """Write a small file so that a reader sees the old or the new text, never a part."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
