"""Files are replaced as a whole or not at all, and computations take the cores they may have."""

import os
import shutil
import stat

import numpy as np
import pytest

from figures_pkg import workspace
from figures_pkg.workspace import available_cores, check_target, code_fingerprint, replacing, stored_arrays


def test_success_replaces_and_leaves_nothing_else(tmp_path):
    """The old file stays until the block ends; the folder is made; the temporary name keeps the suffix."""
    path = tmp_path / "new" / "a.b.nc"
    for text in ("old", "new"):
        with replacing(path) as temporary:
            assert temporary.suffix == ".nc" and temporary.parent == path.parent and not temporary.exists()
            temporary.write_text(text)
            assert not path.exists() or path.read_text() == "old"
        assert path.read_text() == text
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_failure_leaves_nothing_new(tmp_path, error):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(error):
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise error
    assert list(tmp_path.iterdir()) == [path] and path.read_text() == "old"


def test_two_writers_do_not_meet(tmp_path):
    path = tmp_path / "file.txt"
    with replacing(path) as one, replacing(path) as other:
        one.write_text("one")
        other.write_text("other")
    assert path.read_text() == "one" and list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no permissions of this kind")
@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_permissions_are_the_usual_ones(tmp_path, mask):
    before = os.umask(mask)
    try:
        with replacing(tmp_path / "file.txt") as temporary:
            temporary.write_text("")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file.txt").stat().st_mode) == 0o666 & ~mask


def test_target_is_refused_before_any_work(tmp_path):
    """A wrong suffix and a file in the way are errors that say what to do; a new name and permission to replace are not."""
    path = tmp_path / "maps.nc"
    assert check_target(str(path), ".nc") == path and not path.exists()
    with pytest.raises(ValueError, match=r"maps\.csv.*ends in \.nc"):
        check_target(tmp_path / "maps.csv", ".nc", overwrite=True)
    path.write_text("here")
    with pytest.raises(FileExistsError, match="--overwrite"):
        check_target(path, ".nc")
    assert check_target(path, ".nc", overwrite=True) == path and path.read_text() == "here"


@pytest.mark.parametrize("asked, expected", [(None, 8), ("1", 1), ("3", 3), ("64", 8), ("0", 8), ("4,2", 8), ("", 8)])
def test_the_environment_lowers_the_number(monkeypatch, asked, expected):
    """On a machine with eight cores; a number that is no number, or more than there are, changes nothing."""
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if asked is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert available_cores() == expected


@pytest.mark.parametrize("file, old, new, same", [
    ("diffraction/potential.py", "FINE_INV_ANGSTROM = 60.0", "FINE_INV_ANGSTROM = 30.0", False),
    ("diffraction/multislice.py", "phase = wavelength", "phase = 2 * wavelength", False),
    ("crystal/structure.py", "height = np.sqrt(3) / 2", "height = np.sqrt(2) / 2", False),
    ("diffraction/multislice.py", "    self.waves *= transmission", "    self.waves *= transmission  # in place", True),
    ("diffraction/potential.py", '"""Spatial frequencies', '"""Some spatial frequencies', True),
    ("diffraction/potential.py", "        total += place(atom_potential", "        total -= place(atom_potential", True),
    ("twin/counts.py", "GUIDES = 64", "GUIDES = 32", True),
])  # fmt: skip
def test_the_code_behind_a_library_is_its_key(file, old, new, same, tmp_path, monkeypatch):
    """What the simulation uses changes it; comments, docstrings, other functions of its modules and other modules do not."""
    from figures_pkg.diffraction import build_library

    before = code_fingerprint(build_library)
    shutil.copytree(workspace.CODE / "figures_pkg", tmp_path / "figures_pkg", ignore=lambda _, names: [n for n in names if "." in n and n[-3:] != ".py"])
    path = tmp_path / "figures_pkg" / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    monkeypatch.setattr(workspace, "CODE", tmp_path)
    assert (code_fingerprint(build_library) == before) == same


def test_arrays_are_made_once_for_the_same_settings_and_code(tmp_path, monkeypatch):
    made = []
    for settings, code in (([1], "a"), ([1], "a"), ([2], "a"), ([2], "b")):
        monkeypatch.setattr(workspace, "code_fingerprint", lambda function, code=code: code)
        stored = stored_arrays(tmp_path / "new" / "file.npz", print, settings, lambda: made.append(1) or {"count": len(made)})
        assert stored["count"] == len(made)
    assert len(made) == 3


@pytest.mark.parametrize("write", [
    lambda path: np.savez(path, counts=np.arange(3)),
    lambda path: path.write_bytes(np.arange(3).tobytes()),
], ids=["arrays of somebody else", "no arrays"])  # fmt: skip
def test_a_file_of_somebody_else_is_not_overwritten(tmp_path, write):
    path = tmp_path / "mine.npz"
    write(path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"mine\.npz .*name another"):
        stored_arrays(path, stored_arrays, [1], lambda: {"count": 1})
    assert path.read_bytes() == before
