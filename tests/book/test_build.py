"""A build begins where the machine has room and goes on: accidents are tried once more, what does not need a failed job is made, and the end says what failed and why."""

import base64
import json
import sys

import pytest
from filelock import FileLock

from figures_pkg.book import build, machine
from figures_pkg.book.jobs import TRY_AGAIN, Jobs
from figures_pkg.book.machine import NEEDS, Machine, check_machine, fitting_cores, report
from figures_pkg.cli import main

SNAKEFILE = """
import sys
from pathlib import Path
from figures_pkg.book.jobs import Jobs, job_name

JOBS = Jobs(Path("logs").absolute())

def order(rule):
    return lambda wildcards: JOBS.priority(rule, wildcards)
def package(rule, wildcards, output):
    JOBS.run(job_name(rule, wildcards), "-".join([rule, *wildcards]), [sys.executable, "job.py", output[0]])

onstart: JOBS.plan(workflow.dag, workflow.cores)

rule book:
    input: expand("scores-{dataset}", dataset=["ds1", "ds2", "hard"])
    output: "pages"
    run: package(rule, wildcards, output)
rule twin:
    output: "scan-{preset}"
    priority: order("twin")
    run: package(rule, wildcards, output)
rule scan_scores:
    input: "scan-{dataset}"
    output: "scores-{dataset}"
    priority: order("scan_scores")
    run: package(rule, wildcards, output)
"""
JOB = """
import os, sys
from pathlib import Path

out, killed, mended = Path(sys.argv[1]), Path("killed"), Path("mended")
print("at work on", out, flush=True)
if out.name == "scan-ds1" and not killed.exists():
    killed.touch()
    os.kill(os.getpid(), 9)
if out.name == "scan-ds2" and not mended.exists():
    sys.exit("figures_pkg: ds2.md, cell 3: ZeroDivisionError: division by zero")
out.write_text("made")
"""
process = pytest.mark.process


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout of its own: the first try at one scan is killed, another scan fails until ``mended`` exists."""
    monkeypatch.setattr(build, "repository", lambda: tmp_path)
    monkeypatch.setattr(build, "artefacts_folder", lambda profile: tmp_path)
    (tmp_path / "Snakefile").write_text(SNAKEFILE, encoding="utf-8")
    (tmp_path / "job.py").write_text(JOB, encoding="utf-8")
    return tmp_path


@process
def test_a_build_goes_on_and_says_what_failed(checkout, capfd):
    """The killed job is tried again, the failed one is not; what does not need it is made, and the pages are not."""
    with pytest.raises(RuntimeError) as failed:
        build.make("smoke", "twin", cores=2)
    lines, told = capfd.readouterr().out.splitlines(), str(failed.value)
    assert lines[0].startswith("7 jobs on 2 cores, time unknown") and len(lines) == 1 + 2 * 5 + 1  # no line is Snakemake's
    assert "again  scan ds1: killed, probably out of memory" in lines and not [line for line in lines if line.startswith("again  scan ds2")]
    (line,) = [line for line in lines if line.startswith("FAILED")]
    assert line.startswith("FAILED scan ds2, ") and "ZeroDivisionError: division by zero; 2 jobs cannot be done without it" in line
    assert any(line.startswith("done   scores on hard, ") for line in lines) and lines[-1].endswith("; none left")
    assert {path.name for path in checkout.glob("s*-*")} == {"scan-ds1", "scan-hard", "scores-ds1", "scores-hard"} and not (checkout / "pages").exists()
    assert f"- scan ds2: ds2.md, cell 3: ZeroDivisionError: division by zero\n  log: {checkout}/logs/twin-ds2.log" in told
    assert "| at work on scan-ds2" in told and told.endswith("figures_pkg book --profile smoke --data twin --cores 2")
    assert (checkout / "logs/twin-ds1.log").read_text().count("at work on scan-ds1") == 2

    for folder in ("incomplete", "locks"):
        (checkout / ".snakemake" / folder).mkdir(exist_ok=True)
    (checkout / ".snakemake" / "locks" / "0.output.lock").write_text("scan-hard\n")
    (checkout / ".snakemake" / "incomplete" / base64.b64encode(b"scan-hard").decode()).touch()  # its build was killed
    (checkout / "scores-ds1").unlink()
    (checkout / "mended").touch()
    (checkout / "logs/costs.json").write_text(json.dumps({"scan hard": 9, "scores on ds1": 9, "scores on hard": 1, "scan ds1": 2}))
    build.make("smoke", "twin", cores=1)
    lines = capfd.readouterr().out.splitlines()
    assert lines[0].startswith("6 jobs on 1 core, about ")
    started = [line.removeprefix("start  ") for line in lines if line.startswith("start")]
    assert started == ["scan hard", "scan ds2", "scores on ds1", "scores on hard", "scores on ds2", "pages of the book"]  # what takes long first


@process
@pytest.mark.parametrize(("ending", "tries", "reason"), [
    ("os.kill(os.getpid(), 9)", 2, "killed, probably out of memory"),
    (f"print('figures_pkg: a.md: the kernel did not start'); sys.exit({TRY_AGAIN})", 2, "a.md: the kernel did not start"),
    ("print('figures_pkg: a.md, cell 2: ValueError: one\\ntwo'); sys.exit(1)", 1, "a.md, cell 2: ValueError: one"),
    ("1 / 0", 1, "ZeroDivisionError: division by zero"),
    ("os.kill(os.getpid(), 15)", 1, "ended by the signal SIGTERM"),
])  # fmt: skip
def test_only_an_accident_is_tried_again(tmp_path, capsys, ending, tries, reason):
    with pytest.raises(RuntimeError, match=r"scan ds1: .*; the log is .*twin\.log"):
        Jobs(tmp_path).run("scan ds1", "twin", [sys.executable, "-c", f"import os, sys\nprint('try', flush=True)\n{ending}"])
    assert (tmp_path / "twin.log").read_text().count("try\n") == tries
    assert json.loads((tmp_path / "failures.json").read_text())[0]["reason"] == reason
    assert capsys.readouterr().out.count("again") == tries - 1


@process
def test_locks_and_errors_of_the_workflow_itself(checkout):
    (checkout / ".snakemake").mkdir()
    with FileLock(checkout / ".snakemake" / "build.lock"), pytest.raises(RuntimeError, match="another build runs in .*call again"):
        build.make("smoke", "twin")
    assert not (checkout / "logs" / "workflow.log").exists()
    (checkout / "Snakefile").write_text('rule book:\n    input: "nowhere"\n', encoding="utf-8")
    with pytest.raises(RuntimeError, match="(?s)the book was not made; the workflow ended with:.*MissingInputException.*nowhere"):
        build.make("smoke", "twin")


@pytest.fixture
def nothing_made(tmp_path, monkeypatch):
    monkeypatch.setenv("FIGURES_PKG_ARTEFACTS", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(("memory_gb", "free_gb", "profile", "says"), [
    (4.0, 100.0, "paper", "paper book needs 6 GB of memory, and there are 4.0 GB; `figures_pkg book --profile laptop` fits"),
    (16.0, 2.0, "laptop", "laptop book needs 5 GB of disk, and 2.0 GB are free; `figures_pkg book --profile smoke` fits"),
    (1.0, 0.1, "smoke", "needs 1.5 GB of memory, and there are 1.0 GB and 0.7 GB of disk, and 0.1 GB are free; no profile fits here"),
])  # fmt: skip
def test_what_does_not_fit_is_refused(nothing_made, memory_gb, free_gb, profile, says):
    with pytest.raises(RuntimeError, match=says):
        check_machine(profile, Machine(2, memory_gb, free_gb))


def test_what_an_earlier_build_wrote_is_not_needed_again(nothing_made):
    """A full disk stops no second build. The memory limits the jobs side by side: a core each while there is room, never none."""
    assert [fitting_cores("laptop", Machine(4, memory_gb, 50.0)) for memory_gb in (64.0, 5.0, 1.0)] == [4, 2, 1]
    (nothing_made / "smoke").mkdir()
    with (nothing_made / "smoke" / "scan.hspy").open("wb") as scan:
        scan.truncate(int(NEEDS["smoke"].disk_gb * 1e9))
    check_machine("smoke", Machine(2, 8.0, 0.1))


def test_a_build_can_be_tried_anyway(nothing_made, monkeypatch, capsys):
    calls = []
    monkeypatch.setattr(build, "this_machine", lambda: Machine(2, 1.0, 50.0))
    monkeypatch.setattr(build, "make", lambda *words, **options: calls.append((*words, options)))
    assert main(["book", "--profile", "paper"]) == 1 and not calls
    assert "6 GB of memory" in capsys.readouterr().err
    assert main(["book", "--profile", "paper", "--anyway"]) == 0 and calls == [("paper", "twin", None, {"again": "book --anyway"})]


def test_the_doctor_says_it_in_ten_lines(nothing_made, monkeypatch):
    found = machine.installed_version
    monkeypatch.setattr(machine, "installed_version", lambda name: {"torch": "", "numpy": "0.1"}.get(name, found(name)))
    lines = report()
    assert len(lines) <= 10 and all(any(line.startswith(name) for line in lines) for name in NEEDS)
    assert lines[-1].startswith("missing   torch: pip install") and "numpy 0.1 instead of" in lines[1]
