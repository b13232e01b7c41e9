"""The passports of published figures: reading them, whether their figures are still of today, and how they look on a page."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path

from .figures import PaperFigure
from .writer import KINDS, SCHEMA, figures_folder

CLAIMS_PAGE = "does-it-hold.html"  # beside the figures' pages; a row of its table is #claim- and the claim's id
ORIGIN = {
    "twin": "simulated scan (digital twin)",
    "record": "measured: authors' record",
    "rehearsal": "rehearsal: simulated stand-in",
    "user": "measured: own file",
    "simulation": "simulation, no scan",
    "model": "drawn from a model, no scan",
}


class PassportError(ValueError):
    """A passport is missing, damaged or without its data; the message names the figure and the command that makes it again."""


@dataclass(frozen=True)
class PublishedFigure:
    """A published figure as it lies among the artefacts."""

    figure: PaperFigure
    passport: dict
    base: Path  # of its files, without suffix


def published_figures(figures: Mapping[str, PaperFigure], profile: str, data: str) -> dict[str, PublishedFigure]:
    """
    The published figures of a profile from one source with their passports, by id in the given order.

    :class:`PassportError` if a figure has no passport, a passport has no picture or arrays, or there is one that no notebook makes.
    """
    own = {name for name, figure in figures.items() if figure.source(data) == data}
    surplus = sorted(path.stem for path in figures_folder(profile, data).glob("*.json") if path.stem not in own)
    if surplus:
        raise PassportError(f"no notebook makes the figure {surplus[0]!r}, but {figures_folder(profile, data) / surplus[0]}.json is there; remove it, "
                            "or restore the cell that publishes it")  # fmt: skip
    return {name: published_figure(figure, profile, data) for name, figure in figures.items()}


def published_figure(figure: PaperFigure, profile: str, data: str) -> PublishedFigure:
    """One figure of a profile with its passport; raises :class:`PassportError` if a file of it is missing or spoiled."""
    data = figure.source(data)
    base = figures_folder(profile, data) / figure.id
    again = f"figures_pkg notebook {figure.chapter} --profile {profile} --data {data}"
    passport = read_passport(base.with_suffix(".json"), again)
    missing = [kind for kind in KINDS if not base.with_suffix(f".{kind}").is_file()]
    if missing:
        files = ", ".join(f"{base.name}.{kind}" for kind in missing)
        raise PassportError(f"the passport of {base.name!r} is without its data: {files} missing in {base.parent}; make them with `{again}`")
    return PublishedFigure(figure, passport, base)


def changed_inputs(passport: dict, current: Mapping[str, str]) -> list[str]:
    """
    Names of the inputs that differ from those a figure was made of, sorted; ``current`` has their checksums of now, by name.

    A passport that was never completed, because the notebook was run by hand or failed later on, gives one entry that says so.
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


def passport_html(passport: dict, claims: list[str], changed: list[str]) -> str:
    """
    The passport of a figure, folded, as ``<details>`` without blank lines, so that Markdown takes it as one block; all texts are escaped.

    ``claims`` are the ids of those that the figure supports, ``changed`` the inputs that changed since it was made.
    """
    rows = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in _rows(passport, claims) if value)
    badge = f" {stale_badge(changed)}" if changed else ""
    files = f'<p>Picture, drawing and passport to download: <a href="gallery.html#{escape(passport["id"])}-card">gallery</a></p>'
    return f'<details class="passport"><summary>Passport of {escape(passport["panel"])}{badge}</summary><dl>{rows}</dl>{files}</details>'


def stale_badge(changed: list[str]) -> str:
    """The amber badge of a figure whose inputs changed, colour and words, with the first inputs as its title."""
    more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
    return f'<span class="figure-stale" title="{escape(", ".join(changed[:3]) + more)}">out of date</span>'


def claim_links(claims: list[str]) -> str:
    """HTML links to the rows of the claims, as seen from a page with figures."""
    return ", ".join(f'<a href="{CLAIMS_PAGE}#claim-{escape(claim)}">{escape(claim)}</a>' for claim in claims)


def _rows(passport: dict, claims: list[str]) -> list[tuple[str, str]]:
    machine, software = passport["machine"], passport["software"]
    packages = ", ".join(f"{name} {version}" for name, version in software["packages"].items())
    memory = f", {machine['peak_memory_mb']} MB at most" if machine.get("peak_memory_mb") else ""
    tree = {"clean": "unchanged files", "edited": "with edited files"}.get(software["tree"], "state unknown")
    return [
        ("Of the paper", escape(passport["panel"])),
        ("Drawn by", "<br>".join(_code(text) for text in [passport["notebook"], *passport["functions"]])),
        ("Data", escape(ORIGIN[passport["origin"]]) + "".join(f"<br>{_file(scan, ('preset', 'size', 'seed'))}" for scan in passport["scans"])),
        ("Parameters", escape(", ".join(f"{name} = {value}" for name, value in passport["settings"].items()))),
        ("Read by the chapter", "<br>".join(_file(model, ("recipe", "seed")) for model in passport.get("artefacts", []))),
        ("Supports the claims", claim_links(claims)),
        ("Code", f"{_code(software['commit'][:12]) if software['commit'] else 'commit unknown'}, {tree}"),
        ("Pins", f"{_short(software['pins_sha256'])}, Python {escape(software['python'])}, {escape(packages)}"),
        ("Computed on", escape(f"{machine['device']}, {machine['system']}")),
        ("Cost", escape(f"{machine['wall_s']:.0f} s, {machine['cpu_s']:.0f} s of processors{memory}: {machine['measured']}")),
        ("Made", escape(passport["made"].replace("T", " ").replace("+00:00", " UTC"))),
    ]


def _file(facts: dict, names: tuple[str, ...]) -> str:
    """A scan or model with what is told of it, and its checksum; an embedding by a released network names the file of the weights."""
    told = [escape(f"{name} {facts[name]}") for name in names if facts.get(name) is not None]
    if "weights_file" in facts:
        name = f"{facts['weights_id']}, " if "weights_id" in facts else ""
        told.append(f"the authors' network {escape(name)}{_code(facts['weights_file'])}, {_short(facts.get('weights_sha256', ''))}")
    return f"{_code(facts['file'])} ({', '.join(told)}{'; ' if told else ''}{_short(facts['sha256'])})"


def _short(checksum: str) -> str:
    """The beginning of a checksum, the whole as its title."""
    return f'<code title="{escape(checksum)}">sha256 {escape(checksum[:12])}…</code>' if checksum else "checksum unknown"


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>"
