"""
Where a build's time goes: CPU seconds of its jobs, largest first, as a table for ``benchmarks/README.md``.

    .venv/bin/python benchmarks/build.py --profile smoke

A build notes them in ``artefacts/PROFILE/logs/costs.json``, each with the jobs' children. What was not stale in the last builds stands as it was measured then.
"""

import argparse
import json

import pandas as pd

from figures_pkg.book.jobs import COSTS
from figures_pkg.workspace import artefacts_folder

KINDS = {"scan": "scans of the twin", "network": "trainings", "channels": "channels of networks", "domains": "domains of measured scans",
         "scores": "scores of all methods", "chapter": "chapters", "explorer": "explorer's files", "claims": "claims", "pages": "pages"}  # fmt: skip


def table(profile: str, largest: int = 12) -> str:
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


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("--profile", default="laptop", help="smoke, laptop or paper")
    print(table(parser.parse_args().profile))
