"""Links, weights and words for pictures: the checker on tiny pages and the notebooks always, the built book where there is one."""

import re

import jupytext
import pytest
import yaml
from bs4 import BeautifulSoup

from figures_pkg.book.pages import broken_links, data_weights, orphans, weights

LIMIT_BYTES = 3_000_000  # of a page with its pictures, scripts and styles
DATA_LIMIT_BYTES = 1_000_000  # of what its interactive figures carry in it; larger data are asked for when they are wanted
DRAWS = re.compile(r"plt\.subplots\(|subplot_mosaic\(|plt\.figure\(\(")
FILE_LIKE = re.compile(r"\.(png|svg|jpe?g|gif|webp)$|^[\w./-]+$|^(image|figure|picture|output)\b[\s\w]{0,12}$", re.I)


def is_description(alt: str | None) -> bool:
    """Whether a text says in words what is seen; no text, a file's name and a single word do not."""
    return bool(alt and alt.strip()) and not FILE_LIKE.search(alt.strip()) and len(alt.split()) >= 3


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


GOOD = ('<a href="part/a.html#here">a</a> <a href="#">up</a> <a href="#top">up</a> <a href="https://example.org/x#y">out</a> <a href="part/">folder</a>'
        '<a href="mailto:a@example.org">mail</a> <img src="data:image/png;base64,AA">')  # fmt: skip


@pytest.mark.parametrize("link, told", [
    ("", ""),
    ('<a href="missing.html">x</a>', "index.html: missing.html: there is no missing.html"),
    ('<a href="a.html#nowhere">x</a>', "a.html has no place called nowhere"),
    ('<a href="#nowhere">x</a>', "index.html has no place called nowhere"),
    ('<a href="../outside.html">x</a>', "there is no ../outside.html"),
    ('<img src="missing.png">', "there is no missing.png"),
    ('<script src="missing.js"></script>', "there is no missing.js"),
    ('<link rel="stylesheet" href="missing.css">', "there is no missing.css"),
])
def test_each_broken_link_and_no_other_is_told(tiny, link, told):
    """Nor a page that is reached through another; a loop that nothing leads to is an orphan, unlike the theme's own pages."""
    html = tiny(index=GOOD + link, a="<p id='other'></p>", part__index="", lost='<a href="found.html">x</a>', found='<a href="lost.html">x</a>', search="",
                part__a='<h2 id="here">here</h2> <a href="../a.html">back</a> <img src="../p%20q.png?v=1"> <a href="#caf%C3%A9">é</a> <a name="café"></a>')  # fmt: skip
    (html / "p q.png").write_bytes(b"x")
    found = broken_links(html)
    assert len(found) == bool(told) and told in "".join(found) and orphans(html) == ["found.html", "lost.html"]


def test_weight_counts_each_loaded_file_once(tiny):
    """The page, a picture shown twice, a script and a style count; a link, another page's picture and the numbers inside a page do not."""
    data = '{"e": 1}'
    html = tiny(index='<img src="p.png"><img src="p.png?v=2"><script src="s.js"></script><link rel="stylesheet" href="c.css"><link rel="next" href="a.html">'
                      f'<a href="big.zip">get</a><script type="application/json">{data}</script>', a='<img src="big.zip">')
    for name, size in {"p.png": 1000, "s.js": 200, "c.css": 30, "big.zip": 10**6}.items():
        (html / name).write_bytes(bytes(size))
    assert weights(html)["index.html"] == 1230 + (html / "index.html").stat().st_size - len(data)
    assert data_weights(html) == {"a.html": 0, "index.html": len(data)}


def test_each_figure_of_a_chapter_has_words_a_caption_and_a_name(repository):
    names, texts = set(), [path.read_text(encoding="utf-8") for path in (repository / "book").glob("*.md")]
    for row in yaml.safe_load((repository / "book" / "differences.yaml").read_text(encoding="utf-8"))["rows"]:
        texts += [row["item"], row["consequence"], row["book"]]
    for path in sorted((repository / "notebooks").glob("*.md")):
        for cell in jupytext.read(path).cells:
            shown = cell.metadata.get("mystnb", {})
            if cell.cell_type == "markdown":
                texts.append(cell.source)
            elif DRAWS.search(cell.source):
                place = (path.name, cell.source.splitlines()[0])
                assert is_description(shown.get("image", {}).get("alt")) and shown["figure"].get("caption") and shown["figure"].get("name"), place
            names |= {shown["figure"]["name"]} if "figure" in shown else set()
    assert not names - {name for text in texts for name in re.findall(r"\{numref\}`([\w-]+)`", text)}


def test_pages_of_the_book(built):
    """All links hold, each page is found and light, each picture has words, and no page shows a warning of a library: if one does, build it again."""
    assert broken_links(built) == [] == orphans(built)
    assert {name: f"{size / 1e6:.1f} MB" for name, size in weights(built).items() if size > LIMIT_BYTES} == {}
    assert max(data_weights(built).values()) <= DATA_LIMIT_BYTES
    faults = []
    for path in (path for path in sorted(built.rglob("*.html")) if "_static" not in path.parts):
        soup = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
        for tag in soup.find_all("img"):
            decoration = tag.get("role") == "presentation" or "logo" in " ".join(tag.get("class", ""))
            if not decoration and not is_description(tag.get("alt")):
                faults.append(f"{path.name}: {tag.get('src', '')[:60]} says {tag.get('alt')!r}")
        faults += [f"{path.name}: {warning.get_text()[:200]}" for warning in soup.select(".output.stderr")]
    assert not faults, "\n".join(faults)
