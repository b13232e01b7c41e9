"""An append-only file of records that survives a killed process: what was written completely is found again."""

from __future__ import annotations

import logging
import os
import struct
import threading
import warnings
from pathlib import Path

import deflate
import filelock

logger = logging.getLogger(__name__)

_HEAD = struct.Struct("<4sQQQI")  # magic, two numbers of the key, payload length, CRC-32 of the payload
_MAGIC = b"REC1"


class Journal:
    """
    Records of (key, payload) appended to one file.

    A record counts once its last byte is on the file and its checksum agrees. Opening the journal cuts off an
    unfinished record at the end, so a process killed at any moment costs at most the records in flight.

    Parameters
    ----------
    path
        The file; created when absent.

    Attributes
    ----------
    entries : dict
        (first, second) key -> (position of the payload, length) of the complete records.
    """

    def __init__(self, path: Path):
        self.path = Path(path)
        self.entries: dict[tuple[int, int], tuple[int, int]] = {}
        self._lock = threading.Lock()
        self._file = open(self.path, "r+b" if self.path.exists() else "w+b", buffering=0)
        self._end = self._scan()
        self._file.truncate(self._end)

    def _scan(self) -> int:
        """Collect the complete records; return where the last of them ends."""
        size, end = os.fstat(self._file.fileno()).st_size, 0
        while size - end >= _HEAD.size:
            self._file.seek(end)
            magic, first, second, length, checksum = _HEAD.unpack(self._file.read(_HEAD.size))
            start = end + _HEAD.size
            if magic != _MAGIC or start + length > size or deflate.crc32(self.read(start, length)) != checksum:
                break
            self.entries[first, second] = (start, length)
            end = start + length
        return end

    def read(self, start: int, length: int) -> bytearray:
        """``length`` bytes from position ``start``."""
        data = bytearray(length)
        view = memoryview(data)
        self._file.seek(start)
        while view and (count := self._file.readinto(view)):
            view = view[count:]
        return data

    def append(self, key: tuple[int, int], payload: bytes) -> None:
        """Add one record. Threads may call this; a later record of the same key replaces the earlier one."""
        record = memoryview(_HEAD.pack(_MAGIC, *key, len(payload), deflate.crc32(payload)) + payload)
        with self._lock:
            self._file.seek(self._end)
            while record:
                record = record[self._file.write(record):]
            start = self._end + _HEAD.size
            self.entries[key] = (start, len(payload))
            self._end = start + len(payload)

    def payloads(self):
        """Yield (key, payload) in the order of the file."""
        for key, (start, length) in sorted(self.entries.items(), key=lambda item: item[1]):
            yield key, self.read(start, length)

    def close(self) -> None:
        """Close the file; the records stay."""
        self._file.close()


def take_folder(folder: Path) -> filelock.FileLock:
    """
    Make a folder for unfinished work and take the lock that keeps a second process out of it.

    Raises
    ------
    RuntimeError
        If another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(folder / "lock", timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise RuntimeError(f"{folder} is in use by another process that writes there; wait for it, or write elsewhere") from None
    return lock


def open_journal(folder: Path, identity: str) -> Journal:
    """
    The journal of earlier work in ``folder`` if that had the same ``identity``, else an empty one.

    Work of another identity is discarded with a warning, since mixing the two would give a file that nobody asked for.
    """
    stamp, path = folder / "identity.txt", folder / "journal"
    if path.exists() and (not stamp.exists() or stamp.read_text() != identity):
        warnings.warn(f"{folder} holds unfinished work of another origin (source, fingerprint or layout); it is discarded",
                      stacklevel=4)
        path.unlink()
    stamp.write_text(identity)
    journal = Journal(path)
    if journal.entries:
        logger.info("%s: going on with %d blocks already stored", folder, len(journal.entries))
    return journal
