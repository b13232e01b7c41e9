"""The page of verdicts: the table of claims as HTML, with links to the figures."""

from __future__ import annotations

from html import escape

import numpy as np

from figures_pkg.claims.rows import KINDS, Claim
from figures_pkg.claims.verdicts import FAILS, HOLDS, ONLY, UNTESTED
from figures_pkg.passports.catalogue import figure_names

CLASSES = {HOLDS: "holds", ONLY: "only", FAILS: "fails", UNTESTED: "untested"}
NAMED = ("AUC", "r", "ratio", "share", "evidence")  # units that are names and come first
# Both ends of each pair are readable on the theme's light and dark ground; the word says the same as the colour.
STYLE = """<style>
table.claims {width:100%; table-layout:fixed; border-collapse:collapse; font-size:0.9em}
table.claims td, table.claims th {vertical-align:top; text-align:left; padding:0.5em 0.6em; white-space:normal;
 border-bottom:1px solid rgba(128,128,128,0.4); overflow-wrap:anywhere}
table.claims small {opacity:0.85}
table.claims .verdict {display:inline-block; padding:0.1em 0.5em; border-radius:0.3em; font-weight:600; color:#fff}
table.claims .holds {background:#1b6e3c} table.claims .only {background:#8a5a00}
table.claims .fails {background:#a3262a} table.claims .untested {background:#5a5f66}
table.claims details summary {cursor:pointer}
table.claims details p {margin:0.3em 0}
table.claims td > p {margin:0 0 0.4em 0}
@media (max-width: 600px) { /* on a phone the cells of a claim stand below each other */
 table.claims, table.claims tbody, table.claims tr, table.claims td {display:block}
 table.claims thead, table.claims colgroup {display:none}
 table.claims tr {padding:0.6em 0; border-bottom:1px solid rgba(128,128,128,0.4)}
 table.claims td {border:0; padding:0.15em 0}
}
</style>"""


def claims_table(claims: list[Claim], found: dict) -> str:
    """
    HTML of the table: claim, value with its spread, verdict, data and figures, and a fold-out with how and why.

    Parameters
    ----------
    claims
        The rows of claims.yaml.
    found
        What :func:`figures_pkg.claims.run.read_verdicts` returns.

    Returns
    -------
    str
        Texts are escaped; a row can be linked to as ``#claim-`` and its id.

    Raises
    ------
    ValueError
        If a claim was not evaluated, since the file is older than the row.
    """
    rows = {row["id"]: row for row in found["rows"]}
    if missing := [claim.id for claim in claims if claim.id not in rows]:
        raise ValueError(f"{', '.join(missing)} of claims.yaml has no verdict; call `figures_pkg claims` again")
    widths = "".join(f"<col style='width:{width}%'>" for width in (41, 24, 19, 16))
    head = f"<colgroup>{widths}</colgroup><thead><tr><th>Claim</th><th>Value</th><th>Verdict</th><th>Data, figures</th></tr></thead>"
    chapters = figure_names()
    body = "".join(_row(claim, rows[claim.id], chapters) for claim in claims)
    return f"{STYLE}<table class='claims'>{head}<tbody>{body}</tbody></table>"


def value_words(values: list[float], unit: str) -> str:
    """
    Middle, least and most with the unit, and how many values there are.

    Examples
    --------
    >>> value_words([0.91, 0.97, 0.99], "AUC")
    'AUC 0.97 (0.91 to 0.99, n = 3)'
    >>> value_words([4700770.0], "parameters")
    '4,700,770 parameters'
    """
    middle = _number(np.median(values))
    spread = f" ({_number(min(values))} to {_number(max(values))}, n = {len(values)})" if len(values) > 1 else ""
    value = f"{middle}{spread}"
    return f"{unit} {value}" if unit in NAMED else f"{value} {unit}".strip()


def _number(value: float) -> str:
    """Three digits, a true minus, whole numbers in full."""
    text = f"{value:,.0f}" if float(value).is_integer() and abs(value) >= 1 else f"{value:.3g}"
    return text.replace("-", "−")


def _row(claim: Claim, row: dict, chapters: dict[str, str]) -> str:
    """One claim as HTML."""
    place = ", ".join(filter(None, (claim.place["section"], claim.place["at"])))
    first = f"{escape(claim.claim)}<br><small>{escape(place)}</small>{_details(claim, row)}"
    badge = f"<span class='verdict {CLASSES[row['verdict']]}'>{row['verdict']}</span>"
    words = f"<br>{escape(row['words'])}" if row["words"] else ""
    figures = [f"<a href='{chapters[name]}.html#{name}'>{escape(name)}</a>" for name in claim.figures]
    links = "<br>".join([f"<small>{KINDS[claim.data].partition(':')[0]}</small>", *figures])
    cells = (first, _values(row), badge + words, links)
    return f"<tr id='claim-{claim.id}'>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _values(row: dict) -> str:
    """The values of all cases."""
    lines = []
    for case in row["cases"]:
        value = value_words(case["values"], row["unit"]) if case["values"] else f"not tested: {case['reason']}" if case["dataset"] else "none"
        where = ": ".join(filter(None, (case["dataset"], case["when"])))
        lines.append(f"<p>{escape(value)}" + (f"<br><small>{escape(where)}</small>" if where else "") + "</p>")
    return "".join(lines)


def _details(claim: Claim, row: dict) -> str:
    """The fold-out of a claim."""
    datasets = ", ".join(dict.fromkeys(case.dataset for case in claim.cases if case.dataset))
    parts = {"Measured": claim.how, "Holds": f"{row['limit']} {row['unit']}. {claim.because}" if claim.measure else "",
             "Data": f"{KINDS[claim.data]}{': ' if datasets else ''}{datasets}", "Caveat": claim.caveat}
    body = "".join(f"<p><strong>{name}.</strong> {escape(text)}</p>" for name, text in parts.items() if text)
    code = f"<p><code>{escape(claim.measure)}</code></p>" if claim.measure else ""
    return f"<details><summary>how and why</summary>{body}{code}</details>"
