"""The data folder: where it is, which of its files have been checked, and whose turn it is to write."""

import json
import logging
import os
from contextlib import contextmanager
from pathlib import Path

import platformdirs
import pooch
from filelock import FileLock, Timeout

from figures_pkg.data.record import lockfile

log = logging.getLogger(__name__)

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
    dataset : figures_pkg.data.record.entries.Dataset
        The dataset.
    pin : figures_pkg.data.record.lockfile.Pin
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
        lockfile.write_text(stamp, _stamp_text(path_of(dataset), pin))
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
