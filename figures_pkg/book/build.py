"""The whole book: the workflow makes what is stale, the executed notebooks become pages."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from figures_pkg.workspace import artefacts_folder, book_folder, load_profile, repository

from .chapters import CHAPTERS, artefacts_of, datasets_of, executed_path
from .jobs import FAILURES, failures_in, number
from .machine import check_machine, fitting_cores, this_machine

LAST_LINES = 15  # of the log of a failed job, shown where there is no terminal: the logs of continuous integration are gone afterwards

OPTIONS = (
    "--keep-going", "--nocolor",
    "--scheduler", "greedy", "--max-jobs-per-timespan", "100/5s",  # no solver, no look at the list each second: that took a tenth of a core
    "--force-use-threads",  # jobs are commands of their own; a second Snakemake around each would read the workflow again
    "--nolock",  # Snakemake's own lock outlives a killed build; that of `make` does not
    "--rerun-incomplete",  # what a job wrote after its build was killed stops the next one otherwise
    "--max-inventory-time", "0",  # fingerprints of the code are written while the jobs are found; no older list of files is believed
)  # fmt: skip


def make_book(data: str, profile: str, cores: int | None = None, anyway: bool = False) -> Path:
    """Make whatever is stale of the book, and return its ``index.html``; a missing scan, or a machine too small unless ``anyway``, raises first."""
    load_profile(profile)
    for chapter in CHAPTERS:
        datasets_of(chapter, data, profile)
    if not anyway:
        check_machine(profile, this_machine())
    make(profile, data, cores, again="book --anyway" if anyway else "book")
    return book_folder() / "_build" / "html" / "index.html"


def prepare(chapters: Sequence[str], data: str, profile: str, cores: int | None = None) -> list[str]:
    """Make the scans and artefacts that chapters read, without running them; returns their paths, each once."""
    targets = [path for chapter in chapters for of in (datasets_of, artefacts_of) for path in of(chapter, data, profile)]
    if targets:
        make(profile, data, cores, targets, " ".join(["prepare", *chapters]))
    return list(dict.fromkeys(targets))


def render_book(data: str, profile: str, clean: bool = False) -> Path:
    """Render the executed notebooks of all chapters, with passports, gallery and what lies beside the pages; returns ``index.html``."""
    from .gallery import add_figures, shown_figures
    from .render import render, ship, shipped_files

    notebooks = [executed_path(chapter, data, profile) for chapter in CHAPTERS]
    shown, shipped = shown_figures(data, profile), shipped_files(data, profile)
    notice = ""
    if any(each.published.passport["origin"] == "rehearsal" for each in shown.values()):
        from figures_pkg.plotting.style import SOURCE_WORDS

        notice = SOURCE_WORDS["rehearsal"]

    def complete(folder: Path) -> None:
        """Add what only the time of rendering knows: the figures, and what the landing page says of the source."""
        add_figures(folder, shown)
        shutil.copyfile(book_folder() / f"landing-{data}.md", folder / "landing.md")

    index = render(book_folder(), notebooks, complete, notice, clean)
    ship(index.parent, shipped)
    return index


def make(profile: str, data: str, cores: int | None = None, targets: Sequence[str] = (), again: str = "book") -> None:
    """Run the Snakefile of the repository, for the whole book or some files; ``again`` is the command that goes on after a failure.

    Jobs say a line each on stdout, Snakemake in a log beside theirs. RuntimeError if something could not be made; what does not need it was made.
    """
    words = ["--cores", str(cores or fitting_cores(profile, this_machine())), *OPTIONS, "--config", f"profile={profile}", f"data={data}"]
    words += ["--directory", str(repository()), "--snakefile", str(repository() / "Snakefile"), "--", *targets]
    logs = artefacts_folder(profile) / "logs"
    for folder in (repository() / ".snakemake", logs):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(repository() / ".snakemake" / "build.lock", blocking=False), (logs / "workflow.log").open("w") as log:
            (logs / FAILURES).unlink(missing_ok=True)
            status = subprocess.run([sys.executable, "-m", "snakemake", *words], stderr=log, check=False).returncode
    except Timeout:
        raise RuntimeError(f"another build runs in {repository()}; wait for it, then call again: what it has made is kept") from None
    if not status:
        return
    what, failures = ", ".join(targets) or "the book", failures_in(logs)
    if not failures:
        raise RuntimeError(f"{what} was not made; the workflow ended with:\n{_last_lines(logs / 'workflow.log')}")
    lines = [f"{what} was not made; {number(len(failures), 'job')} failed:"]
    for failure in failures:
        lines += [f"- {failure['name']}: {failure['reason']}", f"  log: {failure['log']}"]
        if not sys.stdout.isatty():
            lines.append(_last_lines(Path(failure["log"])))
    options = f"--profile {profile} --data {data}" + (f" --cores {cores}" if cores else "")
    raise RuntimeError("\n".join([*lines, f"What could be made without them is kept. Go on with: figures_pkg {again} {options}"]))


def _last_lines(path: Path) -> str:
    return "\n".join(f"  | {line}" for line in path.read_text(encoding="utf-8", errors="replace").splitlines()[-LAST_LINES:])
