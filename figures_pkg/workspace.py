"""Where things lie on disk, what a profile sets, files that appear whole or not at all, the commit that runs, and the cores it may use."""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

SOURCES = ("twin", "zenodo")


def repository() -> Path:
    """The root of the checkout that this package was installed from; FileNotFoundError if it was installed without the notebooks beside it."""
    root = Path(__file__).resolve().parents[1]
    if not (root / "data_manifest.yaml").is_file():
        raise FileNotFoundError(
            f"the book's notebooks and manifest were expected in {root}; clone the repository and install with `pip install -e .`"
        )
    return root


def artefacts_folder(profile: str) -> Path:
    """Folder of everything that a profile makes; ``FIGURES_PKG_ARTEFACTS`` moves it away from the checkout."""
    return Path(os.environ.get("FIGURES_PKG_ARTEFACTS", repository() / "artefacts")) / profile


def book_folder() -> Path:
    """Folder of the book's text and its builds; ``FIGURES_PKG_BOOK`` names a copy of it, so that two books can be built side by side."""
    return Path(os.environ.get("FIGURES_PKG_BOOK", repository() / "book"))


def artefact_path(name: str, data: str, profile: str) -> Path:
    """
    Path of something computed from the scans of one source, such as ``"models/ds1-laptop-seed0.safetensors"``: kind and file name.

    `data` is "twin" or "zenodo"; what comes from the one and what comes from the other never share a folder.
    """
    if data not in SOURCES:
        raise ValueError(f"data is {data!r}; it must be one of {', '.join(SOURCES)}")
    kind, file = name.split("/")
    return artefacts_folder(profile) / kind / data / file


def read_front_matter(path: Path) -> dict:
    """The YAML block that opens a text notebook."""
    return yaml.safe_load(path.read_text(encoding="utf-8").split("---\n", 2)[1])


def load_profile(profile: str) -> dict:
    """
    Read a profile.

    Returns
    -------
    dict
        ``parameters`` for the notebooks; ``twin_size``, the size of the twin's scans; ``recipe``, what a network is trained
        by unless told otherwise; ``released_grid``, positions a side at which the authors' networks are applied on a processor, None
        for all; ``scored``, number of seeds by scan on which all methods are scored.

    Raises
    ------
    ValueError
        If there is no such profile; the message lists those there are.
    """
    path = repository() / "notebooks" / "profiles" / f"{profile}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.yaml")))
        raise ValueError(f"no profile is called {profile!r}; there are: {known}")
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def scans_of(profile: str) -> list[str]:
    """Scans of the twin that a profile has for the claims: those of the paper's figures, and those on which methods are scored."""
    return list(dict.fromkeys(["ds1", "ds2", "overview", *load_profile(profile)["scored"]]))


def fields_of(dataset: str, profile: str) -> list[str]:
    """Scans of the twin that a profile has of the same specimen with other random fields, such as ``ds1-field2`` of ``ds1``."""
    return [name for name in load_profile(profile)["scored"] if name.startswith(f"{dataset}-field")]


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
    The path of a file or folder to be, before any work is done for it.

    ValueError if its name does not end in `suffix`, such as ``".nc"``; FileExistsError if there is one that may not be replaced.
    """
    path = Path(path)
    if path.suffix != suffix:
        raise ValueError(f"the result is to be written to {str(path)!r}; give a name that ends in {suffix}")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists; give another name, or overwrite=True (--overwrite) to replace it")
    return path


def commit() -> str:
    """Hash of the checkout's commit; empty outside one or without git."""
    return _git("rev-parse", "HEAD") or ""


def tree_state() -> str:
    """``"clean"``, ``"edited"`` when tracked files differ from the commit, ``"unknown"`` outside a checkout or without git."""
    changed = _git("status", "--porcelain", "--untracked-files=no")
    return "unknown" if changed is None else "edited" if changed else "clean"


def _git(*words: str) -> str | None:
    """What git says of the folder of the package; None when it fails or is not there."""
    try:
        done = subprocess.run(["git", "-C", str(Path(__file__).parent), *words], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def available_cores() -> int:
    """
    Number of cores that this process may use: those it is bound to where the system says so, all of them otherwise.

    ``OMP_NUM_THREADS`` lowers it, as it does for the libraries below, so that several processes can share a machine.
    """
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return min(bound, int(asked)) if asked.isdecimal() and int(asked) else bound
