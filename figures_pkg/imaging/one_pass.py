"""Images, centre of mass and mean patterns of a scan, gathered in one pass over its stored blocks."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import dask
import dask.array as da
import numpy as np
import xarray as xr
from dask.delayed import Delayed
from dask.highlevelgraph import HighLevelGraph

from figures_pkg.data.axes import DETECTOR_DIMS, DIMS, SCAN_DIMS, check_scan
from figures_pkg.data.blocks import block_places
from figures_pkg.workspace import available_cores

from .detectors import CenterOfMass, Moments, detector_weights, linear_axis
from .kernels import MOMENTS, accumulate, multiply_1p, split_power, sum_log1p

OWN_NAMES = {"total", "mean_pattern", "max_pattern", "mean_log_pattern", "group_mean_pattern", "group_size", "group", *DIMS}
SIGNS = "zero at the origin of the detector coordinates; y grows downward with the detector row, x to the right with the column"
LARGEST_PIECE = 65_536  # patterns of 16 bit whose sum 32 bit hold; a longer block is taken in pieces
BLOCKS_PER_THREAD = 8  # of an array in memory
MEMORY_BYTES = 700e6  # what blocks in flight may take together
MERGED_AT_ONCE = 16


def summarise(scan: xr.DataArray, detectors: Mapping | None = None, com=True, *, mean: bool = True, maximum: bool = False,
              mean_log: bool = False, groups: Mapping | None = None, threads: int | None = None) -> xr.Dataset:
    """Read a scan once and keep what fits on a page: virtual images, centre of mass, mean patterns.

    The work is one task per dask block, so it runs in threads, or on a cluster when a ``dask.distributed.Client`` is
    active. Sums of integer counts are exact and do not depend on the blocks; floating-point data are summed in double
    precision. Memory holds a few blocks, whatever the size of the scan. Another object, wrong dimensions, a detector that does not fit, an empty
    group, and data with nan are a TypeError or a ValueError.

    Parameters
    ----------
    scan
        From :func:`figures_pkg.data.open_scan`, or any DataArray with its dimensions, of dask or in memory.
    detectors
        Name -> Disc, Annulus, Box or any other object with a method ``mask(shape)``; boolean mask or weights (det_y, det_x).
    com
        True for the centre of mass of whole patterns, a :class:`CenterOfMass`, a mapping from names to either, or False.
    mean, maximum, mean_log
        Which patterns to gather: mean, largest value, and mean of ln(1 + N), the average of the paper's log-transformed
        data (Methods of doi:10.1038/s41524-024-01265-y). It lies below ln(1 + mean).
    groups, threads
        Name -> boolean mask (scan_y, scan_x) of positions whose mean pattern is gathered in the same pass. How many blocks to work on at once; by
        default one per processor (at least four from a file, so that the disk does not wait), fewer if their blocks would not fit in 0.7 GB.

    Returns
    -------
    xarray.Dataset
        On (scan_y, scan_x): one variable per detector, ``total`` (all counts), and for each centre of mass ``com_y``,
        ``com_x`` in the unit of the detector coordinates (1/Å) with ``com_y_std``, ``com_x_std``, the deviations
        expected from Poisson noise; further centres of mass carry their names in place of "com". **Sign:** zero at the
        origin of the detector coordinates, y grows downward with the detector row, x to the right with the column.
        On (det_y, det_x): ``mean_pattern``, ``max_pattern``, ``mean_log_pattern``. On (group, det_y, det_x):
        ``group_mean_pattern``, with ``group_size``. Coordinates and attributes are the scan's.
    """
    check_scan(scan)
    if scan.dtype.kind not in "buif":
        raise TypeError(f"scan of type {scan.dtype}: expected counts, integers or real numbers")
    if 0 in scan.shape:
        raise ValueError(f"scan of shape {scan.shape} is empty; select at least one position and one pixel")
    rows, columns, *frame = scan.shape
    positions, shape = (rows, columns), (frame[0], frame[1])
    moments = []
    for name, spec in (com if isinstance(com, Mapping) else {"com": com}).items():
        if not isinstance(spec, (bool, CenterOfMass)) and spec is not None:
            raise TypeError(f"com={spec!r} ({name}): expected True, False, a CenterOfMass, or a mapping from names to those")
        if spec:
            moments.append(Moments(CenterOfMass() if spec is True else spec, shape, name))
    detectors = {name: detector_weights(detector, shape, name) for name, detector in (detectors or {}).items()}
    taken = OWN_NAMES | {f"{one.name}_{axis}{end}" for one in moments for axis in "yx" for end in ("", "_std")}
    if taken & set(detectors):
        raise ValueError(f"detector names {sorted(taken & set(detectors))} are names of other results; rename these detectors")
    gathered = {f"detector/{name}": mask for name, mask in detectors.items()}
    for one in moments:
        gathered |= one.detectors()
    plan = make_plan(shape, gathered, maximum, mean_log)
    members, labels, members_of = _labels(groups or {}, positions)
    partial = _gather(scan, plan, labels, threads)
    sums = maps_of(partial, plan, positions)
    bad = np.argwhere(~np.isfinite(sums["total"]))
    if len(bad):
        raise ValueError(f"{len(bad)} patterns hold nan or infinite values, the first at (scan_y, scan_x) = "
                         f"{tuple(int(i) for i in bad[0])}; replace them first, for instance with scan.fillna(0)")
    images = {"total": "total"} | {name: f"detector/{name}" for name in detectors}
    variables = {name: (SCAN_DIMS, sums[key], {"units": "counts"}) for name, key in images.items()}
    for one in moments:
        found = one.centre(sums)
        for axis, key, dim in (("y", "row", "det_y"), ("x", "col", "det_x")):
            start, step = linear_axis(scan, dim)
            units = {"units": scan[dim].attrs.get("units", "px")}
            deviation = {**units, "long_name": "standard deviation expected from Poisson counts"}
            variables[f"{one.name}_{axis}"] = (SCAN_DIMS, start + step * found[key], {**units, "sign_convention": SIGNS})
            variables[f"{one.name}_{axis}_std"] = (SCAN_DIMS, abs(step) * found[f"{key}_std"], deviation)
    variables |= _patterns(partial, rows * columns, mean, members, members_of)
    coordinates = {dim: scan.coords[dim].variable for dim in DIMS if dim in scan.coords}
    return xr.Dataset(variables, coordinates | ({"group": list(members)} if members else {}), dict(scan.attrs))


def _labels(groups: Mapping, shape: tuple[int, int]) -> tuple[dict[str, np.ndarray], np.ndarray | None, np.ndarray]:
    """Boolean array of each group, a label for each set of groups that a position can be in (None without groups), and which these are, (labels, groups)."""
    members = {}
    for name, mask in groups.items():
        if isinstance(mask, xr.DataArray) and set(mask.dims) == set(SCAN_DIMS):
            mask = mask.transpose(*SCAN_DIMS)
        mask = np.asarray(mask)
        if mask.shape != shape or mask.dtype != bool:
            raise ValueError(f"group {name!r} is {mask.dtype} {mask.shape}; expected booleans of the scan's shape {shape}")
        if not mask.any():
            raise ValueError(f"group {name!r} has no position; leave it out or widen its condition")
        members[name] = mask
    if not members:
        return members, None, np.zeros((1, 0), bool)
    stack = np.stack([mask.ravel() for mask in members.values()], axis=1)
    members_of, labels = np.unique(stack, axis=0, return_inverse=True)
    return members, labels.reshape(shape), members_of


def maps_of(partial: Partial, plan: Plan, shape: tuple[int, int]) -> dict[str, np.ndarray]:
    """The sums over pixels by name, (scan_y, scan_x): total and moments, then the detectors of the plan."""
    names = ("total", "row", "col", "row2", "col2", *plan.masks, *plan.weights)
    exact_type = next(iter(partial.maps.values()))[0].dtype
    types = [exact_type] * (MOMENTS + len(plan.masks)) + [np.float64] * len(plan.weights)
    maps = {name: np.empty(shape, dtype) for name, dtype in zip(names, types)}
    for (y, x), columns in partial.maps.items():
        ny, nx = columns[0].shape[:2]
        values = [part[..., k] for part in columns for k in range(part.shape[2])]
        for name, value in zip(names, values):
            maps[name][y:y + ny, x:x + nx] = value
    return maps


def _patterns(partial: Partial, positions: int, mean: bool, members: dict[str, np.ndarray], members_of: np.ndarray) -> dict:
    """The patterns that were gathered, over all positions and over each group, as variables."""
    variables: dict[str, tuple] = {}
    if mean:
        variables["mean_pattern"] = (DETECTOR_DIMS, sum(partial.sums.values()) / positions, {"units": "counts"})
    if partial.largest is not None:
        variables["max_pattern"] = (DETECTOR_DIMS, partial.largest, {"units": "counts"})
    if partial.log_sum is not None:
        if not np.isfinite(partial.log_sum).all():
            raise ValueError("mean_log=True: ln(1 + N) needs values above -1, and the data hold smaller ones")
        variables["mean_log_pattern"] = (DETECTOR_DIMS, partial.log_sum / positions, {"long_name": "mean of ln(1 + counts)"})
    if members:
        sizes = np.array([mask.sum() for mask in members.values()])
        means = [reduce(np.add, (partial.sums[int(label)] for label in np.flatnonzero(inside))) / size for inside, size in zip(members_of.T, sizes)]
        variables["group_mean_pattern"] = (("group", *DETECTOR_DIMS), np.stack(means), {"units": "counts"})
        variables["group_size"] = ("group", sizes)
    return variables


@dataclass(frozen=True)
class Plan:
    """The detectors of a pass as tables; small, picklable, and the same for all blocks. Each touches its own pixels only."""

    masks: tuple[str, ...]  # names of the 0/1 detectors, in the order of their columns in the result
    weights: tuple[str, ...]  # and of the weighted ones
    runs: np.ndarray  # (n, 3) rows of (first column, last column + 1, 0/1 detector), sorted by detector row
    first_run: np.ndarray  # where each detector row begins in them
    spans: np.ndarray  # the same for weighted detectors, one span per row from the first to the last weight other than zero
    first_span: np.ndarray
    values: np.ndarray  # their weights, (weighted detectors, det_y, det_x) float64
    maximum: bool
    mean_log: bool
    shape: tuple[int, int]


def make_plan(shape: tuple[int, int], detectors: dict[str, np.ndarray], maximum: bool = False, mean_log: bool = False) -> Plan:
    """Compile detectors, boolean masks or float64 weights (det_y, det_x) by name, for the pass."""
    masks = {name: mask for name, mask in detectors.items() if mask.dtype == bool}
    weights = {name: mask for name, mask in detectors.items() if mask.dtype != bool}
    values = np.stack(list(weights.values())) if weights else np.zeros((0, *shape))
    return Plan(tuple(masks), tuple(weights), *_by_row(shape, [_runs(mask) for mask in masks.values()]),
                *_by_row(shape, [_spans(mask) for mask in weights.values()]), values, maximum, mean_log, shape)


def _runs(mask: np.ndarray) -> np.ndarray:
    """(row, first column, last column + 1) of every unbroken run of True, int64 (n, 3)."""
    padded = np.pad(mask, ((0, 0), (1, 1)))
    rows, edges = np.nonzero(padded[:, 1:] != padded[:, :-1])  # begins and ends take turns
    return np.stack([rows[::2], edges[::2], edges[1::2]], axis=1)


def _spans(weights: np.ndarray) -> np.ndarray:
    """(row, first column, last column + 1) around all weights other than zero of each row, int64 (n, 3)."""
    used = weights != 0
    rows = np.flatnonzero(used.any(axis=1))
    return np.stack([rows, used[rows].argmax(axis=1), weights.shape[1] - used[rows, ::-1].argmax(axis=1)], axis=1)


def _by_row(shape: tuple[int, int], tables: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Merge the tables of several detectors, sorted by detector row, with the index at which each row begins."""
    numbered = [np.insert(table, 3, index, axis=1) for index, table in enumerate(tables)]
    merged = np.concatenate([np.zeros((0, 4), np.int64), *numbered])
    merged = merged[np.argsort(merged[:, 0], kind="stable")]
    first = np.searchsorted(merged[:, 0], np.arange(shape[0] + 1))
    return np.ascontiguousarray(merged[:, 1:]), first


@dataclass
class Partial:
    """What the pass has gathered so far."""

    # (y, x) of a block's first position -> its sums over pixels, (positions_y, positions_x, columns), exact ones (moments and 0/1) and weighted ones
    maps: dict[tuple[int, int], tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    sums: dict[int, np.ndarray] = field(default_factory=dict)  # label -> sum of its patterns, int64 or float64 (det_y, det_x)
    largest: np.ndarray | None = None  # the maximum pattern
    log_sum: np.ndarray | None = None  # the sum of ln(1 + N)

    def add(self, other: Partial) -> None:
        """Take over what ``other`` has gathered elsewhere in the scan."""
        self.maps |= other.maps
        for label, pattern in other.sums.items():
            self.sums[label] = self.sums[label] + pattern if label in self.sums else pattern
        if other.largest is not None:
            self.largest = other.largest if self.largest is None else np.maximum(self.largest, other.largest)
        if other.log_sum is not None:
            self.log_sum = other.log_sum if self.log_sum is None else self.log_sum + other.log_sum


def merge(partials: list[Partial]) -> Partial:
    """All that ``partials`` have gathered; the inputs stay as they are."""
    merged = Partial()
    for partial in partials:
        merged.add(partial)
    return merged


def reduce_block(block: np.ndarray, plan: Plan, corner: tuple[int, int], labels: np.ndarray | None = None) -> Partial:
    """Gather all that ``plan`` asks for from a block whose first position is ``corner`` (y, x); patterns of a label are summed on their own."""
    if block.shape[2:] != plan.shape or (labels is not None and labels.shape != block.shape[:2]):
        raise ValueError(f"block of shape {block.shape} where patterns of {plan.shape} were promised"
                         f"{'' if labels is None else f' at {labels.shape} positions'}; the dask array states wrong chunks")
    patterns = countable(block).reshape(-1, *block.shape[2:])
    flat = np.zeros(len(patterns), np.int64) if labels is None else np.asarray(labels).ravel()
    exact = np.zeros((len(patterns), MOMENTS + len(plan.masks)), np.int64 if patterns.dtype.kind in "iu" else np.float64)
    weighted = np.zeros((len(patterns), len(plan.weights)))
    partial = Partial({corner: (exact.reshape(*block.shape[:2], -1), weighted.reshape(*block.shape[:2], -1))})
    for start in range(0, len(patterns), LARGEST_PIECE):
        piece = slice(start, start + LARGEST_PIECE)
        partial.add(_reduce_patterns(patterns[piece], plan, flat[piece], exact[piece], weighted[piece]))
    return partial


def _reduce_patterns(patterns, plan: Plan, labels, exact, weighted) -> Partial:
    """Fill ``exact`` and ``weighted`` (n, columns), and return the patterns that were gathered."""
    found, counts = np.unique(labels, return_counts=True)
    order, starts = np.argsort(labels, kind="stable"), np.concatenate([[0], np.cumsum(counts)])
    widest = {"u": np.uint64, "i": np.int64}.get(patterns.dtype.kind, np.float64)
    narrow = np.uint32 if patterns.dtype in (np.uint8, np.uint16) else widest  # in which 65,536 values can be added without overflow
    sums = np.zeros((len(found), *patterns.shape[1:]), narrow)
    accumulate(patterns, order, starts, plan.runs, plan.first_run, plan.spans, plan.first_span, plan.values, sums, exact, weighted)
    wide = sums.astype(exact.dtype)
    largest, log_sum = patterns.max(axis=0) if plan.maximum else None, _log_sum(patterns) if plan.mean_log else None
    return Partial({}, {int(label): pattern for label, pattern in zip(found, wide)}, largest, log_sum)


def countable(block: np.ndarray) -> np.ndarray:
    """A block as the compiled loops want it: C-contiguous, native byte order, a type that they know; copies if it must."""
    if block.dtype == bool:
        block = block.view(np.uint8)
    rare = {"f2": np.float32, "i1": np.int64, "i2": np.int64, "i4": np.int64, "u8": np.int64}  # not worth loops of their own
    dtype = rare.get(f"{block.dtype.kind}{block.dtype.itemsize}", block.dtype.newbyteorder("="))
    return np.ascontiguousarray(block, dtype)


def _log_sum(patterns: np.ndarray) -> np.ndarray:
    total = np.zeros(patterns.shape[1:])
    if patterns.dtype.kind != "u":
        sum_log1p(patterns, total)
        return total
    product, power = np.ones(patterns.shape[1:]), np.zeros(patterns.shape[1:], np.int64)
    safe = 1000 // (8 * patterns.dtype.itemsize)  # so many factors of at most 2^bits stay below the largest double, 2^1024
    for start in range(0, len(patterns), safe):
        multiply_1p(patterns[start:start + safe], product)
        split_power(product.view(np.int64), power)
    return np.log(product) + np.log(2) * power


def _gather(scan: xr.DataArray, plan: Plan, labels: np.ndarray | None, threads: int | None) -> Partial:
    """Reduce all blocks of a scan, in threads or on a cluster, and merge the results in a tree, so that few of them wait in memory."""
    data = scan.data if scan.chunks is None else scan.data.rechunk({2: -1, 3: -1})
    threads = threads or blocks_in_flight(data)
    name, places = f"one-pass-{uuid.uuid4().hex}", block_places(data, BLOCKS_PER_THREAD * threads)
    stored = isinstance(data, da.Array)
    blocks = [(data.name, i, j, 0, 0) for i, j in np.ndindex(data.numblocks[:2])] if stored else [data[place] for place in places]
    layer: dict[Any, Any] = {f"{name}-plan": plan}
    for number, (block, place) in enumerate(zip(blocks, places)):
        corner = tuple(side.start for side in place)
        layer[name, 0, number] = (reduce_block, block, f"{name}-plan", corner, None if labels is None else labels[place])
    keys, level = [(name, 0, number) for number in range(len(places))], 0
    while len(keys) > 1:
        level += 1
        merged = {(name, level, k): (merge, keys[k:k + MERGED_AT_ONCE]) for k in range(0, len(keys), MERGED_AT_ONCE)}
        layer |= merged
        keys = list(merged)
    graph = HighLevelGraph.from_collections(name, layer, dependencies=[data] if stored else [])
    with dask.config.set(num_workers=threads):
        return Delayed(keys[0], graph, layer=name).compute()


def blocks_in_flight(data) -> int:
    """Number of blocks that may be in flight: more than processors, so that the disk never waits, while memory allows."""
    processors = available_cores()
    if not isinstance(data, da.Array):
        return processors
    largest = max(data.chunks[0]) * max(data.chunks[1]) * data.shape[2] * data.shape[3] * data.dtype.itemsize
    return max(1, min(max(processors, 4), int(MEMORY_BYTES // (1.5 * largest))))
