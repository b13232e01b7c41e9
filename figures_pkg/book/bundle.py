"""What a release hands out: archives that do not depend on the day they were made, and their checksums."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path

from figures_pkg.workspace import replacing

DATE = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can hold
SUMS = "SHA256SUMS"


def write_zip(path: Path, files: Mapping[str, str | Path]) -> Path:
    """
    Write an archive whose bytes depend on names and contents only.

    Parameters
    ----------
    path
        The archive; one of before is replaced.
    files
        Name inside -> text, or the file to take in.
    """
    with replacing(path) as temporary:
        with zipfile.ZipFile(temporary, "w") as archive:
            for name in sorted(files):
                entry = zipfile.ZipInfo(name, DATE)
                entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
                content = files[name]
                archive.writestr(entry, content.read_bytes() if isinstance(content, Path) else content.encode())
    return Path(path)


def write_release(folder: Path, stem: str, book: Path, pdf: Path) -> list[Path]:
    """
    Gather the built book for a release: pages, executed notebooks, the PDF and the checksums of what is there.

    Parameters
    ----------
    folder
        Where the files go; others that lie there already, such as the course, are summed too.
    stem
        How the names begin, such as ``"companion-0.1.0"``.
    book
        The folder with ``_build/html`` and ``executed``.
    pdf
        The printed book.

    Raises
    ------
    FileNotFoundError
        If a part is missing.
    """
    folder, parts = Path(folder), {"html": Path(book) / "_build" / "html", "notebooks": Path(book) / "executed"}
    missing = [path for path in (parts["html"] / "index.html", parts["notebooks"], Path(pdf)) if not path.exists()]
    if missing:
        raise FileNotFoundError(f"{missing[0]} is not there; run `figures_pkg book` and `figures_pkg pdf` before a release")
    for part, source in parts.items():
        inside = {f"{stem}-{part}/{path.relative_to(source).as_posix()}": path for path in source.rglob("*") if path.is_file()}
        write_zip(folder / f"{stem}-{part}.zip", inside)
    with replacing(folder / f"{stem}.pdf") as temporary:
        temporary.write_bytes(Path(pdf).read_bytes())
    return [*_handed_out(folder), _write_sums(folder)]


def _handed_out(folder: Path) -> list[Path]:
    """Files of a release without the list of their checksums."""
    return sorted(path for path in folder.iterdir() if path.is_file() and path.name != SUMS)


def _write_sums(folder: Path) -> Path:
    """The list that ``sha256sum --check`` reads."""
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in _handed_out(folder)]
    with replacing(folder / SUMS) as temporary:
        temporary.write_text("".join(lines), encoding="utf-8", newline="\n")
    return folder / SUMS
