"""What the chapter on whether the claims hold alone needs: the table of claims in HTML."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

import numpy as np

from figures_pkg.claims.rows import FAILS, HOLDS, KINDS, ONLY, UNTESTED, Claim
from figures_pkg.claims.run import read_verdicts
from figures_pkg.provenance.figures import figure_names, paper_figures
from figures_pkg.workspace import artefact_path

CLASSES = {HOLDS: "holds", ONLY: "only", FAILS: "fails", UNTESTED: "untested"}
SOURCES = {"record": "the authors' scans", "rehearsal": "rehearsal: simulated stand-in"}  # where a measured value comes from
NAMED = ("AUC", "AUC gain", "AUC margin", "r", "ratio", "share", "evidence")  # units that are names and come first
TITLES = {  # of figures that are none of the paper's
    "fig-4-map": "asymmetry over thickness and tilt",
    "fig-4-thickness": "asymmetry over thickness",
    "fig-5-turned": "c turned, variants reversed",
    "fig-5-vortex": "charge and variant of six walls",
    "fig-authors-scores": "published channels, domains",
    "fig-com-causes": "causes of the COM",
    "fig-gen-ends": "ends of a channel, small network",
    "fig-gen-row": "bands of a channel, small network",
    "fig-matching-com": "COM against matched tilt",
    "fig-matching-maps": "matched maps",
    "fig-realism-patterns": "mean patterns",
    "fig-realism-series": "strengths of reflections",
    "fig-scores-charge": "HH against TT, all methods",
    "fig-scores-domains": "domains, all methods",
    "fig-scores-evidence": "false domains",
    "fig-scores-vortex": "vortex, all methods",
    "fig-wall-profile": "counts across the wall",
    "walls-inclined": "inclined wall",
}
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


def twin_verdicts(claims: Sequence[Claim], profile: str) -> dict[str, dict]:
    """
    What each claim gives on the twin, to stand beside what was measured: id -> ``verdict``, ``words`` and ``stated``.

    ``stated`` is the profile whose verdict in claims.yaml stands in for one that was not evaluated here, else empty.
    """
    path = artefact_path("claims/claims.json", "twin", profile)
    evaluated = {row["id"]: row for row in read_verdicts(path)["rows"]} if path.is_file() else {}
    given = {id: {"verdict": row["verdict"], "words": row["words"], "stated": ""} for id, row in evaluated.items()}
    for claim in claims:
        stated = {name: verdict for name, verdict in claim.verdict.items() if isinstance(verdict, str)}
        where = profile if profile in stated else next(iter(reversed(stated)), profile)
        given.setdefault(claim.id, {"verdict": stated.get(where, UNTESTED), "words": "", "stated": where})
    return given


def claims_table(claims: list[Claim], found: dict, twin: dict[str, dict] | None = None) -> str:
    """
    HTML of the table: claim, value with its spread, verdict, data and figures, and a fold-out with how and why; ``#claim-`` and its id link to a row.

    ``found`` is from :func:`figures_pkg.claims.run.read_verdicts`; where it comes from measured scans, ``twin`` is from :func:`twin_verdicts`.
    """
    rows = {row["id"]: row for row in found["rows"]}
    if missing := [claim.id for claim in claims if claim.id not in rows]:
        raise ValueError(f"{', '.join(missing)} of claims.yaml has no verdict; call `figures_pkg claims` again")
    columns = {"Claim": 41, "Value": 24, "Verdict": 19, "Data, figures": 16}
    if twin is not None:
        columns = {"Claim": 34, "Measured value": 22, "Verdict": 15, "On the twin": 14, "Data, figures": 15}
    widths = "".join(f"<col style='width:{width}%'>" for width in columns.values())
    titles = "".join(f"<th>{title}</th>" for title in columns)
    head = f"<colgroup>{widths}</colgroup><thead><tr>{titles}</tr></thead>"
    chapters, panels = figure_names(), {name: figure.panel for name, figure in paper_figures().items()}
    links = {name: f"<a href='{chapter}.html#{name}'>{escape(panels.get(name) or TITLES.get(name, name))}</a>" for name, chapter in chapters.items()}
    source = "twin" if twin is None else found["source"]
    body = "".join(_row(number, claim, rows[claim.id], links, source, (twin or {}).get(claim.id)) for number, claim in enumerate(claims, 1))
    return f"{STYLE}<table class='claims'>{head}<tbody>{body}</tbody></table>"


def value_words(values: list[float], unit: str) -> str:
    """Middle, least and most with the unit, and how many values there are, as in ``AUC 0.97 (0.91 to 0.99, n = 3)``."""
    middle = _number(np.median(values))
    spread = f" ({_number(min(values))} to {_number(max(values))}, n = {len(values)})" if len(values) > 1 else ""
    value = f"{middle}{spread}"
    return f"{unit} {value}" if unit in NAMED else f"{value} {unit}".strip()


def case_labels(number: int, row: dict) -> list[str]:
    """How the cases of a claim are numbered: by the number of the claim, and a letter where it has several."""
    return [f"{number}{letter if len(row['cases']) > 1 else ''}" for letter, _ in zip("abcdefgh", row["cases"])]


def _number(value: float) -> str:
    text = f"{value:,.0f}" if float(value).is_integer() and abs(value) >= 1 else f"{value:.3g}"
    return text.replace("-", "−")


def _row(number: int, claim: Claim, row: dict, links: dict[str, str], source: str, twin: dict | None) -> str:
    place = ", ".join(filter(None, (claim.place["section"], claim.place["at"])))
    first = f"<strong>{number}</strong> {escape(claim.claim)}<br><small>{escape(place)}</small>{_details(claim, row, source)}"
    named = [f"<small>{escape(_data_words(claim, row, source).partition(':')[0])}</small>", *(links[name] for name in claim.figures)]
    said = twin is not None and row["verdict"] == UNTESTED and all(case["dataset"] for case in row["cases"])  # why, beside each case
    cells = [first, _values(case_labels(number, row), row), _verdict(row | {"words": ""} if said else row)]
    if twin and _of_scans(claim):
        stated = "<br><small>(stated)</small>" if twin["stated"] else ""
        cells.append(f"<small>twin: </small>{_verdict(twin)}{stated}")
    elif twin:
        cells.append("<small>the same: no scan is measured</small>")
    cells.append("<br>".join(named))
    return f"<tr id='claim-{claim.id}'>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _verdict(row: dict) -> str:
    badge = f"<span class='verdict {CLASSES[row['verdict']]}'>{row['verdict']}</span>"
    return badge + (f"<br>{_text(row['words'])}" if row["words"] else "")


def _of_scans(claim: Claim) -> bool:
    """Whether the value of a claim depends on whose scans are measured."""
    return claim.data in ("twin", "record")


def _data_words(claim: Claim, row: dict, source: str) -> str:
    """What a claim was measured on, in words."""
    if source not in SOURCES or not _of_scans(claim):
        return KINDS[claim.data]
    return SOURCES[source] if any(case["values"] for case in row["cases"]) else "not measured"


def _text(text: str) -> str:
    """A sentence as HTML, with what stands between backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _values(labels: list[str], row: dict) -> str:
    lines = []
    for label, case in zip(labels, row["cases"], strict=True):
        value = value_words(case["values"], row["unit"]) if case["values"] else f"not tested: {case['reason']}" if case["dataset"] else "not measured"
        where = ": ".join(filter(None, (case["dataset"], case["when"])))
        start = f"<small>{label}</small> " if len(labels) > 1 else ""
        small = "".join(f"<br><small>{escape(text)}</small>" for text in (where, case.get("warning")) if text)
        lines.append(f"<p>{start}{_text(value)}{small}</p>")
    return "".join(lines)


def _details(claim: Claim, row: dict, source: str) -> str:
    """The fold-out of a claim; on measured scans it says which caveats speak of the twin."""
    datasets = ", ".join(dict.fromkeys(case["dataset"] for case in row["cases"] if case["dataset"] and (case["values"] or source == "twin")))
    caveat = "Caveat on the twin" if source in SOURCES and _of_scans(claim) else "Caveat"
    parts = {"Measured": claim.how, "Holds": f"{row['limit']} {row['unit']}. {claim.because}" if claim.measure else "",
             "Data": f"{_data_words(claim, row, source)}{': ' if datasets else ''}{datasets}", caveat: claim.caveat}
    body = "".join(f"<p><strong>{name}.</strong> {escape(text)}</p>" for name, text in parts.items() if text)
    code = f"<p><code>{escape(claim.measure)}</code></p>" if claim.measure else ""
    return f"<details><summary>how and why</summary>{body}{code}</details>"
