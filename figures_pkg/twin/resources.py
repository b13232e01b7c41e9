"""What a computer must have for a job, asked before the job begins: disk and memory."""

import math
import os
import shutil
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")  # limits of a container or a batch job on Linux: version 2, and version 1 in a folder below
LIMITS = (("memory.max", "memory.current"), ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"))


def require_disk(path: Path, needed_bytes: int) -> None:
    """Raise unless the disk that `path` lies on has room.

    Parameters
    ----------
    path : Path
        The file to write; neither it nor its folder need exist.
    needed_bytes : int
        What the job writes at most at any moment.

    Raises
    ------
    OSError
        With what is needed, what there is, and what to do.
    """
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    free = shutil.disk_usage(folder).free
    if free < needed_bytes:
        raise OSError(
            f"{path} takes up to {needed_bytes / 1e9:.2g} GB while it is written and {folder} has {free / 1e9:.2g} GB; "
            "choose a smaller size or another disk"
        )


def require_memory(what: str, needed_bytes: int) -> None:
    """Raise unless the memory suffices; pass where the system does not tell how much there is.

    Parameters
    ----------
    what : str
        Names the job in the message.
    needed_bytes : int
        Of the whole process at its peak.

    Raises
    ------
    OSError
        With what is needed, what there is, and what to do.
    """
    free = available_memory_bytes()
    if free < needed_bytes:
        raise OSError(
            f"{what} needs about {needed_bytes / 1e9:.2g} GB of memory and {free / 1e9:.2g} GB are free; choose a smaller size, "
            "less bend or wedge in the preset, or close other programs"
        )


def available_memory_bytes() -> float:
    """Memory that this process can still take without swapping; infinite where the system does not tell.

    The smaller of what the machine has free and what is left of the limit of the container or batch job.
    """
    return min(_machine_memory(), *(_left_of_limit(*names) for names in LIMITS))


def _machine_memory() -> float:
    """Free memory of the machine, with what caches would give back, where Linux tells it; otherwise unoccupied pages."""
    try:
        rows = dict(line.split(":") for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines())
        return 1024.0 * int(rows["MemAvailable"].split()[0])
    except (OSError, KeyError, ValueError):
        pass
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES"))
    except (AttributeError, OSError, ValueError):
        return math.inf


def _left_of_limit(limit: str, used: str) -> float:
    """What is left of a control group's limit; infinite where there is none."""
    try:
        most, taken = ((CGROUP / name).read_text(encoding="ascii").strip() for name in (limit, used))
        return math.inf if most == "max" else max(float(most) - float(taken), 0.0)
    except (OSError, ValueError):
        return math.inf
