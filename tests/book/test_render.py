"""Notebooks with a failed cell are refused; pages lose bytes and nothing that can be seen; what lies beside them is made first."""

import base64
import shutil
import subprocess

import nbformat
import pytest
import yaml

from figures_pkg.book.chapters import artefacts_of
from figures_pkg.book.execute import FailedCell
from figures_pkg.book.pages import ForeignHost, foreign_requests, refuse_foreign_hosts
from figures_pkg.book.render import ICONS, LANDING, _configuration, keep_shown_icons, render, ship, shipped_files, shorten_paths, stage


@pytest.mark.parametrize("text, requests", [
    ('<script async src="https://cdn.example.org/mathjax.js"></script>', 1),
    ('<link rel="stylesheet" href="//fonts.example.org/css">', 1),
    ('<link href="https://example.org/x.css" rel="stylesheet" type="text/css">', 1),
    ('<img alt="badge" src="http://example.org/badge.svg">', 1),
    ('<script type="module">import "https://example.org/a.js"</script>', 1),
    ("@import url('https://example.org/x.css');", 1),
    ("body { background: url(https://example.org/x.png) }", 1),
    ('<a href="https://doi.org/10.1038/s41524-024-01265-y">paper</a>', 0),  # a link may lead anywhere
    ('<script src="_static/mathjax/tex-chtml.js"></script>', 0),
    ('<link rel="canonical" href="https://example.org/page">', 0),
    ('<img src="data:image/png;base64,AAAA">', 0),
])  # fmt: skip
def test_what_a_browser_fetches_from_another_host_is_found(text, requests):
    assert len(foreign_requests(text)) == requests


def test_the_error_names_page_and_address(tmp_path):
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


SCRIPT = ('var a={moon:[384,512,[127769,"night"],"f186","M1 2z"],"arrow-up":[1,2,[8593],"f062",["","M3"]],'
          'search:[512,512,["magnifying-glass"],"f002","M4z"],zhihu:[1,2,[],"f63f","M5z"]};f("fa-hidden");')


def test_icons_that_are_named_stay(tmp_path):
    """By their name, by another name, in a page or in a script; the rest of the theme's script is untouched, and a theme without one left alone."""
    keep_shown_icons(tmp_path)
    script = tmp_path / ICONS
    script.parent.mkdir(parents=True)
    script.write_text(SCRIPT, encoding="utf-8")
    (tmp_path / "index.html").write_text('<i class="fas fa-moon"></i><i class="fa-solid fa-magnifying-glass"></i>', encoding="utf-8")
    (tmp_path / "theme.js").write_text('i.className="fas fa-arrow-up"', encoding="utf-8")
    for _ in range(2):
        keep_shown_icons(tmp_path)
        assert script.read_text(encoding="utf-8") == SCRIPT.replace('zhihu:[1,2,[],"f63f","M5z"]', "")


def test_only_coordinates_of_paths_are_rounded():
    """Sizes, labels and ids keep their digits; numbers that are short already stay as they are."""
    svg = '<svg width="641.99952pt"><!-- 0.12345 --><path id="m0.12345" d="M 0.12345 -10.99999 Q 3 4.5e-1.25 1e-5"/></svg>'
    assert shorten_paths('<path d="M 1.23456 -0.001234 L 2.5 3"/>') == '<path d="M 1.23 0 L 2.5 3"/>'
    assert shorten_paths(svg) == svg.replace("0.12345 -10.99999 Q", "0.12 -11 Q")


def test_staged_drawings_are_lighter(tmp_path):
    """A staged notebook shows the same drawing with fewer digits; its other outputs stay."""
    data = {"image/svg+xml": '<path d="M 1.23456 2"/>', "text/plain": "1.23456"}
    cell = nbformat.v4.new_code_cell("draw()", execution_count=1, outputs=[nbformat.v4.new_output("display_data", data=data)])
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "a.ipynb")
    stage(tmp_path, [tmp_path / "a.ipynb"])
    (staged,) = nbformat.read(tmp_path / "executed" / "a.ipynb", as_version=4).cells
    assert staged.outputs[0].data == {"image/svg+xml": '<path d="M 1.23 2"/>', "text/plain": "1.23456"}


def test_the_explorers_data_lie_beside_the_pages(tmp_path, monkeypatch):
    """The file of the profile and source goes where its page looks for it, and the workflow makes it before the page."""
    monkeypatch.setenv("FIGURES_PKG_ARTEFACTS", str(tmp_path))
    files = shipped_files("twin", "smoke")
    path = tmp_path / "smoke" / "explorer" / "twin" / "ds1.js"
    assert files["_static/explorer/ds1.js"] == path and str(path) in artefacts_of("explorer", "twin", "smoke")
    with pytest.raises(FileNotFoundError, match=r"ds1\.js is to lie at _static/explorer/ds1\.js"):
        ship(tmp_path / "html", files)
    path.parent.mkdir(parents=True)
    path.write_text("data")
    ship(tmp_path / "html", {"_static/explorer/ds1.js": path})
    assert (tmp_path / "html" / "_static" / "explorer" / "ds1.js").read_text() == "data"


def test_what_nobody_makes_is_not_shipped(monkeypatch):
    """A file that is not among a chapter's artefacts is one clear error."""
    monkeypatch.setattr("figures_pkg.book.render.companion", lambda chapter: {"ships": ["explorer/x.js"]})
    with pytest.raises(ValueError, match="'explorer/x.js', which is not among its artefacts"):
        shipped_files("twin", "smoke")


@pytest.mark.parametrize(("file", "anew"), [("glossary.md", True), ("references.bib", True), ("index.md", False)])
def test_what_all_pages_link_or_cite_renders_all(tmp_path, monkeypatch, file, anew):
    """Sphinx writes a page again when its own text has changed, not when an entry that it cites has."""
    book, kept = tmp_path / "book", tmp_path / "book" / "_build" / "kept"
    (book / "executed").mkdir(parents=True)
    for name in ("_config.yml", "_toc.yml", "references.bib", "glossary.md", "index.md"):
        (book / name).write_text("{}\n")

    def built(words):
        (book / "_build" / "html").mkdir(parents=True, exist_ok=True)
        (book / "_build" / "html" / "index.html").touch()
        return subprocess.CompletedProcess(words, 0)

    monkeypatch.setattr(subprocess, "run", built)
    render(book, [], lambda folder: None, "")
    kept.touch()
    render(book, [], lambda folder: None, "")
    assert kept.exists()
    (book / file).write_text("{}\nmore\n")
    render(book, [], lambda folder: None, "")
    assert kept.exists() != anew


@pytest.mark.process
def test_only_changed_pages_are_rendered_again(tmp_path, repository):
    """A changed sentence leaves the other pages alone; a changed heading, which others show, does not. An error stays one until it is mended."""
    book, chapters = tmp_path / "book", [tmp_path / f"{name}.ipynb" for name in "ab"]
    (book / "executed").mkdir(parents=True)
    for name in ("_config.yml", "references.bib"):
        shutil.copy(repository / "book" / name, book / name)
    (book / "_toc.yml").write_text("format: jb-book\nroot: index\nchapters:\n- file: executed/a\n- file: executed/b\n")
    (book / "index.md").write_text("# A book\n")
    first, second = (book / "_build" / "html" / "executed" / f"{name}.html" for name in "ab")

    def write(path, text):
        cell = nbformat.v4.new_markdown_cell(text, id="text")
        nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}}), path)

    def rendered(text):
        write(chapters[0], text)
        before = second.stat().st_mtime_ns if second.exists() else 0
        render(book, chapters, lambda folder: None, "")
        return text.splitlines()[-1] in first.read_text(encoding="utf-8"), second.stat().st_mtime_ns != before

    write(chapters[1], "# B\n\nThe second page.")
    assert rendered("# A\n\nOne sentence.") == (True, True)
    assert rendered("# A\n\nAnother sentence.") == (True, False)
    before = second.stat().st_mtime_ns
    for _ in range(2):  # the second time all the same, though nothing has changed
        with pytest.raises(RuntimeError, match="did not build"):
            rendered("# A new heading\n\nA [link](to-nowhere.md).")
    assert second.stat().st_mtime_ns != before
