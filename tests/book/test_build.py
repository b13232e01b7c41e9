"""One build at a time in one checkout; what a killed build leaves behind stops no other."""

import subprocess

import pytest
from filelock import FileLock

from figures_pkg.book import build


@pytest.fixture
def calls(tmp_path, monkeypatch):
    """A checkout of its own, where the workflow only notes that it was called."""
    seen = []
    monkeypatch.setattr(build, "repository", lambda: tmp_path)
    monkeypatch.setattr(build.subprocess, "run", lambda words, **_: seen.append(words) or subprocess.CompletedProcess(words, 0))
    return seen


def test_a_second_build_is_told_of_the_first(calls, tmp_path):
    """It does nothing, and says why."""
    (tmp_path / ".snakemake").mkdir()
    with FileLock(tmp_path / ".snakemake" / "build.lock"), pytest.raises(RuntimeError, match="another build runs in .*call again"):
        build.make("smoke", "twin")
    assert not calls


def test_the_locks_of_a_killed_build_stop_nothing(calls, tmp_path):
    """Snakemake is told not to look at its own, and the file of ours is free once its process is gone."""
    (tmp_path / ".snakemake" / "locks").mkdir(parents=True)
    (tmp_path / ".snakemake" / "build.lock").touch()
    build.make("smoke", "twin")
    assert "--nolock" in calls[0]
