"""Run a chapter and complete the passports of its figures with what they were made of."""

import os
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

from figures_pkg.workspace import artefacts_folder
from figures_pkg.record.manifest import MANIFEST_VARIABLE, manifest_of
from figures_pkg.passports.catalogue import paper_figures
from figures_pkg.passports.facts import model_facts
from figures_pkg.passports.kept import PassportError, read_passport
from figures_pkg.passports.publish import figures_folder, write_passport

from .chapters import artefacts_of, chapter_path, datasets_of, source_of
from figures_pkg.workspace import load_profile
from .dependencies import installed_code
from .execute import execute
from .inputs import checksums_of


def make_chapter(chapter: str, data: str, profile: str) -> Path:
    """
    Execute a chapter's notebook and seal the figures that it publishes.

    The checksums are taken before the run: what changes meanwhile makes a figure out of date. So are the fingerprints that the
    workflow compares times with, so that it takes a chapter executed by hand for what it is.

    Parameters
    ----------
    chapter
        A notebook without its suffix.
    data, profile
        As for :func:`figures_pkg.book.datasets_of`.

    Returns
    -------
    Path
        The executed notebook.

    Raises
    ------
    FailedCell
        If a cell raises.
    PassportError
        If a figure that the notebook announces was not published in this run.
    """
    data = source_of(chapter, data)
    announced = [name for name, figure in paper_figures(data=data).items() if figure.chapter == chapter]
    datasets_of(chapter, data, profile, must_exist=True)
    made_of, start = checksums_of(chapter, data, profile), datetime.now(timezone.utc).replace(microsecond=0)
    code = installed_code()
    code.fingerprint_files(code.behind_notebook(chapter_path(chapter)), profile)
    parameters = load_profile(profile)["parameters"] | {"data": data}
    with _manifest_for_kernel(data):
        done = execute(chapter_path(chapter), executed_path(chapter, data, profile), parameters)
    if announced:
        artefacts = [model_facts(Path(path), profile) for path in artefacts_of(chapter, data, profile)]
        seal(figures_folder(profile, data), chapter, announced, start, {"artefacts": artefacts, "inputs": made_of})
    return done


@contextmanager
def _manifest_for_kernel(data: str):
    """Within the block, kernels that start read the manifest of a source: another record's says nothing of the twin."""
    before = os.environ.get(MANIFEST_VARIABLE)
    os.environ[MANIFEST_VARIABLE] = str(manifest_of(data))
    try:
        yield
    finally:
        if before is None:
            del os.environ[MANIFEST_VARIABLE]
        else:
            os.environ[MANIFEST_VARIABLE] = before


def executed_path(chapter: str, data: str, profile: str) -> Path:
    """Where the executed copy of a chapter is kept; a chapter that always reads the twin has one for both books."""
    return artefacts_folder(profile) / "notebooks" / source_of(chapter, data) / f"{chapter}.ipynb"


def seal(folder: Path, chapter: str, announced: list[str], start: datetime, facts: dict) -> None:
    """
    Add facts to the passports that a chapter has just written, and remove those of figures that it no longer makes.

    Parameters
    ----------
    folder
        With the passports.
    chapter
        Whose passports.
    announced
        Ids of the figures that the chapter's notebook publishes.
    start
        When the run began; a passport from before was not written by it.
    facts
        What is added.
    """
    for path in folder.glob("*.json"):
        passport = read_passport(path, f"figures_pkg notebook {chapter}")
        if passport["chapter"] == chapter and path.stem not in announced:
            for file in folder.glob(f"{path.stem}.*"):
                file.unlink()
    for name in announced:
        passport = read_passport(folder / f"{name}.json", f"figures_pkg notebook {chapter}")
        if datetime.fromisoformat(passport["made"]) < start:
            raise PassportError(f"{chapter}.md announces the figure {name!r} but did not publish it in this run; call publish in its cell")
        write_passport(folder / f"{name}.json", passport | facts)
