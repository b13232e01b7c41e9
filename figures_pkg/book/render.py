"""The executed notebooks and the prose as HTML that asks no other host; also the extension of Sphinx that ``book/_config.yml`` names."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
import yaml

from figures_pkg.workspace import artefact_path, replacing

from .chapters import CHAPTERS, companion
from .pages import refuse_foreign_hosts

SVG = "image/svg+xml"
LANDING = "fig-5cd"  # the figure on the first page, drawn by the chapter that this run executed
ICONS = "_static/scripts/fontawesome.js"
# name: [width, height, [other names], "code", "path"] as the theme's script lists its two thousand icons
ICON = re.compile(r'("?)([\w-]+)\1:\[\d+,\d+,\[([^\]]*)\],"[0-9a-f]+",(?:"[^"]*"|\["[^"]*","[^"]*"\])\],?')
SHOWN = re.compile(r"fa-(?<!\wfa-)([a-z0-9-]+)")  # begins with letters, which a search finds at once
PATH = re.compile(r'(?<= d=")[^"]*(?=")')
LONG = re.compile(r"-?\d+\.\d{3,}")
FRAME = re.compile(r' *"?(?:#+ .*|\([\w-]+\)=.*|"?name": .*|name: .*|:name: .*)')  # headings and labels, in Markdown and in a notebook's JSON
BRANCH = "launch"  # main and its executed notebooks; .github/workflows/book.yml renews it
BUTTONS = ("binderhub_url", "colab_url", "jupyterhub_url")
COLAB = '''# On Colab: the companion with its pins, and the simulated scans of this chapter, some minutes. Elsewhere this does nothing.
import sys

if "google.colab" in sys.modules:
    !git clone --quiet --depth 1 --branch {branch} {url} /content/companion
    !grep -viE "^(ip|jupyter|pyzmq|tornado|traitlets)" /content/companion/constraints.txt > /content/pins.txt  # its kernel stays as it is
    !pip install --quiet -c /content/pins.txt -e "/content/companion[book,model]"
    !cd /content/companion && python -m figures_pkg prepare {chapter} --profile {profile}
    sys.path.insert(0, "/content/companion")'''
NUMBER = re.compile(r'(<span class="pasted-text">|<td[^>]*>)([^<]*)')  # of a cell's result in a sentence, or in a table
MINUS, PERCENT = re.compile(r"(?<![\w.])-(?=\d)"), re.compile(r"(?<=\d)%")
THEBE = "THEBE_JS_URL"  # set twice by sphinx-thebe, which Jupyter Book always loads; this book starts no kernel and needs neither
SHARED = ("_toc.yml", "references.bib", "glossary.md")  # of the book; all pages cite entries and link terms


def render(book: Path, notebooks: list[Path], prepare: Callable[[Path], None], notice: str, clean: bool = False) -> Path:
    """Stage executed notebooks into ``book/executed`` and build the book's HTML, with warnings as errors; returns ``index.html``.

    After a build without errors only changed pages are rendered again, unless the frame around them changed (:func:`_frame`) or it is ``clean``.
    ``prepare`` adds to that folder what only the time of rendering knows; ``notice`` is a line above the text of every page.
    An error or warning of Jupyter Book, a failed cell, and a page that fetches from another host each raise.
    """
    staged, stamp, configuration = book / "executed", book / "_build" / "frame.sha256", book / "_config.yml"
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in staged.rglob("*") if path.is_file()}
    stage(book, notebooks)
    prepare(staged)
    if notice:  # from a copy of the configuration
        settings, configuration = yaml.safe_load(configuration.read_text(encoding="utf-8")), staged / "_config.yml"
        theme = settings.setdefault("sphinx", {}).setdefault("config", {}).setdefault("html_theme_options", {})
        theme["announcement"] = notice  # here, since these options take the place of those under `html`
        configuration.write_text(yaml.safe_dump(settings, allow_unicode=True), encoding="utf-8")
    for path, (content, changed_ns) in before.items():  # Sphinx takes a file of before for unchanged
        if path.is_file() and path.read_bytes() == content:
            os.utime(path, ns=(changed_ns, changed_ns))
    frame = _frame(book, configuration)
    if clean or not stamp.is_file() or stamp.read_text() != frame:
        shutil.rmtree(book / "_build", ignore_errors=True)
    shutil.rmtree(book / "_build" / "pdf", ignore_errors=True)  # of other pages
    stamp.unlink(missing_ok=True)
    words = ["build", str(book), "--config", str(configuration), "-n", "-W", "--keep-going"]
    done = subprocess.run([sys.executable, "-c", "from jupyter_book.cli.main import main; main()", *words])
    index = book / "_build" / "html" / "index.html"
    if done.returncode or not index.is_file():
        raise RuntimeError(f"Jupyter Book did not build {book}: it ended with status {done.returncode}; its messages above say why")
    refuse_foreign_hosts(index.parent)
    keep_shown_icons(index.parent)
    stamp.write_text(frame)
    return index


def _frame(book: Path, configuration: Path) -> str:
    """SHA-256 of what the pages show of each other or share, and of the code that renders them."""
    frame = hashlib.sha256(repr((configuration.read_text(encoding="utf-8"), repository_url())).encode())
    for path in [*(book / name for name in SHARED), *sorted(Path(__file__).parent.glob("*.py")), *sorted((book / "_static").rglob("*"))]:
        frame.update(path.read_bytes() if path.is_file() else b"")
    for path in sorted({*book.glob("*.md"), *book.glob("api/*.md"), *book.glob("executed/*.md"), *book.glob("executed/*.ipynb")}):
        lines = path.read_text(encoding="utf-8").splitlines()
        frame.update(repr((path.name, [line for line in lines if FRAME.match(line)])).encode())
    return frame.hexdigest()


def stage(book: Path, notebooks: list[Path]) -> None:
    """Make ``book/executed`` hold exactly these notebooks, lighter and with a cell for Colab, and the first page's picture; refuses failed ones."""
    read = {path: nbformat.read(path, as_version=4) for path in notebooks}
    for path, notebook in read.items():
        for number, cell in enumerate(notebook.cells):
            ran = cell.get("execution_count") is not None and not any(output.output_type == "error" for output in cell.get("outputs", []))
            if cell.cell_type == "code" and cell.source.strip() and not ran:
                raise RuntimeError(f"{path}, cell {number} failed or never ran; execute the notebook again before rendering")
    folder, configuration = book / "executed", book / "_config.yml"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    settings = yaml.safe_load(configuration.read_text(encoding="utf-8")) if configuration.is_file() else {}
    url = repository_url((settings or {}).get("repository", {}).get("url", ""))
    for path, notebook in read.items():
        for cell in notebook.cells:
            drawn = [output["data"] for output in cell.get("outputs", []) if "data" in output]
            pictures = [data["image/png"] for data in drawn if "image/png" in data]
            if pictures and cell.metadata.get("mystnb", {}).get("figure", {}).get("name") == LANDING:
                (folder / f"{LANDING}.png").write_bytes(base64.b64decode(pictures[-1]))
            for data in (data for data in drawn if SVG in data):
                data[SVG] = shorten_paths(data[SVG])
        if url:
            add_colab_cell(notebook, path.stem, url)
        nbformat.write(notebook, folder / path.name)


def keep_shown_icons(html: Path) -> None:
    """Take every icon that neither a page nor a script names out of the theme's script, which every page loads."""
    script = html / ICONS
    if not script.is_file():
        return
    readers = [path for path in html.rglob("*") if path.suffix in (".html", ".js") and path != script]
    shown = {name for path in readers for name in SHOWN.findall(path.read_text(encoding="utf-8"))}
    after = ICON.sub(lambda icon: icon[0] if {icon[2], *re.findall(r"[\w-]+", icon[3])} & shown else "", script.read_text(encoding="utf-8"))
    with replacing(script) as temporary:
        temporary.write_text(after, encoding="utf-8", newline="\n")


def shorten_paths(svg: str) -> str:
    """Round the coordinates of a drawing's paths to a hundredth of their unit, a point as a rule."""

    def rounded(number: re.Match) -> str:
        """A number with two decimals at most."""
        text = f"{float(number[0]):.2f}".rstrip("0").rstrip(".")
        return "0" if text == "-0" else text

    return PATH.sub(lambda path: LONG.sub(rounded, path[0]), svg)


def shipped_files(data: str, profile: str) -> dict[str, Path]:
    """What the chapters name under ``companion: ships``, which must be among their artefacts, by the place that it gets in the built pages."""
    found = {}
    for chapter in CHAPTERS:
        wanted = companion(chapter)
        for name in wanted.get("ships", []):
            if name not in wanted.get("artefacts", []):
                raise ValueError(f"chapter {chapter!r} ships {name!r}, which is not among its artefacts; name it there, so that it is made")
            found[f"_static/{name}"] = artefact_path(name, wanted.get("data", data), profile)
    return found


def ship(html: Path, files: dict[str, Path]) -> None:
    """Copy files to their places in the built pages; FileNotFoundError if one was not made, since a page would offer what is not there."""
    for place, path in files.items():
        if not path.is_file():
            raise FileNotFoundError(f"{path} is to lie at {place} beside the pages, but was not made; `make book` makes it")
        (html / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, html / place)


def repository_url(configured: str = "") -> str:
    """Where the project is hosted: what ``repository: url:`` of ``book/_config.yml`` says, what GitHub tells its runners, or nothing."""
    server, name = os.environ.get("GITHUB_SERVER_URL"), os.environ.get("GITHUB_REPOSITORY")
    return configured or (f"{server}/{name}" if server and name else "")


def add_colab_cell(notebook: nbformat.NotebookNode, chapter: str, url: str) -> None:
    """Put a cell before the others that installs what a chapter needs, in its profile, when it runs on Colab; pages do not show it."""
    code = "\n".join(cell.source for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))
    profile = re.search(r"""^profile = ["'](\w+)["']""", code, re.MULTILINE)
    source = COLAB.format(branch=BRANCH, url=url, chapter=chapter, profile=profile[1] if profile else "smoke")
    cell = nbformat.v4.new_code_cell(source, metadata={"tags": ["remove-cell"]}, id="colab")
    notebook.cells.insert(0, cell)


def offer(app, config) -> None:
    """Tell the theme where the notebooks are, or take its buttons away."""
    options = config.html_theme_options
    url = repository_url(options.get("repository_url", ""))
    if url:
        options |= {"repository_url": url, "repository_branch": BRANCH, "path_to_docs": "book", "use_repository_button": True}
    else:
        options["launch_buttons"] = {name: value for name, value in options.get("launch_buttons", {}).items() if name not in BUTTONS}


def setup(app) -> dict:
    """Register with Sphinx; named in ``extra_extensions`` of ``_config.yml``."""
    app.connect("config-inited", offer)
    app.connect("html-page-context", mend, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def mend(app, pagename: str, templatename: str, context: dict, doctree) -> None:
    """Leave out the scripts of thebe, name the theme's default mode, typeset numbers, and give the list of citations no role that its entries do not fit."""
    scripts = context.get("script_files", [])
    texts = [(getattr(script, "attributes", {}).get("body") or "") + str(getattr(script, "filename", "")) for script in scripts]
    context["script_files"] = [script for script, text in zip(scripts, texts) if THEBE not in text and "sphinx-thebe.js" not in text]
    context["default_mode"] = context.get("default_mode") or "auto"
    if "body" in context:  # docutils calls the entries doc-biblioentry, which a list must not hold
        context["body"] = context["body"].replace('<div role="list" class="citation-list">', '<div class="citation-list">')
        context["body"] = NUMBER.sub(lambda found: found[1] + PERCENT.sub("\N{NO-BREAK SPACE}%", MINUS.sub("−", found[2])), context["body"])
