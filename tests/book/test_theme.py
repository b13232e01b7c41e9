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


@pytest.fixture(params=[True, False], ids=["GitHub", "elsewhere"])
def github(monkeypatch, request) -> bool:
    """The environment of GitHub's runners, and that of a machine that tells nothing."""
    for name, value in (("GITHUB_SERVER_URL", "https://example.org"), ("GITHUB_REPOSITORY", "owner/name")):
        monkeypatch.setenv(name, value) if request.param else monkeypatch.delenv(name, raising=False)
    return request.param


def offered(**options) -> dict:
    """The theme's options after the extension has seen them."""
    connected = {}
    theme.setup(SimpleNamespace(connect=lambda event, function, **_: connected.update({event: function})))
    config = SimpleNamespace(html_theme_options={"launch_buttons": dict(CONFIGURED)} | options)
    connected["config-inited"](None, config)
    return config.html_theme_options


def test_buttons_lead_to_the_branch_with_the_notebooks(github):
    """What GitHub says is the repository; what is configured goes before it; without either nothing leads to a placeholder."""
    options = offered()
    assert offered(repository_url="https://example.org/mine/own")["repository_url"] == "https://example.org/mine/own"
    if not github:
        assert options["launch_buttons"] == {"thebe": False} and "repository_url" not in options
        return
    assert options["repository_url"] == "https://example.org/owner/name" and options["launch_buttons"] == CONFIGURED
    assert (options["repository_branch"], options["path_to_docs"]) == ("launch", "book")


def test_the_branch_is_the_one_that_is_renewed(repository):
    """The workflow pushes the branch that the buttons open, with the staged notebooks in it."""
    workflow = (repository / ".github" / "workflows" / "book.yml").read_text(encoding="utf-8")
    assert f"git push --force origin {theme.BRANCH}" in workflow and "git add --force book/executed" in workflow


def test_staged_notebooks_install_what_they_need_on_colab(github, tmp_path):
    """The first cell is hidden on the page, does nothing elsewhere, and prepares the chapter in its profile; no cell that could not do anything."""
    cell = nbformat.v4.new_code_cell("profile = 'laptop'  # size", metadata={"tags": ["parameters"]}, execution_count=1)
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "fig-2.ipynb")
    stage(tmp_path, [tmp_path / "fig-2.ipynb"])
    first, *rest = nbformat.read(tmp_path / "executed" / "fig-2.ipynb", as_version=4).cells
    if not github:
        assert not rest and "profile" in first.source
        return
    assert len(rest) == 1 and first.metadata.tags == ["remove-cell"]
    assert "https://example.org/owner/name" in first.source and "prepare fig-2 --profile laptop" in first.source
    plain = re.sub(r"^( +)!.*$", r"\1pass", first.source, flags=re.MULTILINE)
    condition = ast.parse(plain).body[1]
    assert isinstance(condition, ast.If) and ast.unparse(condition.test) == "'google.colab' in sys.modules" and not condition.orelse
    exec(compile(ast.parse(plain), "colab", "exec"), {})


def test_thebe_goes_and_other_scripts_stay():
    """Both lines that declare its address twice and its file are left out, in order nothing else."""
    named = [SimpleNamespace(filename=f"_static/{name}", attributes={}) for name in ("a.js", "sphinx-thebe.js")]
    inline = [SimpleNamespace(filename=None, attributes={"body": f"const {name} = 1"}) for name in ("x", "THEBE_JS_URL")]
    kept, context = [named[0], inline[0]], {"script_files": [inline[1], named[0], named[1], inline[0]]}
    mend(None, "index", "page.html", context, None)
    assert context["script_files"] == kept and context["default_mode"] == "auto"


@pytest.mark.parametrize("before, after", [
    ('<div role="list" class="citation-list"><p role="note">x</p></div>', '<div class="citation-list"><p role="note">x</p></div>'),
    ('<span class="pasted-text">-0.24</span> <code>x -1</code>', '<span class="pasted-text">−0.24</span> <code>x -1</code>'),
    ('<td class="data" >-6.13</td> <td>-0.1 ± 0.2</td> <td>22%</td> <td>ds1-2</td> <td>4e-06</td>',
     '<td class="data" >−6.13</td> <td>−0.1 ± 0.2</td> <td>22\N{NO-BREAK SPACE}%</td> <td>ds1-2</td> <td>4e-06</td>'),
])  # fmt: skip
def test_citations_lose_their_role_and_results_have_a_minus_sign(before, after):
    """In sentences and tables, not in code or words; the mode that the configuration chooses stays."""
    context = {"default_mode": "dark", "body": before}
    mend(None, "index", "page.html", context, None)
    assert context == {"script_files": [], "default_mode": "dark", "body": after}
