"""
The whole way of a reader who builds the book on the authors' record, with stand-ins for it: fetch, first look, book, pages.

    python tests/rehearsal/rehearse.py [--profile smoke] [--full]

The twin's book of the profile has to be there (``make book PROFILE=smoke``): its scans are what the stand-ins are made of, and its chapters
that never read the record are not executed again. Everything is written below ``artefacts/rehearsal``; the twin's book stays as it is. Any step
that fails, or any page that says what it must not, ends the rehearsal with status 1.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(HERE.parent / "record")]

import judge  # noqa: E402
import words  # noqa: E402
import xarray as xr  # noqa: E402
from fake_zenodo import FakeZenodo  # noqa: E402
from stand_in import CHUNKS, RECORDS, REMOTE, SCANS, make_record, specimen_of, write_scan  # noqa: E402

from figures_pkg.imaging import Box  # noqa: E402
from figures_pkg.record.manifest import load_manifest  # noqa: E402
from figures_pkg.twin import read_truth  # noqa: E402
from figures_pkg.workspace import artefacts_folder, book_folder  # noqa: E402

VARIANTS = [("ds1", "wrapped"), ("ds2", "flipped"), ("ds2", "wrapped"), ("ds1", "flipped")]  # the last two in a full rehearsal only
FINDINGS = {"wrapped": "wrap", "flipped": "upside down"}
COPIED_BYTES = 1 << 20  # smaller files are copied, larger ones linked: nobody may write into the twin's


class RehearsalError(RuntimeError):
    """A step did not do what a reader has to see."""


class Rehearsal:
    """Folders and environment of one rehearsal, and what its steps took."""

    def __init__(self, folder: Path, profile: str, twins_book: Path | None = None):
        self.folder, self.profile = folder, profile
        self.record, self.data, self.artefacts, self.book = (folder / name for name in ("record", "data", "artefacts", "book"))
        self.twin, self.twins_book = artefacts_folder(profile), twins_book or book_folder() / "_build" / "html"
        self.scans = {name: self.twin / f"{name}.hspy" for name in SCANS}
        self.environment = {"FIGURES_PKG_DATA": self.data, "FIGURES_PKG_ARTEFACTS": self.artefacts, "FIGURES_PKG_BOOK": self.book,
                            "FIGURES_PKG_MANIFEST": self.record / "manifest.yaml", "FIGURES_PKG_ZENODO_API": "http://127.0.0.1:9/api"}  # fmt: skip
        self.times: list[tuple[str, float]] = []
        self.failures: list[str] = []

    @contextmanager
    def step(self, name: str):
        """Time a step and say that it begins; a failure is noted, and the rehearsal goes on where it can."""
        print(f"--- {name}", flush=True)
        begin = time.perf_counter()
        try:
            yield
        except RehearsalError as error:
            self.failures.append(f"{name}: {error}")
            print(f"FAILED {name}: {error}", flush=True)
        finally:
            self.times.append((name, time.perf_counter() - begin))

    def run(self, *command: str, status: int = 0, says: str = "", unseen: bool = False, **environment) -> str:
        """Run a command of the package as a reader does; raise unless it ends with this status and says this."""
        exported = os.environ | {name: str(value) for name, value in (self.environment | environment).items()}
        how = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT} if unseen or says or status else {}
        done = subprocess.run([sys.executable, "-m", "figures_pkg", *command], cwd=ROOT, env=exported, text=True, check=False, **how)
        output = done.stdout or ""
        if done.returncode != status:
            raise RehearsalError(f"`figures_pkg {' '.join(command)}` ended with status {done.returncode}, not {status}\n{output[-3000:]}")
        if says.lower() not in output.lower():
            raise RehearsalError(f"`figures_pkg {' '.join(command)}` does not say {says!r}\n{output[-3000:]}")
        return output

    def serve(self, record: Path) -> FakeZenodo:
        """Both records on loopback; files of a variant take the place of the good ones."""
        files = {remote: next(folder / remote for folder in (record, self.record) if (folder / remote).is_file()) for remote in REMOTE.values()}
        of_vae = {REMOTE["vae-27"]: files.pop(REMOTE["vae-27"])}
        return FakeZenodo(files, record=RECORDS["sed"], others={RECORDS["vae"]: of_vae})


def main(arguments: list[str] | None = None) -> int:
    """Rehearse and print what each step took."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[1])
    parser.add_argument("--profile", default="smoke", help="of the twin's book, which has to be there")
    parser.add_argument("--folder", type=Path, default=ROOT / "artefacts" / "rehearsal", help="where everything is written")
    parser.add_argument("--twins-book", type=Path, help="the HTML of the twin's book, by default where `make book` puts it")
    parser.add_argument("--full", action="store_true", help="every variant of both scans, and a book that has to be refused")
    options = parser.parse_args(arguments)
    rehearsal = Rehearsal(options.folder.absolute(), options.profile, options.twins_book)
    begin = time.perf_counter()
    prepare(rehearsal)
    write_record(rehearsal)
    fetch(rehearsal)
    look(rehearsal)
    for name, variant in VARIANTS if options.full else VARIANTS[:2]:
        notice(rehearsal, name, variant)
    refuse(rehearsal, options.full)
    build(rehearsal)
    check_pages(rehearsal)
    ask_the_judge(rehearsal)
    print(table(rehearsal, time.perf_counter() - begin), flush=True)
    return 1 if rehearsal.failures else 0


def prepare(rehearsal: Rehearsal) -> None:
    """The twin's artefacts and the text of the book in folders of the rehearsal's own."""
    with rehearsal.step("copy what the twin's book has made"):
        missing = [str(path) for path in (*rehearsal.scans.values(), rehearsal.twins_book / "index.html") if not path.is_file()]
        if missing:
            sys.exit(f"rehearse.py: {missing[0]} is not there; build the twin's book first with `make book PROFILE={rehearsal.profile}`")
        copy_artefacts(rehearsal.twin, rehearsal.artefacts / rehearsal.profile)
        shutil.rmtree(rehearsal.book, ignore_errors=True)
        shutil.copytree(book_folder(), rehearsal.book, ignore=shutil.ignore_patterns("_build", "executed"))


def copy_artefacts(source: Path, target: Path) -> None:
    """The same files with the same dates in another folder, so that nothing counts as out of date; only what is newer is taken again."""
    for path in sorted(source.rglob("*")):
        inside = path.relative_to(source)
        if not path.is_file() or path.suffix in (".lock", ".part") or "zenodo" in inside.parts:
            continue
        copy, now = target / inside, path.stat()
        if copy.is_file() and copy.stat().st_mtime_ns >= now.st_mtime_ns:
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.unlink(missing_ok=True)
        if now.st_size < COPIED_BYTES:
            shutil.copy2(path, copy)
        else:
            os.link(path, copy)


def write_record(rehearsal: Rehearsal) -> None:
    """Scans, networks and manifest of the stand-in record."""
    with rehearsal.step("write the stand-in record"):
        stamp = rehearsal.record / "made-of.json"
        before = stamp.stat().st_mtime_ns if stamp.is_file() else 0
        make_record(rehearsal.scans, rehearsal.record)
        if stamp.stat().st_mtime_ns != before:  # another record under the same names: what was fetched of the one before is not its
            for folder in (rehearsal.data, *(path.parent for path in rehearsal.folder.glob("*-ds*/data"))):
                shutil.rmtree(folder, ignore_errors=True)


def fetch(rehearsal: Rehearsal) -> None:
    """Everything that the manifest lists, from a server that says it is the record."""
    with rehearsal.step("fetch both records"), rehearsal.serve(rehearsal.record) as server:
        rehearsal.run("fetch", "--refresh", "sed", "vae", FIGURES_PKG_ZENODO_API=server.api)


def look(rehearsal: Rehearsal) -> None:
    """The first look at both good scans finds nothing that contradicts the manifest."""
    for name in SCANS:
        with rehearsal.step(f"inspect {name}"):
            rehearsal.run("inspect", name, "--source", "zenodo", "--json", str(rehearsal.folder / f"inspect-{name}.json"))


def notice(rehearsal: Rehearsal, name: str, variant: str) -> None:
    """A scan that is wrong has to be noticed by the first look, with the finding as the message."""
    with rehearsal.step(f"notice that {name} is {variant}"):
        folder = with_variant(rehearsal, name, variant)
        rehearsal.run("inspect", name, "--source", "zenodo", "--json", str(folder / "inspect.json"), status=1, says=FINDINGS[variant],
                      FIGURES_PKG_DATA=folder / "data")  # fmt: skip


def refuse(rehearsal: Rehearsal, whole_book: bool) -> None:
    """A scan of another shape than the manifest's ends with one sentence that names both shapes and the next step."""
    with rehearsal.step("refuse a ds1 of another shape"):
        folder = with_variant(rehearsal, "ds1", "moved")
        expected = " × ".join(map(str, specimen_of(rehearsal.scans["ds1"]).shape))
        says = f"the manifest expects {expected} of ds1"
        command = ("book", "--profile", rehearsal.profile, "--data", "zenodo") if whole_book else ("notebook", "fig-2", "--profile", rehearsal.profile, "--data", "zenodo")
        rehearsal.run("inspect", "ds1", "--source", "zenodo", status=1, says="shape", FIGURES_PKG_DATA=folder / "data")
        copy_artefacts(rehearsal.twin, folder / "artefacts" / rehearsal.profile)
        rehearsal.run(*command, status=1, says=says, FIGURES_PKG_DATA=folder / "data", FIGURES_PKG_ARTEFACTS=folder / "artefacts")
        if made := list((folder / "artefacts").rglob("notebooks/zenodo/fig-2.ipynb")):
            raise RehearsalError(f"{made[0]} was made from a scan of another shape")


def with_variant(rehearsal: Rehearsal, name: str, variant: str) -> Path:
    """A folder whose data hold one wrong scan beside the good files, fetched like these."""
    folder = rehearsal.folder / f"{variant}-{name}"
    target = folder / "record" / REMOTE[name]
    if not target.is_file() or target.stat().st_mtime < rehearsal.scans[name].stat().st_mtime:
        write_scan(rehearsal.scans[name], target, variant, CHUNKS[name])
        shutil.rmtree(folder / "data", ignore_errors=True)
    with rehearsal.serve(folder / "record") as server:
        rehearsal.run("fetch", "--refresh", *SCANS, unseen=True, FIGURES_PKG_DATA=folder / "data", FIGURES_PKG_ZENODO_API=server.api)
    return folder


def build(rehearsal: Rehearsal) -> None:
    """The book on the record, without a server: nothing may ask for one."""
    with rehearsal.step("build the book on the record"):
        rehearsal.run("book", "--profile", rehearsal.profile, "--data", "zenodo")


def check_pages(rehearsal: Rehearsal) -> None:
    """Every page of the book, the drawings behind them, and the numbers of figures against the twin's book."""
    html = rehearsal.book / "_build" / "html"
    with rehearsal.step("check the pages"):
        if not (html / "index.html").is_file():
            raise RehearsalError("no book was built")
        if (origin := words.origin_of_book(html)) != "rehearsal":
            raise RehearsalError(f"the figures of the book say that their scans are of origin {origin!r}")
        found = words.all_problems(html) + words.shifted_numbers(words.read_book(rehearsal.twins_book), words.read_book(html))
        if found:
            raise RehearsalError(f"{len(found)} findings\n" + "\n".join(found))


def ask_the_judge(rehearsal: Rehearsal) -> None:
    """What the book found and prints, against the truth that only the judge may read."""
    made = rehearsal.artefacts / rehearsal.profile
    for name in SCANS:
        with rehearsal.step(f"judge {name}"):
            if not (found := made / "domains" / "zenodo" / f"{name}.nc").is_file():
                raise RehearsalError(f"there is no {found}")
            truth = read_truth(rehearsal.scans[name])
            lattice, radius = judge.lattice_for(truth, specimen_of(rehearsal.scans[name]).shape)
            facts = load_manifest(rehearsal.record / "manifest.yaml")[name].boxes
            boxes = {box: Box(fact.value["rows"], fact.value["cols"]) for box, fact in facts.items()}
            images = judge.images_of(judge.opened(rehearsal.data / name / f"{name}.hspy", truth, lattice), lattice, radius, boxes)
            answers = judge.verdicts(xr.load_dataset(found, engine="h5netcdf"), truth, images)
            if name == "ds1":
                answers |= judge.printed(made / "notebooks" / "zenodo", truth, images)
            print(judge.table(name, answers), flush=True)
            if not all(good for _, good in answers.values()):
                raise RehearsalError("the book does not say what is true\n" + judge.table(name, answers))


def table(rehearsal: Rehearsal, seconds: float) -> str:
    """What each step took, and what failed."""
    lines = [f"{'step':45} {'seconds':>8}", *(f"{name:45} {took:8.1f}" for name, took in rehearsal.times), f"{'together':45} {seconds:8.1f}"]
    verdict = [f"FAILED: {failure}" for failure in rehearsal.failures] or [f"rehearsed: the book is at {rehearsal.book / '_build' / 'html' / 'index.html'}"]
    return "\n".join(["", *lines, "", *verdict])


if __name__ == "__main__":
    sys.exit(main())
