"""Write a file so that a reader sees the old one or the new one, never a part, and only where it may be written."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """
    A temporary name beside a file to be; what is written there takes the file's place when all went well.

    The temporary name has the suffix of the file and is different for every call, so several processes may write the same
    file: the last one wins. The file gets the usual permissions (those that the process's umask leaves). When the block
    raises, also on Ctrl-C, what was written is removed and a file of before stays as it was.

    Parameters
    ----------
    path
        The file; its folder is made if there is none.

    Yields
    ------
    pathlib.Path
        Where to write. Nothing is there yet.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with replacing(folder / "note.txt") as temporary:
    ...     _ = temporary.write_text("whole")
    >>> [(file.name, file.read_text()) for file in folder.iterdir()]
    [('note.txt', 'whole')]
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}-{secrets.token_hex(4)}.part{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def check_target(path: str | Path, suffix: str, overwrite: bool = False) -> Path:
    """
    The path of a file or folder to be, or an error when its name or what is there already forbids it.

    Parameters
    ----------
    path
        Where the result is to go.
    suffix
        What its name must end in, such as ``".nc"``.
    overwrite
        Whether an existing one may be replaced.

    Raises
    ------
    ValueError
        If the name does not end in ``suffix``.
    FileExistsError
        If there is one already and ``overwrite`` is false.
    """
    path = Path(path)
    if path.suffix != suffix:
        raise ValueError(f"the result is to be written to {str(path)!r}; give a name that ends in {suffix}")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists; give another name, or overwrite=True (--overwrite) to replace it")
    return path
