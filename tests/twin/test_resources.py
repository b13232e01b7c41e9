"""Too little disk or memory is noticed before the work, in one sentence."""

import math
from types import SimpleNamespace

import pytest

from figures_pkg.twin import resources


def test_disk_is_asked_where_the_file_will_lie(tmp_path, monkeypatch):
    """The nearest folder that exists is asked; the message holds need, room and advice; just enough passes."""
    asked = []
    monkeypatch.setattr(resources.shutil, "disk_usage", lambda path: asked.append(path) or SimpleNamespace(free=2 * 10**9))
    out = tmp_path / "new" / "deeper" / "scan.hspy"
    resources.require_disk(out, 2 * 10**9)
    with pytest.raises(OSError, match="takes up to 3 GB .* has 2 GB; choose a smaller size or another disk"):
        resources.require_disk(out, 3 * 10**9)
    assert asked == [tmp_path, tmp_path] and not out.parent.exists()


def test_memory_is_compared_with_what_is_free(monkeypatch):
    """Too little memory raises with need, rest and advice; an unknown amount passes."""
    monkeypatch.setattr(resources, "available_memory_bytes", lambda: 1.5e9)
    with pytest.raises(OSError, match="preset 'x' needs about 4 GB of memory and 1.5 GB are free; choose a smaller size"):
        resources.require_memory("preset 'x'", 4 * 10**9)
    monkeypatch.setattr(resources, "available_memory_bytes", lambda: math.inf)
    resources.require_memory("preset 'x'", 10**15)


@pytest.mark.parametrize("names", resources.LIMITS)
def test_limit_of_a_container_counts(names, tmp_path, monkeypatch):
    """What is left of a control group's limit bounds the machine's memory, in both versions; "max" is no bound."""
    monkeypatch.setattr(resources, "CGROUP", tmp_path)
    monkeypatch.setattr(resources, "_machine_memory", lambda: 8e9)
    assert resources.available_memory_bytes() == 8e9
    for name, text in zip(names, ("3000000000\n", "1000000000\n")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert resources.available_memory_bytes() == 2e9
    (tmp_path / names[0]).write_text("max\n")
    assert resources.available_memory_bytes() == 8e9


def test_machine_says_something_sensible():
    """On this machine the free memory is positive."""
    assert resources.available_memory_bytes() > 0
