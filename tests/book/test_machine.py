"""What a machine lacks for a build is said before the build begins, with the profile that fits."""

import pytest

from figures_pkg.book import build, machine
from figures_pkg.book.machine import NEEDS, Machine, check_machine, fitting_cores, report
from figures_pkg.cli import main


@pytest.fixture(autouse=True)
def nothing_made(tmp_path, monkeypatch):
    """No build has written anything yet."""
    monkeypatch.setenv("FIGURES_PKG_ARTEFACTS", str(tmp_path))


@pytest.mark.parametrize(("memory_gb", "free_gb", "profile", "says"), [
    (4.0, 100.0, "paper", "paper book needs 6 GB of memory, and there are 4.0 GB; `figures_pkg book --profile laptop` fits"),
    (16.0, 2.0, "laptop", "laptop book needs 5 GB of disk, and 2.0 GB are free; `figures_pkg book --profile smoke` fits"),
    (1.0, 0.1, "smoke", "needs 1.5 GB of memory, and there are 1.0 GB and 0.7 GB of disk, and 0.1 GB are free; no profile fits here"),
])  # fmt: skip
def test_what_does_not_fit_is_refused(memory_gb, free_gb, profile, says):
    """With value, need, and the largest profile that fits."""
    with pytest.raises(RuntimeError, match=says):
        check_machine(profile, Machine(2, memory_gb, free_gb))


def test_what_an_earlier_build_wrote_is_not_needed_again(tmp_path):
    """A full disk stops no second build. The memory limits the jobs side by side: a core each while there is room, never none."""
    assert [fitting_cores("laptop", Machine(4, memory_gb, 50.0)) for memory_gb in (64.0, 5.0, 1.0)] == [4, 2, 1]
    (tmp_path / "smoke").mkdir()
    with (tmp_path / "smoke" / "scan.hspy").open("wb") as scan:
        scan.truncate(int(NEEDS["smoke"].disk_gb * 1e9))
    check_machine("smoke", Machine(2, 8.0, 0.1))


def test_a_build_can_be_tried_anyway(monkeypatch, capsys):
    """The refusal is one line of the command, and an option overrules it."""
    calls = []
    monkeypatch.setattr(build, "this_machine", lambda: Machine(2, 1.0, 50.0))
    monkeypatch.setattr(build, "make", lambda *words, **options: calls.append((*words, options)))
    assert main(["book", "--profile", "paper"]) == 1 and not calls
    assert "6 GB of memory" in capsys.readouterr().err
    assert main(["book", "--profile", "paper", "--anyway"]) == 0 and calls == [("paper", "twin", None, {"again": "book --anyway"})]


def test_the_doctor_says_it_in_ten_lines(monkeypatch):
    """Each profile and each thing to install; a package that is missing or of another version is named."""
    found = machine.installed_version
    monkeypatch.setattr(machine, "installed_version", lambda name: {"torch": "", "numpy": "0.1"}.get(name, found(name)))
    lines = report()
    assert len(lines) <= 10 and all(any(line.startswith(name) for line in lines) for name in NEEDS)
    assert lines[-1].startswith("missing   torch: pip install") and "numpy 0.1 instead of" in lines[1]
