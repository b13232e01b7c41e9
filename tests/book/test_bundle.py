"""A release is whole, and its checksums are right."""

import hashlib
import zipfile

import pytest

from figures_pkg.book.bundle import SUMS, write_release, write_zip


@pytest.fixture
def built(tmp_path):
    """A built book with one page, one notebook and a PDF."""
    book = tmp_path / "book"
    for name, text in {"_build/html/index.html": "page", "_build/html/_static/a.css": "style", "executed/a.ipynb": "{}", "a.pdf": "%PDF"}.items():
        (book / name).parent.mkdir(parents=True, exist_ok=True)
        (book / name).write_text(text)
    return book


def test_release_holds_everything_with_checksums(built, tmp_path):
    """Pages, notebooks, the PDF and what lay there before; every line of the list is true."""
    dist = tmp_path / "dist"
    dist.mkdir()
    (dist / "companion-1-course.zip").write_bytes(b"course")
    made = write_release(dist, "companion-1", built, built / "a.pdf")
    names = {"companion-1-html.zip", "companion-1-notebooks.zip", "companion-1.pdf", "companion-1-course.zip"}
    assert {path.name for path in made} == names | {SUMS} == {path.name for path in dist.iterdir()}
    told = dict(reversed(line.split("  ")) for line in (dist / SUMS).read_text().splitlines())
    assert told == {name: hashlib.sha256((dist / name).read_bytes()).hexdigest() for name in names}
    with zipfile.ZipFile(dist / "companion-1-html.zip") as archive:
        assert archive.namelist() == ["companion-1-html/_static/a.css", "companion-1-html/index.html"]
        assert archive.read("companion-1-html/index.html") == b"page"


def test_an_unfinished_book_is_not_released(built, tmp_path):
    """What is missing is named, and nothing is written."""
    (built / "a.pdf").unlink()
    with pytest.raises(FileNotFoundError, match="figures_pkg pdf"):
        write_release(tmp_path / "dist", "x", built, built / "a.pdf")
    assert not (tmp_path / "dist").exists()


def test_archives_do_not_know_the_day(tmp_path):
    """The same contents in another order and at another time give the same bytes."""
    one = write_zip(tmp_path / "1.zip", {"b": "2", "a": "1"}).read_bytes()
    assert one == write_zip(tmp_path / "2.zip", {"a": "1", "b": "2"}).read_bytes()
