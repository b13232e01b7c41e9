"""The counts of a scan: gathered in one pass in constant memory, and what they say of the counter, of dead and of hot pixels."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numba import njit
from scipy.ndimage import maximum_filter, median_filter
from tqdm import tqdm

from figures_pkg.data.blocks import block_places, read_block
from figures_pkg.data.scan import COUNTER_LIMITS, FEW, wrapped_pixels
from figures_pkg.imaging.one_pass import Partial, blocks_in_flight, countable, make_plan, maps_of, reduce_block

from .findings import AGREES, CONFLICT, DECIDED, OPEN, WARNING, Decision, Finding, number

BINS = 65_536  # of the histogram; larger counts share the last one
TILES = 4  # along each side of the scan, whose mean patterns tell how the pattern drifts
SAMPLED = 32  # patterns that are kept whole
SURE_COUNTS = 30  # expected in all patterns together, above which a pixel without counts is dead
DARK, DEPTH = 60, 80  # counts in a pixel where a counter began again, and how much more its neighbours hold
HOT_FACTOR = 2.0  # over the brightest neighbour; the blur between pixels makes a single bright spot less than twice as bright
LISTED = 6  # pixels at most that a sentence names
AS_BUILT = "as it is"
LEAVE_OUT = "Leave them out of virtual detectors and centres of mass."


@dataclass(frozen=True)
class Statistics:
    """Sums and extremes of a scan of ``shape`` (scan_y, scan_x, det_y, det_x)."""

    shape: tuple[int, int, int, int]
    mean: np.ndarray
    mean_log: np.ndarray  # of ln(1 + counts)
    smallest: np.ndarray
    largest: np.ndarray
    total: np.ndarray  # (scan_y, scan_x): counts of each position in the whole pattern
    images: dict[str, np.ndarray]  # the same in each mask
    tiles: np.ndarray  # mean patterns of up to 4 × 4 equal parts of the scan
    histogram: np.ndarray | None  # how often each count occurs, None for real numbers
    sample: np.ndarray  # (n, det_y, det_x): some patterns spread over the scan

    @property
    def positions(self) -> int:
        """Number of patterns."""
        return self.shape[0] * self.shape[1]


def gather_statistics(scan: xr.DataArray, masks: Mapping[str, np.ndarray] | None = None, *, progress: bool = False) -> Statistics:
    """Read a scan of whole numbers or floating point once; ``masks`` name pixels (det_y, det_x) to add up at each position."""
    plan, places = make_plan(scan.shape[2:], dict(masks or {}), maximum=True, mean_log=True), block_places(scan)
    tiles = [min(TILES, size) for size in scan.shape[:2]]
    row, col = (np.arange(size) * number // size for size, number in zip(scan.shape, tiles))
    labels, each = row[:, None] * tiles[1] + col, -(-SAMPLED // len(places))
    whole, smallest, samples = Partial(), np.full(scan.shape[2:], np.inf), []
    histogram = np.zeros(BINS, np.int64) if scan.dtype.kind in "ui" else None

    def reduced(place):
        """What the statistics need of one block."""
        counts = read_block(scan, place, "synchronous")
        patterns, table = counts.reshape(-1, *counts.shape[2:]), np.zeros(BINS, np.int64)
        if histogram is not None:
            _count(countable(patterns), table)
        chosen = np.linspace(0, len(patterns) - 1, min(each, len(patterns)) + 2)[1:-1].astype(int)
        return reduce_block(counts, plan, (place[0].start, place[1].start), labels[place]), patterns.min(axis=0), table, patterns[chosen]

    with ThreadPoolExecutor(blocks_in_flight(scan.data)) as pool:
        for partial, least, table, some in tqdm(pool.map(reduced, places), "reading the scan", len(places), disable=not progress, mininterval=1.0):
            whole.add(partial)
            smallest = np.minimum(smallest, least)
            samples.append(some)
            if histogram is not None:
                histogram += table
    maps, positions = maps_of(whole, plan, scan.shape[:2]), scan.shape[0] * scan.shape[1]
    patterns = np.stack([whole.sums[label] / size for label, size in enumerate(np.bincount(labels.ravel()))]).reshape(*tiles, *scan.shape[2:])
    return Statistics(scan.shape, sum(whole.sums.values()) / positions, whole.log_sum / positions, smallest, whole.largest, maps["total"],
                      {name: maps[name] for name in plan.masks}, patterns, histogram, np.concatenate(samples))  # fmt: skip


@njit(nogil=True, cache=True)
def _count(patterns, histogram):
    """Add how often each count occurs; counts beyond the last bin go there. Four tables, because equal counts follow each other."""
    bins = histogram.size
    tables = np.zeros((4, bins), np.int64)
    for i in range(patterns.shape[0]):
        for y in range(patterns.shape[1]):
            for x in range(patterns.shape[2]):
                tables[x & 3, min(patterns[i, y, x], bins - 1)] += 1
    for table in tables:
        for value in range(bins):
            histogram[value] += table[value]


@dataclass(frozen=True)
class KnownPixels:
    """Dead pixels (row, col) that a chip is known to have in "lab" orientation, and how many the published mean pattern shows."""

    chip: tuple = ()
    pictured: int = 0
    opened: str = "lab"  # how the rows were taken to lie in the file, or "camera"


def counter_findings(statistics: Statistics, bits_expected: int | None, known: KnownPixels = KnownPixels()) -> list[Finding]:
    """Findings about the detector's counters and pixels: "counter depth", "wrap-around", "saturation", "dead pixels", "hot pixels"."""
    if statistics.histogram is None:
        why = "The values are not whole numbers, so they are not the counts of the detector; what a counter did cannot be seen in them."
        unknown = [Finding(check, "real numbers", "", OPEN, why) for check in ("counter depth", "wrap-around", "saturation")]
        return unknown + _pixel_findings(statistics, known, False)
    wrapped = _wrap_finding(statistics)
    first = _depth_finding(statistics, bits_expected, wrapped.wrong)
    return [first, wrapped, _saturation_finding(statistics), *_pixel_findings(statistics, known, wrapped.wrong)]


def _depth_finding(statistics: Statistics, bits: int | None, wrapped: bool) -> Finding:
    """Whether the largest count fits the counter that the manifest gives, and what it excludes."""
    largest, kind = int(statistics.largest.max()), statistics.largest.dtype
    check, found, expected = "counter depth", f"largest count {largest:,}", f"{bits} bits, {2**bits - 1:,} at most" if bits else ""
    if wrapped:
        return Finding(check, found, expected, OPEN, f"The counts are wrapped, see below; the type {kind} does not show the depth of the counter.")
    if bits and largest > 2**bits - 1:
        deeper = next((depth for depth in (12, 16, 24, 32) if largest < 2**depth), 64)
        source = f"the largest count in the file is {largest}, which {bits} bits cannot hold"
        decision = Decision("container", "counter_bits", deeper, source, (8, bits))
        text = f"A counter of {bits} bits ends at {2**bits - 1:,}; this one is deeper."
        return Finding(check, found, expected, DECIDED, text, decisions=(decision,))
    if largest > 255:
        above = int(statistics.histogram[256:].sum())
        text = f"{above:,} of {statistics.histogram.sum():,} counts lie above 255, so a counter of 8 bits is excluded, and so is a wrap modulo 256."
        source = f"the largest count in the file is {largest}, above 255"
        decision = Decision("container", "counter_bits", bits, source, (8,), keeps_basis=True)
        return Finding(check, found, expected, AGREES, text, decisions=(decision,) if bits else ())
    text = f"No count exceeds 255, so a counter of 8 bits would look the same; the type is {kind}."
    return Finding(check, found, expected, OPEN if bits and bits > 8 else AGREES, text)


def _wrap_finding(statistics: Statistics) -> Finding:
    """Whether counts passed the end of 8 bits: a bright disc then has a hole within a closed rim, or a dark line that the blur between pixels forbids."""
    largest = int(statistics.largest.max())
    if largest > 255:
        limit = next(limit for limit in COUNTER_LIMITS + (2**32 - 1, 2**64) if largest <= limit)
        text = f"Counts pass 255 without a break, and the largest, {largest:,}, is far from the next end of a counter, {limit:,}."
        if largest >= 0.9 * limit:
            text = f"Counts pass 255 without a break; the largest, {largest:,}, is close to {limit:,}, see saturation."
        return Finding("wrap-around", "none", "none", AGREES, text)
    sample = statistics.sample.astype(np.uint8)
    holes = max(wrapped_pixels(sample), _notched_pixels(sample))
    near_end = int(statistics.histogram[240:256].sum())
    ends, where = f"{near_end:,} counts lie from 240 to 255", f"{len(sample)} pattern{'s' if len(sample) > 1 else ''}"
    if holes <= FEW:
        text = f"In {where} {holes} dark pixels lie between pixels brighter by 80 counts; {ends}."
        return Finding("wrap-around", "none seen", "none", AGREES, text)
    says = (f"the counts are wrapped modulo 256: in {where} {holes} dark pixels lie between pixels brighter by "
            "80 counts and more. Bright discs are lost; use the detector's own .mib file, or convert it again to 16 bits")  # fmt: skip
    text = (f"In {where} {holes} dark pixels lie between pixels brighter by 80 counts and more, which is what a "
            f"counter leaves that passes 255 and begins again at 0; {ends}, and the histogram breaks off there. The converter mib2hspy casts "
            "deeper counters to bytes like this. No scale brings the lost multiples of 256 back.")  # fmt: skip
    return Finding("wrap-around", "wrapped modulo 256", "none", CONFLICT, text, wrong=True, says=says)


def _notched_pixels(sample: np.ndarray) -> int:
    """Number of pixels of uint8 patterns with at most 60 counts between two neighbours with at least 80 more; those that are dead do not count."""
    counts = sample.astype(np.int16)
    alive = (sample != 0).any(axis=0) if len(sample) > 1 else np.ones(sample.shape[1:], bool)
    notched = np.zeros(counts.shape, bool)
    for turned, marked in ((counts, notched), (counts.swapaxes(1, 2), notched.swapaxes(1, 2))):
        here, beside = turned[:, 1:-1], np.minimum(turned[:, :-2], turned[:, 2:])
        marked[:, 1:-1] |= (here <= DARK) & (beside - here >= DEPTH)
    return int((notched & alive).sum())


def _saturation_finding(statistics: Statistics) -> Finding:
    histogram, limit = statistics.histogram, int(statistics.largest.max())
    if limit not in COUNTER_LIMITS or limit >= len(histogram):
        return Finding("saturation", "none seen", "none", AGREES, f"No counter of 6, 8, 12, 16 or 24 bits ends at {limit:,}, so none stood still.")
    always = int((statistics.smallest == limit).sum())  # pixels that never hold anything else are stuck, not saturated
    stuck, below = int(histogram[limit]) - always * statistics.positions, int(histogram[limit - 4:limit].max())
    text = f"{stuck:,} counts stand at {limit:,}, {below:,} at most at any of the four counts below it."
    if stuck <= FEW or stuck <= 4 * below:
        return Finding("saturation", "no pile-up", "none", AGREES, text)
    pixels = int((statistics.largest == limit).sum()) - always
    share = f"{stuck / statistics.positions:.1f} pixels a pattern at {limit:,}"
    text += f" {pixels:,} pixels are concerned. Sums and centres of mass over them are biased."
    return Finding("saturation", share, "none", WARNING, text)


def dead_and_hot(statistics: Statistics) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Pixels (row, col) below a fifth of the median around, where that is enough to tell; and stuck ones, or those over twice the brightest neighbour."""
    mean, positions = statistics.mean, statistics.positions
    around = median_filter(mean, 5)
    dead = (mean < 0.2 * around) & (positions * around > SURE_COUNTS)
    ring = np.ones((3, 3), bool)
    ring[1, 1] = False
    brightest = maximum_filter(mean, footprint=ring)
    noise = np.sqrt(np.maximum(brightest, 1) / positions)
    hot = mean > HOT_FACTOR * brightest + 6 * noise + 20 / positions
    if positions > 1:
        hot |= (statistics.smallest == statistics.largest) & (mean > HOT_FACTOR * around)
    return [tuple(map(int, place)) for place in np.argwhere(dead)], [tuple(map(int, place)) for place in np.argwhere(hot)]


def _pixel_findings(statistics: Statistics, known: KnownPixels, wrapped: bool) -> list[Finding]:
    """Dead and hot pixels; `wrapped` counts have holes that look like dead pixels where discs are bright."""
    dead, hot = dead_and_hot(statistics)
    if len(dead) > 0.2 * statistics.mean.size:
        text = f"{len(dead):,} pixels hold less than a fifth of what is around them: the patterns are too sparse, or not counts of this detector."
        return [Finding("dead pixels", f"{len(dead):,}", "", WARNING, text)]
    text = "No pixel holds more than twice its brightest neighbour."
    if hot:
        text = f"At (row, column) {_places(hot)}: more than twice the brightest neighbour in the mean pattern, or always one count. {LEAVE_OUT}"
    hot_finding = Finding("hot pixels", str(len(hot)), "none", WARNING if hot else AGREES, text)
    return [_dead_finding(dead, known, statistics.mean.shape, wrapped), hot_finding]


def _dead_finding(dead, known: KnownPixels, shape, wrapped: bool) -> Finding:
    """Dead pixels, compared with those that the chip is known to have: they tell how it lies, whatever the specimen is."""
    check, found, expected = "dead pixels", str(len(dead)), f"{known.pictured} in the published picture" if known.chip else ""
    text = f"At (row, column) {_places(dead)}: less than a fifth of the median around. {LEAVE_OUT}" if dead else "Every pixel counts."
    height, width = shape[0] - 1, shape[1] - 1
    lies = {  # where mirrors and half a turn put the chip's pixels
        AS_BUILT: known.chip,
        "upside down": [(height - row, col) for row, col in known.chip],
        "left and right exchanged": [(row, width - col) for row, col in known.chip],
        "turned by half a turn": [(height - row, width - col) for row, col in known.chip],
    }
    met = {name: sum(any(np.hypot(row - r, col - c) <= 2 for r, c in dead) for row, col in places) for name, places in lies.items()}
    best = max(met, key=met.get)
    if not known.chip or met[best] < len(known.chip):
        if wrapped and dead:
            return Finding(check, found, expected, OPEN, "Wrapped discs leave holes that look like dead pixels.")
        more = f" Of the {len(known.chip)} dead pixels of the authors' detector, {met[AS_BUILT]} are among them." if known.chip else ""
        return Finding(check, found, expected, WARNING if known.pictured or dead else AGREES, text + more)
    if best == AS_BUILT:
        text += " The dead pixels of the authors' detector are among them, so the frame lies as in its other files."
        return Finding(check, found, expected, AGREES, text)
    native = "camera" if known.opened == "lab" else "lab"
    remedy = f": stored_orientation is {native}" if best == "upside down" else ""
    says = f"the dead pixels of the authors' detector are at their places only if the frame is {best}{remedy}"
    return Finding(check, found, expected, CONFLICT, f"{text} {says[0].upper()}{says[1:]}.", wrong=True, says=says)


def _places(places) -> str:
    named = ", ".join(f"({row}, {col})" for row, col in places[:LISTED])
    return named + (f" and {number(len(places) - LISTED)} more" if len(places) > LISTED else "")
