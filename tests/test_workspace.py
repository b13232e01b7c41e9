"""Files are replaced as a whole or not at all, and computations take the cores they may have."""

import os
import stat

import numpy as np
import pytest

from figures_pkg import workspace
from figures_pkg.workspace import available_cores, check_target, replacing, stored_arrays


def test_success_replaces_and_leaves_nothing_else(tmp_path):
    """The old file stays until the block ends; the folder is made; the temporary name keeps the suffix; two writers do not meet."""
    path = tmp_path / "new" / "a.b.nc"
    for text in ("old", "new"):
        with replacing(path) as temporary:
            assert temporary.suffix == ".nc" and temporary.parent == path.parent and not temporary.exists()
            temporary.write_text(text)
            assert not path.exists() or path.read_text() == "old"
        assert path.read_text() == text
    with replacing(path) as one, replacing(path) as other:
        one.write_text("one")
        other.write_text("other")
    assert path.read_text() == "one" and list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_failure_leaves_nothing_new(tmp_path, error):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(error):
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise error
    assert list(tmp_path.iterdir()) == [path] and path.read_text() == "old"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no permissions of this kind")
def test_permissions_are_the_usual_ones(tmp_path):
    before = os.umask(0o027)
    try:
        with replacing(tmp_path / "file.txt") as temporary:
            temporary.write_text("")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file.txt").stat().st_mode) == 0o640


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


@pytest.mark.parametrize("asked, expected", [("3", 3), ("64", 8), ("0", 8), ("4,2", 8), ("", 8)])
def test_the_environment_lowers_the_number(monkeypatch, asked, expected):
    """On a machine with eight cores; a number that is no number, or more than there are, changes nothing."""
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert available_cores() == expected


def test_arrays_are_made_once_for_the_same_settings_and_code(tmp_path, monkeypatch):
    made = []
    for settings, code in (([1], "a"), ([1], "a"), ([2], "a"), ([2], "b")):
        monkeypatch.setattr(workspace, "code_fingerprint", lambda function, code=code: code)
        stored = stored_arrays(tmp_path / "new" / "file.npz", print, settings, lambda: made.append(1) or {"count": len(made)})
        assert stored["count"] == len(made)
    assert len(made) == 3


def test_a_file_of_somebody_else_is_not_overwritten(tmp_path):
    """Neither arrays without our key nor what holds no arrays."""
    path = tmp_path / "mine.npz"
    for write in (lambda: np.savez(path, counts=np.arange(3)), lambda: path.write_bytes(np.arange(3).tobytes())):
        write()
        before = path.read_bytes()
        with pytest.raises(ValueError, match=r"mine\.npz .*name another"):
            stored_arrays(path, stored_arrays, [1], lambda: {"count": 1})
        assert path.read_bytes() == before
