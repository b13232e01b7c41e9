"""Pages that would ask another host are refused, and so are notebooks with a failed cell."""

import base64

import nbformat
import pytest
import yaml

from figures_pkg.book.execute import FailedCell
from figures_pkg.book.render import LANDING, ForeignHost, _configuration, foreign_requests, refuse_foreign_hosts, stage


@pytest.mark.parametrize(
    "text",
    [
        '<script async src="https://cdn.example.org/mathjax.js"></script>',
        '<link rel="stylesheet" href="//fonts.example.org/css">',
        '<link href="https://example.org/x.css" rel="stylesheet" type="text/css">',
        '<img alt="badge" src="http://example.org/badge.svg">',
        '<script type="module">import "https://example.org/a.js"</script>',
        "@import url('https://example.org/x.css');",
        "body { background: url(https://example.org/x.png) }",
    ],
)
def test_what_a_browser_fetches_is_found(text):
    """Scripts, styles, pictures and imports from another host are requests."""
    assert len(foreign_requests(text)) == 1


@pytest.mark.parametrize(
    "text",
    [
        '<a href="https://doi.org/10.1038/s41524-024-01265-y">paper</a>',
        '<script src="_static/mathjax/tex-chtml.js"></script>',
        '<link rel="canonical" href="https://example.org/page">',
        '<img src="data:image/png;base64,AAAA">',
    ],
)
def test_links_and_own_files_are_no_requests(text):
    """A link may lead anywhere; what lies beside the page is ours."""
    assert foreign_requests(text) == []


def test_the_error_names_page_and_address(tmp_path):
    """The message says which page asks whom."""
    (tmp_path / "page.html").write_text('<img src="https://example.org/a.png">')
    with pytest.raises(ForeignHost, match=r"page\.html: https://example\.org/a\.png"):
        refuse_foreign_hosts(tmp_path)


@pytest.mark.parametrize("outputs", [[nbformat.v4.new_output("error", ename="E", evalue="", traceback=[])], None])
def test_failed_or_unexecuted_cells_are_not_staged(tmp_path, outputs):
    """A notebook that raised, or never ran, does not reach the book, and what was staged before stays."""
    cell = nbformat.v4.new_code_cell("1 / 0", outputs=outputs or [], execution_count=1 if outputs else None)
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "bad.ipynb")
    (tmp_path / "executed").mkdir()
    (tmp_path / "executed" / "old.ipynb").write_text("{}")
    with pytest.raises(FailedCell, match="bad.ipynb"):
        stage(tmp_path, [tmp_path / "bad.ipynb"])
    assert (tmp_path / "executed" / "old.ipynb").exists()


def test_the_first_page_shows_a_figure_of_this_run(tmp_path):
    """The picture comes out of the executed notebook, and no other figure does."""
    def drawn(name, png):
        output = nbformat.v4.new_output("display_data", data={"image/png": base64.b64encode(png).decode()})
        return nbformat.v4.new_code_cell("draw()", outputs=[output], execution_count=1, metadata={"mystnb": {"figure": {"name": name}}})

    cells = [drawn("fig-other", b"other"), drawn(LANDING, b"landing")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "good.ipynb")
    stage(tmp_path, [tmp_path / "good.ipynb"])
    assert (tmp_path / "executed" / f"{LANDING}.png").read_bytes() == b"landing"
    assert sorted(path.name for path in (tmp_path / "executed").iterdir()) == [f"{LANDING}.png", "good.ipynb"]


def test_a_notice_is_added_to_the_theme_and_changes_nothing_else(tmp_path):
    """What every page shows comes from a copy of the configuration; without a notice the configuration itself is used."""
    (tmp_path / "executed").mkdir()
    (tmp_path / "_config.yml").write_text("title: T\nsphinx: {config: {html_theme_options: {navbar_persistent: []}}}\n", encoding="utf-8")
    assert _configuration(tmp_path, "") == tmp_path / "_config.yml"
    settings = yaml.safe_load(_configuration(tmp_path, "a rehearsal").read_text(encoding="utf-8"))
    assert settings["title"] == "T"
    assert settings["sphinx"]["config"]["html_theme_options"] == {"navbar_persistent": [], "announcement": "a rehearsal"}
