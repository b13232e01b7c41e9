"""Where the record's files are on this computer, and how they get there: only when asked."""

import json
import logging
import os
import shutil
from collections.abc import Iterable, Iterator
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
from .manifest import REPOSITORY_MANIFEST, Dataset, Manifest, ManifestError, Record, check_file, check_keys, check_text, check_type, load_manifest, read_yaml

log = logging.getLogger(__name__)

FOLDER_VARIABLE = "FIGURES_PKG_DATA"
VERIFY = ("stamp", "full")
RECORDS_HOST = "zenodo.org"  # whose word makes a file the authors'
LOCK_NAME = "data_lock.yaml"
LOCK_HEADER = "# Written by figures_pkg: what the records said at the first contact. Later answers must agree.\n"


class MissingDataset(FileNotFoundError):
    """A dataset is not on this computer, or not in a state to be trusted; the message says how to get it."""


class PinConflict(ValueError):
    """Two sources disagree about a file that cannot have changed."""


@dataclass(frozen=True)
class Pin:
    """What one file must be, as its record said at the first contact."""

    record: str  # number of the Zenodo record
    remote: str  # exact name there
    size: int  # bytes
    checksum: str  # "md5:..." or "sha256:..."
    url: str
    resolved_at: str  # UTC, ISO 8601

    def check_agreement(self, other: "Pin", id: str, said_by: str, other_said_by: str) -> None:
        """Raise PinConflict unless both mean the same bytes; checksums of two algorithms cannot be compared."""
        comparable = self.checksum.split(":")[0] == other.checksum.split(":")[0]
        if self.size != other.size or (comparable and self.checksum != other.checksum):
            raise PinConflict(
                f"{id} ({self.remote!r}) has {self.size} bytes and {self.checksum} according to {said_by}, but {other.size} "
                f"bytes and {other.checksum} according to {other_said_by}. A version of a record never changes: find out "
                f"which is right, then remove {id} from the wrong {LOCK_NAME}"
            )


def data_dir() -> Path:
    """Folder that holds the data, which need not exist: FIGURES_PKG_DATA, else ``figures_pkg`` in the user's cache folder."""
    stated = os.environ.get(FOLDER_VARIABLE, "").strip()
    return Path(stated).expanduser().absolute() if stated else platformdirs.user_cache_path("figures_pkg")


def ensure(id: str, manifest: Manifest | None = None, *, verify: str = "stamp") -> Path:
    """
    Path of a dataset that is here and whole. Never downloads, never touches the network.

    Parameters
    ----------
    id
        Id of a dataset, for example ``"ds1"``.
    manifest
        Default: that of the repository.
    verify
        "stamp" trusts a file whose size and date are those of its last check; "full" computes its checksum again.

    Raises
    ------
    MissingDataset
        If the file is not there, was never checked, or is not what its record holds.
    """
    manifest = manifest or load_manifest()
    dataset, pin = manifest[id], known_pins(manifest).get(id)
    path, twin = data_dir() / dataset.local, dataset.substitute
    remedy = f"Run `figures_pkg fetch {id}`" + (f", or use its twin ({twin.generator}, {dict(twin.args)})" if twin else "")
    if not path.is_file():
        least, most = (bound / 1e9 for bound in dataset.expected_bytes.value)
        size = f"{pin.size / 1e9:.3g} GB" if pin else f"{least:.3g} to {most:.3g} GB"
        raise MissingDataset(f"dataset {id!r} ({size}, doi {dataset.record.doi}) is not at {path}. {remedy}")
    if pin is None:
        raise MissingDataset(
            f"{path} is there, but its checksum is not known yet. Run `figures_pkg fetch {id}`: it asks the record "
            "once and downloads only if the file differs"
        )
    if not is_intact(dataset, pin, verify):
        raise MissingDataset(f"{path} is not the file of its record ({pin.checksum}). {remedy}")
    return path


def origin_of(id: str, manifest: Manifest | None = None) -> str:
    """
    Whose word it is that a local file is the record's.

    Returns
    -------
    str
        "record" if Zenodo itself gave the checksum, or the repository's own manifest does; "rehearsal" if another server or
        another manifest did.
    """
    manifest = manifest or load_manifest()
    pin = known_pins(manifest)[id]
    trusted = urlsplit(pin.url).hostname == RECORDS_HOST if pin.url else manifest.path == REPOSITORY_MANIFEST
    return "record" if trusted else "rehearsal"


def fetch(ids: str | Iterable[str] | None = None, manifest: Manifest | None = None, *, verify: str = "stamp", refresh: bool = False,
          patience: Patience = Patience(), progress: bool | None = None) -> list[Path]:
    """
    Download datasets that are not here yet, each once, resuming what an earlier call began.

    Several processes may call this at once; one works, the others wait for it.

    Parameters
    ----------
    ids
        Ids of datasets or records. Default: every file that a figure of the paper needs.
    manifest
        Default: that of the repository.
    verify
        As in `ensure`, for the files that are here.
    refresh
        Ask the records again even if everything is pinned, and compare.
    patience
        Waiting times.
    progress
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
    _work_dir().mkdir(parents=True, exist_ok=True)
    pins = known_pins(manifest)
    todo = [one for one in datasets if one.id not in pins or not is_intact(one, pins[one.id], verify)]
    asked = datasets if refresh else todo
    for record in {dataset.record.id: dataset.record for dataset in asked}.values():
        _resolve(record, {dataset.id for dataset in asked if dataset.record == record}, manifest, refresh, patience)
    pins = known_pins(manifest)
    check_space(_work_dir(), sum(_missing_bytes(one, pins[one.id]) for one in todo))  # for all of them, before the first is begun
    for dataset in todo:
        with _alone(f"{dataset.id}.lock", patience):
            if not is_intact(dataset, pins[dataset.id], verify):
                _download(dataset, pins[dataset.id], patience, progress)
    return [data_dir() / dataset.local for dataset in datasets]


def known_pins(manifest: Manifest) -> dict[str, Pin]:
    """
    All pins that hold for the data folder, by id of the dataset.

    Checksums in the manifest and a lock committed beside it have the last word, so that everybody who clones the
    repository checks against the same bytes. New pins go to the lock in the data folder: that is always writable,
    and fetching never changes the repository behind its owner's back. A pin of another file than the one that the
    manifest names under the same id is out of date and does not count.

    Raises
    ------
    ManifestError
        If a lock is damaged.
    PinConflict
        If two pins of one file disagree.
    """
    pins, said_by = {}, str(manifest.path)
    for dataset in manifest.datasets.values():
        if dataset.size and dataset.checksum:
            pins[dataset.id] = Pin(dataset.record.record, dataset.remote, dataset.size, dataset.checksum, "", "")
    for path in (manifest.path.with_name(LOCK_NAME), data_dir() / LOCK_NAME):
        for id, pin in read_pins(path).items():
            named = manifest.datasets.get(id)
            if named is None or (pin.record, pin.remote) != (named.record.record, named.remote):
                continue
            if id in pins:
                pins[id].check_agreement(pin, id, said_by, str(path))
                pin = replace(pin, checksum=pins[id].checksum)  # but the newer address
            pins[id] = pin
        said_by = f"{said_by} or {path}"
    return pins


def read_pins(path: Path) -> dict[str, Pin]:
    """The pins in a data lock, which need not exist, by id of the dataset; a `ManifestError` if it is damaged."""
    if not path.exists():
        return {}
    content = read_yaml(path)
    check_keys(content, ("schema", "pins"), (), str(path))
    if content["schema"] != 1:
        raise ManifestError(f"{path}: schema {content['schema']!r} is not known; expected 1")
    for id, entry in check_type(content["pins"], dict, f"{path}: pins").items():
        check_keys(entry, tuple(Pin.__dataclass_fields__), (), f"{path}: {id}")
        for key in ("record", "remote", "url", "resolved_at"):
            check_text(entry[key], f"{path}: {id}.{key}")
        check_file(entry["size"], entry["checksum"], f"{path}: {id}")
    return {id: Pin(**entry) for id, entry in content["pins"].items()}


def add_pins(pins: dict[str, Pin]) -> None:
    """Add pins, by id, to the lock in the data folder; one that disagrees with a pin of the same file raises PinConflict."""
    path = data_dir() / LOCK_NAME
    with FileLock(path.with_name(f".{LOCK_NAME}.lock")):
        old = read_pins(path)
        for id in old.keys() & pins.keys():
            if (old[id].record, old[id].remote) == (pins[id].record, pins[id].remote):
                old[id].check_agreement(pins[id], id, str(path), "the record now")
        rows = {id: asdict(pin) for id, pin in sorted((old | pins).items())}  # same bytes, but perhaps a newer address
        with replacing(path) as temporary:
            temporary.write_text(LOCK_HEADER + yaml.safe_dump({"schema": 1, "pins": rows}, sort_keys=False, allow_unicode=True), encoding="utf-8")


def is_intact(dataset: Dataset, pin: Pin, verify: str = "stamp") -> bool:
    """
    Whether the local file of a dataset is the one that was pinned.

    A checksum of gigabytes takes half a minute, so it is computed once; after that a stamp with the file's size and
    date stands for it. With ``verify="full"``, or when the stamp does not fit, the checksum is computed again.
    """
    if verify not in VERIFY:
        raise ValueError(f"verify is {verify!r}, expected one of {', '.join(VERIFY)}")
    path, stamp = data_dir() / dataset.local, _work_dir() / f"{dataset.id}.stamp"
    if not path.is_file() or path.stat().st_size != pin.size:
        return False
    if verify == "stamp" and stamp.is_file() and stamp.read_text(encoding="utf-8") == _stamp_text(path, pin):
        return True
    log.info("checking %s (%.3g GB)", path, pin.size / 1e9)
    algorithm, _, digits = pin.checksum.partition(":")
    if pooch.file_hash(str(path), alg=algorithm) != digits:
        return False
    _write_stamp(dataset, pin)
    return True


def _write_stamp(dataset: Dataset, pin: Pin) -> None:
    """Remember a check; in a folder that may only be read each check is repeated, which is no error."""
    try:
        with replacing(_work_dir() / f"{dataset.id}.stamp") as temporary:
            temporary.write_text(_stamp_text(data_dir() / dataset.local, pin), encoding="utf-8")
    except OSError as error:
        log.info("the check of %s is not remembered: %s", dataset.id, error)


def _stamp_text(path: Path, pin: Pin) -> str:
    return json.dumps([path.stat().st_size, path.stat().st_mtime_ns, pin.checksum])


def _work_dir() -> Path:
    """Folder of parts, stamps and locks; beside the data, so that a rename stays on one disk."""
    return data_dir() / ".fetch"


@contextmanager
def _alone(name: str, patience: Patience) -> Iterator[None]:
    """Hold a lock across processes. On network disks without locks (some NFS) fetch from one process at a time."""
    lock = FileLock(_work_dir() / name)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        log.warning("another process holds %s; waiting for it", lock.lock_file)
        lock.acquire(timeout=patience.lock_s)
    try:
        yield
    finally:
        lock.release()


def _resolve(record: Record, ids: set[str], manifest: Manifest, refresh: bool, patience: Patience) -> None:
    """Ask a record, unless all of `ids` are pinned, and pin its datasets; one that does not fit is an error only if it is one of `ids`."""
    with _alone(f"record-{record.record}.lock", patience):
        known = known_pins(manifest)
        if not refresh and all(id in known and zenodo.serves(known[id].url) for id in ids):
            return
        files, pins = zenodo.resolve(record, patience), {}
        now = datetime.now(UTC).isoformat(timespec="seconds")
        for dataset in manifest.of_record(record.id):
            try:
                file = _expected_file(dataset, files)
            except RemoteError as error:
                if dataset.id in ids:
                    raise
                log.warning("%s", error)
                continue
            pins[dataset.id] = Pin(record.record, dataset.remote, file.size, file.checksum, file.url, now)
            if dataset.id in known:
                known[dataset.id].check_agreement(pins[dataset.id], dataset.id, "what is pinned", "the record now")
        add_pins(pins)


def _expected_file(dataset: Dataset, files: dict[str, zenodo.RemoteFile]) -> zenodo.RemoteFile:
    """What the record says about a dataset, if the manifest expects it."""
    record = f"record {dataset.record.record}"
    if dataset.remote not in files:
        raise RemoteError(f"{record} holds no {dataset.remote!r} ({dataset.id}), but {', '.join(map(repr, sorted(files)[:10]))}")
    file, (least, most) = files[dataset.remote], dataset.expected_bytes.value
    if not least <= file.size <= most:
        raise RemoteError(
            f"{record} gives {dataset.id} {file.size} bytes, the manifest expects {least} to {most} "
            f"({dataset.expected_bytes.source}); if the record is right, correct expected_bytes"
        )
    return file


def _part_of(dataset: Dataset, pin: Pin) -> Path:
    """Where the bytes of a file gather."""
    return _work_dir() / f"{dataset.id}.{pin.checksum.replace(':', '-')}.part"


def _missing_bytes(dataset: Dataset, pin: Pin) -> int:
    part = _part_of(dataset, pin)
    return pin.size - (part.stat().st_size if part.exists() else 0)


def _download(dataset: Dataset, pin: Pin, patience: Patience, progress: bool | None) -> None:
    """Bring one file here, checked by pooch, by a rename; a wrong checksum is tried again. The caller holds the file's lock."""
    path, staging, part = data_dir() / dataset.local, _work_dir() / dataset.id, _part_of(dataset, pin)
    shutil.rmtree(staging, ignore_errors=True)  # what a killed process left
    for old in _work_dir().glob(f"{dataset.id}.*.part"):
        if old != part:
            old.unlink()
    shelf = pooch.create(path=staging, base_url="", registry={path.name: pin.checksum}, urls={path.name: pin.url})
    downloader = Resuming(part, pin.size, patience, progress, dataset.id)
    for attempt in range(1, patience.corrupt_tries + 1):
        try:
            fetched = shelf.fetch(path.name, downloader=downloader)
            break
        except ValueError as error:  # pooch's word for a wrong checksum
            log.warning("%s arrived damaged (%d of %d attempts)", path.name, attempt, patience.corrupt_tries)
            problem = error
    else:
        raise RemoteError(f"{pin.url} does not deliver the bytes that were pinned ({pin.checksum}): {problem}") from problem
    path.parent.mkdir(parents=True, exist_ok=True)
    os.replace(fetched, path)
    staging.rmdir()
    _write_stamp(dataset, pin)
    log.info("%s is at %s", dataset.id, path)
