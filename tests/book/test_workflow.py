"""What is stale is made again, nothing else is, and a failing cell stops everything. The tests run in this order."""

import pytest

from .conftest import write_chapter

pytestmark = pytest.mark.process


def test_first_call_makes_pages_that_need_no_other_host(copy):
    """From nothing, the workflow executes both chapters and renders them; equations come from the pages' own folder."""
    done = copy.snakemake("book")
    assert done.returncode == 0, done.stderr
    page = (copy.root / "book/_build/html/executed/com.html").read_text(encoding="utf-8")
    assert "smoke" in page and 'alt="a straight line"' in page
    assert (copy.root / "book/_build/html/_static/mathjax/tex-chtml.js").is_file()


def test_second_call_makes_nothing(copy):
    """Nothing is stale when nothing has changed."""
    assert copy.planned() == set()
    assert "Nothing to be done" in copy.snakemake("book").stderr


def test_a_function_makes_only_its_users_stale(copy):
    """Editing a room re-executes the chapters that import it, and only these."""
    copy.edit("figures_pkg/evaluate/scores.py")
    assert copy.planned() == {"scores"}
    assert copy.snakemake("notebooks").returncode == 0
    assert copy.planned() == set()


def test_source_and_pins_count(copy):
    """A chapter depends on its own text, and every chapter on the pins."""
    copy.edit("notebooks/com.md", "\nOne more sentence.\n")
    assert copy.planned() == {"com"}
    copy.edit("constraints.txt", "# a pin moved\n")
    assert copy.planned() == {"com", "scores"}


def test_profile_counts(copy):
    """A parameter of the profile re-executes every chapter."""
    assert copy.snakemake("notebooks").returncode == 0
    copy.edit("notebooks/profiles/smoke.yaml", "# another value\n")
    assert copy.planned() == {"com", "scores"}


def test_failing_cell_fails_the_build(copy):
    """A division by zero ends the command with its name and keeps the good copy of before; it ends the whole build too."""
    before = (copy.root / "artefacts/smoke/notebooks/twin/com.ipynb").read_bytes()
    write_chapter(copy.root / "notebooks", "com", "1 / 0")
    done = copy.run("-m", "figures_pkg", "notebook", "com", "--profile", "smoke")
    assert done.returncode == 1 and "com.md, cell" in done.stderr and "ZeroDivisionError" in done.stderr
    assert (copy.root / "artefacts/smoke/notebooks/twin/com.ipynb").read_bytes() == before
    assert copy.run("-m", "figures_pkg", "book", "--profile", "smoke", "--cores", "1").returncode == 1
