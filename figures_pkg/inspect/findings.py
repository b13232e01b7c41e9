"""What a first look finds: one row for each check, with evidence and a verdict; as a table, as JSON, as an exit status, and as a change of the manifest."""

from __future__ import annotations

import difflib
import json
import textwrap
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import yaml

from figures_pkg.record.manifest import Dataset, Fact

AGREES, CONFLICT, DECIDED, OPEN, WARNING = VERDICTS = ("agrees", "conflict", "decided", "cannot be told", "warning")
GRAVEST = ("file", "shape", "wrap-around", "rows and columns", "half a turn")  # checks whose findings come first
WIDTHS = (29, 30, 30)  # of the columns of the printed table: check, this file, expected
TEXT_WIDTH = 100  # of the evidence below each row
BASIS = "file"
BASIS_WORDS = "the scan file itself, as `figures_pkg inspect` measured it"
WEAK = ("inferred", "picture")  # what rests on these is replaced by a measurement even where it agrees
CLOSE = 1e-6  # relative; numbers this close are one value
LINE = 140  # characters of a fact that stays on one line


class ScanContradicts(ValueError):
    """A scan whose results would be wrong; the message is the finding."""


@dataclass(frozen=True)
class Decision:
    """
    A fact of the manifest, such as "scan_step_nm" of the group "axes", that the file decides.

    Attributes
    ----------
    value, source
        What the file says, and the evidence in a few words, for the manifest.
    excludes
        Values of other sources that the file excludes.
    keeps_basis
        Whether the value is still that of its source, and the file only excluded others.
    tolerance
        Difference up to which a value that is not read off a picture or inferred is left as it is, in its unit.
    """

    group: str
    name: str
    value: object
    source: str
    excludes: tuple = ()
    keeps_basis: bool = False
    tolerance: float = 0.0


@dataclass(frozen=True)
class Finding:
    """
    One check, such as "wrap-around".

    Attributes
    ----------
    found, expected
        What this file says, and what the manifest or the published pictures let us expect; empty where nothing is expected.
    verdict
        "agrees", "conflict", "decided" (sources disagreed, the file tells which is right), "cannot be told" or "warning".
    evidence
        Full sentences: how it was found and what follows.
    wrong, says
        Whether results from this file would be wrong, and then the finding in one sentence, the message of the exit status.
    decisions
        What follows for the manifest.
    """

    check: str
    found: str
    expected: str
    verdict: str
    evidence: str
    wrong: bool = False
    says: str = ""
    decisions: tuple[Decision, ...] = field(default=(), repr=False)

    def __post_init__(self):
        if self.verdict not in VERDICTS:
            raise ValueError(f"verdict {self.verdict!r} of {self.check!r}; expected one of {', '.join(VERDICTS)}")
        if self.wrong and not self.says:
            raise ValueError(f"{self.check!r} makes results wrong but has no sentence that says so")


@dataclass(frozen=True)
class FirstLook:
    """
    All findings about one file.

    Attributes
    ----------
    path, source, dataset
        The file, where it comes from ("twin", "record", …), and the manifest's entry that it was held against ("" without one).
    patch
        A unified diff of the manifest with what the file decides; empty where nothing changes.
    seconds
        What the look took.
    histogram
        How often each count from 0 to the largest occurs in the whole scan (those above 65535 share the last place); None for real numbers.
    strengths
        (k, l) -> logarithms of the strength of a reflection over that of its opposite, here and in the published picture.
    """

    path: str
    source: str
    dataset: str
    findings: tuple[Finding, ...]
    patch: str = ""
    seconds: float = 0.0
    histogram: np.ndarray | None = field(default=None, repr=False, compare=False)
    strengths: dict = field(default_factory=dict, repr=False, compare=False)

    def __getitem__(self, check: str) -> Finding:
        """The finding of one check."""
        return {finding.check: finding for finding in self.findings}[check]

    @property
    def contradictions(self) -> list[str]:
        """The sentences of all findings that make results wrong, the gravest first."""
        rank = {check: place for place, check in enumerate(GRAVEST)}
        wrong = [finding for finding in self.findings if finding.wrong]
        return [finding.says for finding in sorted(wrong, key=lambda finding: rank.get(finding.check, len(rank)))]

    def rows(self) -> list[dict[str, str]]:
        """The table for a page: check, this file, expected, verdict and evidence of every finding."""
        names = {"check": "check", "found": "this file", "expected": "expected", "verdict": "verdict", "evidence": "evidence"}
        return [{title: getattr(finding, name) for name, title in names.items()} for finding in self.findings]

    def text(self) -> str:
        """The table for a terminal, the evidence indented below each row, and the patch."""
        against = f", held against {self.dataset} of the manifest" if self.dataset else ""
        lines = [f"First look at {self.path} ({self.source}{against}), {self.seconds:.0f} s", ""]
        lines += [_columns("check", "this file", "expected", "verdict")]
        for finding in self.findings:
            verdict = finding.verdict.upper() if finding.wrong else finding.verdict
            lines += ["", _columns(finding.check, finding.found, finding.expected, verdict)]
            lines += textwrap.wrap(finding.evidence, TEXT_WIDTH, initial_indent="    ", subsequent_indent="    ")
        if self.patch:
            lines += ["", "The file decides what the manifest left open. To take it over, paste this into `git apply`:", "", self.patch.rstrip("\n")]
        return "\n".join(lines)

    def json(self) -> str:
        """The head, ``contradictions``, ``findings`` as a list and ``patch``, as JSON."""
        head = {"path": self.path, "source": self.source, "dataset": self.dataset, "seconds": round(self.seconds, 1)}
        rows = [asdict(finding) for finding in self.findings]
        content = head | {"contradictions": self.contradictions, "findings": rows, "patch": self.patch}
        return json.dumps(content, ensure_ascii=False, indent=1, default=float) + "\n"


def _columns(*texts: str) -> str:
    """One row of the printed table; a long cell moves the rest to the right."""
    *cells, last = texts
    return " ".join([text.ljust(width) for text, width in zip(cells, WIDTHS, strict=True)] + [last])


def times(shape) -> str:
    """A shape in words."""
    return " × ".join(f"{int(size)}" for size in shape)


def signed(value: float, digits: int = 0, unit: str = "") -> str:
    """A number with its sign, a real minus."""
    return f"{value:+.{digits}f}{unit}".replace("-", "−")


def number(value: float, digits: int = 3) -> str:
    """A number with so many significant digits, never in exponential form for the sizes met here."""
    return f"{value:,.0f}" if abs(value) >= 10**digits else f"{value:.{digits}g}"


def manifest_patch(path: Path, entry: Dataset, decisions: Iterable[Decision]) -> str:
    """
    A unified diff that puts the decisions of a file into an entry of a manifest, for ``git apply`` in its folder; empty where nothing changes.

    A fact that the file measured gets its value with the basis "file"; what was used before, and other sources that the file does not exclude,
    stay under ``conflicts``. A fact that the file only confirmed against others keeps value and basis, and loses the excluded conflicts; its
    source says what was excluded. Facts about which the file has nothing new are left alone.
    """
    text = path.read_text(encoding="utf-8")
    edits = [edit for decision in decisions if (edit := _edit(text, entry, decision))]
    if not edits:
        return ""
    if any(BASIS in replacement for *_, replacement in edits):
        edits += _basis_edit(text)
    changed = text
    for start, stop, replacement in sorted(edits, reverse=True):
        changed = changed[:start] + replacement + changed[stop:]
    lines = difflib.unified_diff(text.splitlines(True), changed.splitlines(True), f"a/{path.name}", f"b/{path.name}", n=2)
    return "".join(lines)


def decided_fact(fact: Fact, decision: Decision) -> Fact:
    """The fact after a decision; the same object where it says nothing new."""
    excluded = [one for one in fact.conflicts if _among(one.value, decision.excludes)]
    if decision.keeps_basis:
        if _same(fact.value, decision.value):
            return fact if not excluded else Fact(fact.value, fact.basis, f"{fact.source}; {_reason(decision, excluded)}", _others(fact, decision))
        winner = next((one for one in fact.conflicts if _same(one.value, decision.value)), None)
        if winner is not None:
            return Fact(winner.value, winner.basis, f"{winner.source}; {_reason(decision, [fact, *excluded])}", _others(fact, decision))
    if not excluded and fact.basis not in WEAK and _same(fact.value, decision.value, decision.tolerance):
        return fact
    if _among(fact.value, decision.excludes) and not _same(fact.value, decision.value):
        excluded.append(fact)
    return Fact(decision.value, BASIS, _reason(decision, excluded), _others(fact, decision))


def _others(fact: Fact, decision: Decision) -> tuple[Fact, ...]:
    """What other sources say that the file does not exclude, the value used before among them; what is as good as the new value is no conflict."""
    before = Fact(fact.value, fact.basis, fact.source)
    differing = (one for one in (before, *fact.conflicts) if not _same(one.value, decision.value, decision.tolerance))
    return tuple(one for one in differing if not _among(one.value, decision.excludes))


def _reason(decision: Decision, refuted: list[Fact]) -> str:
    gone = ", ".join(f"{one.value:g} ({one.basis})" if isinstance(one.value, int | float) else f"{one.value} ({one.basis})" for one in refuted)
    return decision.source + (f", against {gone}" if gone else "")


def _same(one, other, tolerance: float = 0.0) -> bool:
    try:
        first, second = np.array(one, float), np.array(other, float)
    except (TypeError, ValueError):
        return one == other
    return first.shape == second.shape and np.allclose(first, second, rtol=CLOSE, atol=tolerance)


def _among(value, values) -> bool:
    return any(_same(value, one) for one in values)


def _edit(text: str, entry: Dataset, decision: Decision) -> tuple[int, int, str] | None:
    """(start, stop, replacement) of the text of one fact; None where it stays as it is."""
    fact = getattr(entry, decision.group).get(decision.name)
    if fact is None:
        return None
    new = decided_fact(fact, decision)
    place = None if new is fact else _place(text, entry.id, decision.group, decision.name)
    if place is None:  # unchanged, or the entry comes from a series or an anchor
        return None
    start, stop, indent = place
    return start, stop, _written(decision.name, new, indent)


def _place(text: str, id: str, group: str, name: str) -> tuple[int, int, int] | None:
    """Where a fact of a dataset stands in the text: start, stop, and its indentation."""
    for dataset in _child(yaml.compose(text, yaml.SafeLoader), "datasets")[1].value:
        named = _child(dataset, "id")
        if named is None or named[1].value != id:
            continue
        inside = _child(dataset, group)
        found = _child(inside[1], name) if inside else None
        if found is None:
            return None
        key, value = found
        stop = key.start_mark.index + len(text[key.start_mark.index:value.end_mark.index].rstrip())
        return key.start_mark.index, stop, key.start_mark.column
    return None


def _child(node, name: str):
    """(key, value) nodes of a mapping's entry, or None."""
    return next(((key, value) for key, value in node.value if key.value == name), None) if isinstance(node, yaml.MappingNode) else None


def _basis_edit(text: str) -> list[tuple[int, int, str]]:
    """The line that names the basis, after the last of them, where the manifest lacks it."""
    bases = _child(yaml.compose(text, yaml.SafeLoader), "bases")[1]
    if _child(bases, BASIS):
        return []
    key, value = bases.value[-1]
    at = value.end_mark.index
    return [(at, at, f"\n{' ' * key.start_mark.column}{BASIS}: {json.dumps(BASIS_WORDS)}")]


def _written(name: str, fact: Fact, indent: int) -> str:
    """A fact as YAML, in the manifest's style: on one line if it fits, else one line for each of its parts."""
    short = f"{name}: {_flow(fact)}"
    if not fact.conflicts and indent + len(short) <= LINE:
        return short
    margin = "\n" + " " * (indent + 2)
    parts = [f"{name}:", f"value: {_scalar(fact.value)}", f"basis: {fact.basis}", f"source: {json.dumps(fact.source, ensure_ascii=False)}"]
    if fact.conflicts:
        parts.append("conflicts:")
        parts += [f"  - {_flow(one)}" for one in fact.conflicts]
    return margin.join(parts)


def _flow(fact: Fact) -> str:
    return f"{{value: {_scalar(fact.value)}, basis: {fact.basis}, source: {json.dumps(fact.source, ensure_ascii=False)}}}"


def _scalar(value) -> str:
    """A value as YAML reads it back: JSON is YAML, and plain words need no quotes."""
    if isinstance(value, str) and value.isidentifier():
        return value
    return json.dumps(value, ensure_ascii=False)
