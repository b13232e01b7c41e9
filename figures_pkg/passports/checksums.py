"""Checksums of files, remembered by size and date so that gigabytes are read once."""

import hashlib
import json
from pathlib import Path

from figures_pkg.workspace import replacing

SMALL_BYTES = 2**20  # a file below this is read each time: its date alone could deceive
BLOCK_BYTES = 2**22


def sha256(path: Path, memory: Path | None = None) -> str:
    """
    SHA-256 of a file's content, in hexadecimal; of a folder (a zarr store), that of the names and contents in it.

    Parameters
    ----------
    path
        The file.
    memory
        A JSON file that remembers checksums of large files; one with the same path, size and date is not read again. A memory
        that cannot be read or written costs time, not correctness.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    """
    path = Path(path)
    if path.is_dir():
        parts = [f"{file.relative_to(path).as_posix()} {sha256(file)}" for file in sorted(path.rglob("*")) if file.is_file()]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()
    about = path.stat()
    if memory is None or about.st_size < SMALL_BYTES:
        return _digest(path)
    key, mark = str(path.resolve()), [about.st_size, about.st_mtime_ns]
    known = _read(memory)
    if known.get(key, [])[:2] == mark:
        return known[key][2]
    _write(memory, _read(memory) | {key: [*mark, found := _digest(path)]})
    return found


def _digest(path: Path) -> str:
    """SHA-256 of a file, read in blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _read(memory: Path) -> dict:
    """What is remembered; nothing when the file is missing or spoiled."""
    try:
        known = json.loads(memory.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _write(memory: Path, known: dict) -> None:
    """Remember, where the folder can be written."""
    try:
        with replacing(memory) as temporary:
            temporary.write_text(json.dumps(known, indent=0), encoding="utf-8")
    except OSError:
        pass
