"""What every contestant shares: the question, the protocol, and nothing that needs more than NumPy."""

import json
import sys
import time

import numpy as np

CENTRE = (124.0, 128.6)  # direct beam (row, col)


def masks() -> dict[str, np.ndarray]:
    """The three detectors of the question: direct beam, one reflection, a wide ring."""
    rows, cols = np.ogrid[:256, :256]
    distance = np.hypot(rows - CENTRE[0], cols - CENTRE[1])
    box = np.zeros((256, 256), bool)
    box[102:117, 114:130] = True
    return {"bright": distance <= 5.2, "dark": box, "ring": (distance >= 30) & (distance <= 120)}


def answer(images: dict, com_row, com_col, mean_pattern) -> dict:
    """Numbers that must agree between contestants: averages of images, mean centre in pixels, a weighted mean pattern."""
    weight = np.linspace(1, 2, 256)
    check = {name: float(np.mean(np.asarray(image, float))) for name, image in images.items()}
    pattern = np.asarray(mean_pattern, float)
    return check | {"com_row": float(np.mean(com_row)), "com_col": float(np.mean(com_col)), "mean": float(weight @ pattern @ weight)}


def forget(path: str) -> None:
    """Ask the system to drop a file from its cache, so that the next read comes from the disk."""
    import os
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def contest(prepare) -> None:
    """
    Run a contestant: arguments are path, case and threads; the result is one line of JSON.

    ``prepare(path, case, threads)`` returns the function that is timed, which returns :func:`answer` (or None). It is
    called until ten calls or four seconds are over, at least twice unless a call takes longer than 20 s; the case
    "disk" is called twice, each time with the file dropped from the cache.
    """
    path, case, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
    work = prepare(path, case, threads)
    seconds, check = [], None
    while not enough(seconds, case):
        if case == "disk":
            forget(path)
        start = time.perf_counter()
        check = work()
        seconds.append(time.perf_counter() - start)
    sys.stdout.write("RESULT " + json.dumps({"seconds": seconds, "check": check}) + "\n")


def enough(seconds: list[float], case: str) -> bool:
    """Whether a contestant has been called often enough."""
    if case == "disk":
        return len(seconds) >= 2
    return len(seconds) >= 10 or (len(seconds) >= 2 and sum(seconds) > 4) or sum(seconds) > 20
