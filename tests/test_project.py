"""The project's own papers are in order."""

import re
import subprocess
import sys
import tomllib

import yaml


def test_citation_is_valid(repository):
    import figures_pkg

    done = subprocess.run([sys.executable, "-c", "from cffconvert.cli.cli import cli; cli()", "--validate", "-i", "CITATION.cff"],
                          cwd=repository, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    citation = yaml.safe_load((repository / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == figures_pkg.__version__
    assert citation["preferred-citation"]["doi"] == "10.1038/s41524-024-01265-y"


def test_everything_installed_here_is_pinned(repository):
    project = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert "version" in project["dynamic"]  # figures_pkg.__version__ is its one source
    wanted = project["dependencies"] + [d for extra in project["optional-dependencies"].values() for d in extra]
    lines = [line for line in (repository / "constraints.txt").read_text().splitlines() if line and line[0] != "#"]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[^\s]+", line) for line in lines)
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in lines}
    assert {re.match(r"[A-Za-z0-9._-]+", d)[0].lower().replace("_", "-") for d in wanted} <= pinned
