"""From measured values to a verdict: limits, cases, and what their combination says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

HOLDS, ONLY, FAILS, UNTESTED = VERDICTS = ("holds", "holds only when", "does not hold", "not tested")
KINDS = ("at_least", "at_most", "equals", "between")


@dataclass(frozen=True)
class Limit:
    """
    What a value has to be for a claim to hold.

    Parameters
    ----------
    low, high
        Both belong to the range that holds; infinite where there is no bound.
    """

    low: float
    high: float

    @classmethod
    def of(cls, entry, where: str = "limit") -> Limit:
        """
        From one of ``{at_least: x}``, ``{at_most: x}``, ``{equals: x}`` and ``{between: [x, y]}``.

        Raises
        ------
        ValueError
            For anything else; the message names ``where``.
        """
        if not (isinstance(entry, dict) and len(entry) == 1 and next(iter(entry)) in KINDS):
            raise ValueError(f"{where}, holds is {entry!r}; expected one of {', '.join(KINDS)} with its number, such as at_least: 0.9")
        (kind, value), = entry.items()
        try:
            low, high = map(float, value) if kind == "between" else (float(value), float(value))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{where}, holds: {kind} is {value!r}; expected a number, or two for between") from error
        if low > high:
            raise ValueError(f"{where}, holds: between {low:g} and {high:g} lies nothing; give the smaller number first")
        return cls(-np.inf if kind == "at_most" else low, np.inf if kind == "at_least" else high)

    def meets(self, value: float) -> bool:
        """Whether a value holds; the bounds do, nan does not."""
        return bool(self.low <= value <= self.high)

    def __str__(self) -> str:
        if self.low == self.high:
            return f"exactly {self.low:,.10g}"
        if np.isinf(self.high):
            return f"at least {self.low:g}"
        return f"at most {self.high:g}" if np.isinf(self.low) else f"between {self.low:g} and {self.high:g}"


@dataclass(frozen=True)
class Measured:
    """
    The values of one case.

    Parameters
    ----------
    values
        Over fields and seeds; empty where the case was not tested.
    when
        The case in words.
    reason
        Why there are no values.
    """

    values: tuple[float, ...]
    when: str = ""
    reason: str = ""

    @property
    def middle(self) -> float:
        """The middle value; nan without any."""
        return float(np.median(self.values)) if self.values else float("nan")


def verdict(cases: list[Measured], limit: Limit | None) -> tuple[str, str]:
    """
    What the cases of a claim say together.

    A case holds when each of its values does, and fails when none does. If every case that was tested holds, so does the claim; if
    none does, it does not; else it holds only under the conditions that the holding cases name. Where a part of the values of a
    case holds, the condition names their number: that depends on the seed or the field.

    Parameters
    ----------
    cases
        In the order of the claim.
    limit
        None for a claim that no function measures.

    Returns
    -------
    verdict, words
        One of ``VERDICTS``; the condition, or the reason why nothing was tested, or nothing.
    """
    tested = [case for case in cases if case.values]
    if not tested or limit is None:
        reasons = dict.fromkeys(case.reason for case in cases if case.reason)
        return UNTESTED, "; ".join(reasons)
    passes = [sum(map(limit.meets, case.values)) for case in tested]
    if all(count == len(case.values) for count, case in zip(passes, tested)):
        return HOLDS, ""
    if not any(passes):
        return FAILS, ""
    return ONLY, "; or ".join(_condition(case, count) for case, count in zip(tested, passes) if count)


def _condition(case: Measured, count: int) -> str:
    """The words of a case, with the number of its values that hold where not all do."""
    share = "" if count == len(case.values) else f"{count} of {len(case.values)} fields and seeds"
    return ", in ".join(filter(None, (case.when, share)))
