"""Small scans drawn from the published numbers, in files, and a manifest that expects them."""

import numpy as np

from figures_pkg.data import HspyWriter, load_manifest
from figures_pkg.data.published import chip_dead_pixels, mean_pattern_numbers
from figures_pkg.imaging import Lattice
from figures_pkg.record.manifest import REPOSITORY_MANIFEST

SHAPE = (6, 2, 256, 256)
SCALE = 0.009555


def published_lattice(factor: float = 1.0) -> Lattice:
    """The lattice of the published mean pattern of the first scan, its vectors longer by a factor."""
    axes = load_manifest(REPOSITORY_MANIFEST)["ds1"].axes
    centre, g002, g010 = (np.array(axes[name].value) for name in ("origin_row_col_px", "g002_row_col_px", "g010_row_col_px"))
    return Lattice(tuple(centre), tuple(factor * g002), tuple(factor * g010))


def mean_pattern(lattice: Lattice | None = None, radius_px: float = 5.2, dead=True) -> np.ndarray:
    """Expected counts (256, 256) of the published background and reflections; others are weak and even."""
    lattice, numbers = lattice or published_lattice(), mean_pattern_numbers("ds1")
    rows, cols = np.indices((256, 256))
    distance = np.hypot(rows - lattice.centre[0], cols - lattice.centre[1])
    drawn = np.interp(distance, np.convolve(numbers["rings_px"], [0.5, 0.5], "valid"), numbers["ring_counts"])
    for k, l in lattice.reflections((256, 256), 8, orders=6):
        row, col = lattice.position(k, l)
        strength = numbers["disc_sums"].get((int(k), int(l)), 600 * np.exp(-np.hypot(row - lattice.centre[0], col - lattice.centre[1]) / 50))
        rim = np.clip(radius_px + 0.5 - np.hypot(rows - row, cols - col), 0, 1)  # half-covered pixels at the edge
        drawn += strength / (np.pi * radius_px**2) * rim
    for row, col in chip_dead_pixels() if dead else ():
        drawn[row, col] = 0
    return drawn


def counts(mean: np.ndarray | None = None) -> np.ndarray:
    """Poisson counts about a mean pattern, (scan_y, scan_x, det_y, det_x)."""
    return np.random.default_rng(3).poisson(mean_pattern() if mean is None else mean, SHAPE).astype(np.uint16)


def write(path, values: np.ndarray, scale: float = SCALE):
    """A file like the record's; returns its path."""
    chunks = (2, 2, *values.shape[2:])
    with HspyWriter(path, values.shape, chunks=chunks, scan_step_nm=1.4, det_scale_inv_angstrom=scale, origin_row_col=(128, 128),
                    dtype=values.dtype, compression_level=1) as writer:  # fmt: skip
        for y, x in writer.missing():
            writer.write((y, x), values[y:y + 2, x:x + 2])
    return path


def manifest_for(folder, path, shape=SHAPE):
    """A copy of the repository's manifest that expects a file of this size and shape; returns its path."""
    text = REPOSITORY_MANIFEST.read_text(encoding="utf-8")
    size = path.stat().st_size
    text = text.replace("value: [256, 256, 256, 256], basis: paper", f"value: {list(shape)}, basis: paper", 1)
    text = text.replace("value: [1_300_000_000, 8_700_000_000]", f"value: [{size // 2}, {2 * size}]", 1)
    target = folder / "data_manifest.yaml"
    target.write_text(text, encoding="utf-8")
    return target
