"""What a file decides, as a change of the manifest that can be pasted: a unified diff of its text."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import yaml

from figures_pkg.record.manifest import Dataset, Fact

from .findings import Decision

BASIS = "file"
BASIS_WORDS = "the scan file itself, as `figures_pkg inspect` measured it"
WEAK = ("inferred", "picture")  # what rests on these is replaced by a measurement even where it agrees
CLOSE = 1e-6  # relative; numbers this close are one value
LINE = 140  # characters of a fact that stays on one line


def manifest_patch(path: Path, entry: Dataset, decisions: Iterable[Decision]) -> str:
    """
    A unified diff that puts the decisions of a file into a manifest.

    A fact that the file measured gets its value with the basis "file"; what was used before, and other sources that the file does not
    exclude, stay under ``conflicts``. A fact that the file only confirmed against others keeps value and basis, and loses the excluded
    conflicts; its source says what was excluded. Facts about which the file has nothing new are left alone.

    Parameters
    ----------
    path
        The manifest.
    entry
        Its entry, from the same file.
    decisions
        What the file decides.

    Returns
    -------
    str
        For ``git apply`` or ``patch -p1`` in the manifest's folder; empty where nothing changes.
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
        if not excluded and _same(fact.value, decision.value):
            return fact
        if _same(fact.value, decision.value):
            return Fact(fact.value, fact.basis, f"{fact.source}; {_reason(decision, excluded)}", _others(fact, decision))
        winner = next((one for one in fact.conflicts if _same(one.value, decision.value)), None)
        if winner is not None:
            return Fact(winner.value, winner.basis, f"{winner.source}; {_reason(decision, [fact, *excluded])}", _others(fact, decision))
    if not excluded and fact.basis not in WEAK and _same(fact.value, decision.value, decision.tolerance):
        return fact
    refuted = excluded + ([fact] if _among(fact.value, decision.excludes) and not _same(fact.value, decision.value) else [])
    return Fact(decision.value, BASIS, _reason(decision, refuted), _others(fact, decision))


def _others(fact: Fact, decision: Decision) -> tuple[Fact, ...]:
    """What other sources say that the file does not exclude, the value used before among them; what is as good as the new value is no conflict."""
    before = Fact(fact.value, fact.basis, fact.source)
    differing = (one for one in (before, *fact.conflicts) if not _same(one.value, decision.value, decision.tolerance))
    return tuple(one for one in differing if not _among(one.value, decision.excludes))


def _reason(decision: Decision, refuted: list[Fact]) -> str:
    """The evidence, and what it speaks against."""
    gone = ", ".join(f"{one.value:g} ({one.basis})" if isinstance(one.value, int | float) else f"{one.value} ({one.basis})" for one in refuted)
    return decision.source + (f", against {gone}" if gone else "")


def _same(one, other, tolerance: float = 0.0) -> bool:
    """Whether two values are one, or differ by no more than a tolerance."""
    try:
        first, second = np.array(one, float), np.array(other, float)
    except (TypeError, ValueError):
        return one == other
    return first.shape == second.shape and np.allclose(first, second, rtol=CLOSE, atol=tolerance)


def _among(value, values) -> bool:
    """Whether a value is one of several."""
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
    """A fact without conflicts on one line."""
    return f"{{value: {_scalar(fact.value)}, basis: {fact.basis}, source: {json.dumps(fact.source, ensure_ascii=False)}}}"


def _scalar(value) -> str:
    """A value as YAML reads it back: JSON is YAML, and plain words need no quotes."""
    if isinstance(value, str) and value.isidentifier():
        return value
    return json.dumps(value, ensure_ascii=False)
