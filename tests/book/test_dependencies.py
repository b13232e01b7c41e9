"""The modules behind a name are those that its import executes."""

import subprocess
import sys

import pytest

from figures_pkg.book.dependencies import modules_behind


@pytest.mark.parametrize("module", ["figures_pkg.twin", "figures_pkg.imaging", "figures_pkg.data", "figures_pkg.plotting"])
def test_agrees_with_what_python_imports(module, repository):
    """Every file of ours that Python loads for a room is found by reading the text."""
    program = (
        f"import sys, {module}; "
        "print(*[m.__file__ for n, m in sys.modules.items() if n.split('.')[0] == 'figures_pkg' and m.__file__], sep='\\n')"
    )
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=repository)
    loaded = {line.split("/figures_pkg/")[-1] for line in out.stdout.replace("\\", "/").split()}
    found = {path.removeprefix("figures_pkg/") for path in modules_behind(module)}
    assert loaded <= found


@pytest.mark.parametrize(
    ("room", "ignorant_of"),
    [
        ("data", ["twin", "imaging", "evaluate", "plotting", "book"]),
        ("twin", ["imaging", "evaluate", "plotting", "book"]),
        ("imaging", ["twin", "evaluate", "plotting", "book"]),
        ("evaluate", ["claims", "plotting", "book"]),
        ("claims", ["plotting", "interactive", "book"]),
        ("plotting", ["data", "twin", "evaluate", "interactive", "passports", "book"]),
        ("passports", ["twin", "imaging", "model", "evaluate", "book"]),
    ],
)
def test_arrows_point_one_way(room, ignorant_of):
    """A room imports only from rooms to its left."""
    behind = {path.split("/")[1] for path in modules_behind(f"figures_pkg.{room}")}
    assert not behind & set(ignorant_of)
