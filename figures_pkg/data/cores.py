"""How many processors a computation may use."""

import os


def available_cores() -> int:
    """
    Number of cores that this process may use: those it is bound to where the system says so, all of them otherwise.

    ``OMP_NUM_THREADS`` lowers it, as it does for the libraries below, so that several processes can share a machine.
    """
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return min(bound, int(asked)) if asked.isdecimal() and int(asked) else bound
