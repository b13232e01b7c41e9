"""claims.yaml names what exists, spoiled rows are refused with one clear message, and verdicts follow from values alone."""

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from figures_pkg.claims.rows import FAILS, HOLDS, ONLY, UNTESTED, ClaimsError, Limit, Measured, load_claims, verdict
from figures_pkg.provenance.figures import figure_names

CLAIMS = load_claims(figures=figure_names())
GOOD = {
    "id": "a", "claim": "c", "place": {"section": "s", "at": "p"}, "figures": ["fig-2ab"], "data": "twin", "how": "h",
    "measure": "figures_pkg.claims.measures.com_auc", "cases": [{"dataset": "ds1"}], "unit": "AUC", "holds": {"at_least": 0.9},
    "because": "b", "verdict": {"smoke": "holds"},
}  # fmt: skip
NUMBERS = st.floats(-1e6, 1e6)
LISTS = st.lists(NUMBERS, min_size=1, max_size=6)
ORDER = {FAILS: 0, ONLY: 1, HOLDS: 2}


def load(folder, *rows, schema=1):
    path = folder / "claims.yaml"
    path.write_text(yaml.safe_dump({"schema": schema, "artefacts": [], "record_artefacts": [], "rows": list(rows)}), encoding="utf-8")
    return load_claims(path, figure_names())


def test_claims_have_all_that_their_page_shows():
    """A figure, a place, a caveat or why it was not tested, and CI's verdict; cases are told apart in words, none of which speaks of a truth."""
    assert len(CLAIMS) >= 20
    for row in CLAIMS:
        assert row.figures and row.place["section"] and (row.not_tested or row.caveat and "smoke" in row.verdict), row.id
        for cases in (row.cases, row.record):
            words = [case.when for case in cases]
            assert len(words) < 2 or all(words) and len(set(words)) == len(words) or not any(words) and row.id in ("lattice", "domain-patterns")
        assert all("released" in case.when for case in row.record)
        text = " ".join([row.claim, row.how, row.because, row.caveat, *(case.when for case in (*row.cases, *row.record))])
        assert not {"true", "truth"} & set(text.lower().replace(",", " ").split()), row.id


def test_a_good_row_is_read(tmp_path):
    """The record may have cases of its own, which bind to the measure as the others do."""
    (row,) = load(tmp_path, GOOD)
    assert row.limit.meets(0.9) and row.function.__name__ == "com_auc" and row.verdict == {"smoke": "holds"} and row.cases_on("zenodo") == row.cases
    (row,) = load(tmp_path, {key: GOOD[key] for key in ("id", "claim", "place", "figures", "data", "how")} | {"not_tested": "no scan"})
    assert row.not_tested == "no scan" and row.cases == ()
    (row,) = load(tmp_path, GOOD | {"record": [{"dataset": "ds2", "when": "w"}]})
    assert [case.dataset for case in row.cases_on("zenodo")] == ["ds2"] and [case.dataset for case in row.cases_on("twin")] == ["ds1"]


@pytest.mark.parametrize("change, message", [
    ({"measure": "figures_pkg.claims.measures.com_aux"}, "row 'a'.*no function 'com_aux'; it has: .*com_auc"),
    ({"measure": "figures_pkg.evaluate.nothing.x"}, "row 'a': there is no module 'figures_pkg.evaluate.nothing'"),
    ({"measure": "os.system"}, "row 'a': measure is 'os.system'; expected the dotted name of a public function"),
    ({"measure": "figures_pkg.claims.measures._com"}, "public function"),
    ({"figures": ["fig-2a"]}, "row 'a': no figure is called 'fig-2a'; there are: .*fig-2ab"),
    ({"cases": [{"dataset": "ds7"}]}, "row 'a': no dataset is called 'ds7'; there are: .*ds1"),
    ({"cases": [{"dataset": "ds1", "with": {"order": 4}}]}, r"row 'a': com_auc\(.*\).* does not take this case: .*order"),
    ({"record": [{}]}, "does not take this case: missing a required argument: 'dataset'"),
    ({"verdict": {"huge": "holds"}}, "row 'a', verdict: no profile is called 'huge'; there are: laptop, paper, smoke"),
    ({"verdict": {"smoke": ["holds", "does not hold"]}}, r"verdict of smoke: expected one of holds, holds only when.*, got \['holds', 'does not hold'\]"),
    ({"verdict": {"smoke": {"about": 1}}}, "verdict of smoke, holds is {'about': 1}; expected one of at_least"),
    *[({"holds": limit}, "row 'a', holds") for limit in ({"above": 3}, {"at_least": "much"}, {"between": [1]}, {"between": [2, 1]},
                                                           0.9, {"at_least": 1, "at_most": 2})],
    ({"data": "scan"}, "row 'a', data: expected one of twin, record, picture, calculation, got 'scan'"),
    ({"colour": "red"}, "row 'a': unknown colour; known are"),
    ({"claim": " "}, "row 'a', claim: expected text"),
    ({"place": {"section": "s"}}, "row 'a', place: missing at"),
    ({"not_tested": "no scan"}, "exclude each other"),
])
def test_spoiled_rows_are_refused(tmp_path, change, message):
    with pytest.raises(ClaimsError, match=message):
        load(tmp_path, GOOD | change)


def test_spoiled_lists_are_refused(tmp_path):
    without_place = {key: GOOD[key] for key in GOOD if key != "place"}
    for rows, schema, message in (([without_place], 1, "row 'a': missing place"), ([GOOD, GOOD], 1, "a is given twice"),
                                  (["text"], 1, "row 'text'"), ([GOOD], 2, "schema is 2, expected 1")):
        with pytest.raises(ClaimsError, match=message):
            load(tmp_path, *rows, schema=schema)


@given(st.lists(LISTS, min_size=1, max_size=3), NUMBERS, st.floats(0, 1e6))
def test_verdicts_follow_from_values_alone(cases, bound, more):
    """Raising every value raises the verdict or leaves it; all signs changed, at most says the same; the order of values and cases does not matter."""
    def verdict_of(change, limit):
        return verdict([Measured(tuple(change(value) for value in values)) for values in cases], Limit.of(limit))[0]

    found = verdict_of(lambda value: value, {"at_least": bound})
    assert ORDER[verdict_of(lambda value: value + more, {"at_least": bound})] >= ORDER[found]
    assert ORDER[verdict_of(lambda value: value, {"at_least": bound - more})] >= ORDER[found]
    assert verdict_of(lambda value: -value, {"at_most": -bound}) == found
    assert verdict([Measured(tuple(reversed(values))) for values in reversed(cases)], Limit.of({"at_least": bound}))[0] == found


@pytest.mark.parametrize("entry, words, inside, outside", [
    ({"at_least": 0.9}, "at least 0.9", [0.9, 5], [0.8999, -np.inf]),
    ({"at_most": 3}, "at most 3", [3, -7], [3.0001]),
    ({"equals": 4700770}, "exactly 4,700,770", [4700770], [5, 4700771]),
    ({"between": [10, 90]}, "between 10 and 90", [10, 50, 90], [9.99, 90.01]),
])
def test_bounds_belong_to_what_holds(entry, words, inside, outside):
    """And nan never holds."""
    limit = Limit.of(entry)
    assert str(limit) == words
    assert all(map(limit.meets, inside)) and not any(map(limit.meets, [*outside, float("nan")]))


def test_what_some_cases_show_becomes_the_condition():
    """With their number where only a part of the values holds; cases without values do not decide, without any the reasons are the words, each once."""
    limit, missing = Limit.of({"at_least": 1}), Measured((), reason="no scan")
    good, bad = Measured((2.0, 3.0), "the wall is upright"), Measured((0.0,), "it leans")
    mixed = Measured((0.0, 2.0, 3.0), "it is bent")
    assert verdict([good], limit) == (HOLDS, "") and verdict([bad, bad], limit) == (FAILS, "")
    assert verdict([good, bad], limit) == (ONLY, "the wall is upright")
    assert verdict([mixed, bad], limit) == (ONLY, "it is bent, in 2 of 3 fields and seeds")
    assert verdict([good, mixed], limit) == (ONLY, "the wall is upright; or it is bent, in 2 of 3 fields and seeds")
    assert verdict([good, missing], limit) == (HOLDS, "") and verdict([missing, missing], limit) == (UNTESTED, "no scan")
    assert verdict([missing], None) == (UNTESTED, "no scan")
