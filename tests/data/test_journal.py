"""A journal counts what was written completely, and nothing else."""

import os

import pytest

from figures_pkg.data.journal import Journal


@pytest.fixture
def path(tmp_path):
    """A journal of three records."""
    journal = Journal(tmp_path / "journal")
    for number in range(3):
        journal.append((number, 0), bytes([number]) * 100)
    journal.close()
    return tmp_path / "journal"


@pytest.mark.parametrize("lost", [1, 30, 120])
def test_journal_cut_at_any_byte_loses_only_what_was_cut(path, lost):
    """A record whose end is missing is gone; those before it count, and a new one takes its place."""
    os.truncate(path, path.stat().st_size - lost)
    journal = Journal(path)
    assert list(journal.entries) == [(0, 0), (1, 0)]
    journal.append((2, 0), b"again")
    journal.close()
    assert dict(Journal(path).payloads())[2, 0] == b"again"


def test_journal_notices_damaged_bytes(path):
    """A record whose bytes changed on the disk is not counted, nor any after it."""
    start, _ = Journal(path).entries[1, 0]
    with open(path, "r+b") as file:
        file.seek(start + 50)
        file.write(b"X")
    assert list(Journal(path).entries) == [(0, 0)]
