"""Which channel is which: channels have no order of their own, so they are matched by what they look like."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment


@dataclass(frozen=True)
class Matching:
    """
    Partners of reference maps among channels.

    Parameters
    ----------
    channel
        (references,) index of the channel that belongs to each reference; -1 where there are fewer channels.
    correlation
        (references,) Pearson's r with its sign; 0 where there is no partner.
    """

    channel: np.ndarray
    correlation: np.ndarray


def match_channels(maps: np.ndarray, reference: np.ndarray, where: np.ndarray | None = None) -> Matching:
    """
    Assign channels to reference maps such that the sum of ``|r|`` is largest, each channel to one reference at most.

    The reference may be the channels of another seed, or maps of the truth. The sign of a channel means nothing, so it is
    the absolute correlation that counts, and the sign is returned. A constant (dead) channel correlates with nothing.

    Parameters
    ----------
    maps
        (channels, scan_y, scan_x).
    reference
        (references, scan_y, scan_x).
    where
        Boolean (scan_y, scan_x): positions that count; by default all.

    Raises
    ------
    ValueError
        If the maps and the references have different positions, or values that are not finite.

    Examples
    --------
    >>> maps = np.array([[[1.0, 2.0, 4.0]], [[5.0, 0.0, 1.0]]])
    >>> match_channels(maps, -maps[::-1]).channel
    array([1, 0])
    """
    r = correlations(maps, reference, where)
    rows, columns = linear_sum_assignment(-np.abs(r))
    channel, value = np.full(len(reference), -1), np.zeros(len(reference))
    channel[columns], value[columns] = rows, r[rows, columns]
    return Matching(channel, value)


def correlations(maps: np.ndarray, reference: np.ndarray, where: np.ndarray | None = None) -> np.ndarray:
    """Pearson's r of every channel with every reference, (channels, references); 0 where one of the two is constant."""
    maps, reference = np.asarray(maps, float), np.asarray(reference, float)
    if maps.shape[1:] != reference.shape[1:]:
        raise ValueError(f"maps of {maps.shape[1:]} positions, references of {reference.shape[1:]}; give maps of one scan")
    chosen = np.ones(maps.shape[1:], bool) if where is None else np.asarray(where, bool)
    first, second = (_standard(values[:, chosen]) for values in (maps, reference))
    return first @ second.T / chosen.sum()


def _standard(values: np.ndarray) -> np.ndarray:
    """Rows with mean 0 and variance 1; constant rows become 0."""
    if not np.isfinite(values).all():
        raise ValueError("the maps hold values that are not finite; leave these positions out with `where`")
    centred = values - values.mean(axis=1, keepdims=True)
    spread = centred.std(axis=1, keepdims=True)
    flat = spread <= 1e-12 * np.abs(values).max(axis=1, keepdims=True)
    return np.where(flat, 0.0, centred / np.where(flat, 1.0, spread))
