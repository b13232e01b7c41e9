"""Where the book's scans and the record's files are on this computer, and how the latter get there: only when asked."""

import errno
import logging
import os
import shutil
from collections.abc import Iterable
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from urllib.parse import urlsplit

import pooch
import yaml
from filelock import FileLock, Timeout

from figures_pkg.workspace import artefacts_folder, check_source, replacing

from . import zenodo
from .manifest import FILE_RULES, LOCK_NAME, REPOSITORY_MANIFEST, Dataset, Manifest, load_manifest, read_each, read_entry, read_yaml
from .zenodo import Pin

log = logging.getLogger(__name__)

FOLDER_VARIABLE = "FIGURES_PKG_DATA"
LOCK_HEADER = "# Written by figures_pkg: what the records said at the first contact. Later answers must agree.\n"
LOCK_WAIT_S = 6 * 3600.0  # another process may be fetching the same file over a slow line
SPARE_BYTES = 64 << 20  # left free on the disk


def data_dir() -> Path:
    """Folder that holds the data, which need not exist: FIGURES_PKG_DATA, else ``figures_pkg`` in the user's cache folder."""
    return Path(os.environ.get(FOLDER_VARIABLE, "").strip() or pooch.os_cache("figures_pkg")).expanduser().absolute()


class MissingDataset(FileNotFoundError):
    """A dataset is not on this computer, or not in a state to be trusted; the message says how to get it."""


class PinConflict(ValueError):
    """Two sources disagree about a file that cannot have changed."""


def locate(dataset: str, data: str = "twin", profile: str = "laptop", must_exist: bool = True) -> Path:
    """
    Path of a scan; nothing is made and nothing is downloaded. A `MissingDataset` holds the command that makes or fetches what is not there.

    Parameters
    ----------
    dataset : str
        As in the manifest, e.g. ``"ds1"``, which is also the twin's preset; ``"ds1-field2"`` is the twin's with another random field.
    data : str
        ``"twin"`` for the simulated scan, ``"zenodo"`` for the authors' file, of which there is one for all profiles.
    must_exist : bool
        Whether a missing scan of the twin is an error; a missing file of the record always is.
    """
    check_source(data)
    if data == "zenodo":
        return ensure(dataset)
    path = artefacts_folder(profile) / f"{dataset}.hspy"
    if must_exist and not path.is_file():
        preset, _, field = dataset.partition("-field")
        command = f"figures_pkg twin {preset} --size {profile}{f' --seed {field}' if field else ''} --out {path}"
        raise MissingDataset(f"the twin's scan {dataset!r} is not at {path}; make it with `{command}`")
    return path


def ensure(id: str) -> Path:
    """Path of a dataset that is here and whole, or has the size and date of its last check, else a `MissingDataset`; the network is never touched."""
    manifest = load_manifest()
    dataset, pin = manifest[id], known_pins(manifest).get(id)
    path, twin = data_dir() / dataset.local, dataset.substitute
    remedy = f"Run `figures_pkg fetch {id}`" + (f", or use its twin (`figures_pkg twin {twin}`)" if twin else "")
    if not path.is_file():
        least, most = (bound / 1e9 for bound in dataset.expected_bytes.value)
        size = f"{pin.size / 1e9:.3g} GB" if pin else f"{least:.3g} to {most:.3g} GB"
        raise MissingDataset(f"dataset {id!r} ({size}, doi {dataset.record.doi}) is not at {path}. {remedy}")
    if pin is None:
        raise MissingDataset(f"{path} is there, but its checksum is not known yet. Run `figures_pkg fetch {id}`: it asks the record "
                             "once and downloads only if the file differs")  # fmt: skip
    if not _is_intact(dataset, pin):
        raise MissingDataset(f"{path} is not the file of its record ({pin.checksum}). {remedy}")
    return path


def origin_of(id: str) -> str:
    """Whose word it is that a local file is the record's: "record" if Zenodo or the repository's manifest gave the checksum, else "rehearsal"."""
    manifest = load_manifest()
    url = known_pins(manifest)[id].url
    return "record" if (urlsplit(url).hostname == "zenodo.org" if url else manifest.path == REPOSITORY_MANIFEST) else "rehearsal"


def fetch(ids: str | Iterable[str] | None = None, *, rehash: bool = False, refresh: bool = False) -> list[Path]:
    """
    Download datasets that are not here yet, each once, resuming what an earlier call began; returns the files, in the order asked for.

    `ids` are those of datasets or records, by default of every file that a figure of the paper needs. With `rehash` the checksums of files are
    computed again even if size and date are those of the last check, with `refresh` the records are asked again even if everything is pinned.
    Of several processes one works and the others wait for it.

    A server that does not give what its record promises is a RemoteError, a record that says something else than at the first contact a
    `PinConflict`, and a full disk an OSError before the first byte.
    """
    manifest = load_manifest()
    datasets, pins = manifest.select(ids), known_pins(manifest)
    _work_dir().mkdir(parents=True, exist_ok=True)
    absent = [one for one in datasets if one.id not in pins or not _is_intact(one, pins[one.id], rehash)]
    if asked := datasets if refresh else absent:
        pins = _ask_records(asked, manifest, refresh)
    needed = SPARE_BYTES + sum(pins[one.id].size - zenodo.received(_trace(one, pins[one.id], "part")) for one in absent)
    if (free := shutil.disk_usage(_work_dir()).free) < needed:
        raise OSError(errno.ENOSPC, f"{_work_dir()} has {free / 1e9:.2f} GB free, {needed / 1e9:.2f} GB are needed; "
                                    f"make room or point {FOLDER_VARIABLE} to a larger disk")  # fmt: skip
    for dataset in absent:
        with _alone(f"{dataset.id}.lock"):
            if not _is_intact(dataset, pins[dataset.id], rehash):
                _download(dataset, pins[dataset.id])
    return [data_dir() / dataset.local for dataset in datasets]


def known_pins(manifest: Manifest) -> dict[str, Pin]:
    """
    All pins that hold for the data folder, by id: the manifest's own, those of a lock committed beside it, and those of the data folder's lock.

    The first have the last word; a pin of another file than the manifest's does not count.
    """
    pins = {one.id: Pin(one.record.record, one.remote, one.size, one.checksum) for one in manifest.datasets.values() if one.size and one.checksum}
    for path in (manifest.path.with_name(LOCK_NAME), data_dir() / LOCK_NAME):
        for id, pin in read_pins(path).items():
            named = manifest.datasets.get(id)
            if named and (pin.record, pin.remote) == (named.record.record, named.remote):
                _check_agreement(id, pins.get(id, pin), pin, path)
                pins[id] = replace(pin, checksum=pins.get(id, pin).checksum)  # but the newer address
    return pins


def _check_agreement(id: str, pinned: Pin, said: Pin, by: object) -> None:
    """Raise PinConflict unless both mean the same bytes; checksums of two algorithms cannot be compared."""
    comparable = pinned.checksum.split(":")[0] == said.checksum.split(":")[0]
    if pinned.size != said.size or (comparable and pinned.checksum != said.checksum):
        raise PinConflict(f"{id} ({pinned.remote!r}) is pinned with {pinned.size} bytes and {pinned.checksum}, but has {said.size} bytes and "
                          f"{said.checksum} according to {by}. A version of a record never changes: find out which is right, then "
                          f"remove {id} from the wrong {LOCK_NAME}; one may lie in the data folder, one beside the manifest")  # fmt: skip


def read_pins(path: Path) -> dict[str, Pin]:
    """The pins in a data lock, which need not exist, by id of the dataset; a `ManifestError` if it is damaged."""
    if not path.exists():
        return {}
    return read_each(read_yaml(path, "pins")["pins"], f"{path}: pins", lambda entry, where: read_entry(Pin, entry, where, **FILE_RULES))


def add_pins(pins: dict[str, Pin]) -> None:
    """Add pins, by id, to the lock in the data folder; they replace those of other files, and those of the same bytes at another address."""
    path = data_dir() / LOCK_NAME
    rows = {id: asdict(pin) for id, pin in sorted((read_pins(path) | pins).items())}
    with replacing(path) as temporary:
        temporary.write_text(LOCK_HEADER + yaml.safe_dump({"schema": 1, "pins": rows}, sort_keys=False, allow_unicode=True), encoding="utf-8")


def _work_dir() -> Path:
    return data_dir() / ".fetch"  # of parts, stamps and locks, beside the data, so that a rename stays on one disk


def _trace(dataset: Dataset, pin: Pin, kind: str) -> Path:
    """What lies in the work folder for a file; the name holds the checksum, so that parts of different files never mix."""
    return _work_dir() / f"{dataset.id}.{pin.checksum.replace(':', '-')}.{kind}"


def _is_intact(dataset: Dataset, pin: Pin, rehash: bool = False) -> bool:
    """Whether the local file is the one that was pinned; a stamp with its date says that it was checked, as a checksum of gigabytes takes half a minute."""
    path = data_dir() / dataset.local
    if not path.is_file() or path.stat().st_size != pin.size:
        return False
    stamp = _trace(dataset, pin, f"{path.stat().st_mtime_ns}.stamp")
    if not rehash and stamp.is_file():
        return True
    log.info("checking %s (%.3g GB)", path, pin.size / 1e9)
    if _checksum(path, pin) != pin.checksum:
        return False
    with suppress(OSError):  # in a folder that may only be read each check is repeated
        stamp.touch()
    return True


def _checksum(path: Path, pin: Pin) -> str:
    algorithm = pin.checksum.partition(":")[0]
    return f"{algorithm}:{pooch.file_hash(str(path), alg=algorithm)}"


def _alone(name: str) -> AbstractContextManager:
    """A lock across processes, taken. On network disks without locks (some NFS) fetch from one process at a time."""
    lock = FileLock(_work_dir() / name)
    try:
        return lock.acquire(timeout=0)
    except Timeout:
        log.warning("another process holds %s; waiting for it", lock.lock_file)
        return lock.acquire(timeout=LOCK_WAIT_S)


def _ask_records(asked: list[Dataset], manifest: Manifest, refresh: bool) -> dict[str, Pin]:
    """All pins, after the records of datasets without one of today's server, or with `refresh` of all, were asked; a record pins all its datasets."""
    with _alone("records.lock"):
        known = known_pins(manifest)
        if not refresh:
            host = urlsplit(zenodo.api()).netloc
            asked = [one for one in asked if one.id not in known or urlsplit(known[one.id].url).netloc != host]
        for record in {dataset.record.id: dataset.record for dataset in asked}.values():
            files, pins = zenodo.resolve(record), {}
            for dataset in manifest.of_record(record.id):
                file, (least, most) = files.get(dataset.remote), dataset.expected_bytes.value
                if file and least <= file.size <= most:
                    _check_agreement(dataset.id, known.get(dataset.id, file), file, "the record now")
                    pins[dataset.id] = file
                elif dataset in asked:
                    raise zenodo.RemoteError(f"record {record.record} " + (
                        f"gives {dataset.id} {file.size} bytes, the manifest expects {least} to {most} ({dataset.expected_bytes.source}); if the "
                        "record is right, correct expected_bytes" if file else
                        f"holds no {dataset.remote!r} ({dataset.id}), but {', '.join(map(repr, sorted(files)[:10]))}"))  # fmt: skip
            add_pins(pins)
        return known_pins(manifest)


def _download(dataset: Dataset, pin: Pin) -> None:
    """Bring one file here, checked, by a rename; after a wrong checksum once more. The caller holds the file's lock."""
    path, part = data_dir() / dataset.local, _trace(dataset, pin, "part")
    for old in {*_work_dir().glob(f"{dataset.id}.*.part"), *_work_dir().glob(f"{dataset.id}.*.stamp")} - {part}:
        old.unlink()
    for last in (False, True):
        zenodo.download(pin.url, part, pin.size, dataset.id)
        if (came := _checksum(part, pin)) == pin.checksum:
            break
        part.unlink()
        if last:
            raise zenodo.RemoteError(f"{pin.url} does not deliver the bytes that were pinned ({pin.checksum}) but {came}, twice; nothing of it was kept")
    path.parent.mkdir(parents=True, exist_ok=True)
    os.replace(part, path)
    _trace(dataset, pin, f"{path.stat().st_mtime_ns}.stamp").touch()
    log.info("%s is at %s", dataset.id, path)
