"""Links, anchors and weights: the checker on tiny pages always, on the built book where there is one."""

import re

import pytest

from figures_pkg.book.pages import broken_links, data_weights, orphans, weights

LIMIT_BYTES = 3_000_000  # of a page with its pictures, scripts and styles
DATA_LIMIT_BYTES = 1_000_000  # of what its interactive figures carry in it; larger data are asked for when they are wanted


@pytest.fixture
def tiny(tmp_path):
    """Write a small site; the text of a page is what stands in its body."""

    def _write(**pages):
        for name, body in pages.items():
            path = tmp_path / f"{name.replace('__', '/')}.html"
            path.parent.mkdir(exist_ok=True)
            path.write_text(f"<html><head></head><body>{body}</body></html>", encoding="utf-8")
        return tmp_path

    return _write


def test_good_links_are_no_problems(tiny):
    """Pages, anchors, folders, pictures with a version, other hosts, mail and data are all found or left alone."""
    html = tiny(
        index='<a href="part/a.html#here">a</a> <a href="#">up</a> <a href="#top">up</a> <a href="https://example.org/x#y">out</a>'
              '<a href="mailto:a@example.org">mail</a> <img src="data:image/png;base64,AA"> <a href="part/">folder</a>',
        part__a='<h2 id="here">here</h2> <a href="../index.html">back</a> <img src="../p%20q.png?v=1"> <a href="#caf%C3%A9">é</a>'
                '<a name="café"></a>',
        part__index="folder",
    )
    (html / "p q.png").write_bytes(b"x")
    assert broken_links(html) == []


@pytest.mark.parametrize("link, told", [
    ('<a href="missing.html">x</a>', "index.html: missing.html: there is no missing.html"),
    ('<a href="a.html#nowhere">x</a>', "a.html has no place called nowhere"),
    ('<a href="#nowhere">x</a>', "index.html has no place called nowhere"),
    ('<a href="../outside.html">x</a>', "there is no ../outside.html"),
    ('<img src="missing.png">', "there is no missing.png"),
    ('<script src="missing.js"></script>', "there is no missing.js"),
    ('<link rel="stylesheet" href="missing.css">', "there is no missing.css"),
])
def test_each_broken_link_is_told(tiny, link, told):
    html = tiny(index=link, a="<p id='other'></p>")
    assert len(found := broken_links(html)) == 1 and told in found[0]


def test_orphans_are_pages_that_nothing_leads_to(tiny):
    """A page behind a page is reached; a loop that nothing leads to is not; the theme's own pages do not count."""
    html = tiny(index='<a href="a.html">a</a>', a='<a href="b.html#x">b</a>', b="", lost='<a href="found.html">x</a>',
                found='<a href="lost.html">x</a>', genindex="", search="")
    assert orphans(html) == ["found.html", "lost.html"]


def test_weight_counts_each_loaded_file_once(tiny):
    """The page, a picture shown twice, a script and a style count; a link, another page's picture and the numbers inside a page do not."""
    html = tiny(index='<img src="p.png"><img src="p.png?v=2"><script src="s.js"></script><link rel="stylesheet" href="c.css">'
                      '<link rel="next" href="a.html"><a href="big.zip">get</a><script type="application/json">{"é": 1}</script>', a='<img src="big.zip">')
    for name, size in {"p.png": 1000, "s.js": 200, "c.css": 30, "big.zip": 10**6}.items():
        (html / name).write_bytes(bytes(size))
    found = weights(html)
    data = len('{"é": 1}'.encode())
    assert found["index.html"] == 1230 + (html / "index.html").stat().st_size - data
    assert list(found) == ["a.html", "index.html"] and data_weights(html) == {"a.html": 0, "index.html": data}


def test_links_of_the_book_lead_somewhere_and_every_page_is_reached(built):
    """Every internal link and anchor, every picture, script and style of the built book is there; from the landing page a reader finds every page."""
    assert broken_links(built) == [] == orphans(built)


def test_pages_of_the_book_are_light(built):
    """No page loads more than 3 MB before it can be read."""
    heavy = {name: f"{size / 1e6:.1f} MB" for name, size in weights(built).items() if size > LIMIT_BYTES}
    assert heavy == {}
    assert max(data_weights(built).values()) <= DATA_LIMIT_BYTES


def test_no_page_shows_what_a_library_wrote_to_stderr(built):
    """A warning of a library between text and figure is a fault of the machine or of the chapter; look at it, and build the chapter again."""
    shown = {page.name: found[1][:200] for page in sorted(built.rglob("*.html"))
             if (found := re.search(r'class="output stderr.*?<pre>(.*?)</pre>', page.read_text(encoding="utf-8"), re.DOTALL))}  # fmt: skip
    assert not shown
