"""Compiled loops of the one pass: eight patterns at a time, each byte fetched from memory once.

The row sum first reads a row front to back at the speed of memory; the column sums then find the eight rows in the first-level cache, and the
mean pattern and the virtual detectors find the eight patterns in the second-level cache.
"""

from __future__ import annotations

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

MOMENTS = 5  # total, first moments along rows and columns, second moments along rows and columns
BATCH = 8  # patterns (and rows) handled together: one load and store of an accumulator serves eight additions


@intrinsic
def plus(typingctx, accumulator, value):
    """``accumulator + value`` in the type of the accumulator, where Numba would widen integers to 64 bit; floating-point sums in any order, for vectors."""
    def generate(context, builder, signature, args):
        """The instruction for LLVM."""
        if isinstance(signature.return_type, types.Float):
            return builder.fadd(*args, flags=("reassoc", "nsz", "contract"))
        return builder.add(*args)
    return accumulator(accumulator, accumulator), generate


@njit(nogil=True, cache=True)
def accumulate(block, order, starts, runs, first_run, spans, first_span, weights, sums, exact, weighted):
    """Add the patterns of a block, (n, det_y, det_x) and C-contiguous, to all sums of the pass; detectors are as in ``one_pass.Plan``.

    ``order`` are their indices sorted by label, and ``starts`` where each label begins in them. ``sums`` are patterns by label, ``exact`` (n, 5 +
    detectors) the moments in pixels from the corner and the 0/1 detectors, ``weighted`` the others.
    """
    buffer = np.zeros((BATCH,) + block.shape[1:], block.dtype)
    column = np.zeros(block.shape[2], sums.dtype)
    exact8 = np.zeros((BATCH, exact.shape[1]), exact.dtype)
    weighted8 = np.zeros((BATCH, weighted.shape[1]))
    for label in range(sums.shape[0]):
        for begin in range(starts[label], starts[label + 1], BATCH):
            count = min(BATCH, starts[label + 1] - begin)
            patterns, first = block, order[begin]
            if count < BATCH or order[begin + BATCH - 1] - first != BATCH - 1:  # too few, or not in a row
                patterns, first = buffer, np.int64(0)
                _gather(block, order, begin, count, buffer)
            _eight(patterns, first, column, runs, first_run, spans, first_span, weights, sums, label, exact8, weighted8)
            _scatter(exact8, order, begin, count, exact)
            _scatter(weighted8, order, begin, count, weighted)


@njit(nogil=True, cache=True)
def _gather(block, order, begin, count, buffer):
    """Copy ``count`` patterns into the buffer and fill it up with patterns of zeros, which change no sum."""
    for k in range(BATCH):
        for y in range(block.shape[1]):
            for x in range(block.shape[2]):
                buffer[k, y, x] = block[order[begin + k], y, x] if k < count else 0


@njit(nogil=True, cache=True)
def _scatter(batch, order, begin, count, out):
    """Move the sums of ``count`` patterns to their places and clear them for the next eight."""
    for k in range(BATCH):
        for j in range(batch.shape[1]):
            if k < count:
                out[order[begin + k], j] = batch[k, j]
            batch[k, j] = 0


@njit(nogil=True, cache=True)
def _eight(patterns, first, column, runs, first_run, spans, first_span, weights, sums, label, exact8, weighted8):
    """All sums of the patterns ``first`` to ``first + 7``."""
    for k in range(BATCH):
        _moments(patterns, first + k, column, exact8, k)
    for y in range(patterns.shape[1]):
        _add_row(sums, label, y, patterns, first)
        for r in range(first_run[y], first_run[y + 1]):
            _add_run(patterns, first, y, runs[r, 0], runs[r, 1], column, exact8, MOMENTS + runs[r, 2])
        for r in range(first_span[y], first_span[y + 1]):
            _add_span(patterns, first, y, spans[r, 0], spans[r, 1], weights, spans[r, 2], weighted8)


@njit(nogil=True, cache=True)
def _moments(patterns, i, column, out, k):
    """Total, first and second moments of pattern ``i`` from its row and column sums, into ``out[k, :MOMENTS]``."""
    height, width = patterns.shape[1:]
    for x in range(width):
        column[x] = 0
    whole = height - height % BATCH
    for y0 in range(0, whole, BATCH):
        for y in range(y0, y0 + BATCH):
            _add_moments(out, k, _row_sum(patterns, i, y, column), y)
        _add_eight_rows(column, patterns, i, y0)
    for y in range(whole, height):
        _add_moments(out, k, _row_sum(patterns, i, y, column), y)
        for x in range(width):
            column[x] = plus(column[x], patterns[i, y, x])
    for x in range(width):
        value = out.dtype.type(column[x])
        out[k, 2] += value * x
        out[k, 4] += value * (x * x)


@njit(nogil=True, cache=True)
def _add_moments(out, k, row_sum, y):
    """Add one row to the total and to the moments along rows."""
    value = out.dtype.type(row_sum)
    out[k, 0] += value
    out[k, 1] += value * y
    out[k, 3] += value * (y * y)


@njit(nogil=True, cache=True)
def _row_sum(patterns, i, y, column):
    """Sum of row ``y`` of pattern ``i`` in the type of ``column``."""
    total = column.dtype.type(0)
    for x in range(patterns.shape[2]):
        total = plus(total, patterns[i, y, x])
    return total


@njit(nogil=True, cache=True)
def _add_eight_rows(column, patterns, i, y):
    """Add the rows ``y`` to ``y + 7`` of pattern ``i`` to the column sums, as a tree so that additions do not wait."""
    for x in range(patterns.shape[2]):
        zero = column.dtype.type(0)
        a = plus(plus(zero, patterns[i, y, x]), patterns[i, y + 1, x])
        b = plus(plus(zero, patterns[i, y + 2, x]), patterns[i, y + 3, x])
        c = plus(plus(zero, patterns[i, y + 4, x]), patterns[i, y + 5, x])
        d = plus(plus(zero, patterns[i, y + 6, x]), patterns[i, y + 7, x])
        column[x] = plus(column[x], plus(plus(a, b), plus(c, d)))


@njit(nogil=True, cache=True)
def _add_row(sums, label, y, patterns, i):
    """Add row ``y`` of the patterns ``i`` to ``i + 7`` to the sum pattern."""
    for x in range(patterns.shape[2]):
        zero = sums.dtype.type(0)
        a = plus(plus(zero, patterns[i, y, x]), patterns[i + 1, y, x])
        b = plus(plus(zero, patterns[i + 2, y, x]), patterns[i + 3, y, x])
        c = plus(plus(zero, patterns[i + 4, y, x]), patterns[i + 5, y, x])
        d = plus(plus(zero, patterns[i + 6, y, x]), patterns[i + 7, y, x])
        sums[label, y, x] = plus(sums[label, y, x], plus(plus(a, b), plus(c, d)))


@njit(nogil=True, cache=True)
def _add_run(patterns, i, y, start, stop, column, out, detector):
    """Add the pixels ``start`` to ``stop`` of row ``y`` of eight patterns to ``out[:, detector]``."""
    s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = column.dtype.type(0)
    for x in range(np.uintp(start), np.uintp(stop)):
        s0 = plus(s0, patterns[i, y, x])
        s1 = plus(s1, patterns[i + 1, y, x])
        s2 = plus(s2, patterns[i + 2, y, x])
        s3 = plus(s3, patterns[i + 3, y, x])
        s4 = plus(s4, patterns[i + 4, y, x])
        s5 = plus(s5, patterns[i + 5, y, x])
        s6 = plus(s6, patterns[i + 6, y, x])
        s7 = plus(s7, patterns[i + 7, y, x])
    for k, value in enumerate((s0, s1, s2, s3, s4, s5, s6, s7)):
        out[k, detector] += out.dtype.type(value)


@njit(nogil=True, cache=True)
def _add_span(patterns, i, y, start, stop, weights, detector, out):
    """Add the weighted pixels ``start`` to ``stop`` of row ``y`` of eight patterns to ``out[:, detector]``."""
    s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = 0.0
    for x in range(np.uintp(start), np.uintp(stop)):
        weight = weights[detector, y, x]
        s0 = plus(s0, weight * patterns[i, y, x])
        s1 = plus(s1, weight * patterns[i + 1, y, x])
        s2 = plus(s2, weight * patterns[i + 2, y, x])
        s3 = plus(s3, weight * patterns[i + 3, y, x])
        s4 = plus(s4, weight * patterns[i + 4, y, x])
        s5 = plus(s5, weight * patterns[i + 5, y, x])
        s6 = plus(s6, weight * patterns[i + 6, y, x])
        s7 = plus(s7, weight * patterns[i + 7, y, x])
    for k, value in enumerate((s0, s1, s2, s3, s4, s5, s6, s7)):
        out[k, detector] += value


@njit(nogil=True, cache=True)
def sum_log1p(block, total):
    """Add ln(1 + value) of every pattern to ``total`` (det_y, det_x), for any kind of number."""
    for i in range(block.shape[0]):
        for y in range(block.shape[1]):
            for x in range(block.shape[2]):
                total[y, x] += np.log1p(np.float64(block[i, y, x]))


@njit(nogil=True, cache=True)
def multiply_1p(block, product):
    """Multiply ``product`` (det_y, det_x), kept below the largest double by the caller, by 1 + value of every pattern: a fortieth of a logarithm's time."""
    for i in range(block.shape[0]):
        for y in range(block.shape[1]):
            for x in range(block.shape[2]):
                product[y, x] *= 1.0 + block[i, y, x]


@njit(nogil=True, cache=True)
def split_power(bits, power):
    """Move the power of two of positive doubles, seen as int64 (sign, 11 bits of the exponent plus 1023, fraction), into ``power``; 1 to 2 is left."""
    for y in range(bits.shape[0]):
        for x in range(bits.shape[1]):
            power[y, x] += (bits[y, x] >> 52) - 1023
            bits[y, x] = (bits[y, x] & 0xFFFFFFFFFFFFF) | (1023 << 52)
