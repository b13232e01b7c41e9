"""The files of the benchmark: a scan with the statistics of DS1, uncompressed and as gzip .hspy."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from figures_pkg.data import HspyWriter

DETECTOR = (256, 256)
DISTINCT = 512  # different patterns, repeated to fill the scan; chunks of the file are too long for gzip to notice
CASES = ("memory", "file", "gzip", "disk")


def make_files(folder: Path, scan: tuple[int, int], cases: list[str]) -> dict[str, Path]:
    """Write the scan as .npy and, if asked for, as gzip .hspy; returns the file of each case."""
    patterns = distinct_patterns(np.random.default_rng(7))
    order = np.random.default_rng(8).integers(0, DISTINCT, scan)
    plain, packed = folder / "scan.npy", folder / "scan.hspy"
    data = np.lib.format.open_memmap(plain, "w+", np.uint16, (*scan, *DETECTOR))
    for y in range(scan[0]):
        data[y] = patterns[order[y]]
    data.flush()
    if "gzip" in cases:
        with HspyWriter(packed, data.shape, chunks=(32, 32, 32, 32), scan_step_nm=1.4, det_scale_inv_angstrom=0.009555,
                        origin_row_col=(124.0, 128.6)) as writer:
            for y, x in writer.missing():
                writer.write((y, x), patterns[order[y:y + 32, x:x + 32]])
    return {case: packed if case == "gzip" else plain for case in CASES}


def distinct_patterns(rng: np.random.Generator) -> np.ndarray:
    """Poisson patterns like those of DS1: discs on a lattice, a background that decays outward, 5e5 counts, uint16."""
    row, col = np.indices(DETECTOR) - np.array([124.0, 128.6])[:, None, None]
    mean = 4 + 16 * np.exp(-np.hypot(row, col) / 40)
    for k in range(-6, 7):
        for l in range(-12, 13):
            g = l / 2 * np.array([-17.41, -5.89]) + k * np.array([-6.74, 18.88])
            height = 200 * np.exp(-np.hypot(*g) / 25) + 5
            mean += height * (np.hypot(row - g[0], col - g[1]) <= 5.2) * (l % 2 == 0)
    return rng.poisson(mean, (DISTINCT, *DETECTOR)).astype(np.uint16)
