"""Jobs forked from a process that has the libraries imported end, count and write as those started anew."""

import os
import sys

import nbformat
import pytest

from figures_pkg.book.jobs import Jobs
from figures_pkg.book.template import Template
from figures_pkg.workspace import repository

pytestmark = [pytest.mark.process, pytest.mark.skipif(sys.platform != "linux", reason="jobs are forked on Linux only")]
NOTEBOOK = [sys.executable, "-m", "figures_pkg", "notebook", "differences", "--profile", "smoke"]
NO_PYTHON = {"PYTHONHOME": "/nowhere"}  # with this no Python starts, while a fork does not look at it
KILLED = [sys.executable, "-m", "timeit", "-n1", "-r1", "import os; print('try', flush=True); os.kill(os.getpid(), 9)"]


@pytest.fixture
def jobs(tmp_path, monkeypatch):
    monkeypatch.setenv("FIGURES_PKG_ARTEFACTS", str(tmp_path / "artefacts"))
    monkeypatch.chdir(repository())
    jobs = Jobs(tmp_path)
    jobs.template = Template(os.environ | {"OMP_NUM_THREADS": "1"})
    yield jobs
    jobs.template.requests.close()
    jobs.template.process.wait(60)  # it ends with the build


def test_a_job_and_its_kernel_are_forked(jobs, tmp_path):
    """They run where no Python can start. The notebook is the same cell by cell, and the log says what a new process says."""
    made = []
    for log, forked in (("fork", jobs.template), ("new", None)):
        template, jobs.template = jobs.template, forked
        jobs.run("chapter", log, NOTEBOOK, os.environ | (NO_PYTHON if forked else {}))
        jobs.template = template
        path = tmp_path / "artefacts/smoke/notebooks/twin/differences.ipynb"
        made.append([cell.get("outputs", cell.source) for cell in nbformat.read(path, 4).cells])
        assert str(path) in (tmp_path / f"{log}.log").read_text() and jobs.costs.pop("chapter") > 0.1
        path.unlink()
    assert made[0] == made[1] and any(made[0])


def test_a_job_that_is_killed_is_tried_again_and_so_are_jobs_without_their_template(jobs, tmp_path):
    """A signal is answered as one; once the template itself is gone, jobs are processes of their own."""
    for log, gone in (("fork", False), ("new", True)):
        if gone:
            jobs.template.process.kill()
            jobs.template.process.wait()
        with pytest.raises(RuntimeError, match="killed, probably out of memory"):
            jobs.run("scan", log, KILLED, os.environ | ({} if gone else NO_PYTHON))
        assert (tmp_path / f"{log}.log").read_text().count("try\n") == 2
