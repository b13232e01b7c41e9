"""The numbers behind the figures, held against stored ones: which array of which figure changed, and by how much."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import zip_longest
from pathlib import Path

import numpy as np
import yaml

from figures_pkg.workspace import replacing, repository

from .figures import PublishedFigure

LEVELS = (1, 5, 25, 50, 75, 95, 99)  # percent
BLOCKS = 4  # along each of the last two axes
FEW = 12  # an array of so many numbers is kept whole
FLOOR = 1e-9  # of the largest value, what lies below counts as this much before the logarithm is taken
EXACT = ("shape", "kind", "missing")
MEASURED = ("moments", "quantiles", "blocks")
NAMES = {"moments": ("mean", "standard deviation", "root mean square"), "quantiles": tuple(f"{level} % quantile" for level in LEVELS)}


def summarise(array: np.ndarray, any_order: bool = False, logarithm: bool = False) -> dict:
    """What identifies an array of numbers or truth values: shape, kind, mean, spread, norm, quantiles, and means over coarse blocks.

    ``any_order``: the first axis counts things without an order, such as the channels of a network; then the spreads of the channels, sorted, take
    the place of the blocks. ``logarithm``: log10 is taken first, for a pattern whose faint parts count, though the bright ones hold the electrons.
    ``shape``, ``kind`` and ``missing`` (entries that are not finite) are compared exactly, the lists within a tolerance.
    """
    values = np.asarray(array, float)
    if logarithm:
        values = np.log10(np.maximum(values, FLOOR * np.nanmax(values)))
    finite = values[np.isfinite(values)]
    found = {"shape": list(values.shape), "kind": np.asarray(array).dtype.kind, "missing": int(values.size - finite.size)}
    if finite.size == 0:
        return found
    found["moments"] = _short([finite.mean(), finite.std(), np.sqrt(np.mean(finite**2))])
    if values.size > FEW:
        found["quantiles"] = _short(np.percentile(finite, LEVELS))
    blocks = np.sort(np.nanstd(values.reshape(len(values), -1), axis=1))[::-1] if any_order else _blocks(values)
    found["blocks"] = _short(blocks)
    return found


def _blocks(values: np.ndarray) -> np.ndarray:
    """The array itself if it is small, else its means over up to 4 × 4 blocks of the last two axes, all others averaged."""
    if values.size <= FEW:
        return values.ravel()
    image = values.reshape(-1, *values.shape[-2:]) if values.ndim > 1 else values.reshape(1, 1, -1)
    rows = np.array_split(np.arange(image.shape[1]), min(BLOCKS, image.shape[1]))
    columns = np.array_split(np.arange(image.shape[2]), min(BLOCKS, image.shape[2]))
    parts = [image[:, row][:, :, column] for row in rows for column in columns]
    finite = [part[np.isfinite(part)] for part in parts]
    return np.array([part.mean() if part.size else 0.0 for part in finite])


def _short(numbers) -> list[float]:
    """Nine digits: more than any tolerance, less than the noise of the last bits."""
    return [float(f"{number:.9g}") for number in np.ravel(numbers)]


class ReferencesError(ValueError):
    """The stored references or their tolerances do not fit the figures; the message says what to add or remove."""


@dataclass(frozen=True)
class Tolerance:
    """How far an array may move, and why."""

    figure: str
    array: str  # may hold * and ?
    allowed: float  # in units of the array's standard deviation
    reason: str
    any_order: bool = False  # whether the first axis counts channels without an order
    logarithm: bool = False  # whether log10 is taken first
    smooth: float = 0.0  # least correlation of neighbouring pixels; 0 asks for none

    def summary(self, array: np.ndarray) -> dict:
        """What is kept of an array."""
        found = summarise(array, self.any_order, self.logarithm)
        if self.smooth:  # correlation of neighbouring pixels along the last two axes, the mean over both
            values = np.asarray(array, float)
            pairs = (values[..., 1:, :], values[..., :-1, :]), (values[..., 1:], values[..., :-1])
            found["smooth"] = float(np.mean([np.corrcoef(one.ravel(), other.ravel())[0, 1] for one, other in pairs]))
        return found


@dataclass(frozen=True)
class Change:
    """One number that moved further than allowed."""

    figure: str
    array: str
    what: str
    value: object
    reference: object
    allowed: float
    reason: str

    def __str__(self) -> str:
        """One line with value, reference and tolerance."""
        start = f"{self.figure}, array {self.array!r}, {self.what}: "
        if isinstance(self.value, float) and isinstance(self.reference, float):
            moved = f"moved by {abs(self.value - self.reference):.3g}, allowed {self.allowed:.3g} ({self.reason})"
            return f"{start}{self.value:.6g}, reference {self.reference:.6g}, {moved}"
        return f"{start}{self.value}, reference {self.reference}"


def references_folder(profile: str) -> Path:
    """Where the references of a profile lie."""
    return repository() / "tests" / "regression" / profile


def load_tolerances() -> list[Tolerance]:
    """Read how far the arrays may move; :class:`ReferencesError` for an entry without a reason, of an unknown kind, or not above zero."""
    path = repository() / "tests" / "regression" / "tolerances.yaml"
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    kinds, found = content["kinds"], []
    for name, kind in kinds.items():
        if not str(kind.get("reason", "")).strip() or not float(kind.get("allowed", 0)) > 0:
            raise ReferencesError(f"{path}, kind {name!r}: needs a reason in words and an allowed change above zero, got {kind!r}")
    for figure, arrays in content["figures"].items():
        for array, name in arrays.items():
            if name not in kinds:
                raise ReferencesError(f"{path}, {figure}, {array!r}: the kind is {name!r}; expected one of {', '.join(kinds)}")
            kind = kinds[name]
            how = {option: kind[option] for option in ("any_order", "logarithm", "smooth") if option in kind}
            found.append(Tolerance(figure, array, float(kind["allowed"]), " ".join(kind["reason"].split()), **how))
    return found


def summaries_of(kept: PublishedFigure, tolerances: list[Tolerance]) -> dict[str, dict]:
    """Summary of each array of a published figure."""
    with np.load(kept.base.with_suffix(".npz")) as arrays:
        return {name: _tolerance(kept.figure.id, name, tolerances).summary(arrays[name]) for name in sorted(arrays.files)}


def compare(figure: str, now: Mapping[str, dict], stored: Mapping[str, dict], tolerances: list[Tolerance]) -> list[Change]:
    """What moved further than allowed in one figure, from the summaries of its arrays today and as stored."""
    found = []
    for name in sorted({*now, *stored}):
        rule = _tolerance(figure, name, tolerances)
        if name in now and name in stored:
            found += _compare_array(figure, name, now[name], stored[name], rule)
        else:
            found.append(Change(figure, name, "the array", *("present", "absent")[:: 1 if name in now else -1], 0.0, rule.reason))
    return found


def read_references(profile: str) -> dict[str, dict]:
    """Figure -> array -> summary, as stored."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(references_folder(profile).glob("*.json"))}


def write_references(profile: str, summaries: Mapping[str, dict]) -> None:
    """Store the summaries of all figures as the new references; those of figures that are no more are removed."""
    folder = references_folder(profile)
    for path in folder.glob("*.json"):
        if path.stem not in summaries:
            path.unlink()
    for figure, arrays in summaries.items():
        lines = ",\n".join(f" {json.dumps(name, ensure_ascii=False)}: {json.dumps(summary)}" for name, summary in arrays.items())
        with replacing(folder / f"{figure}.json") as temporary:
            temporary.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")


def check_figures(kept: Mapping[str, PublishedFigure], profile: str) -> list[Change]:
    """Hold all published figures of a profile against the references; :class:`ReferencesError` if these are not of the same figures and arrays."""
    stored, tolerances = read_references(profile), load_tolerances()
    for names, words in ((set(kept) - set(stored), "has no stored reference"), (set(stored) - set(kept), "has a reference but is not made")):
        if names:
            raise ReferencesError(f"the figure {sorted(names)[0]!r} {words}; `figures_pkg figures --update --profile {profile}` "
                                  "writes the references anew, look at the difference before it is committed")  # fmt: skip
    return [change for name, each in kept.items() for change in compare(name, summaries_of(each, tolerances), stored[name], tolerances)]


def _tolerance(figure: str, array: str, tolerances: list[Tolerance]) -> Tolerance:
    for rule in tolerances:
        if rule.figure == figure and fnmatchcase(array, rule.array):
            return rule
    raise ReferencesError(f"tests/regression/tolerances.yaml says nothing of the array {array!r} of {figure!r}; add its kind")


def _compare_array(figure: str, name: str, now: dict, stored: dict, rule: Tolerance) -> list[Change]:
    """What moved in one array; a channel that is no more, or new, counts as one without spread."""
    for key in EXACT:
        value, reference = now.get(key), stored.get(key)
        if (value[1:] != reference[1:]) if key == "shape" and rule.any_order else value != reference:
            return [Change(figure, name, key, value, reference, 0.0, rule.reason)]
    if "moments" not in stored:
        return []
    _, deviation, size = stored["moments"]
    allowed, found = rule.allowed * max(deviation, 0.01 * size, 1e-12), []  # the size where an array hardly varies
    if rule.smooth and not now.get("smooth", 0.0) >= rule.smooth:
        found.append(Change(figure, name, "likeness of neighbours", now.get("smooth"), f"at least {rule.smooth:g}", 0.0, rule.reason))
    for key in MEASURED:
        for place, (value, reference) in enumerate(zip_longest(now.get(key, []), stored.get(key, []), fillvalue=0.0)):
            if not abs(value - reference) <= allowed:
                words = NAMES[key][place] if key in NAMES else f"{'channel' if rule.any_order else 'block'} {place + 1}"
                found.append(Change(figure, name, words, value, reference, allowed, rule.reason))
    return found
