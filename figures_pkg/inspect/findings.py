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

AGREES, CONFLICT, DECIDED, OPEN, WARNING = ("agrees", "conflict", "decided", "cannot be told", "warning")
GRAVEST = ("file", "shape", "wrap-around", "rows and columns", "half a turn")  # checks whose findings come first
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
    """A fact of the manifest, such as "scan_step_nm" of the group "axes", that the file decides."""

    group: str
    name: str
    value: object
    source: str  # the evidence in a few words, for the manifest
    excludes: tuple = ()  # values of other sources that the file excludes
    keeps_basis: bool = False  # whether the value is still that of its source, and the file only excluded others
    tolerance: float = 0.0  # difference, in its unit, up to which a value that is neither read off a picture nor inferred is left as it is


@dataclass(frozen=True)
class Finding:
    """One check, such as "wrap-around"."""

    check: str
    found: str  # what this file says
    expected: str  # what the manifest or the published pictures let us expect; empty where nothing is
    verdict: str  # "agrees", "conflict", "decided" (sources disagreed, the file tells which is right), "cannot be told" or "warning"
    evidence: str  # full sentences: how it was found and what follows
    wrong: bool = False  # whether results from this file would be wrong
    says: str = ""  # and then the finding in one sentence, the message of the exit status
    decisions: tuple[Decision, ...] = field(default=(), repr=False)  # what follows for the manifest

@dataclass(frozen=True)
class FirstLook:
    """All findings about one file."""

    path: str
    source: str  # where it comes from: "twin", "record", …
    dataset: str  # the manifest's entry that it was held against, "" without one
    findings: tuple[Finding, ...]
    patch: str = ""  # unified diff of the manifest with what the file decides; empty where nothing changes
    seconds: float = 0.0  # what the look took
    histogram: np.ndarray | None = field(default=None, repr=False, compare=False)  # how often each count from 0 to the largest occurs
    strengths: dict = field(default_factory=dict, repr=False, compare=False)  # as from :func:`figures_pkg.inspect.frame.opposite_strengths`

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
        titles = ("check", "this file", "expected", "verdict", "evidence")
        return [dict(zip(titles, (one.check, one.found, one.expected, one.verdict, one.evidence))) for one in self.findings]

    def text(self) -> str:
        """The table for a terminal, the evidence indented below each row, and the patch."""
        against = f", held against {self.dataset} of the manifest" if self.dataset else ""
        row = "{:29} {:30} {:30} {}".format  # a long cell moves the rest to the right
        lines = [f"First look at {self.path} ({self.source}{against}), {self.seconds:.0f} s", "", row("check", "this file", "expected", "verdict")]
        for finding in self.findings:
            verdict = finding.verdict.upper() if finding.wrong else finding.verdict
            lines += ["", row(finding.check, finding.found, finding.expected, verdict)]
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


def times(shape) -> str:
    """A shape in words."""
    return " × ".join(f"{int(size)}" for size in shape)


def signed(value: float, digits: int = 0, unit: str = "") -> str:
    """A number with its sign, a real minus."""
    return f"{value:+.{digits}f}{unit}".replace("-", "−")


def number(value: float) -> str:
    """A number with three significant digits, never in exponential form for the sizes met here."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def manifest_patch(path: Path, entry: Dataset, decisions: Iterable[Decision]) -> str:
    """A unified diff that puts the decisions of a file into an entry of a manifest, for ``git apply`` in its folder; empty where nothing changes.

    What the file measured has the basis "file", and other sources that it does not exclude stay under ``conflicts``. What it only confirmed keeps
    its basis and loses the excluded conflicts.
    """
    text = path.read_text(encoding="utf-8")
    written = yaml.compose(text, yaml.SafeLoader)
    edits = []
    for decision in decisions:
        fact = getattr(entry, decision.group).get(decision.name)
        new = fact and decided_fact(fact, decision)
        place = None if new is fact else _place(written, entry.id, decision.group, decision.name)
        if place:  # else unchanged, or the entry repeats another one
            key, value = place
            stop = key.start_mark.index + len(text[key.start_mark.index:value.end_mark.index].rstrip())
            edits.append((key.start_mark.index, stop, _written(decision.name, new, key.start_mark.column)))
    bases = _child(written, "bases")[1]
    if any(BASIS in replacement for *_, replacement in edits) and not _child(bases, BASIS):
        key, value = bases.value[-1]
        edits.append((value.end_mark.index, value.end_mark.index, f"\n{' ' * key.start_mark.column}{BASIS}: {json.dumps(BASIS_WORDS)}"))
    changed = text
    for start, stop, replacement in sorted(edits, reverse=True):
        changed = changed[:start] + replacement + changed[stop:]
    return "".join(difflib.unified_diff(text.splitlines(True), changed.splitlines(True), f"a/{path.name}", f"b/{path.name}", n=2))


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


def _place(written: yaml.Node, id: str, group: str, name: str):
    """The (key, value) nodes of a fact of a dataset, or None."""
    for dataset in _child(written, "datasets")[1].value:
        named = _child(dataset, "id")
        if named and named[1].value == id:
            inside = _child(dataset, group)
            return inside and _child(inside[1], name)
    return None


def _child(node, name: str):
    """(key, value) nodes of a mapping's entry, or None."""
    return next(((key, value) for key, value in node.value if key.value == name), None) if isinstance(node, yaml.MappingNode) else None


def _written(name: str, fact: Fact, indent: int) -> str:
    """A fact as YAML, in the manifest's style: on one line if it fits, else one line for each of its parts."""
    short = f"{name}: {_flow(fact)}"
    if not fact.conflicts and indent + len(short) <= LINE:
        return short
    margin = "\n" + " " * (indent + 2)
    parts = [f"{name}:", f"value: {_scalar(fact.value)}", f"basis: {fact.basis}", f"source: {json.dumps(fact.source, ensure_ascii=False)}"]
    parts += ["conflicts:", *(f"  - {_flow(one)}" for one in fact.conflicts)] if fact.conflicts else []
    return margin.join(parts)


def _flow(fact: Fact) -> str:
    return f"{{value: {_scalar(fact.value)}, basis: {fact.basis}, source: {json.dumps(fact.source, ensure_ascii=False)}}}"


def _scalar(value) -> str:
    """A value as YAML reads it back: JSON is YAML, and plain words need no quotes."""
    return value if isinstance(value, str) and value.isidentifier() else json.dumps(value, ensure_ascii=False)
