"""Files that lie beside the pages and are loaded when a reader asks for them."""

import shutil
from pathlib import Path

from figures_pkg.workspace import artefact_path

from .chapters import CHAPTERS, front_matter

FOLDER = "_static"  # in the built pages; a chapter reaches it as ../_static


def shipped_files(data: str, profile: str) -> dict[str, Path]:
    """
    What the chapters name in their front matter under ``companion: ships``, by the place that it gets in the built pages.

    Parameters
    ----------
    data, profile
        As for :func:`figures_pkg.book.artefacts_of`; what a chapter ships must be among its artefacts, so that it is made first.

    Examples
    --------
    >>> [name for name in shipped_files("twin", "smoke")]
    ['_static/explorer/ds1.js']
    """
    found = {}
    for chapter in CHAPTERS:
        wanted = front_matter(chapter).get("companion", {})
        for name in wanted.get("ships", []):
            if name not in wanted.get("artefacts", []):
                raise ValueError(f"chapter {chapter!r} ships {name!r}, which is not among its artefacts; name it there, so that it is made")
            found[f"{FOLDER}/{name}"] = artefact_path(name, wanted.get("data", data), profile)
    return found


def ship(html: Path, files: dict[str, Path]) -> None:
    """
    Copy files to their places in the built pages.

    Raises
    ------
    FileNotFoundError
        If one was not made; a page would offer what is not there.
    """
    for place, path in files.items():
        if not path.is_file():
            raise FileNotFoundError(f"{path} is to lie at {place} beside the pages, but was not made; `make book` makes it")
        (html / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, html / place)
