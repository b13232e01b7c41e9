"""Computations take the cores they may have, and fewer when they are asked to."""

import pytest

from figures_pkg.data.cores import available_cores


@pytest.fixture
def eight(monkeypatch):
    """A machine with eight cores."""
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)), raising=False)


@pytest.mark.parametrize("asked, expected", [(None, 8), ("1", 1), ("3", 3), ("64", 8), ("0", 8), ("4,2", 8), ("", 8)])
def test_the_environment_lowers_the_number(eight, monkeypatch, asked, expected):
    """A number that is no number, or more than there are, changes nothing."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if asked is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert available_cores() == expected
