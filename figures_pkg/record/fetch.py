"""Where the record's files are on this computer, and how they get there: only when asked."""

import json
import logging
import os
import shutil
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import platformdirs
import pooch
import yaml
from filelock import FileLock, Timeout

from figures_pkg.workspace import replacing

from . import zenodo
from .download import Patience, RemoteError, Resuming, check_space
from .manifest import (
    REPOSITORY_MANIFEST, ManifestError, check_checksum, check_keys, check_size, check_text, check_type, load_manifest, read_yaml,
)

log = logging.getLogger(__name__)

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
    content = read_yaml(path)
    check_keys(content, ("schema", "pins"), (), str(path))
    check_type(content["pins"], dict, f"{path}: pins")
    if content["schema"] != 1:
        raise ManifestError(f"{path}: schema {content['schema']!r} is not known; expected 1")
    return {id: _pin(entry, f"{path}: {id}") for id, entry in content["pins"].items()}


def _pin(entry, where):
    """Build one pin from its YAML entry."""
    check_keys(entry, tuple(Pin.__dataclass_fields__), (), where)
    for key in ("record", "remote", "url", "resolved_at"):
        check_text(entry[key], f"{where}.{key}")
    check_size(entry["size"], f"{where}.size")
    check_checksum(entry["checksum"], f"{where}.checksum")
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
    manifest : figures_pkg.record.manifest.Manifest
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


FOLDER_VARIABLE = "FIGURES_PKG_DATA"
VERIFY = ("stamp", "full")


def data_dir():
    """
    Return the folder that holds the data: FIGURES_PKG_DATA, else ``figures_pkg`` in the user's cache folder.

    Returns
    -------
    pathlib.Path
        Absolute; it need not exist.
    """
    stated = os.environ.get(FOLDER_VARIABLE, "").strip()
    return Path(stated).expanduser().absolute() if stated else platformdirs.user_cache_path("figures_pkg")


def work_dir():
    """Return the folder of parts, stamps and locks; beside the data, so that a rename stays on one disk."""
    return data_dir() / ".fetch"


def path_of(dataset):
    """Return where a dataset is, or will be."""
    return data_dir() / dataset.local


def is_intact(dataset, pin, verify="stamp"):
    """
    Return whether the local file of a dataset is the one that was pinned.

    A checksum of gigabytes takes half a minute, so it is computed once; after that a stamp with the file's size and
    date stands for it.

    Parameters
    ----------
    dataset : figures_pkg.record.manifest.Dataset
        The dataset.
    pin : figures_pkg.record.fetch.Pin
        What its file must be.
    verify : {"stamp", "full"}
        With "full", or when the stamp does not fit, the checksum is computed again.

    Returns
    -------
    bool
    """
    if verify not in VERIFY:
        raise ValueError(f"verify is {verify!r}, expected one of {', '.join(VERIFY)}")
    path, stamp = path_of(dataset), _stamp_of(dataset)
    if not path.is_file() or path.stat().st_size != pin.size:
        return False
    if verify == "stamp" and stamp.is_file() and stamp.read_text(encoding="utf-8") == _stamp_text(path, pin):
        return True
    log.info("checking %s (%.3g GB)", path, pin.size / 1e9)
    algorithm, _, digits = pin.checksum.partition(":")
    if pooch.file_hash(str(path), alg=algorithm) != digits:
        return False
    remember(dataset, pin)
    return True


def remember(dataset, pin):
    """Stamp a checked file; in a folder that may only be read each check is repeated, which is no error."""
    stamp = _stamp_of(dataset)
    try:
        stamp.parent.mkdir(parents=True, exist_ok=True)
        write_text(stamp, _stamp_text(path_of(dataset), pin))
    except OSError as error:
        log.info("the check of %s is not remembered: %s", dataset.id, error)


def _stamp_of(dataset):
    """Return where the stamp of a dataset is."""
    return work_dir() / f"{dataset.id}.stamp"


def _stamp_text(path, pin):
    """Return what the stamp of a file reads while the file is as it was checked."""
    return json.dumps([path.stat().st_size, path.stat().st_mtime_ns, pin.checksum])


@contextmanager
def alone(name, patience):
    """Hold a lock across processes. On network disks without locks (some NFS) fetch from one process at a time."""
    lock = FileLock(work_dir() / name)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        log.warning("another process holds %s; waiting for it", lock.lock_file)
        lock.acquire(timeout=patience.lock_s)
    try:
        yield
    finally:
        lock.release()


RECORDS_HOST = "zenodo.org"  # whose word makes a file the authors'


class MissingDataset(FileNotFoundError):
    """A dataset is not on this computer, or not in a state to be trusted; the message says how to get it."""


def ensure(id, manifest=None, *, verify="stamp"):
    """
    Return the path of a dataset that is here and whole. Never downloads, never touches the network.

    Parameters
    ----------
    id : str
        Id of a dataset, for example ``"ds1"``.
    manifest : Manifest, optional
        Default: that of the repository.
    verify : {"stamp", "full"}
        "stamp" trusts a file whose size and date are those of its last check; "full" computes its checksum again.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    MissingDataset
        If the file is not there, was never checked, or is not what its record holds.
    """
    manifest = manifest or load_manifest()
    dataset, path = manifest[id], path_of(manifest[id])
    pin = known_pins(manifest, data_dir()).get(id)
    if not path.is_file():
        raise MissingDataset(f"{_label(dataset, pin)} is not at {path}. {_remedy(dataset)}")
    if pin is None:
        raise MissingDataset(
            f"{path} is there, but its checksum is not known yet. Run `figures_pkg fetch {id}`: it asks the record "
            "once and downloads only if the file differs"
        )
    if not is_intact(dataset, pin, verify):
        raise MissingDataset(f"{path} is not the file of its record ({pin.checksum}). {_remedy(dataset)}")
    return path


def origin_of(id, manifest=None):
    """
    Return whose word it is that a local file is the record's: "record" or "rehearsal".

    Parameters
    ----------
    id : str
        Id of a dataset whose file is here, see `ensure`.
    manifest : Manifest, optional
        Default: that of the repository.

    Returns
    -------
    str
        "record" if Zenodo itself gave the checksum, or the repository's own manifest does; "rehearsal" if another server or
        another manifest did.
    """
    manifest = manifest or load_manifest()
    pin = known_pins(manifest, data_dir())[id]
    if pin.url:
        return "record" if urlsplit(pin.url).hostname == RECORDS_HOST else "rehearsal"
    return "record" if manifest.path == REPOSITORY_MANIFEST else "rehearsal"


def fetch(ids=None, manifest=None, *, verify="stamp", refresh=False, patience=Patience(), progress=None):
    """
    Download datasets that are not here yet, each once, resuming what an earlier call began.

    Several processes may call this at once; one works, the others wait for it.

    Parameters
    ----------
    ids : str or iterable of str, optional
        Ids of datasets or records. Default: every file that a figure of the paper needs.
    manifest : Manifest, optional
        Default: that of the repository.
    verify : {"stamp", "full"}
        As in `ensure`, for the files that are here.
    refresh : bool
        Ask the records again even if everything is pinned, and compare.
    patience : Patience, optional
        Waiting times.
    progress : bool, optional
        Whether to draw bars on stderr. Default: only on a terminal.

    Returns
    -------
    list of pathlib.Path
        The files, in the order asked for.

    Raises
    ------
    RemoteError
        If a server does not give what its record promises.
    PinConflict
        If a record says something else than at the first contact.
    OSError
        If the disk is full or not writable.
    """
    manifest = manifest or load_manifest()
    datasets = manifest.select(ids)
    work_dir().mkdir(parents=True, exist_ok=True)
    pins = known_pins(manifest, data_dir())
    todo = [one for one in datasets if one.id not in pins or not is_intact(one, pins[one.id], verify)]
    pins = _resolve(datasets if refresh else todo, manifest, refresh, patience)
    check_space(work_dir(), sum(_missing_bytes(one, pins[one.id]) for one in todo))  # for all of them, before the first is begun
    for dataset in todo:
        with alone(f"{dataset.id}.lock", patience):
            if not is_intact(dataset, pins[dataset.id], verify):
                _download(dataset, pins[dataset.id], patience, progress)
    return [path_of(dataset) for dataset in datasets]


def _resolve(datasets, manifest, refresh, patience):
    """Return all pins after asking the records of `datasets` that are not pinned yet, each record once."""
    for record in {dataset.record.id: dataset.record for dataset in datasets}.values():
        wanted = {dataset.id for dataset in datasets if dataset.record == record}
        with alone(f"record-{record.record}.lock", patience):
            pins = known_pins(manifest, data_dir())
            if refresh or any(id not in pins or not zenodo.serves(pins[id].url) for id in wanted):
                _pin_record(record, wanted, manifest, patience)
    return known_pins(manifest, data_dir())


def _pin_record(record, wanted, manifest, patience):
    """Pin every dataset of a record from its answer; one that does not fit is an error only if it is wanted."""
    files = zenodo.resolve(record, patience=patience)
    pins, known = {}, known_pins(manifest, data_dir())
    for dataset in manifest.of_record(record.id):
        try:
            pins[dataset.id] = pin_of(dataset, _checked_file(dataset, files))
        except RemoteError as error:
            if dataset.id in wanted:
                raise
            log.warning("%s", error)
    for id in pins.keys() & known.keys():
        check_agreement(id, known[id], pins[id], "what is pinned", "the record now")
    add_pins(data_dir(), pins)


def _checked_file(dataset, files):
    """Return what the record says about a dataset if the manifest expects it."""
    if dataset.remote not in files:
        names = ", ".join(map(repr, sorted(files)[:10]))
        raise RemoteError(f"record {dataset.record.record} holds no {dataset.remote!r} ({dataset.id}), but {names}")
    file, (least, most) = files[dataset.remote], dataset.expected_bytes.value
    if not least <= file.size <= most:
        raise RemoteError(
            f"record {dataset.record.record} gives {dataset.id} {file.size} bytes, the manifest expects {least} to "
            f"{most} ({dataset.expected_bytes.source}); if the record is right, correct expected_bytes"
        )
    return file


def _part_of(dataset, pin):
    """Return where the bytes of a file gather."""
    return work_dir() / f"{dataset.id}.{pin.checksum.replace(':', '-')}.part"


def _missing_bytes(dataset, pin):
    """Return how many bytes of a file are still to come; those of a part that is here count as here."""
    part = _part_of(dataset, pin)
    return pin.size - (part.stat().st_size if part.exists() else 0)


def _download(dataset, pin, patience, progress):
    """Bring one file here, checked, by a rename; the caller holds its lock."""
    path, staging, part = path_of(dataset), work_dir() / dataset.id, _part_of(dataset, pin)
    shutil.rmtree(staging, ignore_errors=True)  # what a killed process left
    for old in work_dir().glob(f"{dataset.id}.*.part"):
        if old != part:
            old.unlink()
    fetched = _shelve(Resuming(part, pin.size, patience, progress, dataset.id), staging, path.name, pin, patience)
    path.parent.mkdir(parents=True, exist_ok=True)
    os.replace(fetched, path)
    staging.rmdir()
    remember(dataset, pin)
    log.info("%s is at %s", dataset.id, path)


def _shelve(downloader, staging, name, pin, patience):
    """Let pooch download, check and rename the file inside `staging`; a wrong checksum is tried again."""
    shelf = pooch.create(path=staging, base_url="", registry={name: pin.checksum}, urls={name: pin.url})
    for attempt in range(1, patience.corrupt_tries + 1):
        try:
            return shelf.fetch(name, downloader=downloader)
        except ValueError as error:  # pooch's word for a wrong checksum
            log.warning("%s arrived damaged (%d of %d attempts)", name, attempt, patience.corrupt_tries)
            problem = error
    raise RemoteError(f"{pin.url} does not deliver the bytes that were pinned ({pin.checksum}): {problem}") from problem


def _label(dataset, pin):
    """Return a dataset's id, size and DOI for a message."""
    least, most = (bound / 1e9 for bound in dataset.expected_bytes.value)
    size = f"{pin.size / 1e9:.3g} GB" if pin else f"{least:.3g} to {most:.3g} GB"
    return f"dataset {dataset.id!r} ({size}, doi {dataset.record.doi})"


def _remedy(dataset):
    """Return what to do about a missing dataset."""
    twin = dataset.substitute
    instead = f", or use its twin ({twin.generator}, {dict(twin.args)})" if twin else ""
    return f"Run `figures_pkg fetch {dataset.id}`{instead}"
