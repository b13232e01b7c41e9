"""Random words and Poisson counts: known answers, moments and laws."""

import numpy as np
import pytest
from scipy import stats

from figures_pkg.twin.counts import TABLE_LIMIT, draw_counts, philox, poisson_tables


@pytest.mark.parametrize("words, expected", [
    ([0] * 6, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ([0xFFFFFFFF] * 6, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ([0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344, 0xA4093822, 0x299F31D0], "d16cfe09 94fdcceb 5001e420 24126ea1"),
])  # fmt: skip
def test_philox_gives_the_known_answers(words, expected):
    """Philox4x32-10 reproduces the known answers that Salmon et al. publish with Random123."""
    assert " ".join(f"{word:08x}" for word in philox(*np.array(words, np.uint32))) == expected


def counts_of(mean, position=0, seed=1, largest=65535):
    """One pattern of counts."""
    mean = np.asarray(mean, np.float32)
    out = np.empty(mean.shape, np.uint16)
    draw_counts(mean, position, np.uint64(seed), largest, *poisson_tables(), out)
    return out


@pytest.mark.parametrize("mean", [0.03, 0.7, 3.1, 17.5, 63.99, 64.0, 217.3, 3000.0])
def test_counts_follow_the_poisson_law(mean):
    """Mean, variance and the whole distribution agree with scipy's Poisson law."""
    counts = counts_of(np.full((512, 512), mean), seed=int(1000 * mean)).ravel().astype(np.int64)
    exact = float(np.float32(mean))
    assert abs(counts.mean() - exact) < 4.5 * np.sqrt(exact / counts.size)
    assert abs(counts.var() - exact) < 4.5 * np.sqrt((exact + 2 * exact**2) / counts.size)
    law = stats.poisson(exact)
    edges = np.unique(law.ppf(np.linspace(0, 1, 42)[1:-1]).astype(int))
    observed = np.bincount(np.searchsorted(edges, counts), minlength=len(edges) + 1)
    cumulative = np.concatenate([[0], law.cdf(edges), [1]])
    keep = np.diff(cumulative) > 0
    assert stats.chisquare(observed[keep], np.diff(cumulative)[keep] * counts.size).pvalue > 1e-4


def test_tails_of_the_table_are_right():
    """Rare large counts occur as often as the law says, beyond what a chi-square with few bins would see."""
    counts = counts_of(np.full((1024, 1024), 4.6), seed=5)
    expected = counts.size * stats.poisson.sf(14, 4.6)
    assert abs((counts > 14).sum() - expected) < 4.5 * np.sqrt(expected)


def test_dead_pixels_and_full_counters():
    """A mean of zero never counts; a 12-bit counter stops at 4095; what bright pixels draw leaves the others as they are."""
    assert not counts_of(np.zeros((64, 64))).any()
    counts = counts_of(np.full((32, 32), 4090.0), largest=4095)
    assert counts.max() == 4095 and (counts < 4095).any()
    plain = np.full((64, 64), 5.0)
    bright = plain.copy()
    bright[10:12, 10:12] = 10 * TABLE_LIMIT
    np.testing.assert_array_equal(counts_of(plain)[bright == plain], counts_of(bright)[bright == plain])


def test_streams_and_pixels_are_independent():
    """Positions and seeds give independent counts, the same ones the same; pixels that share a counter, or lie side by side, do not correlate."""
    mean = np.full((256, 256), 20.0)
    first = counts_of(mean, 7)
    np.testing.assert_array_equal(first, counts_of(mean, 7))
    for other in (counts_of(mean, 8), counts_of(mean, 7, seed=2), counts_of(mean, 7, seed=1 + 2**32)):
        assert abs(np.corrcoef(first.ravel(), other.ravel())[0, 1]) < 5 / np.sqrt(first.size)
    away = first.ravel() - 20.0
    for lag in (1, 2, 3, 64, 128, 256):
        assert abs(np.mean(away[:-lag] * away[lag:]) / 20.0) < 5 / np.sqrt(away.size)
