"""Race figures_pkg.imaging.summarise against NumPy, HyperSpy, py4DSTEM and LiberTEM on the same files in one run."""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
import venv
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import psutil
from scans import DETECTOR, make_files

from figures_pkg.data import available_cores

ADAPTERS = Path(__file__).parent / "adapters"
README = Path(__file__).parent / "README.md"
MARKS = ("<!-- measured: begin -->\n", "<!-- measured: end -->\n")
logger = logging.getLogger("one_pass")


@dataclass(frozen=True)
class Contestant:
    """
    One row of the table.

    ``env`` names the virtual environment and ``needs`` what pip installs into it; None is the environment of this script.
    """

    adapter: str
    cases: tuple[str, ...]
    env: str | None = None
    needs: tuple[str, ...] = ()
    option: str = ""


LIBERTEM = ("libertem", ("libertem==0.16.0", "hdf5plugin"))
CONTESTANTS = {
    "plain read": Contestant("read.py", ("memory", "file", "gzip", "disk")),
    "figures_pkg": Contestant("ours.py", ("memory", "file", "gzip", "disk")),
    "LiberTEM, dask": Contestant("libertem_peer.py", ("file", "gzip", "disk"), *LIBERTEM, "dask"),
    "LiberTEM, threads": Contestant("libertem_peer.py", ("memory", "file", "gzip"), *LIBERTEM, "threads"),
    "LiberTEM, inline": Contestant("libertem_peer.py", ("memory", "file"), *LIBERTEM, "inline"),
    "py4DSTEM": Contestant("py4dstem_peer.py", ("memory",), "py4dstem", ("py4DSTEM==0.14.18",)),
    "HyperSpy": Contestant("hyperspy_peer.py", ("memory", "gzip"), "hyperspy", ("hyperspy==2.5.0",)),
    "naive NumPy": Contestant("naive.py", ("memory",)),
}
TITLES = {
    "memory": "Uncompressed, in memory (plain read: sum of all words)",
    "file": "Uncompressed .npy, in the system's cache (plain read: pread into a buffer)",
    "gzip": "gzip .hspy, chunks 32 x 32 x 32 x 32 (plain read: h5py's own decompression)",
    "disk": "Uncompressed .npy, not in the cache (plain read: pread, four threads)",
}


def main() -> None:
    """Make the files, run the rounds, write the table to stdout."""
    options = arguments()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    with tempfile.TemporaryDirectory(dir=options.work) as folder:
        files = make_files(Path(folder), tuple(options.scan), options.cases)
        pythons = {name: python_of(CONTESTANTS[name], options.envs) for name in options.contestants}
        results = {case: race(case, files[case], pythons, options) for case in options.cases}
    size = int(np.prod(options.scan)) * int(np.prod(DETECTOR)) * 2
    text = header(size, options) + "".join(table(case, found, size) for case, found in results.items())
    sys.stdout.write(text)
    if options.write:
        write_readme(text)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--envs", type=Path, default=Path.home() / ".cache" / "figures_pkg-bench", help="folder for the peers' virtual environments")
    parser.add_argument("--work", type=Path, default=None, help="folder for the files (deleted at the end); the disk that is measured")
    parser.add_argument("--scan", type=int, nargs=2, default=(96, 128), metavar=("Y", "X"), help="scan positions; the detector has 256 x 256")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=available_cores())
    parser.add_argument("--write", action="store_true", help="put the table into benchmarks/README.md")
    parser.add_argument("--cases", nargs="+", choices=TITLES, default=list(TITLES))
    parser.add_argument("--contestants", nargs="+", choices=CONTESTANTS, default=list(CONTESTANTS))
    return parser.parse_args()


def python_of(contestant: Contestant, envs: Path) -> str | None:
    """The interpreter of a contestant, with its packages installed; None if pip cannot install them."""
    if contestant.env is None:
        return sys.executable
    folder = envs / contestant.env
    python, marker = folder / "bin" / "python", folder / "installed.txt"
    wanted = "\n".join(contestant.needs)
    if not (marker.is_file() and marker.read_text() == wanted):
        logger.info("installing %s into %s", ", ".join(contestant.needs), folder)
        venv.create(folder, with_pip=True)
        done = subprocess.run([python, "-m", "pip", "install", "--quiet", *contestant.needs], capture_output=True, text=True)
        if done.returncode:
            logger.warning("%s cannot be installed: %s", contestant.needs, done.stderr.strip().splitlines()[-1:])
            return None
        marker.write_text(wanted)
    return str(python)


def race(case: str, file: Path, pythons: dict[str, str | None], options) -> dict[str, list[dict]]:
    """Run every contestant of a case once per round, one after the other, each in a fresh process."""
    results = {name: [] for name in pythons if case in CONTESTANTS[name].cases}
    for number in range(options.rounds):
        for name in results:
            if pythons[name] is None:
                results[name].append({"error": "not installable"})
                continue
            results[name].append(run(CONTESTANTS[name], pythons[name], file, case, options.threads))
            logger.info("%s, round %d, %s: %s", case, number + 1, name, results[name][-1])
    compare(case, results)
    return results


def run(contestant: Contestant, python: str, file: Path, case: str, threads: int) -> dict:
    """One run: best time in s, peak memory in bytes, and the answer; or the error."""
    command = [python, str(ADAPTERS / contestant.adapter), str(file), case, str(threads)] + [contestant.option] * bool(contestant.option)
    blas = threads if contestant.option == "inline" else 1  # the others bring threads of their own
    limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(blas))
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as moaned:
        process = subprocess.Popen(command, stdout=said, stderr=moaned, env=os.environ | limits)
        peak = watch(process)
        said.seek(0)
        moaned.seek(0)
        lines = [line for line in said if line.startswith("RESULT ")]
        if process.returncode or not lines:
            return {"error": (moaned.read().strip().splitlines() or ["no result"])[-1][:200]}
    found = json.loads(lines[-1].removeprefix("RESULT "))
    return {"time": min(found["seconds"]), "peak": peak, "check": found["check"]}


def watch(process: subprocess.Popen) -> int:
    """Wait for a process; the largest memory of it and its children, without pages that belong to files, in bytes."""
    peak, stop = [0], threading.Event()

    def sample():
        while not stop.is_set():
            peak[0] = max(peak[0], memory_of(process.pid))
            time.sleep(0.02)

    thread = threading.Thread(target=sample)
    thread.start()
    process.wait()
    stop.set()
    thread.join()
    return peak[0]


def memory_of(pid: int) -> int:
    """Private memory of a process and its children now, in bytes; 0 when it has just ended."""
    total = 0
    try:
        for one in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
            info = one.memory_info()
            total += info.rss - info.shared
    except psutil.NoSuchProcess:
        return total
    return total


def compare(case: str, results: dict[str, list[dict]]) -> None:
    """Raise if a contestant's answer differs from ours by more than 1e-5: then it was not the same work."""
    ours = next((one["check"] for one in results.get("figures_pkg", []) if "check" in one), None)
    for name, rounds in results.items():
        for one in rounds:
            if ours and one.get("check"):
                far = {key: (value, ours[key]) for key, value in one["check"].items() if not np.isclose(value, ours[key], rtol=1e-5)}
                if far:
                    raise ValueError(f"{case}: {name} and figures_pkg disagree: {far}")


def header(size: int, options) -> str:
    """What was measured on what, above the tables."""
    return (f"Measured on {machine()}. Scan of {options.scan[0]} x {options.scan[1]} positions, {DETECTOR[0]} x {DETECTOR[1]} uint16, "
            f"{size / 1e9:.2f} GB; {options.threads} threads; the best of several calls in each of {options.rounds} interleaved "
            "rounds, medians over the rounds.\n")


def machine() -> str:
    """Processor, cores and memory in words."""
    model, info = platform.processor() or platform.machine(), Path("/proc/cpuinfo")
    if info.is_file():
        model = next((line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")), model)
    return f"{model}, {os.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB, {platform.system()}, Python {platform.python_version()}"


def write_readme(text: str, marks: tuple[str, str] = MARKS) -> None:
    """Put the tables between the marks of README.md."""
    before, _, rest = README.read_text(encoding="utf-8").partition(marks[0])
    after = rest.partition(marks[1])[2]
    fresh = README.with_suffix(".tmp")
    fresh.write_text(before + marks[0] + text + marks[1] + after, encoding="utf-8")
    os.replace(fresh, README)


def table(case: str, results: dict[str, list[dict]], size: int) -> str:
    """A markdown table of one case. Ratios are taken within a round, then their median over rounds."""
    lines = [f"\n**{TITLES[case]}**\n", "| | time (s) | GB/s | speed of a plain read | ours is faster by | peak memory (GB) |",
             "| --- | --- | --- | --- | --- | --- |"]
    for name, rounds in results.items():
        good = [one for one in rounds if "time" in one]
        if not good:
            lines.append(f"| {name} | {rounds[0]['error']} | | | | |")
            continue
        seconds = median(one["time"] for one in good)
        of_read, factor = ratio(results, "plain read", rounds), ratio(results, "figures_pkg", rounds)
        faster = "" if name in ("plain read", "figures_pkg") else f"{1 / factor:.1f} x"
        lines.append(f"| {name} | {seconds:.3f} | {size / seconds / 1e9:.2f} | {of_read:.0%} | {faster} | "
                     f"{max(one['peak'] for one in good) / 1e9:.2f} |")
    return "\n".join(lines) + "\n"


def ratio(results: dict[str, list[dict]], reference: str, rounds: list[dict]) -> float:
    """Median over rounds of (time of the reference / time of this contestant); nan if the reference did not run."""
    pairs = [(other["time"], one["time"]) for other, one in zip(results.get(reference, []), rounds) if "time" in other and "time" in one]
    return median(a / b for a, b in pairs) if pairs else float("nan")


if __name__ == "__main__":
    main()
