"""How many processors a computation may use."""

import os


def available_cores() -> int:
    """Number of cores that this process may use: those it is bound to where the system says so, all of them otherwise."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
