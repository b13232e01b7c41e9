"""What the book changes in its theme, and the buttons and the cell with which a chapter opens elsewhere."""

from __future__ import annotations

import os
import re

import nbformat

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
THEBE = "THEBE_JS_URL"  # set twice by sphinx-thebe, which Jupyter Book always loads; this book starts no kernel and needs neither


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


def _offer(app, config) -> None:
    """Tell the theme where the notebooks are, or take its buttons away."""
    options = config.html_theme_options
    url = repository_url(options.get("repository_url", ""))
    if url:
        options |= {"repository_url": url, "repository_branch": BRANCH, "path_to_docs": "book", "use_repository_button": True}
    else:
        options["launch_buttons"] = {name: value for name, value in options.get("launch_buttons", {}).items() if name not in BUTTONS}


def setup(app) -> dict:
    """Register with Sphinx; named in ``extra_extensions`` of ``_config.yml``."""
    app.connect("config-inited", _offer)
    app.connect("html-page-context", mend, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def mend(app, pagename: str, templatename: str, context: dict, doctree) -> None:
    """Leave out the scripts of thebe, name the theme's default mode, typeset numbers, and give the list of citations no role that its entries do not fit."""
    context["script_files"] = [script for script in context.get("script_files", []) if not _of_thebe(script)]
    context["default_mode"] = context.get("default_mode") or "auto"
    if "body" in context:  # docutils calls the entries doc-biblioentry, which a list must not hold
        context["body"] = context["body"].replace('<div role="list" class="citation-list">', '<div class="citation-list">')
        context["body"] = NUMBER.sub(lambda number: number[1] + typeset(number[2]), context["body"])


def typeset(text: str) -> str:
    """A number that a program wrote, with a minus sign and a space before the per cent sign."""
    return re.sub(r"(?<=\d)%", "\N{NO-BREAK SPACE}%", re.sub(r"(?<![\w.])-(?=\d)", "−", text))


def _of_thebe(script) -> bool:
    return THEBE in (getattr(script, "attributes", {}).get("body") or "") or "sphinx-thebe.js" in str(getattr(script, "filename", ""))
