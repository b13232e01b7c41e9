"""Chapters that open elsewhere: buttons for Binder and Colab, and the cell that installs the companion on Colab."""

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


def repository_url(configured: str = "") -> str:
    """
    Where the project is hosted: what is configured, what GitHub tells its runners, or nothing.

    Parameters
    ----------
    configured
        ``repository: url:`` of ``book/_config.yml``.
    """
    server, name = os.environ.get("GITHUB_SERVER_URL"), os.environ.get("GITHUB_REPOSITORY")
    return configured or (f"{server}/{name}" if server and name else "")


def add_colab_cell(notebook: nbformat.NotebookNode, chapter: str, url: str) -> None:
    """
    Put a cell before the others that installs what a chapter needs when it runs on Colab; pages of the book do not show it.

    Parameters
    ----------
    notebook
        Changed in place. Its ``parameters`` cell says which profile to prepare.
    chapter
        Name of the chapter.
    url
        Address of the repository.
    """
    code = "\n".join(cell.source for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))
    profile = re.search(r"""^profile = ["'](\w+)["']""", code, re.MULTILINE)
    source = COLAB.format(branch=BRANCH, url=url, chapter=chapter, profile=profile[1] if profile else "smoke")
    cell = nbformat.v4.new_code_cell(source, metadata={"tags": ["remove-cell"]}, id="colab")
    notebook.cells.insert(0, cell)


def setup(app) -> dict:
    """Register with Sphinx: the buttons need a repository, and there are none where it is not known."""
    app.connect("config-inited", _offer)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _offer(app, config) -> None:
    """Tell the theme where the notebooks are, or take its buttons away."""
    options = config.html_theme_options
    url = repository_url(options.get("repository_url", ""))
    if url:
        options |= {"repository_url": url, "repository_branch": BRANCH, "path_to_docs": "book", "use_repository_button": True}
    else:
        options["launch_buttons"] = {name: value for name, value in options.get("launch_buttons", {}).items() if name not in BUTTONS}
