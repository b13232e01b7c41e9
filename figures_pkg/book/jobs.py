"""The jobs of a build as people see them: a name in the book's words, a log of its own, a second try after an accident, and what is left to do."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from figures_pkg.workspace import replacing, repository

from .template import Template

TRY_AGAIN = 75  # exit status of a command that an accident ended, such as a kernel that did not start; EX_TEMPFAIL in sysexits.h
BY_PEOPLE = (signal.SIGINT, signal.SIGTERM)  # signals of somebody who wants the job to end
NEXT = "; call the same command again"  # what a command says after an accident, and the workflow does
FAILURES, COSTS = "failures.json", "costs.json"
RECORD = ", authors' data"
# What others wait for starts first.
WAITED_FOR = {"twin": 4, "twin_field": 4, "domains": 3, "model": 2, "embedding": 2, "released_embedding": 2, "scan_scores": 1, "scores": 1, "explorer": 1,
              "claims": 1}  # fmt: skip
# CPU seconds of long chapters and rules in the smoke profile, for jobs that no build has timed yet.
LONG = {"trust": 90, "recipes": 70, "small-network": 70, "walls": 60, "matching-robustness": 50, "fig-4": 50, "claims": 50, "matching": 40,
        "thickness-tilt-dose": 30}  # fmt: skip
NAMES = {
    "book": "pages of the book",
    "notebook": "chapter {title}",
    "twin": "scan {preset}",
    "twin_field": "scan {preset}-field{field}",
    "model": "network for {dataset} ({recipe}, seed {seed})",
    "embedding": "channels of {dataset} ({recipe}, seed {seed})",
    "released_embedding": "channels by the released network {network}",
    "domains": "domains of {dataset}",
    "explorer": "explorer of {dataset}",
    "scan_scores": "scores on {dataset}",
    "claims": "claims of the paper",
}


def job_name(rule: str, wildcards: Mapping[str, str]) -> str:
    """What a job is called in the book's words, such as "network for ds2 (smoke, seed 0)"."""
    words = dict(wildcards.items())
    if "chapter" in words:
        text = (repository() / "notebooks" / f"{words['chapter']}.md").read_text(encoding="utf-8")
        title = re.search(r"^# (.+)$", text, re.MULTILINE)
        words["title"] = f"“{title[1].strip() if title else words['chapter']}”"
    name = NAMES.get(rule, rule).format_map(words)
    return name + RECORD if words.get("source") == "zenodo" else name


class Jobs:
    """
    The jobs of one build. Each runs a command, says one line when it starts and one when it ends, and writes the rest to a log in a folder.

    A job that an accident ended is tried once more: one that was killed, or whose command says so by the exit status ``TRY_AGAIN``. The folder also
    keeps the CPU seconds of each job, for the estimates and the order of later builds, and the failures of this one for its summary.
    """

    def __init__(self, folder: Path):
        self.folder, self.lock = folder, threading.Lock()
        self.above: dict[str, set[str]] = {}  # jobs that are left -> those before them, themselves included
        self.failures: list[dict[str, str]] = []
        self.cores = 0  # until there is a plan
        self.template: Template | None = None  # from which the package's commands are forked, where there is one
        self.cpu_s = self.wall_s = 0.0  # of the jobs that are done
        try:
            self.costs = json.loads((self.folder / COSTS).read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):
            self.costs = {}

    def priority(self, rule: str, wildcards: Mapping[str, str]) -> float:
        """The larger, the earlier a job starts: first what others wait for, then what takes long, by an earlier build or else by its name."""
        name = job_name(rule, wildcards)
        cpu_s = self.costs.get(name, self.costs.get(name.removesuffix(RECORD), LONG.get(wildcards.get("chapter", rule), 0)))
        return 1e6 * WAITED_FOR.get(rule, 0) + cpu_s

    def plan(self, dag, cores: int) -> None:
        """Say how many jobs of Snakemake's graph are to be done; rules without a name only gather what others have made."""
        waiting = [job for job in dag.needrun_jobs() if job.rule.name in NAMES]
        names = {job: job_name(job.rule.name, job.wildcards) for job in dag.jobs}
        self.above = {names[job]: {names[above] for above in dag.bfs(dag.dependencies, job)} for job in waiting}
        self.cores = cores
        why = "" if self.costs else ", since no earlier build was timed"
        print(f"{number(len(self.above), 'job')} on {number(cores, 'core')}, {self._time_left()}{why}; logs in {self.folder}", flush=True)

    def run(self, name: str, log: str, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        """Run the command of a job, twice after an accident; RuntimeError, with the reason and the log, if it failed."""
        path, begin = self.folder / f"{log}.log", time.monotonic()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._say(f"start  {name}")
        status, cpu_s = self._measured(command, path, "wb", environment)
        if status == TRY_AGAIN or status < 0 and -status not in BY_PEOPLE:
            self._say(f"again  {name}: {_reason(status, path).removesuffix(NEXT)}")
            status, cpu_s = self._measured(command, path, "ab", environment)
        wall_s = time.monotonic() - begin
        with self.lock:
            self.cpu_s, self.wall_s = self.cpu_s + cpu_s, self.wall_s + wall_s
            lost = [other for other, above in self.above.items() if name in above and other != name] if status else []
            self.above = {other: above for other, above in self.above.items() if other not in (name, *lost)}
            left = "" if not self.cores else f"; {len(self.above)} left, {self._time_left()}" if self.above else "; none left"
            if status:
                reason = _reason(status, path)
                self.failures.append({"name": name, "reason": reason, "log": str(path)})
                self._write(FAILURES, self.failures)
                without = f"; {number(len(lost), 'job')} cannot be done without it" if lost else ""
                print(f"FAILED {name}, {_duration(wall_s)}: {reason}{without}{left}", flush=True)
                raise RuntimeError(f"{name}: {reason}; the log is {path}")
            self.costs[name] = round(cpu_s, 1)
            self._write(COSTS, self.costs)
            print(f"done   {name}, {_duration(wall_s)}{left}", flush=True)

    def _measured(self, command: Sequence[str], log: Path, mode: str, environment: Mapping[str, str] | None) -> tuple[int, float]:
        """Exit status of a command, negative for a signal, and its CPU seconds with those of its children; on Windows its seconds."""
        begin = time.monotonic()
        with log.open(mode) as output:
            if self.template and command[:2] == [sys.executable, "-m"]:
                with suppress(OSError):  # there is no template any more
                    return self.template.run(command[2:], output.fileno(), environment or os.environ)
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment)
            if not hasattr(os, "wait4"):
                return process.wait(), time.monotonic() - begin
            _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        return process.returncode, usage.ru_utime + usage.ru_stime

    def _time_left(self) -> str:
        """An estimate from the CPU seconds of earlier builds, stretched as much as the machine has stretched the jobs of this one."""
        known = [self.costs[name] for name in self.above if name in self.costs]
        if not known:
            return "time unknown"
        busy = max(1.0, self.wall_s / self.cpu_s) if self.cpu_s else 1.0
        untimed = len(self.above) - len(known)
        return f"about {_duration(busy * max(sum(known) / self.cores, *known))}" + (f" and {number(untimed, 'job')} never timed before" if untimed else "")

    def _say(self, line: str) -> None:
        with self.lock:
            print(line, flush=True)

    def _write(self, name: str, content) -> None:
        with replacing(self.folder / name) as temporary:
            temporary.write_text(json.dumps(content, indent=1), encoding="utf-8")


def failures_in(folder: Path) -> list[dict[str, str]]:
    """Name, reason and log of the jobs that failed in the last build."""
    path = folder / FAILURES
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []


def _reason(status: int, log: Path) -> str:
    """Why a command failed, in one line: the signal, what the command line said, or its last line."""
    if status < 0:
        return "killed, probably out of memory" if -status == signal.SIGKILL else f"ended by the signal {signal.Signals(-status).name}"
    lines = [line.strip() for line in re.split(r"[\r\n]+", log.read_text(encoding="utf-8", errors="replace")) if line.strip()]
    said = [line.removeprefix("figures_pkg: ") for line in lines if line.startswith("figures_pkg: ") and ": warning: " not in line]
    return (said or lines or [f"ended with status {status}"])[-1]


def number(count: int, noun: str) -> str:
    """A count with its noun."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _duration(seconds: float) -> str:
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
