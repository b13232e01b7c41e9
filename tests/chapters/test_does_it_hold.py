"""The table of claims says what was found, links to figures, and escapes its texts."""

import json

import pytest

from figures_pkg.chapters.does_it_hold import TITLES, claims_table, value_words
from figures_pkg.claims.rows import Case, Claim, Limit, load_claims
from figures_pkg.provenance.figures import figure_names, paper_figures

CASES = [{"dataset": "ds1", "values": [-0.5, 0.25], "when": "it leans", "reason": ""},
         {"dataset": "hard", "values": [], "when": "", "reason": "no scan `hard`"}]  # fmt: skip
TWIN = {"verdict": "does not hold", "words": "or holds", "stated": "laptop"}


def row(verdict="holds", **fields):
    return {"id": "a", "verdict": verdict, "words": "it < leans", "limit": "at least 0", "unit": "r", "cases": CASES} | fields


def claim(**fields):
    texts = {"id": "a", "claim": "P & Q", "place": {"section": "Methods", "at": "Fig. 2a"}, "figures": ("fig-2ab",), "data": "twin",
             "how": "h", "measure": "figures_pkg.x.y", "cases": (Case("ds1", ""),), "limit": Limit(0, 1), "because": "b", "caveat": "built in"}
    return Claim(**(texts | fields))


@pytest.mark.parametrize("source, words", [("twin", ()), ("record", ("the authors&#x27; scans: ds1</p>",)),
                                           ("rehearsal", ("rehearsal: simulated stand-in: ds1</p>",))])
def test_the_table_holds_values_reasons_links_and_verdicts(source, words):
    """Texts are escaped; beside a measured value stands the word for its source, and the twin's verdict with where it comes from."""
    measured = source != "twin"
    html = claims_table([claim()], {"rows": [row()], "source": source}, {"a": TWIN} if measured else None)
    for text in ("r −0.125 (−0.5 to 0.25, n = 2)", "not tested: no scan <code>hard</code>", "ds1: it leans", "<strong>1</strong> P",
                 "<small>1b</small> not", "it &lt; leans", "P &amp; Q", "built in", "<a href='fig-2.html#fig-2ab'>Fig. 2a,b</a>",
                 "id='claim-a'", "<details>", "at least 0 r. b", *words):  # fmt: skip
        assert text in html, text
    assert measured == ("or holds" in html) == ("(stated)" in html) == ("Caveat on the twin." in html)
    assert measured != ("simulated, " in html)  # the twin's word never stands at a measured value


def test_what_needs_no_scan_is_the_same_for_both_and_what_was_not_measured_says_why_once():
    """A calculation has one verdict and its own word; a claim without a value has its reason beside its case, and its data column names no source."""
    html = claims_table([claim(data="calculation")], {"rows": [row()], "source": "record"}, {"a": TWIN})
    assert "the same: no scan is measured" in html and "does not hold" not in html.partition("</style>")[2] and "<small>calculation</small>" in html
    cases = [{"dataset": "ds1", "values": [], "when": "", "reason": "no domains"}]
    html = claims_table([claim()], {"rows": [row("not tested", words="no domains", cases=cases)], "source": "record"}, {"a": TWIN})
    assert html.count("no domains") == 1 and "<small>not measured</small>" in html and "scans" not in html.partition("</style>")[2]
    assert value_words([4700770.0], "parameters") == "4,700,770 parameters" and value_words([1.0, 1.0], "AUC") == "AUC 1 (1 to 1, n = 2)"
    with pytest.raises(ValueError, match="new of claims.yaml has no verdict; call `figures_pkg claims`"):
        claims_table([claim(), claim(id="new")], {"rows": [row()]})


def test_figures_of_claims_have_a_title_and_a_page(repository):
    toc = (repository / "book/_toc.yml").read_text(encoding="utf-8")
    assert all(f"executed/{chapter}" in toc for chapter in set(figure_names().values()))
    assert {name for each in load_claims() for name in each.figures} - set(paper_figures()) == set(TITLES)


def test_the_command_checks_verdicts(tmp_path, monkeypatch, capsys):
    from figures_pkg.cli import main

    rows, out = [claim(verdict={"smoke": "does not hold"})], tmp_path / "claims.json"
    monkeypatch.setattr("figures_pkg.claims.rows.load_claims", lambda *_, **__: rows)
    words = ["claims", "--profile", "smoke", "--check", "--out", str(out)]
    assert main(words) == 1 and "figures_pkg claims" in capsys.readouterr().err
    out.write_text(json.dumps({"schema": 1, "profile": "smoke", "data": "twin", "rows": [row("holds")]}))
    assert main(words) == 1 and "row a: verdict of smoke is 'does not hold', now 'holds' (-0.125" in capsys.readouterr().err
    rows[0] = claim(verdict={"smoke": "holds"})
    assert main(words) == 0
