"""
Where a build's time goes, as tables for ``benchmarks/README.md``: by job, largest first, or by what the machine did.

    .venv/bin/python benchmarks/build.py --profile smoke
    .venv/bin/python benchmarks/build.py --profile smoke --sample

A build notes the CPU seconds of its jobs in ``artefacts/PROFILE/logs/costs.json``, each with the jobs' children. What was not stale in the last
builds stands as it was measured then. ``--sample`` builds what is stale and looks at all its processes ten times a second (py-spy, in the extra
``bench``): of a whole build, remove the artefacts first.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

from figures_pkg.book.jobs import COSTS
from figures_pkg.workspace import artefacts_folder

KINDS = {"scan": "scans of the twin", "network": "trainings", "channels": "channels of networks", "domains": "domains of measured scans",
         "scores": "scores of all methods", "chapter": "chapters", "explorer": "explorer's files", "claims": "claims", "pages": "pages"}  # fmt: skip
# What a stack is counted as: the first line of which one word is in it.
WORK = {
    "starting and importing": ("importlib._bootstrap", "<frozen site>"),
    "compiling loops": ("numba/core",),
    "drawing figures": ("matplotlib/",),
    "training": ("figures_pkg/model/train.py",),
    "applying networks": ("figures_pkg/model/embed.py", "figures_pkg/model/autoencoder.py", "figures_pkg/model/vae.py"),
    "tables of walls": ("figures_pkg/twin/wall",),
    "multislice and libraries": ("figures_pkg/diffraction/", "abtem/"),
    "matching": ("figures_pkg/matching/",),
    "patterns, noise and counts of the twin": ("figures_pkg/twin/",),
    "reading and writing scans": ("figures_pkg/data/", "h5py/", "zarr/"),
    "one pass, lattice, centre of mass": ("figures_pkg/imaging/",),
    "linear methods and clusters": ("sklearn/", "figures_pkg/model/"),
    "scores and claims": ("figures_pkg/evaluate/", "figures_pkg/claims/"),
    "chapters' own": ("figures_pkg/chapters/", "/ipykernel_", "<cell"),
    "pages": ("sphinx/", "docutils/", "myst", "figures_pkg/book/render.py"),
    "running notebooks": ("papermill/", "nbclient/", "ipykernel", "zmq/", "nbformat/"),
    "the workflow": ("snakemake/", "figures_pkg/book/"),
}
FORKED = "figures_pkg/book/template.py"  # frames that all forked jobs and kernels begin with, whatever they do
RATE = 10  # looks a second


def by_job(profile: str, largest: int = 12) -> str:
    """Two tables in Markdown: CPU seconds by kind of job, and of the largest jobs."""
    path = artefacts_folder(profile) / "logs" / COSTS
    if not path.is_file():
        raise SystemExit(f"{path} is not there; `figures_pkg book --profile {profile}` writes it while it builds")
    seconds = pd.Series(json.loads(path.read_text(encoding="utf-8")), name="CPU s").sort_values(ascending=False)
    kind = seconds.index.str.split().str[0].map(KINDS)
    kinds = seconds.groupby(kind).agg(["size", "sum", "max"]).sort_values("sum", ascending=False)
    lines = ["| jobs | number | CPU s | largest |", "| --- | --- | --- | --- |"]
    lines += [f"| {name} | {row['size']:.0f} | {row['sum']:.0f} | {row['max']:.0f} |" for name, row in kinds.iterrows()]
    lines += [f"| together | {len(seconds)} | {seconds.sum():.0f} | |", "", "| largest jobs | CPU s |", "| --- | --- |"]
    return "\n".join(lines + [f"| {name} | {value:.0f} |" for name, value in seconds.head(largest).items()])


def by_work(profile: str) -> str:
    """A table in Markdown of what the threads of a build did, in seconds of a busy thread."""
    with tempfile.TemporaryDirectory() as folder:
        stacks = Path(folder) / "stacks.txt"
        spy = [str(Path(sys.executable).with_name("py-spy")), "record", "--subprocesses", "--format", "raw", "--rate", str(RATE), "--output", str(stacks)]
        subprocess.run([*spy, "--", sys.executable, "-m", "figures_pkg", "book", "--profile", profile], check=True)
        seconds = dict.fromkeys([*WORK, "the rest"], 0.0)
        for line in stacks.read_text(encoding="utf-8").splitlines():
            stack, _, looks = line.rpartition(" ")
            seconds[work_of(stack)] += int(looks) / RATE
    rows = sorted(seconds.items(), key=lambda row: -row[1])
    return "\n".join(["| what | s |", "| --- | --- |", *(f"| {work} | {spent:.0f} |" for work, spent in rows), f"| together | {sum(seconds.values()):.0f} |"])


def work_of(stack: str) -> str:
    """What a stack of frames, outermost first, is counted as; before them stand the commands of its process and of those that started it."""
    frames = ";".join(frame for frame in stack.split(";") if not frame.startswith("process ") and FORKED not in frame)
    return next((work for work, words in WORK.items() if any(word in frames for word in words)), "the rest")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("--profile", default="laptop", help="smoke, laptop or paper")
    parser.add_argument("--sample", action="store_true", help="build what is stale and say what the machine did")
    options = parser.parse_args()
    print((by_work if options.sample else by_job)(options.profile))
