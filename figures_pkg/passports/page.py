"""A passport as HTML that folds away below its figure."""

from html import escape

CLAIMS_PAGE = "does-it-hold.html"  # beside the figures' pages; a row of its table is #claim- and the claim's id
ORIGIN = {
    "twin": "simulated scan (digital twin)",
    "record": "measured: authors' record",
    "rehearsal": "rehearsal: simulated stand-in",
    "user": "measured: own file",
    "simulation": "simulation, no scan",
    "model": "drawn from a model, no scan",
}


def passport_html(passport: dict, claims: list[str], changed: list[str], gallery: str = "gallery.html") -> str:
    """
    The folded passport of a figure.

    Parameters
    ----------
    passport
        As the writer left it among the artefacts.
    claims
        Ids of the claims that the figure supports.
    changed
        Inputs that changed since it was made; empty for a figure of today.
    gallery
        Address of the page with the downloads, seen from the figure's page.

    Returns
    -------
    str
        ``<details>`` without blank lines, so that Markdown takes it as one block; all texts are escaped.
    """
    rows = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in _rows(passport, claims) if value)
    badge = f" {stale_badge(changed)}" if changed else ""
    files = f'<p>Picture, drawing and passport to download: <a href="{escape(gallery)}#{escape(passport["id"])}-card">gallery</a></p>'
    return f'<details class="passport"><summary>Passport of {escape(passport["panel"])}{badge}</summary><dl>{rows}</dl>{files}</details>'


def stale_badge(changed: list[str]) -> str:
    """The amber badge of a figure whose inputs changed, colour and words, with the first inputs as its title."""
    more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
    return f'<span class="figure-stale" title="{escape(", ".join(changed[:3]) + more)}">out of date</span>'


def claim_links(claims: list[str]) -> str:
    """HTML links to the rows of the claims, as seen from a page with figures."""
    return ", ".join(f'<a href="{CLAIMS_PAGE}#claim-{escape(claim)}">{escape(claim)}</a>' for claim in claims)


def _rows(passport: dict, claims: list[str]) -> list[tuple[str, str]]:
    """Name and HTML of each line."""
    machine, software = passport["machine"], passport["software"]
    packages = ", ".join(f"{name} {version}" for name, version in software["packages"].items())
    memory = f", {machine['peak_memory_mb']} MB at most" if machine.get("peak_memory_mb") else ""
    return [
        ("Of the paper", escape(passport["panel"])),
        ("Drawn by", "<br>".join(_code(text) for text in [passport["notebook"], *passport["functions"]])),
        ("Data", escape(ORIGIN[passport["origin"]]) + "".join(f"<br>{_scan(scan)}" for scan in passport["scans"])),
        ("Parameters", escape(", ".join(f"{name} = {value}" for name, value in passport["settings"].items()))),
        ("Read by the chapter", "<br>".join(map(_model, passport.get("artefacts", [])))),
        ("Supports the claims", claim_links(claims)),
        ("Code", f"{_code(software['commit'][:12]) if software['commit'] else 'commit unknown'}, {_tree(software['tree'])}"),
        ("Pins", f"{_short(software['pins_sha256'])}, Python {escape(software['python'])}, {escape(packages)}"),
        ("Computed on", escape(f"{machine['device']}, {machine['system']}")),
        ("Cost", escape(f"{machine['wall_s']:.0f} s, {machine['cpu_s']:.0f} s of processors{memory}: {machine['measured']}")),
        ("Made", escape(passport["made"].replace("T", " ").replace("+00:00", " UTC"))),
    ]


def _scan(scan: dict) -> str:
    """One scan: its name, how it was made, its checksum."""
    told = [f"{name} {scan[name]}" for name in ("preset", "size", "seed") if name in scan]
    return f"{_code(scan['file'])} ({escape(', '.join(told))}{'; ' if told else ''}{_short(scan['sha256'])})"


def _model(model: dict) -> str:
    """One artefact: its name, recipe, seed and checksum."""
    told = [f"{name} {model[name]}" for name in ("recipe", "seed") if model.get(name) is not None]
    return f"{_code(model['file'])} ({escape(', '.join(told))}{'; ' if told else ''}{_short(model['sha256'])})"


def _tree(state: str) -> str:
    """What the state of the checkout means."""
    return {"clean": "unchanged files", "edited": "with edited files"}.get(state, "state unknown")


def _short(checksum: str) -> str:
    """The beginning of a checksum, the whole as its title."""
    return f'<code title="{escape(checksum)}">sha256 {escape(checksum[:12])}…</code>' if checksum else "checksum unknown"


def _code(text: str) -> str:
    """Text in the letters of code."""
    return f"<code>{escape(text)}</code>"
