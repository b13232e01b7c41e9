"""The claims of the paper, as claims.yaml lists them, and the verdict that follows from measured values."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Container
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path

import numpy as np

from figures_pkg.record.manifest import check_choice, check_keys, check_text, check_type, load_manifest, read_yaml
from figures_pkg.twin.presets import known_presets
from figures_pkg.workspace import load_profile, repository

HOLDS, ONLY, FAILS, UNTESTED = VERDICTS = ("holds", "holds only when", "does not hold", "not tested")
LIMITS = ("at_least", "at_most", "equals", "between")
PREFIX = "figures_pkg."
KINDS = {"twin": "twin: simulated, truth known", "record": "the authors' scans", "picture": "published pictures",
         "calculation": "calculation"}  # what a claim is measured on -> how the page calls it
REQUIRED = ("id", "claim", "place", "figures", "data", "how")
OPTIONAL = ("measure", "cases", "record", "over", "unit", "holds", "because", "caveat", "not_tested", "verdict")
PLACES = ("section", "at")


@dataclass(frozen=True)
class Limit:
    """What a value has to be for a claim to hold: from ``low`` to ``high``, both included, infinite where there is no bound."""

    low: float
    high: float

    @classmethod
    def of(cls, entry, where: str = "limit") -> Limit:
        """From one of ``{at_least: x}``, ``{at_most: x}``, ``{equals: x}`` and ``{between: [x, y]}``; a ValueError names ``where``."""
        if not (isinstance(entry, dict) and len(entry) == 1 and next(iter(entry)) in LIMITS):
            raise ValueError(f"{where}, holds is {entry!r}; expected one of {', '.join(LIMITS)} with its number, such as at_least: 0.9")
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
    """The values of one case over fields and seeds, empty where it was not tested; the case in words; and why there are no values."""

    values: tuple[float, ...]
    when: str = ""
    reason: str = ""
    warning: str = ""  # why the values of a released network may mean little


def verdict(cases: list[Measured], limit: Limit | None) -> tuple[str, str]:
    """
    What the cases of a claim say together: one of ``VERDICTS``, and the condition, the reason why nothing was tested, or nothing.

    If every value of every case that was tested holds, so does the claim; if none does, it does not; else it holds only under the conditions
    that the holding cases name, with the number of values that hold where it is a part of them. Without a limit nothing was tested.
    """
    tested = [case for case in cases if case.values]
    if not tested or limit is None:
        return UNTESTED, "; ".join(dict.fromkeys(case.reason for case in cases if case.reason))
    passes = [sum(map(limit.meets, case.values)) for case in tested]
    if not any(passes):
        return FAILS, ""
    conditions, shares = [], []
    for case, count in zip(tested, passes):
        share = "" if count == len(case.values) else f"{count} of {len(case.values)} fields and seeds"
        conditions += [", in ".join(filter(None, (case.when, share)))] if count else []
        shares.append(share)
    return (ONLY, "; or ".join(conditions)) if any(shares) else (HOLDS, "")


class ClaimsError(ValueError):
    """The list of claims breaks a rule; the message names the file, the row and what is known."""


@dataclass(frozen=True)
class Case:
    """One measurement of a claim: on which scan (None: on none), with which arguments, and in words under which condition."""

    dataset: str | None
    when: str
    arguments: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Claim:
    """One claim: what the paper says, where, and how it is held against a measurement. Texts are for the page."""

    id: str
    claim: str
    place: dict[str, str]
    figures: tuple[str, ...]
    data: str
    how: str
    measure: str | None = None
    cases: tuple[Case, ...] = ()
    record: tuple[Case, ...] = ()  # those on the authors' scans, where they differ
    over: str = "nothing"  # "fields": the measure runs once for each random field that was made
    unit: str = ""
    limit: Limit | None = None
    because: str = ""
    caveat: str = ""
    not_tested: str = ""  # the reason, for a claim that no function measures
    verdict: dict[str, str | Limit] = field(default_factory=dict)  # profile -> verdict on the twin, or the range of values where a training decides

    def cases_on(self, data: str) -> tuple[Case, ...]:
        """The cases to measure on the scans of one source, "twin" or "zenodo"."""
        return self.record if data == "zenodo" and self.record else self.cases

    @property
    def function(self) -> Callable:
        """The measure itself."""
        module, _, name = str(self.measure).rpartition(".")
        return getattr(import_module(module), name)


def load_claims(path: str | Path | None = None, figures: Container[str] | None = None) -> list[Claim]:
    """
    Read and check the claims, in the file's order; from ``claims.yaml`` of the repository by default.

    ``figures`` are the ids of those there are; without them the ids are taken as they are. A row with a wrong key, or a function, figure,
    dataset, profile or verdict that does not exist, is a :class:`ClaimsError`.
    """
    path = Path(path) if path else repository() / "claims.yaml"
    try:
        content = read_yaml(path)
        check_keys(content, ("schema", "artefacts", "record_artefacts", "rows"), (), "top level")
        if content["schema"] != 1:
            raise ClaimsError(f"schema is {content['schema']!r}, expected 1")
        datasets = {*known_presets(), *load_manifest().datasets}
        rows = [_claim(entry, figures, datasets) for entry in check_type(content["rows"], list, "rows")]
    except ValueError as error:
        raise ClaimsError(f"{path}: {error}") from error
    ids = [row.id for row in rows]
    if twice := sorted({name for name in ids if ids.count(name) > 1}):
        raise ClaimsError(f"{path}: {', '.join(twice)} is given twice; ids must differ")
    return rows


def _claim(entry, figures: Container[str] | None, datasets: set[str]) -> Claim:
    """A row of the file, checked."""
    where = f"row {entry.get('id', entry)!r}" if isinstance(entry, dict) else f"row {entry!r}"
    check_keys(entry, REQUIRED, OPTIONAL, where)
    for name in ("id", "claim", "how"):
        check_text(entry[name], f"{where}, {name}")
    check_keys(entry["place"], PLACES, (), f"{where}, place")
    check_choice(entry["data"], tuple(KINDS), f"{where}, data")
    names = tuple(check_type(entry["figures"], list, f"{where}, figures"))
    for name in names:
        if figures is not None and name not in figures:
            raise ClaimsError(f"{where}: no figure is called {name!r}; there are: {', '.join(sorted(figures))}")
    verdicts: dict[str, str | Limit] = {}
    for profile, stated in check_type(entry.get("verdict", {}), dict, f"{where}, verdict").items():
        try:
            load_profile(profile)
        except ValueError as error:
            raise ClaimsError(f"{where}, verdict: {error}") from error
        here = f"{where}, verdict of {profile}"
        verdicts[profile] = Limit.of(stated, here) if isinstance(stated, dict) else check_choice(stated, VERDICTS, here)
    texts = {name: str(entry.get(name, "")).strip() for name in ("id", "claim", "how", "data", "unit", "because", "caveat", "not_tested")}
    claim = Claim(**texts, place=dict(entry["place"]), figures=names, verdict=verdicts)
    if claim.not_tested:
        if both := sorted({"measure", "cases", "record", "holds"} & set(entry)):
            raise ClaimsError(f"{where}: not_tested and {', '.join(both)} exclude each other; keep one")
        return claim
    if missing := [name for name in ("measure", "holds", "because", "cases") if not entry.get(name)]:
        raise ClaimsError(f"{where}: missing {', '.join(missing)}; a claim that is measured states it, another says not_tested and why")
    over = check_choice(entry.get("over", "nothing"), ("nothing", "fields"), f"{where}, over")
    function, lists = _function(entry["measure"], where), {}
    signature = inspect.signature(function)
    for key in ("cases", "record"):
        lists[key] = ()
        for each in check_type(entry.get(key, []), list, f"{where}, {key}"):
            check_keys(each, (), ("dataset", "when", "with"), f"{where}, cases")
            case = Case(each.get("dataset"), str(each.get("when", "")).strip(), dict(each.get("with", {})))
            if case.dataset is not None and str(case.dataset).partition("-field")[0] not in datasets:
                raise ClaimsError(f"{where}: no dataset is called {case.dataset!r}; there are: {', '.join(sorted(datasets))}")
            try:
                signature.bind(None, *([case.dataset] if case.dataset else []), **case.arguments)
            except TypeError as error:
                raise ClaimsError(f"{where}: {function.__name__}{signature} does not take this case: {error}") from error
            lists[key] += (case,)
    return replace(claim, measure=entry["measure"], **lists, over=over, limit=Limit.of(entry["holds"], where))


def _function(name, where: str) -> Callable:
    """A public function of the package by its dotted name."""
    module, _, last = str(name).rpartition(".")
    if not module.startswith(PREFIX) or last.startswith("_"):
        raise ClaimsError(f"{where}: measure is {name!r}; expected the dotted name of a public function, {PREFIX}claims.…")
    try:
        found = import_module(module)
    except ImportError as error:
        raise ClaimsError(f"{where}: there is no module {module!r} for the measure {name!r} ({error})") from error
    if not inspect.isfunction(getattr(found, last, None)):
        public = sorted(key for key, value in vars(found).items() if inspect.isfunction(value) and value.__module__ == module and key[0] != "_")
        raise ClaimsError(f"{where}: {module} has no function {last!r}; it has: {', '.join(public)}")
    return getattr(found, last)
