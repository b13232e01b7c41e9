"""claims.yaml names what exists, spoiled rows are refused with one clear message, and verdicts follow from values alone."""

import jupytext
import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from figures_pkg.claims.rows import FAILS, HOLDS, ONLY, UNTESTED, ClaimsError, Limit, Measured, load_claims, verdict
from figures_pkg.provenance.figures import figure_names
from figures_pkg.workspace import load_profile

CLAIMS = load_claims(figures=figure_names())
GOOD = {
    "id": "a", "claim": "c", "place": {"section": "s", "at": "p"}, "figures": ["fig-2ab"], "data": "twin", "how": "h",
    "measure": "figures_pkg.claims.measures.com_auc", "cases": [{"dataset": "ds1"}], "unit": "AUC", "holds": {"at_least": 0.9},
    "because": "b", "verdict": {"smoke": "holds"},
}  # fmt: skip
NUMBERS = st.floats(-1e6, 1e6)
LISTS = st.lists(NUMBERS, min_size=1, max_size=6)
ORDER = {FAILS: 0, ONLY: 1, HOLDS: 2}


@pytest.fixture
def load(tmp_path):

    def _load(*rows, **top):
        path = tmp_path / "claims.yaml"
        path.write_text(yaml.safe_dump({"schema": 1, "artefacts": [], "record_artefacts": [], "rows": list(rows), **top}), encoding="utf-8")
        return load_claims(path, figure_names())

    return _load


def test_there_are_about_twenty_claims_and_more():
    """Each with a figure of the book, a place in the paper, and a caveat or a reason why it was not tested."""
    assert len(CLAIMS) >= 20
    assert all(row.figures and row.place["section"] and (row.caveat or row.not_tested) for row in CLAIMS)


@pytest.mark.parametrize("row", CLAIMS, ids=lambda row: row.id)
def test_every_function_resolves_and_has_a_docstring(row):
    """A claim that is measured names a public, documented function, and a limit that something meets."""
    if row.not_tested:
        assert not row.measure and row.limit is None
    else:
        assert row.function.__doc__ and row.limit.low <= row.limit.high and row.because


@pytest.mark.parametrize("row", CLAIMS, ids=lambda row: row.id)
def test_several_cases_are_told_apart_in_words(row):
    """Where the cases differ in more than the scan, the verdict can name them."""
    for cases in (row.cases, row.record):
        words = [case.when for case in cases]
        assert len(words) < 2 or all(words) and len(set(words)) == len(words) or not any(words) and row.id in ("lattice", "domain-patterns")


def test_other_cases_on_the_record_are_those_of_the_authors_networks(load):
    """They say so, bind to the measure as the others do, and only where there are any the record has its own."""
    assert all("authors'" in case.when or "of the authors" in case.when for row in CLAIMS for case in row.record)
    assert all(row.cases_on("twin") == row.cases and row.cases_on("zenodo") == (row.record or row.cases) for row in CLAIMS)
    (row,) = load(GOOD | {"record": [{"dataset": "ds2", "when": "w"}]})
    assert [case.dataset for case in row.cases_on("zenodo")] == ["ds2"] and [case.dataset for case in row.cases_on("twin")] == ["ds1"]
    with pytest.raises(ClaimsError, match="does not take this case"):
        load(GOOD | {"record": [{"dataset": "ds1", "with": {"colour": "red"}}]})


def test_no_words_of_a_claim_speak_of_a_truth():
    """The rows stand in the book on measured scans too."""
    texts = [text for row in CLAIMS for text in (row.claim, row.how, row.because, row.caveat, *(case.when for case in (*row.cases, *row.record)))]
    assert not [text for text in texts if {"true", "truth"} & set(text.lower().replace(",", " ").split())]


def test_the_figures_found_are_those_of_the_notebooks(repository):
    """By name, as the notebooks' metadata give them."""
    named = {}
    for path in sorted((repository / "notebooks").glob("*.md")):
        for cell in jupytext.read(path).cells:
            name = cell.metadata.get("mystnb", {}).get("figure", {}).get("name")
            named |= {name: path.stem} if name else {}
    assert named == figure_names()


def test_every_row_states_the_verdict_of_the_smallest_profile():
    """That is what continuous integration evaluates."""
    assert not [row.id for row in CLAIMS if "smoke" not in row.verdict and not row.not_tested]
    assert all(load_profile(profile) for row in CLAIMS for profile in row.verdict)


def test_a_good_row_is_read(load):
    (row,) = load(GOOD)
    assert row.limit.meets(0.9) and row.function.__name__ == "com_auc" and row.verdict == {"smoke": "holds"}
    (row,) = load({key: GOOD[key] for key in ("id", "claim", "place", "figures", "data", "how")} | {"not_tested": "no scan"})
    assert row.not_tested == "no scan" and row.cases == ()


@pytest.mark.parametrize("change, message", [
    ({"measure": "figures_pkg.claims.measures.com_aux"}, "row 'a'.*no function 'com_aux'; it has: .*com_auc"),
    ({"measure": "figures_pkg.evaluate.nothing.x"}, "row 'a': there is no module 'figures_pkg.evaluate.nothing'"),
    ({"measure": "os.system"}, "row 'a': measure is 'os.system'; expected the dotted name of a public function"),
    ({"measure": "figures_pkg.claims.measures._com"}, "public function"),
    ({"figures": ["fig-2a"]}, "row 'a': no figure is called 'fig-2a'; there are: .*fig-2ab"),
    ({"cases": [{"dataset": "ds7"}]}, "row 'a': no dataset is called 'ds7'; there are: .*ds1"),
    ({"cases": [{"dataset": "ds1", "with": {"order": 4}}]}, r"row 'a': com_auc\(.*\).* does not take this case: .*order"),
    ({"cases": [{}]}, "does not take this case: missing a required argument: 'dataset'"),
    ({"verdict": {"huge": "holds"}}, "row 'a', verdict: no profile is called 'huge'; there are: laptop, paper, smoke"),
    ({"verdict": {"smoke": ["holds", "does not hold"]}}, r"verdict of smoke: got \['holds', 'does not hold'\], expected one of holds, holds only when"),
    ({"verdict": {"smoke": {"about": 1}}}, "verdict of smoke, holds is {'about': 1}; expected one of at_least"),
    ({"verdict": {"smoke": "maybe"}}, "verdict of smoke: got 'maybe', expected one of holds, holds only when"),
    ({"holds": {"above": 1}}, "row 'a', holds is .*at_least"),
    ({"data": "scan"}, "row 'a', data: got 'scan', expected one of twin, record, picture, calculation"),
    ({"colour": "red"}, "row 'a': unknown colour; known are"),
    ({"because": ""}, "row 'a': missing because"),
    ({"claim": " "}, "row 'a', claim: expected text"),
    ({"place": {"section": "s"}}, "row 'a', place: missing at"),
    ({"not_tested": "no scan"}, "exclude each other"),
])
def test_spoiled_rows_are_refused(load, change, message):
    with pytest.raises(ClaimsError, match=message):
        load(GOOD | change)


@pytest.mark.parametrize("missing", ["claim", "figures", "place", "how"])
def test_missing_keys_are_named(load, missing):
    with pytest.raises(ClaimsError, match=f"row 'a': missing {missing}"):
        load({key: value for key, value in GOOD.items() if key != missing})


def test_ids_given_twice_and_rows_of_no_kind_are_refused(load):
    with pytest.raises(ClaimsError, match="a is given twice"):
        load(GOOD, GOOD)
    with pytest.raises(ClaimsError, match="row 'text'"):
        load("text")
    with pytest.raises(ClaimsError, match="schema is 2, expected 1"):
        load(GOOD, schema=2)


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
    words = [str(Limit.of(entry)) for entry in ({"at_least": 0.9}, {"at_most": 3}, {"equals": 4700770}, {"between": [10, 90]})]
    assert words == ["at least 0.9", "at most 3", "exactly 4,700,770", "between 10 and 90"]


@pytest.mark.parametrize("entry", [{"above": 3}, {"at_least": "much"}, {"between": [1]}, {"between": [2, 1]}, {}, 0.9,
                                   {"at_least": 1, "at_most": 2}])
def test_spoiled_limits_are_refused(entry):
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
