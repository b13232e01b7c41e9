"""The whole way of a reader who builds the book on the authors' record, with stand-ins for it: fetch, first look, book, pages.

The twin's book of the profile has to be there (``make book PROFILE=smoke``), of whose scans the stand-ins are made. Everything is written below
``artefacts/rehearsal``. Steps that do not need each other run side by side; any that fails, or a page that says what it must not, means status 1.
"""

import argparse
import io
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import redirect_stdout
from multiprocessing import get_context
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(HERE.parent / "record")]

import judge  # noqa: E402
import words  # noqa: E402
import xarray as xr  # noqa: E402
from fake_zenodo import FakeZenodo  # noqa: E402
from stand_in import CHUNKS, PARTS, RECORDS, REMOTE, SCANS, make_part, specimen_of, write_manifest, write_scan  # noqa: E402

from figures_pkg.data import open_scan  # noqa: E402
from figures_pkg.twin import read_truth  # noqa: E402
from figures_pkg.workspace import artefacts_folder, available_cores, book_folder  # noqa: E402

SIDE_BY_SIDE = 2  # processes
VARIANTS = [("ds1", "wrapped"), ("ds2", "flipped"), ("ds2", "wrapped"), ("ds1", "flipped")]  # the last two in a full rehearsal only
FINDINGS = {"wrapped": "wrap", "flipped": "upside down"}
COPIED_BYTES = 1 << 20  # smaller files are copied, larger ones linked: nobody may write into the twin's


class RehearsalError(RuntimeError):
    """A step did not do what a reader has to see."""


class Rehearsal:
    """Folders and environment of one rehearsal."""

    def __init__(self, profile: str):
        self.folder, self.profile = ROOT / "artefacts" / "rehearsal", profile
        self.record, self.data, self.artefacts, self.book = (self.folder / name for name in ("record", "data", "artefacts", "book"))
        self.twin, self.twins_book = artefacts_folder(profile), book_folder() / "_build" / "html"
        self.scans = {name: self.twin / f"{name}.hspy" for name in SCANS}
        self.environment = {"FIGURES_PKG_DATA": self.data, "FIGURES_PKG_ARTEFACTS": self.artefacts, "FIGURES_PKG_BOOK": self.book,
                            "FIGURES_PKG_MANIFEST": self.record / "manifest.yaml", "FIGURES_PKG_ZENODO_API": "http://127.0.0.1:9/api"}  # fmt: skip

    def run(self, *command: str, status: int = 0, says: str = "", how: str = "seen", **environment) -> None:
        """Run a command as a reader does; raise unless it ends so and says this, which is printed "live", when it ends ("seen"), or never ("unseen")."""
        exported = os.environ | {name: str(value) for name, value in (self.environment | environment).items()}
        caught = {} if how == "live" else {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        done = subprocess.run([sys.executable, "-m", "figures_pkg", *command], cwd=ROOT, env=exported, text=True, check=False, **caught)
        said = done.stdout or ""
        if done.returncode != status or says.lower() not in said.lower():
            raise RehearsalError(f"`figures_pkg {' '.join(command)}` ended with status {done.returncode}; expected are {status} and {says!r}\n{said[-3000:]}")
        if how == "seen":
            print(said, end="")

    def make(self, part: str) -> None:
        """A part of the stand-in record, unless it is there."""
        make_part(part, self.scans, self.record)

    def serve(self, record: Path) -> FakeZenodo:
        """Both records on loopback; files of a variant take the place of the good ones."""
        files = {remote: next(folder / remote for folder in (record, self.record) if (folder / remote).is_file()) for remote in REMOTE.values()}
        of_vae = {REMOTE["vae-27"]: files.pop(REMOTE["vae-27"])}
        return FakeZenodo(files, record=RECORDS["sed"], others={RECORDS["vae"]: of_vae})


def timed(step: Callable, rehearsal: Rehearsal, details: Sequence) -> tuple[float, str, str]:
    """Run a step: the seconds that it took, what it printed, and what was wrong."""
    begin, printed, problem = time.perf_counter(), io.StringIO(), ""
    try:
        with redirect_stdout(printed):
            step(rehearsal, *details)
    except RehearsalError as error:
        problem = str(error)
    return time.perf_counter() - begin, printed.getvalue(), problem


class Protocol:
    """What the steps of a rehearsal took and what failed; it goes on after a failure where it can."""

    def __init__(self, pool: ProcessPoolExecutor, rehearsal: Rehearsal):
        self.pool, self.rehearsal = pool, rehearsal
        self.begun: dict[Future, str] = {}
        self.times: list[tuple[str, float]] = []
        self.failures: list[str] = []

    def begin(self, *steps: tuple) -> None:
        """Let steps, (name, function, details), begin side by side."""
        for name, step, *details in steps:
            print(f"--- {name}: begins", flush=True)
            self.begun[self.pool.submit(timed, step, self.rehearsal, details)] = name

    def finish(self) -> None:
        """Wait for what has begun, and print what each step has said when it ends."""
        for future in as_completed(self.begun):
            self.note(self.begun[future], *future.result())
        self.begun.clear()

    def note(self, name: str, seconds: float, printed: str, problem: str) -> None:
        """Print and keep what a step did."""
        print(f"--- {name}: {seconds:.1f} s\n{printed}", end="", flush=True)
        self.times.append((name, seconds))
        if problem:
            self.failures.append(f"{name}: {problem}")
            print(f"FAILED {name}: {problem}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--profile", default="smoke", help="of the twin's book, which has to be there")
    parser.add_argument("--full", action="store_true", help="every variant of both scans, and a book that has to be refused")
    options = parser.parse_args()
    rehearsal = Rehearsal(options.profile)
    start = time.perf_counter()
    with ProcessPoolExecutor(SIDE_BY_SIDE, get_context("spawn"), share_cores) as pool:
        steps = Protocol(pool, rehearsal)
        steps.note("copy what the twin's book has made", *timed(prepare, rehearsal, ()))
        before = {stamp: stamp.stat().st_mtime_ns for stamp in rehearsal.record.glob("*.json")}
        steps.begin(*((f"make {part} of the stand-in record", Rehearsal.make, part) for part in PARTS))
        steps.finish()
        if before != {stamp: stamp.stat().st_mtime_ns for stamp in rehearsal.record.glob("*.json")}:  # another record under the same names: what was fetched of the one before is not its
            for folder in (rehearsal.data, *(path.parent for path in rehearsal.folder.glob("*-ds*/data"))):
                shutil.rmtree(folder, ignore_errors=True)
        steps.note("fetch both records", *timed(fetch, rehearsal, ()))
        steps.begin(*((f"inspect {name}", look, name) for name in SCANS))
        steps.finish()
        steps.begin(*((f"notice that {name} is {variant}", look, name, variant) for name, variant in (VARIANTS if options.full else VARIANTS[:2])),
                    ("refuse a ds1 of another shape", refuse, options.full))  # fmt: skip
        print("--- build the book on the record: begins", flush=True)
        steps.note("build the book on the record", *timed(build, rehearsal, ()))  # beside the wrong scans, which give way to it
        steps.finish()
        steps.begin(*((f"judge {name}", ask_the_judge, name) for name in SCANS), ("check the pages", check_pages))
        steps.finish()
    rows = [*steps.times, ("together, some side by side", time.perf_counter() - start)]
    ends = [f"FAILED: {failure}" for failure in steps.failures] or [f"rehearsed: the book is at {rehearsal.book / '_build' / 'html' / 'index.html'}"]
    print("\n".join(["", f"{'step':45} {'seconds':>8}", *(f"{name:45} {took:8.1f}" for name, took in rows), "", *ends]), flush=True)
    return 1 if steps.failures else 0


def share_cores() -> None:
    """What a process does that runs steps: it takes its part of the cores, and gives way to the book."""
    os.environ["OMP_NUM_THREADS"] = str(max(1, available_cores() // SIDE_BY_SIDE))
    os.nice(5)


def prepare(rehearsal: Rehearsal) -> None:
    """The twin's artefacts and the text of the book in folders of the rehearsal's own."""
    missing = [str(path) for path in (*rehearsal.scans.values(), rehearsal.twins_book / "index.html") if not path.is_file()]
    if missing:
        sys.exit(f"rehearse.py: {missing[0]} is not there; build the twin's book first with `make book PROFILE={rehearsal.profile}`")
    copy_artefacts(rehearsal.twin, rehearsal.artefacts / rehearsal.profile)
    shutil.rmtree(rehearsal.book, ignore_errors=True)
    shutil.copytree(book_folder(), rehearsal.book, ignore=shutil.ignore_patterns("_build", "executed"))


def copy_artefacts(source: Path, target: Path) -> None:
    """The same files with the same dates in another folder, so that nothing counts as out of date; only what is newer is taken again."""
    def take(path: str, copy: str) -> None:
        now, copied = os.stat(path), Path(copy)
        if not copied.is_file() or copied.stat().st_mtime_ns < now.st_mtime_ns:
            copied.unlink(missing_ok=True)
            (shutil.copy2 if now.st_size < COPIED_BYTES else os.link)(path, copy)

    shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.lock", "*.part", "zenodo"), copy_function=take, dirs_exist_ok=True)


def fetch(rehearsal: Rehearsal) -> None:
    """Everything that the manifest lists, from a server that says it is the record."""
    write_manifest(rehearsal.record, {name: specimen_of(source) for name, source in rehearsal.scans.items()})
    with rehearsal.serve(rehearsal.record) as server:
        rehearsal.run("fetch", "--refresh", "sed", "vae", FIGURES_PKG_ZENODO_API=server.api)


def look(rehearsal: Rehearsal, name: str, variant: str = "good") -> None:
    """The first look at a good scan finds nothing that contradicts the manifest; one that is wrong has to be noticed, with the finding as the message."""
    inspect = ("inspect", name, "--source", "zenodo", "--json", str(rehearsal.folder / f"inspect-{variant}-{name}.json"))
    if variant == "good":
        rehearsal.run(*inspect)
    else:
        folder = with_variant(rehearsal, name, variant, [name])
        rehearsal.run(*inspect, status=1, says=FINDINGS[variant], how="unseen", FIGURES_PKG_DATA=folder / "data")


def refuse(rehearsal: Rehearsal, whole_book: bool) -> None:
    """A scan of another shape than the manifest's ends with one sentence that names both shapes and the next step."""
    folder = with_variant(rehearsal, "ds1", "moved", SCANS if whole_book else ["ds1"])
    says = f"the manifest expects {' × '.join(map(str, specimen_of(rehearsal.scans['ds1'])['container']['shape']))} of ds1"
    rehearsal.run("inspect", "ds1", "--source", "zenodo", status=1, says="shape", how="unseen", FIGURES_PKG_DATA=folder / "data")
    copy_artefacts(rehearsal.twin, folder / "artefacts" / rehearsal.profile)
    rehearsal.run(*(("book",) if whole_book else ("notebook", "fig-2")), "--profile", rehearsal.profile, "--data", "zenodo", status=1, says=says, how="unseen",
                  FIGURES_PKG_DATA=folder / "data", FIGURES_PKG_ARTEFACTS=folder / "artefacts")  # fmt: skip
    if made := list((folder / "artefacts").rglob("notebooks/zenodo/fig-2.ipynb")):
        raise RehearsalError(f"{made[0]} was made from a scan of another shape")


def with_variant(rehearsal: Rehearsal, name: str, variant: str, fetched: Sequence[str]) -> Path:
    """A folder whose data hold a wrong scan, fetched like the good ones."""
    folder = rehearsal.folder / f"{variant}-{name}"
    target = folder / "record" / REMOTE[name]
    if not target.is_file() or target.stat().st_mtime < rehearsal.scans[name].stat().st_mtime:
        write_scan(rehearsal.scans[name], target, variant, CHUNKS[name])
        shutil.rmtree(folder / "data", ignore_errors=True)
    with rehearsal.serve(folder / "record") as server:
        rehearsal.run("fetch", "--refresh", *fetched, how="unseen", FIGURES_PKG_DATA=folder / "data", FIGURES_PKG_ZENODO_API=server.api)
    return folder


def build(rehearsal: Rehearsal) -> None:
    """The book on the record, without a server: nothing may ask for one."""
    rehearsal.run("book", "--profile", rehearsal.profile, "--data", "zenodo", how="live")


def check_pages(rehearsal: Rehearsal) -> None:
    """Every page of the book, the drawings behind them, and the numbers of figures against the twin's book."""
    html = rehearsal.book / "_build" / "html"
    if not (html / "index.html").is_file():
        raise RehearsalError("no book was built")
    if (origin := words.origin_of_book(html)) != "rehearsal":
        raise RehearsalError(f"the figures of the book say that their scans are of origin {origin!r}")
    book = words.read_book(html)
    if found := words.all_problems(html, book) + words.shifted_numbers(words.read_book(rehearsal.twins_book), book):
        raise RehearsalError(f"{len(found)} findings\n" + "\n".join(found))


def ask_the_judge(rehearsal: Rehearsal, name: str) -> None:
    """What the book found and prints about a scan, against the truth that only the judge may read."""
    made = rehearsal.artefacts / rehearsal.profile
    if not (found := made / "domains" / "zenodo" / f"{name}.nc").is_file():
        raise RehearsalError(f"there is no {found}")
    truth = read_truth(rehearsal.scans[name])
    answers = judge.domain_verdicts(xr.load_dataset(found, engine="h5netcdf"), truth)
    if name == "ds1":
        answers |= judge.printed_verdicts(made / "notebooks" / "zenodo", open_scan(rehearsal.scans[name]), truth)
    print(judge.table(name, answers))
    if not all(good for _, good in answers.values()):
        raise RehearsalError("the book does not say what is true\n" + judge.table(name, answers))


if __name__ == "__main__":
    sys.exit(main())
