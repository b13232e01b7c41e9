"""A release is whole with right checksums; students get the exercises, teachers also the answers."""

import hashlib
import re
import zipfile

import nbformat
import pytest

from figures_pkg.book.chapters import CHAPTERS
from figures_pkg.book.release import SUMS, chapters_in_order, without_answers, write_course, write_release


@pytest.fixture
def built(tmp_path):
    book = tmp_path / "book"
    for name, text in {"_build/html/index.html": "page", "_build/html/_static/a.css": "style", "executed/a.ipynb": "{}", "a.pdf": "%PDF"}.items():
        (book / name).parent.mkdir(parents=True, exist_ok=True)
        (book / name).write_text(text)
    return book


def test_release_holds_everything_with_checksums(built, tmp_path):
    dist = tmp_path / "dist"
    with pytest.raises(FileNotFoundError, match="figures_pkg pdf"):  # an unfinished book is not released
        write_release(dist, "x", built, built / "b.pdf")
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


@pytest.fixture(scope="module")
def archive(repository, tmp_path_factory):
    """The course of this book: name -> text; the same text gives the same archive, another profile another one."""
    folder, toc = tmp_path_factory.mktemp("course"), repository / "book" / "_toc.yml"
    path = write_course(folder / "course.zip", toc)
    assert write_course(folder / "again.zip", toc).read_bytes() == path.read_bytes() != write_course(folder / "paper.zip", toc, "paper").read_bytes()
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name).decode() for name in file.namelist()}


def test_every_chapter_is_there_twice_and_answers_once(archive, repository):
    """Numbered in the order of the contents, valid, without outputs, in the profile that was asked for; no answer is in a student's notebook."""
    order = chapters_in_order(repository / "book" / "_toc.yml")
    names = [f"{number:02d}-{chapter}.ipynb" for number, chapter in enumerate(order, 1)]
    assert set(order) == set(CHAPTERS) and set(archive) == {"README.md"} | {f"{who}/{name}" for who in ("student", "teacher") for name in names}
    assert all(f"prepare {chapter} --profile smoke" in archive["README.md"] for chapter in order)
    sources = {"student": "", "teacher": ""}
    for name in set(archive) - {"README.md"}:
        nbformat.validate(notebook := nbformat.reads(archive[name], as_version=4))
        source = "\n".join(cell.source for cell in notebook.cells)
        assert not any(cell.get("outputs") for cell in notebook.cells) and 'profile = "smoke"' in source
        sources[name.partition("/")[0]] += source
    answers, exercises, places = ([len(re.findall(word, sources[who])) for who in ("student", "teacher")]
                                  for word in (r"\{dropdown\}[^\n]*nswer", "Exercise", r"\*\*Your answer:\*\*"))  # fmt: skip
    assert answers[0] == 0 and answers[1] >= 10 and exercises[0] == exercises[1] > 0 and places[0] > 0 == places[1]


def test_text_around_an_answer_stays():
    text = "Before.\n\n````{dropdown} One answer\nIt is\n```python\n42\n```\n````\n\nAfter."
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text)])
    assert without_answers(notebook).cells[0].source == "Before.\n\n**Your answer:**\n\n…\n\nAfter."
    notebook.cells[0].source = "```{dropdown} Answer\nnever closed"
    with pytest.raises(ValueError, match="never ends"):
        without_answers(notebook)
