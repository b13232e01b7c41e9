"""What this machine has, what a build of each profile needs, and whether that fits."""

from __future__ import annotations

import platform
import shutil
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import NamedTuple

import psutil
from packaging.requirements import Requirement

import figures_pkg
from figures_pkg.workspace import artefacts_folder, available_cores, repository

from .jobs import number

EXTRAS = ("", "book", "model", "test")  # what `make` installs
CGROUP = "/sys/fs/cgroup/memory.max"  # what a container may use


class Need(NamedTuple):
    """What a build of one profile needs."""

    memory_gb: float  # of the largest job; jobs run side by side, a core each
    disk_gb: float
    cpu_time: str
    measured: str


# Memory: the largest peak that a chapter's passport or benchmarks/README.md gives, and a little more. Disk: the artefacts and pages of one book.
NEEDS = {
    "smoke": Need(1.5, 0.7, "20 minutes", "measured"),
    "laptop": Need(2.2, 5.0, "two hours", "measured"),
    "paper": Need(6.0, 15.0, "many hours", "estimated"),
}


class Machine(NamedTuple):
    """What there is for a build."""

    cores: int
    memory_gb: float
    free_gb: float  # on the disk of the artefacts


def this_machine() -> Machine:
    """Cores that this process may use, memory of the machine or of its container, and free disk."""
    memory, limit, folder = psutil.virtual_memory().total, Path(CGROUP), artefacts_folder("")
    if limit.is_file() and (text := limit.read_text().strip()).isdecimal():
        memory = min(memory, int(text))
    while not folder.exists():
        folder = folder.parent
    return Machine(available_cores(), memory / 1e9, shutil.disk_usage(folder).free / 1e9)


def lacks(profile: str, machine: Machine) -> list[str]:
    """What the machine lacks for a profile, in words; what an earlier build has written counts as free disk."""
    need = NEEDS.get(profile, Need(0, 0, "", ""))
    made_gb, found = 0.0, []
    for path in artefacts_folder(profile).rglob("*"):
        with suppress(FileNotFoundError):  # temporary files of a build vanish meanwhile
            made_gb += path.stat().st_size / 1e9
    if machine.memory_gb < need.memory_gb:
        found.append(f"{need.memory_gb:g} GB of memory, and there are {machine.memory_gb:.1f} GB")
    if machine.free_gb + made_gb < need.disk_gb:
        found.append(f"{need.disk_gb:g} GB of disk, and {machine.free_gb:.1f} GB are free")
    return found


def fitting_cores(profile: str, machine: Machine) -> int:
    """Number of jobs of a profile that the memory holds at a time, at least one and at most one for each core."""
    return max(1, min(machine.cores, int(machine.memory_gb / NEEDS[profile].memory_gb))) if profile in NEEDS else machine.cores


def check_machine(profile: str, machine: Machine) -> None:
    """RuntimeError, with the largest smaller profile that fits, if memory or disk will not do for a build."""
    if missing := lacks(profile, machine):
        names = list(NEEDS)
        smaller = [name for name in names[: names.index(profile)] if not lacks(name, machine)]
        instead = f"`figures_pkg book --profile {smaller[-1]}` fits" if smaller else "no profile fits here"
        raise RuntimeError(f"the {profile} book needs {' and '.join(missing)}; {instead}, and --anyway tries this one all the same")


def report() -> list[str]:
    """What this machine has, what each profile needs, and what is missing, in ten lines or less."""
    machine, browser = this_machine(), ""
    pins = dict(line.split("==") for line in (repository() / "constraints.txt").read_text(encoding="utf-8").splitlines() if line and line[0] != "#")
    needed = [Requirement(text) for text in requires("figures_pkg") or []]
    wanted = [need.name for need in needed if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in EXTRAS)]
    installed = {name: found for name in {*pins, *wanted} if (found := installed_version(name))}
    absent = [name for name in wanted if name not in installed]
    other = [f"{name} {installed[name]} instead of {pin}" for name, pin in pins.items() if name in installed and installed[name].partition("+")[0] != pin]
    with suppress(ImportError):
        from .pdf import find_browser

        browser = find_browser()
    try:
        import torch

        gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none; only trainings and the released networks would be faster with one"
    except ImportError:
        gpu = "unknown, since torch is not installed"
    lines = [f"machine   {number(machine.cores, 'core')}, {machine.memory_gb:.1f} GB of memory, {machine.free_gb:.1f} GB free in {artefacts_folder('')}",
             f"software  Python {platform.python_version()} on {platform.system()}, figures_pkg {figures_pkg.__version__}, "
             + (f"{len(other)} of {len(pins)} pins differ: {', '.join(other[:3])}" if other else "every package as pinned"),
             f"Chromium  {browser or 'not found: no PDF, and no check of pages in a browser'}",
             f"GPU       {gpu}"]  # fmt: skip
    for name, need in NEEDS.items():
        missing = lacks(name, machine)
        verdict = f"needs {' and '.join(missing)}" if missing else f"fits, {number(fitting_cores(name, machine), 'job')} at a time"
        lines.append(f"{name:9} {need.memory_gb:g} GB of memory a job, {need.disk_gb:g} GB of disk, {need.cpu_time} of CPU time, {need.measured}; {verdict}")
    install = f"{', '.join(absent)}: pip install -c constraints.txt -e '.[book,model,test]'"
    return [*lines, f"missing   {install if absent else 'nothing'}"]


def installed_version(name: str) -> str:
    """Version of an installed package, empty for one that is not there."""
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
