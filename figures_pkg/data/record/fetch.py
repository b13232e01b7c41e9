"""Where the record's files are on this computer, and how they get there: only when asked."""

import logging
import os
import shutil
from urllib.parse import urlsplit

import pooch

from figures_pkg.data.record import lockfile, web, zenodo
from figures_pkg.data.record.download import Resuming, check_space
from figures_pkg.data.record.manifest import REPOSITORY_MANIFEST, load_manifest
from figures_pkg.data.record.store import alone, data_dir, is_intact, path_of, remember, work_dir
from figures_pkg.data.record.web import RemoteError

log = logging.getLogger(__name__)

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
    pin = lockfile.known_pins(manifest, data_dir()).get(id)
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
    pin = lockfile.known_pins(manifest, data_dir())[id]
    if pin.url:
        return "record" if urlsplit(pin.url).hostname == RECORDS_HOST else "rehearsal"
    return "record" if manifest.path == REPOSITORY_MANIFEST else "rehearsal"


def fetch(ids=None, manifest=None, *, verify="stamp", refresh=False, patience=web.Patience(), progress=None):
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
    patience : web.Patience, optional
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
    lockfile.PinConflict
        If a record says something else than at the first contact.
    OSError
        If the disk is full or not writable.
    """
    manifest = manifest or load_manifest()
    datasets = manifest.select(ids)
    work_dir().mkdir(parents=True, exist_ok=True)
    pins = lockfile.known_pins(manifest, data_dir())
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
            pins = lockfile.known_pins(manifest, data_dir())
            if refresh or any(id not in pins or not zenodo.serves(pins[id].url) for id in wanted):
                _pin_record(record, wanted, manifest, patience)
    return lockfile.known_pins(manifest, data_dir())


def _pin_record(record, wanted, manifest, patience):
    """Pin every dataset of a record from its answer; one that does not fit is an error only if it is wanted."""
    files = zenodo.resolve(record, patience=patience)
    pins, known = {}, lockfile.known_pins(manifest, data_dir())
    for dataset in manifest.of_record(record.id):
        try:
            pins[dataset.id] = lockfile.pin_of(dataset, _checked_file(dataset, files))
        except RemoteError as error:
            if dataset.id in wanted:
                raise
            log.warning("%s", error)
    for id in pins.keys() & known.keys():
        lockfile.check_agreement(id, known[id], pins[id], "what is pinned", "the record now")
    lockfile.add_pins(data_dir(), pins)


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
