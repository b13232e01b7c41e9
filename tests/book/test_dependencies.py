"""What a job uses is found by reading the code; its fingerprint changes with what counts and with nothing else."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from figures_pkg.book.dependencies import Code

NAME = "figures_pkg"
FILES = {
    "__init__.py": '"""A package."""\n\n__version__ = "1"\n',
    "cli.py": """
from figures_pkg import room

def add(commands):
    one = commands.add_parser("one")
    one.set_defaults(run=_one)
    two = commands.add_parser("two", help="another")
    two.set_defaults(run=_two)

def _one(options):
    return _helper(room.first())

def _two(options):
    from figures_pkg.room import *

def _helper(value):
    import figures_pkg
    return value, figures_pkg.__version__
""",
    "room/__init__.py": """
from .a import first
from .b import second as other
from . import c
from .tables import table

__all__ = ["first"]
LIMIT = 3

def own():
    return LIMIT
""",
    "room/a.py": "def first():\n    from .deep.d import down\n    return down()\n",
    "room/b.py": "import numpy\n\ndef second():\n    return numpy.pi\n",
    "room/c.py": "CONSTANT = 1\n",
    "room/deep/__init__.py": "import os\n\nos.environ['DEEP'] = '1'\n",
    "room/deep/d.py": "def down():\n    return 1\n",
    "room/tables.py": 'def table(name):\n    return (folder / "kept" / f"{name}.csv").read_text() + (folder / "head.txt").read_text()\n',
    "room/user.py": 'from figures_pkg.room import table\n\nTABLES = [table(name) for name in ("x", "y")]\n',
    "room/kept/x.csv": "", "room/kept/y.csv": "", "room/kept/z.csv": "", "room/head.txt": "",
    "room/presets/leaf.yaml": "base: root\n", "room/presets/root.yaml": "",
    "room/presets.py": 'def load(name):\n    return open(f"presets/{name}.yaml").read()\n',
}  # fmt: skip


@pytest.fixture
def root(tmp_path) -> Path:
    """A checkout with a small package."""
    for name, text in FILES.items():
        path = tmp_path / NAME / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(("name", "behind"), [
    ("room.first", "room/a.py room/deep/__init__.py::import room/deep/d.py"),  # through the re-export, and an import inside a function
    ("room.other", "room/b.py"),
    ("room.c.CONSTANT", "room/c.py"),
    ("room.own", "room/__init__.py::own room/__init__.py::LIMIT"),  # what an __init__ defines itself
    ("__version__", "__init__.py::__version__"),
    ("room.deep.d", "room/deep/__init__.py::import room/deep/d.py"),
    ("room.user", "room/user.py room/tables.py room/head.txt room/kept/x.csv room/kept/y.csv"),  # of the tables, those that it writes
    ("room.b.second", "room/b.py"),
])  # fmt: skip
def test_a_name_leads_to_the_module_that_defines_it(root, name, behind):
    assert Code(root).behind(f"{NAME}.{name}") == sorted(f"{NAME}/{part}" for part in behind.split())


def test_a_command_leads_to_its_function(root):
    """With its helpers, without its neighbours; a star stands for all that there is."""
    code, first = Code(root), "cli.py::_one cli.py::_helper __init__.py::__version__ room/a.py room/deep/d.py room/deep/__init__.py::import"
    assert code.behind_command("one") == sorted(f"{NAME}/{part}" for part in first.split())
    assert {f"{NAME}/room/{name}.py" for name in "abc"} <= set(code.behind_command("two"))
    with pytest.raises(ValueError, match="'three'"):
        code.behind_command("three")


@pytest.mark.parametrize(("cell", "presets"), [
    ('load("leaf")', {"leaf", "root"}),  # a preset and its base
    ('{name: load(name) for name in ["root"]}', {"root"}),
    ("load(input())", {"leaf", "root"}),  # no name at all may be any
])  # fmt: skip
def test_a_notebook_uses_the_presets_that_it_writes(root, cell, presets):
    (root / "page.md").write_text(f"# Title\n\n```{{code-cell}} python\n%matplotlib inline\nfrom figures_pkg.room.presets import load\n{cell}\n```\n", encoding="utf-8")
    assert Code(root).behind_notebook("page.md") == sorted([f"{NAME}/room/presets.py", *(f"{NAME}/room/presets/{name}.yaml" for name in presets)])


@pytest.mark.parametrize(("text", "same"), [
    ("# why\ndef down( ):\n    '''Doc.'''\n    return (1)\n", True),
    ("def down():\n    return 2\n", False),
    ("def down(x=1):\n    return 1\n", False),
    ("def down():\n    return 1.0\n", False),
    ("def down():\n    return None\n", False),
])  # fmt: skip
def test_words_and_layout_do_not_count(root, text, same):
    part, before = f"{NAME}/room/deep/d.py", Code(root)
    known = before.fingerprint(part)
    (root / part).write_text(text, encoding="utf-8")
    assert (Code(root).fingerprint(part) == known) == same


def test_a_fingerprint_is_as_old_as_the_last_change_that_counts(root, tmp_path, monkeypatch):
    """The first takes the time of its source, a new checkout of the same code changes none, and several may write at once."""
    monkeypatch.setenv("FIGURES_PKG_ARTEFACTS", str(tmp_path / "artefacts"))
    part, when = f"{NAME}/room/deep/d.py", 10**18
    os.utime(root / part, ns=(when, when))
    with ThreadPoolExecutor(4) as pool:
        ((path,), *others) = pool.map(lambda _: Code(root).fingerprint_files([part], "smoke"), range(8))
    assert others == [[path]] * 7 and Path(path).stat().st_mtime_ns == when
    os.utime(root / part)
    Code(root).fingerprint_files([part], "smoke")
    assert Path(path).stat().st_mtime_ns == when
    (root / part).write_text("def down():\n    return 2\n", encoding="utf-8")
    os.utime(root / part, ns=(when, when))  # as a file from an archive
    Code(root).fingerprint_files([part], "smoke")
    assert Path(path).stat().st_mtime_ns > when
    assert [file.name for file in Path(path).parent.iterdir()] == ["d.py.sha256"]


def test_every_data_file_is_read_by_a_module(repository):
    """One that no module names would make nothing stale: name it, or its folder and suffix, in the module that reads it."""
    code = Code(repository)
    modules = [path.relative_to(repository).as_posix() for path in (repository / NAME).rglob("*.py")]
    found = [code.data_of(module) for module in modules]
    read = {file for named, completed in found for file in named | {file for file, _ in completed}}
    assert not {file for file in code.data if file.startswith(NAME) and not file.endswith("py.typed")} - read
