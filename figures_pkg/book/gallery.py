"""The pages' side of the passports: folded below each figure, all figures in a gallery, and how many are out of date."""

import warnings
from dataclasses import dataclass
from html import escape
from pathlib import Path

import nbformat
from PIL import Image

from figures_pkg.provenance.figures import PublishedFigure, changed_inputs, figure_names, paper_figures, published_figures, write_passport
from figures_pkg.provenance.regression import Change, check_figures, load_tolerances, references_folder, summaries_of, write_references
from figures_pkg.record.manifest import read_yaml
from figures_pkg.workspace import repository

from .execute import checksums_of

CLAIMS_PAGE = "does-it-hold.html"  # beside the figures' pages; a row of its table is #claim- and the claim's id
ORIGIN = {
    "twin": "simulated scan (digital twin)",
    "record": "measured: authors' record",
    "rehearsal": "rehearsal: simulated stand-in",
    "user": "measured: own file",
    "simulation": "simulation, no scan",
    "model": "drawn from a model, no scan",
}
THUMBNAIL_PX = 560  # across, twice what a phone shows
THUMBNAIL_QUALITY = 85  # of the JPEG, without loss of colour: red and blue mean something here
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
    """The published figures of a profile, compared with their inputs of now; claims about an unknown figure are a ValueError."""
    file, names = repository() / "claims.yaml", figure_names()
    claims = read_yaml(file)["rows"] if file.is_file() else []  # the command and the chapter of the claims check the rest of each row
    for claim in claims:
        if unknown := sorted(set(claim["figures"]) - set(names)):
            raise ValueError(f"claims.yaml, row {claim['id']!r}: no figure is called {unknown[0]!r}; there are: {', '.join(sorted(names))}")
    kept = published_figures(paper_figures(data=data), profile, data)
    now = {chapter: checksums_of(chapter, data, profile) for chapter in {each.figure.chapter for each in kept.values()}}
    return {name: Shown(each, [claim["id"] for claim in claims if name in claim["figures"]], changed_inputs(each.passport, now[each.figure.chapter]))
            for name, each in kept.items()}  # fmt: skip


def figure_states(data: str, profile: str) -> list[str]:
    """One line for each published figure: its name, its panel, its chapter, and what has changed since it was made."""
    lines = []
    for name, each in shown_figures(data, profile).items():
        state = f"out of date: {', '.join(each.changed[:3])}" if each.changed else "up to date"
        lines.append(f"{name:10} {each.published.figure.panel:14} {each.published.figure.chapter:12} {state}")
    return lines


def check_references(profile: str) -> list[Change]:
    """Hold the numbers behind the twin's figures against the stored ones, where a profile has them; RuntimeError if a figure is out of date."""
    kept, folder = _of_today(profile), references_folder(profile)
    if not folder.is_dir():
        stored = ", ".join(path.name for path in sorted(folder.parent.glob("*/")))
        warnings.warn(f"no numbers are stored for the profile {profile}, only for {stored}: the {len(kept)} figures are of today's code, text and data, "
                      "but the numbers behind them were not compared", stacklevel=2)  # fmt: skip
        return []
    return check_figures(kept, profile)


def update_references(profile: str) -> str:
    """Store the numbers behind all figures of the twin as references, and say where; RuntimeError if a figure is out of date."""
    kept, rules = _of_today(profile), load_tolerances()
    write_references(profile, {name: summaries_of(each, rules) for name, each in kept.items()})
    return f"{len(kept)} references written to {references_folder(profile).relative_to(repository())}"


def _of_today(profile: str) -> dict[str, PublishedFigure]:
    shown = shown_figures("twin", profile)
    if stale := [name for name, each in shown.items() if each.changed]:
        raise RuntimeError(f"{', '.join(stale)}: made from other text, code or data than there is now, so their numbers say nothing of it; "
                           f"make them again with `figures_pkg book --profile {profile}`")  # fmt: skip
    return {name: each.published for name, each in shown.items()}


def add_figures(folder: Path, shown: dict[str, Shown]) -> None:
    """Give the staged notebooks in a folder their passports, the gallery with its files, and the sentence that counts what is out of date."""
    (folder / "figures").mkdir(exist_ok=True)
    for name, each in shown.items():
        files = folder / "figures" / name
        for kind in (".png", ".svg"):
            files.with_suffix(kind).write_bytes(each.published.base.with_suffix(kind).read_bytes())
        write_passport(files.with_suffix(".json"), each.published.passport | {"claims": each.claims, "changed_inputs": each.changed})
        with Image.open(files.with_suffix(".png")) as picture:
            small = picture.convert("RGB")
        small.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.LANCZOS)
        small.save(folder / "figures" / f"{name}-small.jpg", quality=THUMBNAIL_QUALITY, subsampling=0)
    for chapter in {each.published.figure.chapter for each in shown.values()}:
        notebook, cells = nbformat.read(folder / f"{chapter}.ipynb", as_version=4), []
        for cell in notebook.cells:
            cells.append(cell)
            if (each := shown.get(cell.metadata.get("mystnb", {}).get("figure", {}).get("name"))) is not None:
                text = passport_html(each.published.passport, each.claims, each.changed)
                cells.append(nbformat.v4.new_markdown_cell(text, id=f"passport-{each.published.figure.id}"))
        notebook.cells = cells
        nbformat.write(notebook, folder / f"{chapter}.ipynb")
    (folder / "gallery.md").write_text(gallery_page(shown), encoding="utf-8")
    (folder / "figures-status.md").write_text(status_sentence(shown) + "\n", encoding="utf-8")


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


def passport_html(passport: dict, claims: list[str], changed: list[str]) -> str:
    """The passport of a figure as ``<details>`` without blank lines, which Markdown takes as one block; all texts are escaped."""
    machine, software = passport["machine"], passport["software"]
    packages = ", ".join(f"{name} {version}" for name, version in software["packages"].items())
    memory = f", {machine['peak_memory_mb']} MB at most" if machine.get("peak_memory_mb") else ""
    tree = {"clean": "unchanged files", "edited": "with edited files"}.get(software["tree"], "state unknown")
    told = {
        "Of the paper": escape(passport["panel"]),
        "Drawn by": "<br>".join(_code(text) for text in [passport["notebook"], *passport["functions"]]),
        "Data": escape(ORIGIN[passport["origin"]]) + "".join(f"<br>{_file(scan, ('preset', 'size', 'seed'))}" for scan in passport["scans"]),
        "Parameters": escape(", ".join(f"{name} = {value}" for name, value in passport["settings"].items())),
        "Read by the chapter": "<br>".join(_file(model, ("recipe", "seed")) for model in passport.get("artefacts", [])),
        "Supports the claims": claim_links(claims),
        "Code": f"{_code(software['commit'][:12]) if software['commit'] else 'commit unknown'}, {tree}",
        "Pins": f"{_short(software['pins_sha256'])}, Python {escape(software['python'])}, {escape(packages)}",
        "Computed on": escape(f"{machine['device']}, {machine['system']}"),
        "Cost": escape(f"{machine['wall_s']:.0f} s, {machine['cpu_s']:.0f} s of processors{memory}: {machine['measured']}"),
        "Made": escape(passport["made"].replace("T", " ").replace("+00:00", " UTC")),
    }
    rows = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in told.items() if value)
    badge = f" {stale_badge(changed)}" if changed else ""
    files = f'<p>Picture, drawing and passport to download: <a href="gallery.html#{escape(passport["id"])}-card">gallery</a></p>'
    return f'<details class="passport"><summary>Passport of {escape(passport["panel"])}{badge}</summary><dl>{rows}</dl>{files}</details>'


def _file(facts: dict, names: tuple[str, ...]) -> str:
    """A scan or model with what is told of it, and its checksum; an embedding by a released network names the file of the weights."""
    told = [escape(f"{name} {facts[name]}") for name in names if facts.get(name) is not None]
    if "weights_file" in facts:
        name = f"{facts['weights_id']}, " if "weights_id" in facts else ""
        told.append(f"the released network {escape(name)}{_code(facts['weights_file'])}, {_short(facts.get('weights_sha256', ''))}")
    return f"{_code(facts['file'])} ({', '.join(told)}{'; ' if told else ''}{_short(facts['sha256'])})"


def _short(checksum: str) -> str:
    """The beginning of a checksum, the whole as its title."""
    return f'<code title="{escape(checksum)}">sha256 {escape(checksum[:12])}…</code>' if checksum else "checksum unknown"


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>"


def stale_badge(changed: list[str]) -> str:
    """The amber badge of a figure whose inputs changed, colour and words, with the first inputs as its title."""
    more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
    return f'<span class="figure-stale" title="{escape(", ".join(changed[:3]) + more)}">out of date</span>'


def claim_links(claims: list[str]) -> str:
    """HTML links to the rows of the claims, as seen from a page with figures."""
    return ", ".join(f'<a href="{CLAIMS_PAGE}#claim-{escape(claim)}">{escape(claim)}</a>' for claim in claims)
