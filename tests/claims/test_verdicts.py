"""Verdicts follow from values alone: monotone, right at the bounds, and worded by the cases that hold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from figures_pkg.claims.verdicts import FAILS, HOLDS, ONLY, UNTESTED, Limit, Measured, verdict

NUMBERS = st.floats(-1e6, 1e6)
LISTS = st.lists(NUMBERS, min_size=1, max_size=6)
ORDER = {FAILS: 0, ONLY: 1, HOLDS: 2}


@given(LISTS, NUMBERS, st.floats(0, 1e6))
def test_larger_values_never_make_at_least_worse(values, bound, more):
    """Raising every value raises the verdict or leaves it; lowering the bound does too."""
    limit = Limit.of({"at_least": bound})
    before = ORDER[verdict([Measured(tuple(values))], limit)[0]]
    assert ORDER[verdict([Measured(tuple(value + more for value in values))], limit)[0]] >= before
    assert ORDER[verdict([Measured(tuple(values))], Limit.of({"at_least": bound - more}))[0]] >= before


@given(LISTS, NUMBERS)
def test_at_most_is_the_mirror_image(values, bound):
    """What holds as at least holds as at most with all signs changed."""
    one = verdict([Measured(tuple(values))], Limit.of({"at_least": bound}))[0]
    assert one == verdict([Measured(tuple(-value for value in values))], Limit.of({"at_most": -bound}))[0]


@given(st.lists(LISTS, min_size=1, max_size=3), NUMBERS)
def test_the_order_of_values_and_cases_does_not_matter(cases, bound):
    """Only which values there are decides."""
    limit = Limit.of({"at_least": bound})
    forth = verdict([Measured(tuple(values)) for values in cases], limit)[0]
    assert forth == verdict([Measured(tuple(reversed(values))) for values in reversed(cases)], limit)[0]


@pytest.mark.parametrize("entry, inside, outside", [
    ({"at_least": 0.9}, [0.9, 5], [0.8999, -np.inf]),
    ({"at_most": 3}, [3, -7], [3.0001]),
    ({"equals": 6}, [6], [5, 7]),
    ({"between": [10, 90]}, [10, 50, 90], [9.99, 90.01]),
])
def test_bounds_belong_to_what_holds(entry, inside, outside):
    """And nan never holds."""
    limit = Limit.of(entry)
    assert all(map(limit.meets, inside)) and not any(map(limit.meets, [*outside, float("nan")]))


def test_a_limit_reads_as_words():
    """As the page shows it."""
    words = [str(Limit.of(entry)) for entry in ({"at_least": 0.9}, {"at_most": 3}, {"equals": 4700770}, {"between": [10, 90]})]
    assert words == ["at least 0.9", "at most 3", "exactly 4,700,770", "between 10 and 90"]


@pytest.mark.parametrize("entry", [{"above": 3}, {"at_least": "much"}, {"between": [1]}, {"between": [2, 1]}, {}, 0.9,
                                   {"at_least": 1, "at_most": 2}])
def test_spoiled_limits_are_refused(entry):
    """The message names the row."""
    with pytest.raises(ValueError, match="row 'x'"):
        Limit.of(entry, "row 'x'")


def test_what_some_cases_show_becomes_the_condition():
    """All hold, none does, or some: then the words are theirs, with their number where only a part of the values holds."""
    limit = Limit.of({"at_least": 1})
    good, bad = Measured((2.0, 3.0), "the wall is upright"), Measured((0.0,), "it leans")
    mixed = Measured((0.0, 2.0, 3.0), "it is bent")
    assert verdict([good], limit) == (HOLDS, "") and verdict([bad, bad], limit) == (FAILS, "")
    assert verdict([good, bad], limit) == (ONLY, "the wall is upright")
    assert verdict([mixed, bad], limit) == (ONLY, "it is bent, in 2 of 3 fields and seeds")
    assert verdict([good, mixed], limit) == (ONLY, "the wall is upright; or it is bent, in 2 of 3 fields and seeds")


def test_cases_without_values_do_not_decide():
    """One that was tested is enough; without any the reasons are the words, each once."""
    limit, missing = Limit.of({"at_least": 1}), Measured((), reason="no scan")
    assert verdict([Measured((2.0,)), missing], limit) == (HOLDS, "")
    assert verdict([missing, missing], limit) == (UNTESTED, "no scan")
    assert verdict([Measured((), reason="not on the record")], None) == (UNTESTED, "not on the record")
    assert np.isnan(missing.middle) and Measured((1.0, 2.0, 6.0)).middle == 2.0
