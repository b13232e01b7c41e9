"""What a job uses is found by reading the code; its fingerprint changes with what counts and with nothing else."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jupytext
import pytest
import yaml

from figures_pkg.book.chapters import fingerprint_files
from figures_pkg.code import Code, code_cells

NAME = "figures_pkg"
FILES = {
    "__init__.py": "",
    "room/__init__.py": "from .deep.d import down as first\nfrom .presets import load\n",
    "room/deep/__init__.py": "import os\n\nos.environ['DEEP'] = '1'\n",
    "room/deep/d.py": "def down():\n    return 1\n",
    "room/presets/leaf.yaml": "base: root\n", "room/presets/root.yaml": "", "room/presets/more.yaml": "",
    "room/presets.py": 'def load(name):\n    return open(f"presets/{name}.yaml").read()\n',
}  # fmt: skip


@pytest.fixture
def root(tmp_path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / NAME / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


def test_cells_are_those_that_jupytext_reads(repository):
    """Sources and metadata of every chapter, without magics; options below a fence are metadata too."""
    assert code_cells("```{code-cell} python\n:tags: [a]\n:b: 1\n%magic\nx = 1\n```\n") == [("tags: [a]\nb: 1\n", "x = 1\n")]
    for path in sorted((repository / "notebooks").glob("*.md")):
        text = path.read_text(encoding="utf-8")
        cells = [cell for cell in jupytext.reads(text, fmt="md:myst").cells if cell.cell_type == "code"]
        assert [(yaml.safe_load(head) or {}, source.strip()) for head, source in code_cells(text)] == [
            (cell.metadata, "\n".join(line for line in cell.source.splitlines() if not line.startswith("%"))) for cell in cells], path.name  # fmt: skip


@pytest.mark.parametrize(("code", "behind"), [
    ("first()", "room/deep/__init__.py::import room/deep/d.py"),  # through the re-export, with what the package's import executes
    ("load('leaf')", "room/presets.py room/presets/leaf.yaml room/presets/root.yaml"),  # the preset that it names, and its base
    ("load(input())", "room/presets.py room/presets/leaf.yaml room/presets/more.yaml room/presets/root.yaml"),  # may read any
])  # fmt: skip
def test_what_a_notebook_uses_is_found_in_its_code(root, code, behind):
    imported = code.partition("(")[0]
    (root / "page.md").write_text(f"```{{code-cell}} python\n%matplotlib inline\nfrom figures_pkg.room import {imported}\n{code}\n```\n", encoding="utf-8")
    assert Code(root).behind_notebook("page.md") == sorted(f"{NAME}/{part}" for part in behind.split())


def test_a_fingerprint_is_as_old_as_the_last_change_that_counts(root, tmp_path, monkeypatch):
    """The first takes the time of its source, words and layout change none, and several may write at once."""
    monkeypatch.setenv("FIGURES_PKG_ARTEFACTS", str(tmp_path / "artefacts"))
    part, when = f"{NAME}/room/deep/d.py", 10**18
    os.utime(root / part, ns=(when, when))
    with ThreadPoolExecutor(4) as pool:
        ((path,), *others) = pool.map(lambda _: fingerprint_files(Code(root), [part], "smoke"), range(8))
    assert others == [[path]] * 7 and Path(path).stat().st_mtime_ns == when
    for text, same in (("# why\ndef down( ):\n    '''Doc.'''\n    return (1)\n", True), ("def down():\n    return 2\n", False),
                       ("def down(x=1):\n    return 2\n", False), ("def down(x=1):\n    return 2.0\n", False)):  # fmt: skip
        before = Path(path).stat().st_mtime_ns
        (root / part).write_text(text, encoding="utf-8")
        os.utime(root / part, ns=(when, when))  # as a file from an archive
        fingerprint_files(Code(root), [part], "smoke")
        assert (Path(path).stat().st_mtime_ns == before) == same, text
    assert [file.name for file in Path(path).parent.iterdir()] == ["d.py.sha256"]


def test_every_data_file_is_read_by_a_module(repository):
    """One that no module names would make nothing stale: name it, or its folder and suffix, in the module that reads it."""
    code = Code(repository)
    modules = [path.relative_to(repository).as_posix() for path in (repository / NAME).rglob("*.py")]
    found = [code.data_of(module) for module in modules]
    read = {file for named, completed in found for file in named | {file for file, _ in completed}}
    assert not {file for file in code.data if file.startswith(NAME) and not file.endswith("py.typed")} - read
    with pytest.raises(ValueError, match="'three'"):
        code.behind_command("three")


def test_the_code_behind_a_stored_library_is_its_key(copy_project, tmp_path):
    """What the simulation uses changes it; comments, docstrings, other functions of its modules and other modules do not."""
    copy_project(tmp_path, NAME)

    def key() -> str:
        code = Code(tmp_path, by_name=True)
        return code.digest(code.behind("figures_pkg.diffraction.library.build_library"))

    before = key()
    for file, old, new, same in [
        ("diffraction/multislice.py", "FINE_INV_ANGSTROM = 60.0", "FINE_INV_ANGSTROM = 30.0", False),
        ("crystal/structure.py", "height = np.sqrt(3) / 2", "height = np.sqrt(2) / 2", False),
        ("crystal/ermno3.yaml", "\n", "\n# 1\n", False),
        ("diffraction/multislice.py", "    self.waves *= transmission", "    self.waves *= transmission  # in place", True),
        ("diffraction/multislice.py", '"""Spatial frequencies', '"""Some spatial frequencies', True),
        ("diffraction/multislice.py", "        total += place(atom_potential", "        total -= place(atom_potential", True),
        ("twin/detector.py", "GUIDES = 64", "GUIDES = 32", True),
    ]:
        path = tmp_path / NAME / file
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        assert (key() == before) == same, (file, new)
        path.write_text(text, encoding="utf-8")
