"""The printed book: pages gathered in order with links that hold, and a PDF whose contents tell the right page."""

import pytest
from bs4 import BeautifulSoup
from PIL import Image
from pypdf import PdfReader

from figures_pkg.book import pdf
from figures_pkg.book.pdf import chapters_of, printed

NAV = ('<nav class="bd-links"><p class="caption">The data</p><ul><li><a class="internal" href="{0}part/a.html">One &amp; only</a></li></ul>'
       '<p class="caption">End</p><ul><li><a class="internal" href="{0}b.html">Two</a></li></ul></nav>')
PAGE = '<html><head><link rel="stylesheet" href="{0}s.css?v=1"><script src="x.js"></script></head><body>{nav}<article>{1}</article></body></html>'
INTERACTIVE = ('<div id="dials"><div hidden><canvas></canvas></div><noscript><p>Needs a hand.</p></noscript><table><tr><td>numbers</td></tr>'
               '</table><script>go()</script></div>')
FOLDED = '<details class="hide above-input"><summary>code</summary><pre>secret()</pre></details><details><summary>More</summary><p>unfolded</p></details>'


@pytest.fixture
def book(tmp_path):
    html = tmp_path / "book" / "_build" / "html"
    (html / "part").mkdir(parents=True)
    Image.new("L", (1, 1), 128).save(html / "p.png")
    (html / "s.css").write_text("p { color: black }")
    bodies = {
        "index.html": ("", '<h1>Start<a class="headerlink" href="#">#</a></h1><p>See <a href="part/a.html#here">there</a>.</p>'),
        "part/a.html": ("../", f'<h1 id="here">One</h1><img src="../p.png"><a href="../b.html">b</a><a href="../get.zip">file</a>{INTERACTIVE}{FOLDED}'),
        "b.html": ("", '<h1 id="here">Two</h1><a href="#here">up</a><a href="https://example.org">out</a>' + "<p>text</p>" * 200),
    }
    for name, (up, body) in bodies.items():
        (html / name).write_text(PAGE.format(up, body, nav=NAV.format(up)), encoding="utf-8")
    return tmp_path / "book"


def test_paper_shows_what_paper_can(book):
    """Anchors are unique, links inside hold, words stand for an interactive figure; folded code is left out, folded text is open."""
    html = book / "_build" / "html"
    assert [(c.part, c.title, c.page) for c in chapters_of(html)] == [
        ("", "Start", "index.html"), ("The data", "One & only", "part/a.html"), ("End", "Two", "b.html")]
    text = printed(html, ["Title <1>", "line"], {"index": 3, "part-a": 4, "b": 12})
    soup = BeautifulSoup(text, "html.parser")
    ids = [tag["id"] for tag in soup.find_all(id=True)]
    assert len(ids) == len(set(ids)) and {"part-a--here", "b--here"} <= set(ids)
    links = [tag.get("href") for tag in soup.body.find_all("a")]
    assert all(link[1:] in ids for link in links if link and link.startswith("#"))
    assert "https://example.org" in links and links.count(None) == 1 and soup.title.string == "Title <1>"
    assert soup.img["src"] == (html / "p.png").resolve().as_uri()
    assert soup.select_one(".fallback").get_text() == "Needs a hand." and not soup.find(["canvas", "script"])
    assert "numbers" not in soup.get_text() and "secret" not in text and soup.details.has_attr("open")
    assert [row.get_text("|") for row in soup.select(".entry")] == ["Start|3", "One & only|4", "Two|12"]


def test_printed_by_chromium(book, tmp_path):
    """The real browser prints the book; bookmarks and contents tell the page on which a chapter's heading stands."""
    if not pdf.find_browser():
        pytest.skip("no browser of the Chromium family is installed here")
    made = pdf.make_pdf(book, tmp_path / "out.pdf", ["Title", "line"])
    reader = PdfReader(made)
    texts = [page.extract_text() for page in reader.pages]
    assert "Title" in texts[0] and "Contents" in texts[1] and reader.metadata.title == "Title"
    flat = [item for group in reader.outline for item in (group if isinstance(group, list) else [group])]
    places = {item.title: reader.get_destination_page_number(item) for item in flat}
    for title, heading in {"Start": "Start", "One & only": "One", "Two": "Two"}.items():
        assert heading in texts[places[title]].splitlines()[:2]  # before or behind the number of the page
        assert f"{places[title] + 1}" in texts[1].split(title)[1].split()[:1]


def test_what_stops_a_print_is_told(book, tmp_path, monkeypatch):
    browser, out = tmp_path / "browser", tmp_path / "out.pdf"
    browser.write_text("#!/bin/sh\necho no display >&2\nexit 3\n")
    browser.chmod(0o755)
    monkeypatch.setattr(pdf, "BROWSER_FILES", ())
    monkeypatch.setenv(pdf.BROWSER_VARIABLE, str(browser))
    cases = [(tmp_path, tmp_path / "out.ps", ValueError, "ends in .pdf"), (tmp_path, out, FileNotFoundError, "figures_pkg book")]
    if pdf.find_browser():  # scripts are no programs on some systems
        cases.append((book, out, RuntimeError, "status 3.*no display"))
    for folder, target, error, message in cases:
        with pytest.raises(error, match=message):
            pdf.make_pdf(folder, target, ["Title"])
    monkeypatch.delenv(pdf.BROWSER_VARIABLE)
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError, match="Chromium is not found. Install"):
        pdf.make_pdf(book, out, ["Title"])
    assert not out.exists()
