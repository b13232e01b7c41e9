"""The pages' side of the passports: folded below each figure, all figures in a gallery, and how many are out of date."""

import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path

import nbformat
from PIL import Image

from figures_pkg.claims.rows import load_claims
from figures_pkg.plotting.style import SOURCE_WORDS
from figures_pkg.provenance.figures import figure_names, paper_figures
from figures_pkg.provenance.passports import PublishedFigure, changed_inputs, claim_links, passport_html, published_figures, stale_badge
from figures_pkg.provenance.regression import Change, check_figures, load_tolerances, references_folder, summaries_of, write_references
from figures_pkg.provenance.writer import write_passport
from figures_pkg.workspace import repository

from .execute import checksums_of

THUMBNAIL_PX = 560  # across, twice what a phone shows
THUMBNAIL_QUALITY = 88  # of the JPEG, without loss of colour: red and blue mean something here
HEAD = """# All figures of the paper

Each figure as this book rebuilds it, with the drawing, the picture and the passport to download: the passport is a JSON file that
says from which data, code, parameters and packages the figure was made, and at what cost. It is also folded below the figure in its chapter.
"""
NONE = "No chapter of this book publishes a figure of the paper."


@dataclass(frozen=True)
class Shown:
    """A figure with what the pages say of it at the time of rendering."""

    published: PublishedFigure
    claims: list[str]
    changed: list[str]  # inputs that changed since it was made


def shown_figures(data: str, profile: str) -> dict[str, Shown]:
    """
    The published figures of a profile, compared with their inputs of now.

    Two figures with one name, a claim about a figure that no notebook makes, and a figure without passport or data each raise.
    """
    claims = load_claims(figures=figure_names()) if (repository() / "claims.yaml").is_file() else []
    kept = published_figures(paper_figures(data=data), profile, data)
    now = {chapter: checksums_of(chapter, data, profile) for chapter in {each.figure.chapter for each in kept.values()}}
    return {name: Shown(each, [claim.id for claim in claims if name in claim.figures], changed_inputs(each.passport, now[each.figure.chapter]))
            for name, each in kept.items()}  # fmt: skip


def figure_states(data: str, profile: str) -> list[str]:
    """One line for each published figure: its name, its panel, its chapter, and what has changed since it was made."""
    lines = []
    for name, each in shown_figures(data, profile).items():
        state = f"out of date: {', '.join(each.changed[:3])}" if each.changed else "up to date"
        lines.append(f"{name:10} {each.published.figure.panel:14} {each.published.figure.chapter:12} {state}")
    return lines


def check_references(profile: str) -> list[Change]:
    """
    Hold the numbers behind all figures of the twin against the stored ones; RuntimeError if a figure is out of date.

    Of a profile without stored numbers only this last is checked, and a warning says so.
    """
    kept, folder = _of_today(profile), references_folder(profile)
    if not folder.is_dir():
        stored = ", ".join(path.name for path in sorted(folder.parent.glob("*/")))
        warnings.warn(f"no numbers are stored for the profile {profile}, only for {stored}: the {len(kept)} figures are of today's code, text and data, "
                      "but the numbers behind them were not compared", stacklevel=2)  # fmt: skip
        return []
    return check_figures(kept, profile)


def update_references(profile: str) -> str:
    """Store the numbers behind all figures of the twin as references, and say where; RuntimeError if a figure is out of date."""
    kept, rules, folder = _of_today(profile), load_tolerances(), references_folder(profile)
    write_references(profile, {name: summaries_of(each, rules) for name, each in kept.items()})
    near = folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
    return f"{len(kept)} references written to {near}"


def _of_today(profile: str) -> dict[str, PublishedFigure]:
    shown = shown_figures("twin", profile)
    if stale := [name for name, each in shown.items() if each.changed]:
        raise RuntimeError(f"{', '.join(stale)}: made from other text, code or data than there is now, so their numbers say nothing of it; "
                           f"make them again with `figures_pkg book --profile {profile}`")  # fmt: skip
    return {name: each.published for name, each in shown.items()}


def notice_of(shown: dict[str, Shown]) -> str:
    """What every page says above its text: that the book was rehearsed on stand-ins, where a figure was drawn from one."""
    return SOURCE_WORDS["rehearsal"] if any(each.published.passport["origin"] == "rehearsal" for each in shown.values()) else ""


def add_landing(folder: Path, data: str) -> None:
    """Give the landing page what is said of the source: ``landing-twin.md`` or ``landing-zenodo.md`` of the book's text."""
    shutil.copyfile(folder.parent / f"landing-{data}.md", folder / "landing.md")


def add_figures(folder: Path, shown: dict[str, Shown]) -> None:
    """
    Give the staged pages their passports, the gallery, and the sentence that counts what is out of date.

    ``folder`` has the staged notebooks (``book/executed``); the files of the figures are copied to ``figures`` in it.
    """
    (folder / "figures").mkdir(exist_ok=True)
    for name, each in shown.items():
        _copy_files(folder / "figures", name, each)
    for chapter in {each.published.figure.chapter for each in shown.values()}:
        _insert_passports(folder / f"{chapter}.ipynb", shown)
    (folder / "gallery.md").write_text(gallery_page(shown), encoding="utf-8")
    (folder / "figures-status.md").write_text(status_sentence(shown) + "\n", encoding="utf-8")


def _insert_passports(path: Path, shown: dict[str, Shown]) -> None:
    """Put the folded passport below each published figure of a staged notebook."""
    notebook = nbformat.read(path, as_version=4)
    cells = []
    for cell in notebook.cells:
        cells.append(cell)
        each = shown.get(cell.metadata.get("mystnb", {}).get("figure", {}).get("name"))
        if each is not None:
            text = passport_html(each.published.passport, each.claims, each.changed)
            cells.append(nbformat.v4.new_markdown_cell(text, id=f"passport-{each.published.figure.id}"))
    notebook.cells = cells
    nbformat.write(notebook, path)


def gallery_page(shown: dict[str, Shown]) -> str:
    """Markdown of the page with all figures."""
    if not shown:
        return f"{HEAD}\n{NONE}\n"
    cards = "\n".join(_card(name, each) for name, each in shown.items())
    return f"{HEAD}\n{status_sentence(shown, link=False)}\n\n::::{{grid}} 1 1 2 2\n:gutter: 4\n:class-container: gallery\n\n{cards}\n::::\n"


def status_sentence(shown: dict[str, Shown], link: bool = True) -> str:
    """How many figures are out of date, in a sentence; with a link to the gallery for the landing page."""
    stale, where = sum(bool(each.changed) for each in shown.values()), "The [gallery](executed/gallery) shows them all."
    if not shown:
        return NONE
    if not stale:
        text = f"All {len(shown)} figures of the paper were made from the text, code and data of this build."
    else:
        few = "One figure" if stale == 1 else f"{stale} figures"
        text = (f"{few} of {len(shown)} {'was' if stale == 1 else 'were'} made from other text, code or data than this build has, and "
                f"{'wears' if stale == 1 else 'wear'} the badge {stale_badge(['see the gallery'])}; `make book` makes them again.")  # fmt: skip
    return f"{text} {where}" if link else text


def _card(name: str, each: Shown) -> str:
    figure, badge = each.published.figure, f" {stale_badge(each.changed)}" if each.changed else ""
    downloads = " · ".join(f"{{download}}`{word} <figures/{name}.{kind}>`" for word, kind in
                           (("picture (PNG)", "png"), ("drawing (SVG)", "svg"), ("passport (JSON)", "json")))  # fmt: skip
    lines = [":::{grid-item}", f"({name}-card)=", f"**[{figure.panel}](#{name})**{badge} in [](/executed/{figure.chapter})", ""]
    alt = figure.alt.replace("[", "\\[").replace("]", "\\]").replace("\n", " ")  # brackets would end the Markdown around them
    lines += [f"[![{alt}](figures/{name}-small.jpg)](#{name})", "", figure.caption, ""]
    if each.changed:
        lines += [f"Changed since it was made: {', '.join(f'`{text}`' for text in each.changed[:5])}"
                  + (f" and {len(each.changed) - 5} more" if len(each.changed) > 5 else "") + ".", ""]  # fmt: skip
    if each.claims:
        lines += [f"Supports the claims {claim_links(each.claims)}.", ""]
    return "\n".join([*lines, downloads, ":::", ""])


def _copy_files(folder: Path, name: str, each: Shown) -> None:
    """Picture, drawing, thumbnail, and the passport with its claims of now."""
    for kind in ("png", "svg"):
        (folder / f"{name}.{kind}").write_bytes(each.published.base.with_suffix(f".{kind}").read_bytes())
    write_passport(folder / f"{name}.json", each.published.passport | {"claims": each.claims, "changed_inputs": each.changed})
    with Image.open(each.published.base.with_suffix(".png")) as picture:
        small = picture.convert("RGB")
    small.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.LANCZOS)
    small.save(folder / f"{name}-small.jpg", quality=THUMBNAIL_QUALITY, subsampling=0)
