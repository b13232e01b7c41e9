"""What one pass gathers, written as the integer tables that the compiled loops walk along."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Plan:
    """
    The detectors of a pass as tables; small, picklable, and the same for all blocks.

    Parameters
    ----------
    masks, weights
        Names of the 0/1 detectors and of the weighted detectors, in the order of their columns in the result.
    runs, first_run
        (n, 3) int64 rows of (first column, last column + 1, detector) sorted by detector row, and where each detector
        row begins: a 0/1 detector touches its own pixels only.
    spans, first_span
        The same for weighted detectors, one span per row from the first to the last weight other than zero.
    values
        Weights, (weighted detectors, det_y, det_x) float64.
    maximum, mean_log
        Whether to gather the maximum pattern and the mean of ln(1 + N).
    shape
        (det_y, det_x).
    """

    masks: tuple[str, ...]
    weights: tuple[str, ...]
    runs: np.ndarray
    first_run: np.ndarray
    spans: np.ndarray
    first_span: np.ndarray
    values: np.ndarray
    maximum: bool
    mean_log: bool
    shape: tuple[int, int]


def make_plan(shape: tuple[int, int], detectors: dict[str, np.ndarray], maximum: bool = False, mean_log: bool = False) -> Plan:
    """
    Compile detectors for the pass.

    Parameters
    ----------
    shape
        (det_y, det_x).
    detectors
        Boolean masks or float64 weights by name, each of ``shape``.
    maximum, mean_log
        See :class:`Plan`.
    """
    masks = {name: mask for name, mask in detectors.items() if mask.dtype == bool}
    weights = {name: mask for name, mask in detectors.items() if mask.dtype != bool}
    values = np.stack(list(weights.values())) if weights else np.zeros((0, *shape))
    return Plan(tuple(masks), tuple(weights), *_by_row(shape, [_runs(mask) for mask in masks.values()]),
                *_by_row(shape, [_spans(mask) for mask in weights.values()]), values, maximum, mean_log, tuple(shape))


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
