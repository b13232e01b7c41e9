"""Buttons and the cell for Colab are there where the repository is known; pages come without scripts of thebe."""

import ast
import re
from types import SimpleNamespace

import nbformat
import pytest

from figures_pkg.book import theme
from figures_pkg.book.render import stage
from figures_pkg.book.theme import mend

CONFIGURED = {"binderhub_url": "https://b", "colab_url": "https://c", "thebe": False}


@pytest.fixture
def github(monkeypatch):
    """The environment of GitHub's runners."""
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://example.org")
    monkeypatch.setenv("GITHUB_REPOSITORY", "owner/name")


@pytest.fixture
def nowhere(monkeypatch):
    """A machine that tells nothing."""
    monkeypatch.delenv("GITHUB_SERVER_URL", raising=False)
    monkeypatch.delenv("GITHUB_REPOSITORY", raising=False)


def offered(**options) -> dict:
    """The theme's options after the extension has seen them."""
    config = SimpleNamespace(html_theme_options={"launch_buttons": dict(CONFIGURED)} | options)
    theme._offer(None, config)
    return config.html_theme_options


def test_buttons_lead_to_the_branch_with_the_notebooks(github):
    """What GitHub says is the repository; what is configured goes before it."""
    options = offered()
    assert options["repository_url"] == "https://example.org/owner/name" and options["launch_buttons"] == CONFIGURED
    assert (options["repository_branch"], options["path_to_docs"]) == ("launch", "book")
    assert offered(repository_url="https://example.org/mine/own")["repository_url"] == "https://example.org/mine/own"


def test_no_repository_no_buttons(nowhere):
    """Nothing leads to a placeholder."""
    options = offered()
    assert options["launch_buttons"] == {"thebe": False} and "repository_url" not in options


def test_the_branch_is_the_one_that_is_renewed(repository):
    """The workflow pushes the branch that the buttons open, with the staged notebooks in it."""
    workflow = (repository / ".github" / "workflows" / "book.yml").read_text(encoding="utf-8")
    assert f"git push --force origin {theme.BRANCH}" in workflow and "git add --force book/executed" in workflow


def notebook(profile: str) -> nbformat.NotebookNode:
    """An executed notebook."""
    cell = nbformat.v4.new_code_cell(f"profile = '{profile}'  # size", metadata={"tags": ["parameters"]}, execution_count=1)
    return nbformat.v4.new_notebook(cells=[cell])


def test_staged_notebooks_install_what_they_need_on_colab(github, tmp_path):
    """The first cell is hidden on the page, does nothing elsewhere, and prepares the chapter in the profile that it opens."""
    nbformat.write(notebook("laptop"), tmp_path / "fig-2.ipynb")
    stage(tmp_path, [tmp_path / "fig-2.ipynb"])
    first, *rest = nbformat.read(tmp_path / "executed" / "fig-2.ipynb", as_version=4).cells
    assert len(rest) == 1 and first.metadata.tags == ["remove-cell"]
    assert "https://example.org/owner/name" in first.source and "prepare fig-2 --profile laptop" in first.source
    plain = re.sub(r"^( +)!.*$", r"\1pass", first.source, flags=re.MULTILINE)
    condition = ast.parse(plain).body[1]
    assert isinstance(condition, ast.If) and ast.unparse(condition.test) == "'google.colab' in sys.modules" and not condition.orelse
    exec(compile(ast.parse(plain), "colab", "exec"), {})


def test_without_a_repository_notebooks_stay_as_they_are(nowhere, tmp_path):
    """No cell that could not do anything."""
    nbformat.write(notebook("smoke"), tmp_path / "fig-2.ipynb")
    stage(tmp_path, [tmp_path / "fig-2.ipynb"])
    assert len(nbformat.read(tmp_path / "executed" / "fig-2.ipynb", as_version=4).cells) == 1


def script(filename=None, body=None):
    """As Sphinx keeps a script of a page."""
    return SimpleNamespace(filename=filename, attributes={} if body is None else {"body": body})


def test_thebe_goes_and_other_scripts_stay():
    """Both lines that declare its address twice and its file are left out, in order nothing else."""
    kept = [script("_static/a.js"), script(body="const x = 1")]
    context = {"script_files": [script(body="const THEBE_JS_URL = 1"), kept[0], script("_static/sphinx-thebe.js"), kept[1]]}
    mend(None, "index", "page.html", context, None)
    assert context["script_files"] == kept and context["default_mode"] == "auto"


def test_a_chosen_mode_stays_and_citations_lose_their_role():
    """What the configuration says is kept; only the role of docutils' list goes."""
    context = {"default_mode": "dark", "body": '<div role="list" class="citation-list"><p role="note">x</p></div>'}
    mend(None, "index", "page.html", context, None)
    assert context["default_mode"] == "dark" and context["body"] == '<div class="citation-list"><p role="note">x</p></div>'


def test_results_have_a_minus_sign():
    """In sentences and tables; not in code or words."""
    body = '<span class="pasted-text">-0.24</span> <td class="data" >-6.13</td> <td>-0.1 ± 0.2</td> <td>22%</td> <code>x -1</code> <td>ds1-2</td>'
    context = {"body": body}
    mend(None, "index", "page.html", context, None)
    assert context["body"] == ('<span class="pasted-text">−0.24</span> <td class="data" >−6.13</td> <td>−0.1 ± 0.2</td> <td>22\N{NO-BREAK SPACE}%</td> '
                               "<code>x -1</code> <td>ds1-2</td>")
