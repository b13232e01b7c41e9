"""What a first look finds: one row for each check, with evidence and a verdict; as a table, as JSON, and as an exit status."""

from __future__ import annotations

import json
import textwrap
from dataclasses import asdict, dataclass, field

import numpy as np

AGREES, CONFLICT, DECIDED, OPEN, WARNING = VERDICTS = ("agrees", "conflict", "decided", "cannot be told", "warning")
GRAVEST = ("file", "shape", "wrap-around", "rows and columns", "half a turn")  # checks whose findings come first
WIDTHS = (29, 30, 30)  # of the columns of the printed table: check, this file, expected
TEXT_WIDTH = 100  # of the evidence below each row


class ScanContradicts(ValueError):
    """A scan whose results would be wrong; the message is the finding."""


@dataclass(frozen=True)
class Decision:
    """
    A fact of the manifest that the file decides.

    Attributes
    ----------
    group, name : str
        Where the fact stands in its entry, such as "axes", "scan_step_nm".
    value : object
        What the file says; numbers, text or a list.
    source : str
        The evidence in a few words, for the manifest.
    excludes : tuple
        Values of other sources that the file excludes.
    keeps_basis : bool
        Whether the value is still that of its source, and the file only excluded others.
    tolerance : float
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
    One check.

    Attributes
    ----------
    check : str
        What was checked, such as "wrap-around".
    found, expected : str
        What this file says, and what the manifest or the published pictures let us expect; empty where nothing is expected.
    verdict : str
        "agrees", "conflict", "decided" (sources disagreed, the file tells which is right), "cannot be told" or "warning".
    evidence : str
        Full sentences: how it was found and what follows.
    wrong : bool
        Whether results from this file would be wrong. Then the message of the exit status is ``says``.
    says : str
        The finding in one sentence, where `wrong`.
    decisions : tuple of Decision
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
    path, source, dataset : str
        The file, where it comes from ("twin", "record", …), and the manifest's entry that it was held against ("" without one).
    findings : tuple of Finding
    patch : str
        A unified diff of the manifest with what the file decides; empty where nothing changes.
    seconds : float
        What the look took.
    histogram : array of int64, shape (n,), or None
        How often each count from 0 to the largest occurs in the whole scan (those above 65535 share the last place).
    strengths : dict
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
