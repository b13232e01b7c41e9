"""Look at a few patterns for counters that overflowed: wrapped to zero, or stuck at their highest value."""

from __future__ import annotations

import warnings

import numpy as np
from scipy import ndimage

from .lazy import LazyScan

COUNTER_LIMITS = (63, 255, 4095, 65535, 16777215)  # 6, 8, 12, 16 and 24 bits; 6, 12 and 24 are Medipix depths
_SAMPLE_BYTES = 150e6  # decoded at most for the sample; a pattern in 32^4 chunks drags 134 MB along
_FEW = 8  # pixels, in the whole sample, that may look odd by chance


def warn_about_counts(scan: LazyScan, path) -> None:
    """Read up to 16 patterns and warn, with the evidence, of wrapped or saturated counters."""
    if scan.dtype.kind not in "ui":
        return
    sample = sample_patterns(scan)
    wrapped = wrapped_pixels(sample) if scan.dtype == np.uint8 else 0
    if wrapped > _FEW:
        warnings.warn(f"{path}: uint8 counts that look wrapped modulo 256: in {len(sample)} patterns, {wrapped} dark pixels lie "
                      "enclosed by pixels brighter by 80 counts and more, as where a counter passes 255 and begins again at 0. "
                      "The converter mib2hspy casts deeper counters like this; intensities of bright spots are lost. Use the "
                      "detector's own .mib file", stacklevel=3)
    limit, stuck, below = saturated_pixels(sample)
    if stuck > _FEW and stuck > 4 * below:
        warnings.warn(f"{path}: saturated counters: {stuck / len(sample):.0f} pixels per pattern stand at {limit}, the "
                      f"highest count, against {below / len(sample):.1f} at the next lower counts. Sums and centres of mass "
                      "over these spots are biased", stacklevel=3)


def sample_patterns(scan: LazyScan) -> np.ndarray:
    """Up to 16 patterns (n, det_y, det_x) along the scan's diagonal; fewer where one costs much decoding."""
    piece = [scan.stored.piece[axis] for axis in scan.order]
    cost = piece[0] * piece[1] * scan.shape[2] * scan.shape[3] * scan.dtype.itemsize
    places = int(np.clip(_SAMPLE_BYTES // cost, 1, 16))
    middle = (np.arange(places) + 0.5) / places
    places = sorted({(int(part * scan.shape[0]), int(part * scan.shape[1])) for part in middle})
    side = 4 if len(places) == 1 else 1  # neighbours come at no extra cost when a whole piece is decoded anyway
    boxes = [scan[y // side * side:y // side * side + side, x // side * side:x // side * side + side] for y, x in places]
    return np.concatenate([box.reshape((-1,) + scan.shape[2:]) for box in boxes])


def wrapped_pixels(sample: np.ndarray) -> int:
    """
    Number of pixels that are darker by more than 80 counts than a closed rim around them.

    A bright spot has no hole, except where the counter wrapped (or a pixel is dead: pixels that are zero in every
    pattern are left out). The difference of 80 is five times the Poisson noise at 255.

    Parameters
    ----------
    sample
        uint8 patterns (n, det_y, det_x).
    """
    alive = (sample != 0).any(axis=0) if len(sample) > 1 else np.ones(sample.shape[1:], bool)
    total = 0
    for pattern in sample:
        holes = np.zeros(pattern.shape, bool)
        for rim in (96, 128, 160, 192, 224):
            holes |= ndimage.binary_fill_holes(pattern >= rim) & (pattern < rim - 80)
        total += int((holes & alive).sum())
    return total


def saturated_pixels(sample: np.ndarray) -> tuple[int, int, int]:
    """
    Pile-up of counts at the limit of a counter.

    Returns
    -------
    limit
        The highest count of the sample, if it is the limit of a counter, else 0.
    stuck
        Pixels at that limit, in the whole sample.
    below
        The largest number of pixels at any of the four counts just below it.
    """
    limit = int(sample.max())
    if limit not in COUNTER_LIMITS:
        return 0, 0, 0
    near = sample[sample >= limit - 4].astype(np.int64)
    number = np.bincount(near - (limit - 4), minlength=5)
    return limit, int(number[4]), int(number[:4].max())
