"""An evaluation keeps what is done, says why nothing was measured, and a changed verdict is found."""

import json
import os
from dataclasses import replace

import pytest

from figures_pkg.chapters.does_it_hold import twin_verdicts
from figures_pkg.claims.artefacts import Artefacts, Unavailable
from figures_pkg.claims.rows import Case, Claim, Limit
from figures_pkg.claims.run import changed_verdicts, evaluate_claim, evaluate_claims, read_verdicts, verdict_counts
from figures_pkg.workspace import artefact_path

CALLS = []


def doubled(made, dataset=None, value=1.0):
    """A measure that remembers its calls; ds2 is missing, and a value of 13 stops everything."""
    CALLS.append((dataset, value))
    if dataset == "ds2":
        raise Unavailable("the scan ds2 is not made in this profile")
    if value == 13:
        raise KeyboardInterrupt
    return [2 * value, 2 * value + 1]


@pytest.fixture
def make(monkeypatch):
    CALLS.clear()
    monkeypatch.setattr(Claim, "function", property(lambda self: doubled))

    def _make(id="a", value=1.0, dataset=None, **fields):
        case = Case(dataset, "", {"value": value})
        texts = {"claim": "c", "place": {"section": "s", "at": "p"}, "figures": (), "data": "calculation", "how": "h", "measure": "x.y"}
        return Claim(**({"id": id, "cases": (case,), "limit": Limit.of({"at_least": 2})} | texts | fields))

    return _make


def test_a_row_holds_values_verdict_and_limit(make):
    """What is missing is the reason, not an error, and not a failed claim."""
    row = evaluate_claim(make(unit="AUC"), Artefacts("smoke"))
    assert row["verdict"] == "holds" and row["limit"] == "at least 2" and row["unit"] == "AUC"
    assert row["cases"] == [{"dataset": None, "values": (2.0, 3.0), "when": "", "reason": "", "warning": ""}]
    row = evaluate_claim(make(dataset="ds2"), Artefacts("smoke"))
    assert row["verdict"] == "not tested" and row["words"] == "the scan ds2 is not made in this profile"
    row = evaluate_claim(make(measure=None, limit=None, cases=(), not_tested="no images"), Artefacts("smoke"))
    assert row["verdict"] == "not tested" and row["words"] == "no images"


@pytest.mark.parametrize("profile, data, number, value", [("smoke", "twin", 1, 2.0), ("laptop", "twin", 3, 2.0), ("laptop", "zenodo", 1, 6.0)])
def test_fields_are_those_of_the_profile_and_the_record_has_cases_of_its_own(make, profile, data, number, value):
    claim = make(dataset="ds1", over="fields", record=(Case("ds1", "authors'", {"value": 3.0}),))
    (case,) = evaluate_claim(claim, Artefacts(profile, data))["cases"]
    assert len(CALLS) == number and case["values"][0] == value and case["when"] == ("authors'" if data == "zenodo" else "")


def test_an_interrupted_evaluation_goes_on(make, tmp_path):
    """What was done is not measured again, unless its row changed; at the end only the verdicts are left."""
    out, claims = tmp_path / "claims.json", [make("a"), make("b", 5.0), make("c", 13)]
    with pytest.raises(KeyboardInterrupt):
        evaluate_claims(claims, "smoke", "twin", out, str)
    assert not out.exists() and [row["id"] for row in json.loads(out.with_suffix(".unfinished.json").read_text())] == ["a", "b"]
    CALLS.clear()
    evaluate_claims([claims[0], replace(claims[1], how="otherwise"), make("c", 0.5)], "smoke", "twin", out, str)
    assert CALLS == [(None, 5.0), (None, 0.5)]
    found = read_verdicts(out)
    with pytest.raises(ValueError, match="ends in .json"):
        evaluate_claims([], "smoke", "twin", out.with_suffix(".txt"), str)
    assert [path.name for path in tmp_path.iterdir()] == ["claims.json"]
    assert verdict_counts(found) == {"holds": 2, "holds only when": 1, "does not hold": 0, "not tested": 0}
    assert not any({"mark", "read"} & set(row) for row in found["rows"])


def test_a_row_is_measured_again_when_the_code_behind_it_or_a_file_that_it_read_has_changed(make, tmp_path, monkeypatch):
    """Finished rows count only as long as the code of the measure and all it uses, and their files, are there and the same."""
    file, out, claims = tmp_path / "scan", tmp_path / "claims.json", [make("a"), make("b", 13)]
    monkeypatch.setattr(Claim, "function", property(lambda self: lambda made, **case: made._note(file) or doubled(made, **case)))
    for write, code, calls in ((file.touch, "before", 2), (str, "before", 1), (str, "after", 2), (str, "after", 1),
                               (lambda: os.utime(file, ns=(0, 0)), "after", 2), (file.unlink, "after", 2)):
        write()
        CALLS.clear()
        with pytest.raises(KeyboardInterrupt):
            evaluate_claims(claims, "smoke", "twin", out, lambda measure, code=code: f"{code} {measure}")
        assert len(CALLS) == calls


def test_a_changed_verdict_names_row_old_new_and_value(make, tmp_path):
    """Once for each row, none where the row says what was found, none on the authors' data or for another profile."""
    claims = [make("a", verdict={"smoke": "does not hold"}), make("b", 0.1, verdict={"smoke": "does not hold"})]
    found = read_verdicts(evaluate_claims(claims, "smoke", "twin", tmp_path / "claims.json", str))
    (line,) = changed_verdicts(claims, found)
    assert "row a: verdict of smoke is 'does not hold', now 'holds' (2.5 ; holds: at least 2)" in line
    assert not changed_verdicts([replace(claims[0], verdict={"smoke": Limit.of({"at_least": 2})})], found)  # the verdict may turn, the values may not
    assert "every value is at most 2, now 'holds' (2.5 " in changed_verdicts([replace(claims[0], verdict={"smoke": Limit.of({"at_most": 2})})], found)[0]
    unmeasured = found | {"rows": [row | {"cases": [case | {"values": []} for case in row["cases"]]} for row in found["rows"]]}
    assert changed_verdicts([replace(claims[0], verdict={"smoke": Limit.of({"at_least": 2})})], unmeasured)  # no range is met by nothing
    assert "not evaluated" in changed_verdicts([make("new", verdict={"smoke": "holds"})], found)[0]
    assert changed_verdicts(claims, found | {"data": "zenodo"}) == changed_verdicts(claims, found | {"profile": "paper"}) == []


def test_the_authors_data_are_not_here(tmp_path, monkeypatch):
    """Then a claim on them is not tested, and one that needs the truth never is."""
    monkeypatch.setenv("FIGURES_PKG_DATA", str(tmp_path))
    made = Artefacts("smoke", "zenodo")
    for dataset, message in (("ds1", "`ds1` of the authors is not on this computer"), ("control", "exists only as a simulation")):
        with pytest.raises(Unavailable, match=message):
            made.scan(dataset)
    with pytest.raises(Unavailable, match="known of simulated scans alone"):
        made.truth("ds1")
    assert made.source == "record"


def test_the_twins_verdicts_are_those_evaluated_else_those_stated(make, tmp_path, monkeypatch):
    monkeypatch.setenv("FIGURES_PKG_ARTEFACTS", str(tmp_path))
    claims = [make("a", verdict={"smoke": "holds"}), make("b", 0.1, verdict={"smoke": Limit.of({"at_least": 0}), "laptop": "not tested"})]
    stated = twin_verdicts(claims, "smoke")
    assert stated["a"] == {"verdict": "holds", "words": "", "stated": "smoke"}
    assert stated["b"] == {"verdict": "not tested", "words": "", "stated": "laptop"}
    assert twin_verdicts(claims, "paper")["b"] == {"verdict": "not tested", "words": "", "stated": "laptop"}
    evaluate_claims(claims[1:], "smoke", "twin", artefact_path("claims/claims.json", "twin", "smoke"), str)
    assert twin_verdicts(claims, "smoke") == {"a": stated["a"], "b": {"verdict": "does not hold", "words": "", "stated": ""}}
    assert verdict_counts({"rows": stated.values()})["holds"] == 1
