"""Where the record's files are on this computer, and how they get there: only when asked."""

import errno
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
from .manifest import FILE_RULES, LOCK_NAME, REPOSITORY_MANIFEST, Dataset, Manifest, check_choice, check_schema, load_manifest, read_each, read_entry, read_yaml

log = logging.getLogger(__name__)

FOLDER_VARIABLE = "FIGURES_PKG_DATA"
RECORDS_HOST = "zenodo.org"  # whose word makes a file the authors'
LOCK_HEADER = "# Written by figures_pkg: what the records said at the first contact. Later answers must agree.\n"
LOCK_WAIT_S = 6 * 3600.0  # another process may be fetching the same file over a slow line
SPARE_BYTES = 64 << 20  # left free on the disk


def data_dir() -> Path:
    """Folder that holds the data, which need not exist: FIGURES_PKG_DATA, else ``figures_pkg`` in the user's cache folder."""
    stated = os.environ.get(FOLDER_VARIABLE, "").strip()
    return Path(stated).expanduser().absolute() if stated else platformdirs.user_cache_path("figures_pkg")


def _work_dir() -> Path:
    """Folder of parts, stamps and locks; beside the data, so that a rename stays on one disk."""
    return data_dir() / ".fetch"


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

    def check_agreement(self, other: "Pin", id: str, said_by: object) -> None:
        """Raise PinConflict unless both mean the same bytes; checksums of two algorithms cannot be compared."""
        comparable = self.checksum.split(":")[0] == other.checksum.split(":")[0]
        if self.size != other.size or (comparable and self.checksum != other.checksum):
            raise PinConflict(
                f"{id} ({self.remote!r}) is pinned with {self.size} bytes and {self.checksum}, but has {other.size} bytes and "
                f"{other.checksum} according to {said_by}. A version of a record never changes: find out which is right, then "
                f"remove {id} from the wrong {LOCK_NAME}; one may lie in the data folder, one beside the manifest"
            )


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

    "record" if Zenodo itself gave the checksum, or the repository's own manifest does; "rehearsal" if another server or another manifest did.
    """
    manifest = manifest or load_manifest()
    pin = known_pins(manifest)[id]
    trusted = urlsplit(pin.url).hostname == RECORDS_HOST if pin.url else manifest.path == REPOSITORY_MANIFEST
    return "record" if trusted else "rehearsal"


def fetch(ids: str | Iterable[str] | None = None, manifest: Manifest | None = None, *, verify: str = "stamp", refresh: bool = False,
          progress: bool | None = None) -> list[Path]:  # fmt: skip
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
    datasets, pins = manifest.select(ids), known_pins(manifest)
    _work_dir().mkdir(parents=True, exist_ok=True)
    absent = [one for one in datasets if one.id not in pins or not is_intact(one, pins[one.id], verify)]
    if asked := datasets if refresh else absent:
        pins = _pin(asked, manifest, refresh)
    _check_space(sum(pins[one.id].size - zenodo.received(_part(one, pins[one.id])) for one in absent))
    for dataset in absent:
        with _alone(f"{dataset.id}.lock"):
            if not is_intact(dataset, pins[dataset.id], verify):
                _download(dataset, pins[dataset.id], progress)
    return [data_dir() / dataset.local for dataset in datasets]


def known_pins(manifest: Manifest) -> dict[str, Pin]:
    """
    All pins that hold for the data folder, by id of the dataset: the manifest's own, those of a lock committed beside it, and those of the
    lock in the data folder, where new ones go. The first have the last word; a pin of another file than the manifest's does not count.
    """
    given = {one.id: Pin(one.record.record, one.remote, one.size, one.checksum, "", "") for one in manifest.datasets.values() if one.size and one.checksum}
    pins: dict[str, Pin] = {}
    for path, found in ((manifest.path, given), *((path, read_pins(path)) for path in (manifest.path.with_name(LOCK_NAME), data_dir() / LOCK_NAME))):
        for id, pin in found.items():
            named = manifest.datasets.get(id)
            if named is None or (pin.record, pin.remote) != (named.record.record, named.remote):
                continue
            if id in pins:
                pins[id].check_agreement(pin, id, path)
                pin = replace(pin, checksum=pins[id].checksum)  # but the newer address
            pins[id] = pin
    return pins


def read_pins(path: Path) -> dict[str, Pin]:
    """The pins in a data lock, which need not exist, by id of the dataset; a `ManifestError` if it is damaged."""
    if not path.exists():
        return {}
    content = read_yaml(path)
    check_schema(content, ("pins",), str(path))
    return read_each(content["pins"], f"{path}: pins", lambda entry, where: read_entry(Pin, entry, where, **FILE_RULES))


def add_pins(pins: dict[str, Pin]) -> None:
    """Add pins, by id, to the lock in the data folder; they replace those of other files, and those of the same bytes at another address."""
    path = data_dir() / LOCK_NAME
    rows = {id: asdict(pin) for id, pin in sorted((read_pins(path) | pins).items())}
    with replacing(path) as temporary:
        temporary.write_text(LOCK_HEADER + yaml.safe_dump({"schema": 1, "pins": rows}, sort_keys=False, allow_unicode=True), encoding="utf-8")


def is_intact(dataset: Dataset, pin: Pin, verify: str = "stamp") -> bool:
    """
    Whether the local file of a dataset is the one that was pinned. A checksum of gigabytes takes half a minute, so after the first time a
    stamp with the file's size and date stands for it, unless `verify` is "full".
    """
    check_choice(verify, ("stamp", "full"), "verify")
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


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """Hold a lock across processes. On network disks without locks (some NFS) fetch from one process at a time."""
    lock = FileLock(_work_dir() / name)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        log.warning("another process holds %s; waiting for it", lock.lock_file)
        lock.acquire(timeout=LOCK_WAIT_S)
    try:
        yield
    finally:
        lock.release()


def _pin(asked: list[Dataset], manifest: Manifest, refresh: bool) -> dict[str, Pin]:
    """
    All pins, after the records of datasets that have none, or one of another server, were asked; with `refresh` the records of all.

    A record pins all its datasets; one that the record does not hold as the manifest expects is an error only if it was asked for.
    """
    with _alone("records.lock"):
        known = known_pins(manifest)
        if not refresh:
            host = urlsplit(zenodo.api()).netloc
            asked = [one for one in asked if one.id not in known or urlsplit(known[one.id].url).netloc != host]
        for record in {dataset.record.id: dataset.record for dataset in asked}.values():
            files, pins, now = zenodo.resolve(record), {}, datetime.now(UTC).isoformat(timespec="seconds")
            for dataset in manifest.of_record(record.id):
                if problem := _unexpected(dataset, files):
                    if dataset in asked:
                        raise zenodo.RemoteError(problem)
                    log.warning("%s", problem)
                    continue
                file = files[dataset.remote]
                pins[dataset.id] = Pin(record.record, dataset.remote, file.size, file.checksum, file.url, now)
                if dataset.id in known:
                    known[dataset.id].check_agreement(pins[dataset.id], dataset.id, "the record now")
            add_pins(pins)
        return known_pins(manifest)


def _unexpected(dataset: Dataset, files: dict[str, zenodo.RemoteFile]) -> str:
    """What a record says about a dataset that the manifest does not expect; empty if there is nothing."""
    record, (least, most) = f"record {dataset.record.record}", dataset.expected_bytes.value
    if dataset.remote not in files:
        return f"{record} holds no {dataset.remote!r} ({dataset.id}), but {', '.join(map(repr, sorted(files)[:10]))}"
    if not least <= (size := files[dataset.remote].size) <= most:
        return (f"{record} gives {dataset.id} {size} bytes, the manifest expects {least} to {most} "
                f"({dataset.expected_bytes.source}); if the record is right, correct expected_bytes")  # fmt: skip
    return ""


def _check_space(needed: int) -> None:
    """Raise OSError (ENOSPC) unless the data folder has room for `needed` bytes and a little more, before the first file is begun."""
    free, needed = shutil.disk_usage(_work_dir()).free, needed + SPARE_BYTES
    if free < needed:
        raise OSError(errno.ENOSPC, f"{_work_dir()} has {free / 1e9:.2f} GB free, {needed / 1e9:.2f} GB are needed; "
                                    f"make room or point {FOLDER_VARIABLE} to a larger disk")  # fmt: skip


def _part(dataset: Dataset, pin: Pin) -> Path:
    """Where the bytes of a file gather; the name holds the checksum, so that parts of different files never mix."""
    return _work_dir() / f"{dataset.id}.{pin.checksum.replace(':', '-')}.part"


def _download(dataset: Dataset, pin: Pin, progress: bool | None) -> None:
    """Bring one file here, checked by pooch, by a rename; after a wrong checksum once more. The caller holds the file's lock."""
    path, staging, part = data_dir() / dataset.local, _work_dir() / dataset.id, _part(dataset, pin)
    shutil.rmtree(staging, ignore_errors=True)  # what a killed process left
    for old in set(_work_dir().glob(f"{dataset.id}.*.part")) - {part}:
        old.unlink()

    def resume(url: str, output: str, pooch) -> None:
        """The downloader that pooch calls."""
        zenodo.download(url, part, pin.size, dataset.id, progress)
        os.replace(part, output)

    shelf = pooch.create(path=staging, base_url="", registry={path.name: pin.checksum}, urls={path.name: pin.url}, retry_if_failed=1)
    try:
        fetched = shelf.fetch(path.name, downloader=resume)
    except ValueError as error:  # pooch's word for a wrong checksum
        raise zenodo.RemoteError(f"{pin.url} does not deliver the bytes that were pinned ({pin.checksum}): {error}") from error
    path.parent.mkdir(parents=True, exist_ok=True)
    os.replace(fetched, path)
    staging.rmdir()
    _write_stamp(dataset, pin)
    log.info("%s is at %s", dataset.id, path)
