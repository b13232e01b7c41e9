"""Notebooks with a failed cell are refused; pages lose bytes and nothing that can be seen; what lies beside them is made first; chapters open elsewhere."""

import base64
import re
import shutil
from types import SimpleNamespace

import nbformat
import pytest

from figures_pkg.book.chapters import artefacts_of
from figures_pkg.book.pages import refuse_foreign_hosts
from figures_pkg.book.render import ICONS, LANDING, keep_shown_icons, mend, render, setup, ship, shipped_files, stage


def code_cell(source="draw()", count=1, name="", tags=(), **outputs):
    drawn = [nbformat.v4.new_output("display_data", data=outputs)] if outputs else []
    return nbformat.v4.new_code_cell(source, outputs=drawn, execution_count=count, metadata={"mystnb": {"figure": {"name": name}}, "tags": list(tags)})


def notebook(path, *cells):
    nbformat.write(nbformat.v4.new_notebook(cells=list(cells), metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}}), path)
    return path


@pytest.mark.parametrize("text, requests", [
    ('<script async src="https://cdn.example.org/mathjax.js"></script>', 1),
    ('<link rel="stylesheet" href="//fonts.example.org/css">', 1),
    ('<img alt="badge" src="http://example.org/badge.svg">', 1),
    ('<script type="module">import "https://example.org/a.js"</script>', 1),
    ("@import url('https://example.org/x.css');", 1),
    ("body { background: url(https://example.org/x.png) }", 1),
    ('<a href="https://doi.org/10.1038/s41524-024-01265-y">paper</a>', 0),  # a link may lead anywhere
    ('<script src="_static/mathjax/tex-chtml.js"></script>', 0),
    ('<link rel="canonical" href="https://example.org/page">', 0),
    ('<img src="data:image/png;base64,AAAA">', 0),
])  # fmt: skip
def test_what_a_browser_fetches_from_another_host_is_refused(tmp_path, text, requests):
    (tmp_path / "page.html").write_text(text)
    if not requests:
        return refuse_foreign_hosts(tmp_path)
    with pytest.raises(RuntimeError, match=r"page\.html: (https?:)?//\w+\.example\.org|page\.html: https?://example\.org"):
        refuse_foreign_hosts(tmp_path)


@pytest.mark.parametrize("failed", [True, False], ids=["raised", "never ran"])
def test_failed_or_unexecuted_cells_are_not_staged(tmp_path, failed):
    cell = code_cell("1 / 0", 1 if failed else None)
    cell.outputs = [nbformat.v4.new_output("error", ename="E", evalue="", traceback=[])] if failed else []
    (tmp_path / "executed").mkdir()
    (tmp_path / "executed" / "old.ipynb").write_text("{}")
    with pytest.raises(RuntimeError, match="bad.ipynb"):
        stage(tmp_path, [notebook(tmp_path / "bad.ipynb", cell)])
    assert (tmp_path / "executed" / "old.ipynb").exists()


def test_the_first_page_shows_a_figure_of_this_run_and_drawings_get_lighter(tmp_path):
    """The picture comes out of the executed notebook, and no other does; a path's coordinates have fewer digits, its id, sizes and other outputs keep theirs."""
    pictures = [code_cell(name=name, **{"image/png": base64.b64encode(name.encode()).decode()}) for name in ("fig-other", LANDING)]
    svg = '<svg width="641.99952pt"><!-- 0.12345 --><path id="m0.12345" d="M 0.12345 -10.99999 Q 3 4.5e-1.25 -0.001234"/></svg>'
    stage(tmp_path, [notebook(tmp_path / "good.ipynb", *pictures, code_cell(**{"image/svg+xml": svg, "text/plain": "1.23456"}))])
    assert (tmp_path / "executed" / f"{LANDING}.png").read_bytes() == LANDING.encode()
    assert sorted(path.name for path in (tmp_path / "executed").iterdir()) == [f"{LANDING}.png", "good.ipynb"]
    staged = nbformat.read(tmp_path / "executed" / "good.ipynb", as_version=4).cells
    lighter = svg.replace("0.12345 -10.99999 Q", "0.12 -11 Q").replace("-0.001234", "0")
    assert staged[-1].outputs[0].data == {"image/svg+xml": lighter, "text/plain": "1.23456"}


def test_icons_that_are_named_stay(tmp_path):
    text = ('var a={moon:[384,512,[127769,"night"],"f186","M1 2z"],"arrow-up":[1,2,[8593],"f062",["","M3"]],'
            'search:[512,512,["magnifying-glass"],"f002","M4z"],zhihu:[1,2,[],"f63f","M5z"]};f("fa-hidden");')
    script = tmp_path / ICONS
    script.parent.mkdir(parents=True)
    script.write_text(text, encoding="utf-8")
    (tmp_path / "index.html").write_text('<i class="fas fa-moon"></i><i class="fa-solid fa-magnifying-glass alfa-zhihu"></i>', encoding="utf-8")
    (tmp_path / "theme.js").write_text('i.className="fas fa-arrow-up"', encoding="utf-8")
    keep_shown_icons(tmp_path)
    assert script.read_text(encoding="utf-8") == text.replace('zhihu:[1,2,[],"f63f","M5z"]', "")


def test_the_explorers_data_lie_beside_the_pages(tmp_path, monkeypatch):
    """The file of the profile and source goes where its page looks for it, and the workflow makes it before the page; nothing else is shipped."""
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


@pytest.mark.process
def test_only_changed_pages_are_rendered_again(tmp_path, repository):
    """A changed sentence leaves the other pages alone; a heading that others show, a work, a term and a notice do not. An error stays until it is mended."""
    book, chapters = tmp_path / "book", [tmp_path / f"{name}.ipynb" for name in "ab"]
    (book / "executed").mkdir(parents=True)
    for name in ("_config.yml", "references.bib"):
        shutil.copy(repository / "book" / name, book / name)
    (book / "_toc.yml").write_text("format: jb-book\nroot: index\nchapters:\n- file: executed/a\n- file: executed/b\n- file: glossary\n")
    for name in ("index", "glossary"):
        (book / f"{name}.md").write_text(f"# The {name}\n")
    first, second = (book / "_build" / "html" / "executed" / f"{name}.html" for name in "ab")

    def rendered(text, notice=""):
        notebook(chapters[0], nbformat.v4.new_markdown_cell(text, id="text"))
        before = second.stat().st_mtime_ns if second.exists() else 0
        render(book, chapters, lambda folder: None, notice)
        return text.splitlines()[-1] in first.read_text(encoding="utf-8"), second.stat().st_mtime_ns != before

    notebook(chapters[1], nbformat.v4.new_markdown_cell("# B\n\nThe second page.", id="text"))
    assert rendered("# A\n\nOne sentence.") == (True, True)
    assert rendered("# A\n\nAnother sentence.") == (True, False)
    for name in ("references.bib", "glossary.md"):
        with (book / name).open("a") as file:
            file.write("\n")
        assert rendered("# A\n\nAnother sentence.") == (True, True), name
    assert rendered("# A\n\nAnother sentence.", "a rehearsal") == (True, True) and "a rehearsal" in second.read_text(encoding="utf-8")
    before = second.stat().st_mtime_ns
    for _ in range(2):  # the second time all the same, though nothing has changed
        with pytest.raises(RuntimeError, match="did not build"):
            rendered("# A new heading\n\nA [link](to-nowhere.md).")
    assert second.stat().st_mtime_ns != before


@pytest.mark.parametrize("github", [True, False], ids=["GitHub", "elsewhere"])
def test_chapters_open_elsewhere_where_the_repository_is_known(monkeypatch, tmp_path, github):
    """The first cell, hidden on the page, prepares the chapter on Colab only; what is configured goes before what GitHub says; without either no button."""
    for name, value in (("GITHUB_SERVER_URL", "https://example.org"), ("GITHUB_REPOSITORY", "owner/name")):
        monkeypatch.setenv(name, value) if github else monkeypatch.delenv(name, raising=False)

    def offered(**options) -> dict:
        connected, configured = {}, {"binderhub_url": "https://b", "colab_url": "https://c", "thebe": False}
        setup(SimpleNamespace(connect=lambda event, function, **_: connected.update({event: function})))
        config = SimpleNamespace(html_theme_options={"launch_buttons": configured} | options)
        connected["config-inited"](None, config)
        return config.html_theme_options

    options = offered()
    assert offered(repository_url="https://example.org/mine/own")["repository_url"] == "https://example.org/mine/own"
    stage(tmp_path, [notebook(tmp_path / "fig-2.ipynb", code_cell("profile = 'laptop'  # size", tags=["parameters"]))])
    first, *rest = nbformat.read(tmp_path / "executed" / "fig-2.ipynb", as_version=4).cells
    if not github:
        assert options["launch_buttons"] == {"thebe": False} and "repository_url" not in options and not rest and "profile" in first.source
        return
    assert options["repository_url"] == "https://example.org/owner/name" and options["launch_buttons"]["colab_url"] == "https://c"
    assert (options["repository_branch"], options["path_to_docs"]) == ("launch", "book")
    assert len(rest) == 1 and first.metadata.tags == ["remove-cell"]
    assert "https://example.org/owner/name" in first.source and "prepare fig-2 --profile laptop" in first.source
    exec(re.sub(r"^( *)!.*$", r"\1raise SystemExit", first.source, flags=re.MULTILINE), {})


@pytest.mark.parametrize("before, after", [
    ('<div role="list" class="citation-list"><p role="note">x</p></div>', '<div class="citation-list"><p role="note">x</p></div>'),
    ('<span class="pasted-text">-0.24</span> <code>x -1</code>', '<span class="pasted-text">−0.24</span> <code>x -1</code>'),
    ('<td class="data" >-6.13</td> <td>-0.1 ± 0.2</td> <td>22%</td> <td>ds1-2</td> <td>4e-06</td>',
     '<td class="data" >−6.13</td> <td>−0.1 ± 0.2</td> <td>22\N{NO-BREAK SPACE}%</td> <td>ds1-2</td> <td>4e-06</td>'),
])  # fmt: skip
def test_citations_lose_their_role_results_have_a_minus_sign_and_thebe_goes(before, after):
    """In sentences and tables, not in code or words; the mode that the configuration chooses stays, and so does every other script."""
    named = [SimpleNamespace(filename=f"_static/{name}", attributes={}) for name in ("a.js", "sphinx-thebe.js")]
    inline = [SimpleNamespace(filename=None, attributes={"body": f"const {name} = 1"}) for name in ("x", "THEBE_JS_URL")]
    context = {"default_mode": "dark", "body": before, "script_files": [inline[1], named[0], named[1], inline[0]]}
    mend(None, "index", "page.html", context, None)
    assert context == {"script_files": [named[0], inline[0]], "default_mode": "dark", "body": after}
