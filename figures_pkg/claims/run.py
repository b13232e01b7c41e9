"""Evaluate all claims on what a profile has made, keep what is finished, and compare with what the rows say."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from tqdm import tqdm

from figures_pkg.workspace import check_target, fields_of, replacing

from .artefacts import Artefacts, Unavailable
from .rows import UNTESTED, VERDICTS, Case, Claim, Limit, Measured, verdict


def evaluate_claims(claims: Sequence[Claim], profile: str, data: str, out: Path, code: Callable[[str], str]) -> Path:
    """
    Measure every claim and write the verdicts: profile, data, ``source`` ("twin", "record" or "rehearsal"), and a row for each claim.

    Rows that are done are kept beside the file while it is not complete: an interrupted evaluation goes on with the next one, as
    long as neither the row, nor the code behind its measure, nor the files that it read have changed. ``code`` gives for the dotted
    name of a measure a text that changes with the code behind it.
    """
    out = check_target(out, ".json", overwrite=True)
    artefacts, kept, rows = Artefacts(profile, data), out.with_suffix(".unfinished.json"), []
    try:
        done = {row["id"]: row for row in json.loads(kept.read_text(encoding="utf-8"))}
    except (OSError, ValueError, TypeError, KeyError):  # there is none, or it is damaged
        done = {}
    with tqdm(claims, desc="claims", unit="claim") as bar:
        for claim in bar:
            bar.set_postfix_str(claim.id)
            text = json.dumps([asdict(claim), code(claim.measure) if claim.measure else "", profile, data], sort_keys=True, default=str)
            mark, row = hashlib.sha256(text.encode()).hexdigest()[:16], done.get(claim.id)
            if not (row and row["mark"] == mark and all(Path(path).is_file() and Path(path).stat().st_mtime_ns == when for path, when in row["read"].items())):
                row = evaluate_claim(claim, artefacts) | {"mark": mark, "read": dict(artefacts.read)}
            rows.append(row)
            _write(kept, rows)
    shown = [{key: value for key, value in row.items() if key not in ("mark", "read")} for row in rows]
    _write(out, {"schema": 1, "profile": profile, "data": data, "source": artefacts.source, "rows": shown})
    kept.unlink(missing_ok=True)
    return out


def evaluate_claim(claim: Claim, artefacts: Artefacts) -> dict:
    """Measure one claim: its verdict, the condition or reason in words, the limit in words, and the cases with their values."""
    chosen = claim.cases_on(artefacts.data)
    cases = [Measured((), reason=claim.not_tested)] if claim.not_tested else [_measured(claim, case, artefacts) for case in chosen]
    found, words = verdict(cases, claim.limit)
    datasets = [case.dataset for case in chosen] or [None]
    shown = [{"dataset": dataset} | asdict(case) for dataset, case in zip(datasets, cases)]
    return {"id": claim.id, "verdict": found, "words": words, "limit": str(claim.limit or ""), "unit": claim.unit, "cases": shown}


def read_verdicts(path: str | Path) -> dict:
    """What :func:`evaluate_claims` wrote; FileNotFoundError with the command if it was not made yet."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no verdicts at {path}; make them with `figures_pkg claims --profile … --out {path}`")
    return json.loads(path.read_text(encoding="utf-8"))


def changed_verdicts(claims: Sequence[Claim], found: dict) -> list[str]:
    """
    Which verdicts on the twin differ from what their rows say, one line for each, with the values.

    A row that was never evaluated counts too. Where a row states a range, every value has to lie in it. Nothing is compared on the
    authors' data, nor for a profile that a row does not mention.
    """
    if found["data"] != "twin":
        return []
    rows, lines = {row["id"]: row for row in found["rows"]}, []
    for claim in claims:
        expected, row, now = claim.verdict.get(found["profile"]), rows.get(claim.id), "not evaluated"
        if expected is None:
            continue
        if row:
            values = [value for case in row["cases"] for value in case["values"]]
            if all(map(expected.meets, values)) and values if isinstance(expected, Limit) else row["verdict"] == expected:
                continue
            middles = [f"{np.median(case['values']):.4g}" if case["values"] else case["reason"] for case in row["cases"]]
            shown = f"{' / '.join(middles)} {row['unit']}; holds: {row['limit']}" if row["verdict"] != UNTESTED else row["words"]
            now = f"{row['verdict']!r} ({shown})"
        words = f"every value is {expected}" if isinstance(expected, Limit) else f"verdict of {found['profile']} is {expected!r}"
        lines.append(f"claims.yaml, row {claim.id}: {words}, now {now}")
    return lines


def verdict_counts(found: dict) -> dict[str, int]:
    """How many rows have each verdict."""
    given = [row["verdict"] for row in found["rows"]]
    return {name: given.count(name) for name in VERDICTS}


def _measured(claim: Claim, case: Case, artefacts: Artefacts) -> Measured:
    """The values of one case; where a claim is measured over fields, also on the scans of the profile with other random fields."""
    values, reason = [], ""
    fields = fields_of(case.dataset, artefacts.profile) if claim.over == "fields" and artefacts.data == "twin" else []
    for dataset in (case.dataset, *fields):
        try:
            found = claim.function(artefacts, *([dataset] if dataset else []), **case.arguments)
        except Unavailable as error:
            reason = reason or str(error)
            continue
        values += [float(value) for value in np.ravel(found)]
    finite = tuple(value for value in values if math.isfinite(value))
    warning = artefacts.warning(case.dataset, case.arguments) if finite else ""
    return Measured(finite, case.when, "" if finite else reason or "no value could be measured", warning)


def _write(path: Path, content) -> None:
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
