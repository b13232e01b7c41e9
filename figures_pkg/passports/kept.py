"""The passports that lie among the artefacts: reading them, and whether their figures are still of today."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .catalogue import PaperFigure
from .publish import KINDS, SCHEMA, figures_folder


class PassportError(ValueError):
    """A passport is missing, damaged or without its data; the message names the figure and the command that makes it again."""


@dataclass(frozen=True)
class Kept:
    """A published figure as it lies among the artefacts."""

    figure: PaperFigure
    passport: dict
    base: Path  # of its files, without suffix

    @property
    def picture(self) -> Path:
        """The PNG."""
        return self.base.with_suffix(".png")


def kept_figures(figures: Mapping[str, PaperFigure], profile: str, data: str) -> dict[str, Kept]:
    """
    The figures of a profile with their passports.

    Parameters
    ----------
    figures
        From :func:`figures_pkg.passports.catalogue.paper_figures`.
    profile, data
        Which of them.

    Returns
    -------
    dict
        Id -> figure, in the given order.

    Raises
    ------
    PassportError
        If a figure has no passport, a passport has no picture or arrays, or there is one that no notebook makes.
    """
    own = {name for name, figure in figures.items() if figure.source(data) == data}
    surplus = sorted(path.stem for path in figures_folder(profile, data).glob("*.json") if path.stem not in own)
    if surplus:
        raise PassportError(f"no notebook makes the figure {surplus[0]!r}, but {figures_folder(profile, data) / surplus[0]}.json is there; remove it, "
                            "or restore the cell that publishes it")  # fmt: skip
    return {name: kept_figure(figure, profile, data) for name, figure in figures.items()}


def kept_figure(figure: PaperFigure, profile: str, data: str) -> Kept:
    """One figure of a profile with its passport; raises :class:`PassportError` if a file of it is missing or spoiled."""
    data = figure.source(data)
    base = figures_folder(profile, data) / figure.id
    again = f"figures_pkg notebook {figure.chapter} --profile {profile} --data {data}"
    passport = read_passport(base.with_suffix(".json"), again)
    missing = [kind for kind in KINDS if not base.with_suffix(f".{kind}").is_file()]
    if missing:
        files = ", ".join(f"{base.name}.{kind}" for kind in missing)
        raise PassportError(f"the passport of {base.name!r} is without its data: {files} missing in {base.parent}; make them with `{again}`")
    return Kept(figure, passport, base)


def changed_inputs(passport: dict, current: Mapping[str, str]) -> list[str]:
    """
    Names of the inputs that differ from those a figure was made of.

    Parameters
    ----------
    passport
        Of the figure.
    current
        Name -> checksum of the inputs as they are now (:func:`figures_pkg.book.inputs.checksums_of`).

    Returns
    -------
    list of str
        Sorted, empty when the figure is of today. A passport that was never completed, because the notebook was run by hand or failed
        later on, gives one entry that says so.
    """
    made_of = passport.get("inputs")
    if not made_of:
        return ["what it was made of is unknown: its chapter was not run to the end by `figures_pkg`"]
    return sorted(name for name in {*made_of, *current} if made_of.get(name) != current.get(name))


def read_passport(path: Path, again: str) -> dict:
    """Read one passport; ``again`` is the command that makes it, for the message."""
    try:
        passport = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PassportError(f"the figure {path.stem!r} has no passport at {path}; make it with `{again}`") from None
    except ValueError as error:
        raise PassportError(f"{path} is damaged ({error}); make it again with `{again}`") from None
    if not isinstance(passport, dict) or passport.get("schema") != SCHEMA or passport.get("id") != path.stem:
        raise PassportError(f"{path} is no passport of {path.stem!r} in schema {SCHEMA}; make it again with `{again}`")
    return passport
