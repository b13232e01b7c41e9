"""The whole book: the workflow makes what is stale, the executed notebooks become pages."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from figures_pkg.workspace import available_cores, book_folder, load_profile, repository

from .chapters import CHAPTERS, artefacts_of, datasets_of, executed_path
from .gallery import add_figures, add_landing, notice_of, shown_figures
from .render import render, ship, shipped_files


def make_book(data: str, profile: str, cores: int | None = None) -> None:
    """Make whatever is stale of the book; a profile or scan that is not there is an error before any work is done."""
    load_profile(profile)
    for chapter in CHAPTERS:
        datasets_of(chapter, data, profile)
    make(profile, data, cores)


def prepare(chapters: Sequence[str], data: str, profile: str, cores: int | None = None) -> list[str]:
    """Make the scans and artefacts that chapters read, without running them; returns their paths, each once."""
    targets = [path for chapter in chapters for of in (datasets_of, artefacts_of) for path in of(chapter, data, profile)]
    if targets:
        make(profile, data, cores, targets)
    return list(dict.fromkeys(targets))


def render_book(data: str, profile: str) -> Path:
    """Render the executed notebooks of all chapters, with passports, gallery and what lies beside the pages; returns ``index.html``."""
    notebooks = [executed_path(chapter, data, profile) for chapter in CHAPTERS]
    shown, shipped = shown_figures(data, profile), shipped_files(data, profile)

    def complete(folder: Path) -> None:
        """Add what only the time of rendering knows."""
        add_figures(folder, shown)
        add_landing(folder, data)

    index = render(book_folder(), notebooks, complete, notice_of(shown))
    ship(index.parent, shipped)
    return index


def make(profile: str, data: str, cores: int | None = None, targets: Sequence[str] = ()) -> None:
    """Run the Snakefile of the repository, for the whole book or some files; RuntimeError if something could not be made."""
    words = ["--cores", str(cores or available_cores()), "--config", f"profile={profile}", f"data={data}"]
    # No solver is started to choose among a few jobs, and the list is not gone through each second: that took a tenth of a core.
    words += ["--scheduler", "greedy", "--max-jobs-per-timespan", "100/5s"]
    words += ["--force-use-threads"]  # jobs are commands of their own; a second Snakemake around each would read the workflow again
    words += ["--nolock"]  # Snakemake's own lock outlives a killed build; the one below does not
    words += ["--directory", str(repository()), "--snakefile", str(repository() / "Snakefile"), "--quiet", "rules", "--", *targets]
    (repository() / ".snakemake").mkdir(exist_ok=True)
    try:
        with FileLock(repository() / ".snakemake" / "build.lock", blocking=False):
            status = subprocess.run([sys.executable, "-m", "snakemake", *words], check=False).returncode
    except Timeout:
        raise RuntimeError(f"another build runs in {repository()}; wait for it, then call again: what it has made is kept") from None
    if status:
        raise RuntimeError(f"{', '.join(targets) or 'the book'} was not made; the first error above says why")
