"""What a page must not show is found on tiny pages, and is absent from the built book where there is one."""

import io

import matplotlib.pyplot as plt
import numpy as np
import pytest
import words

from figures_pkg.book.chapters import CHAPTERS, source_of
from figures_pkg.plotting.style import SOURCE_WORDS

MEASURED = next(chapter for chapter in CHAPTERS if source_of(chapter, "zenodo") == "zenodo")
TWINS = next(chapter for chapter in CHAPTERS if source_of(chapter, "zenodo") == "twin")


def page(article: str, above: str = "") -> str:
    """A page with a text, and a line above it."""
    bar = f'<div class="bd-header-announcement"><p>{above}</p></div>' if above else ""
    return f'<html><head><title>nan</title></head><body>{bar}<nav>None</nav><article class="bd-article">{article}</article></body></html>'


@pytest.fixture
def read(tmp_path):
    """Write pages, read them as a book."""

    def _read(above="", **articles):
        for name, article in articles.items():
            path = tmp_path / f"{name.replace('__', '/')}.html"
            path.parent.mkdir(exist_ok=True)
            path.write_text(page(article, above), encoding="utf-8")
        return words.read_book(tmp_path)

    return _read


@pytest.mark.parametrize("text", ["<p>a step of nan ± 0.1</p>", "<table><tr><td>NaN</td></tr></table>", "<p>r = <span>nan</span>.</p>", "<p>best: None</p>",
                                  '<div class="cell_output"><pre>AUC inf</pre></div>', '<img src="a.png" alt="a map with nan in it">',
                                  "<figcaption>the step is −<span>nan</span> px</figcaption>"])  # fmt: skip
def test_a_number_that_is_none_is_found(read, text):
    """In prose, tables, outputs, captions and the words behind pictures, once each."""
    assert len(words.missing_numbers(read(index=text))) == 1


@pytest.mark.parametrize("text", ["<p>A nanometre. None of them, information, in the finance.</p>", '<div class="cell_input"><pre>x = np.nan</pre></div>',
                                  "<p>The word <code>nan</code></p>", "<script>var a = nan</script>"])  # fmt: skip
def test_words_that_hold_nan_and_code_are_left_alone(read, text):
    """Words that begin alike, code, and what no reader sees. "None of them" is a sentence."""
    assert words.missing_numbers(read(index=text)) == []


@pytest.mark.parametrize("text", ["<p>see fig-2ab for more</p>", "<p>{glue:text}`com-step:.2f` px</p>", "<p>{numref}`fig-1d` shows</p>"])
def test_a_raw_label_is_found(read, text):
    """A role or a label that nothing has replaced."""
    assert words.raw_labels(read(index=text))


@pytest.mark.parametrize("text", ["<p><a href='fig-2.html#fig-2ab'>Book figure 3</a> and fig-2ab.json</p>", "<p><code>figures_pkg notebook fig-2</code></p>"])
def test_links_and_file_names_are_no_raw_labels(read, text):
    """An address is not shown; the name of a file and a command are meant."""
    assert words.raw_labels(read(index=text)) == []


CLAIMS = ["The AUC against the true domains is 0.99.", "The truth is a step of 3.1.", "Dotted: the true wall."]
DENIALS = ["The twin knows the truth.", "A measured scan has no truth.", "Drawn without the truth.", "This figure needs the truth at each position.",
           "On a simulated scan the true wall is known.", "The same holds true of 004."]  # fmt: skip


@pytest.mark.parametrize("text", CLAIMS)
def test_a_truth_is_claimed_only_on_pages_about_the_twin(read, text):
    """The same sentence is found on a page about a measured scan, and not in a chapter that always reads the twin or in the glossary."""
    assert len(words.claimed_truths(read(**{f"executed__{MEASURED}": f"<p>{text}</p>"}))) == 1
    assert len(words.claimed_truths(read(**{f"executed__{MEASURED}": f"<p>A sentence.</p><img src='a.png' alt='{text}'>"}))) == 1
    assert words.claimed_truths(read(**{f"executed__{MEASURED}": "", f"executed__{TWINS}": f"<p>{text}</p>", "glossary": f"<p>{text}</p>"})) == []


@pytest.mark.parametrize("text", DENIALS)
def test_whose_truth_may_be_said(read, text):
    """A sentence that names the twin, or denies the truth, stands on any page; the next sentence is read by itself."""
    assert words.claimed_truths(read(index=f"<p>{text}</p>")) == []
    assert len(words.claimed_truths(read(index=f"<p>{text} The true wall is dotted.</p>"))) == 1


def test_the_title_of_a_chapter_about_the_twin_may_be_named(read):
    """A link to it carries its title."""
    book = read(index="<p>See <a href='x'>Every method against the truth</a>.</p>", **{f"executed__{TWINS}": "<h1>Every method against the truth</h1>"})
    assert words.claimed_truths(book) == []


def test_a_rehearsal_is_announced_on_every_page_and_claims_no_record(read):
    """The line above the page is asked for; the record's own words are found; the other way round neither may be there."""
    own, other = SOURCE_WORDS["rehearsal"], SOURCE_WORDS["record"]
    assert words.wrong_sources(read(above=own, index="<p>text</p>"), "rehearsal") == []
    assert len(words.wrong_sources(read(index="<p>text</p>"), "rehearsal")) == 1
    assert len(words.wrong_sources(read(above=own, index=f"<figcaption>{other}</figcaption>"), "rehearsal")) == 1
    assert len(words.wrong_sources(read(above=own, index="<p>text</p>"), "record")) == 1
    assert len(words.wrong_sources(read(index=f"<p>{own}</p>"), "twin")) == 1


def test_a_picture_in_two_places_is_found(read, tmp_path):
    """By its bytes, on one page or two; the landing page repeats a figure, cards look alike, and an absent file is another test's."""
    for name, content in {"a.png": b"1", "b.png": b"1", "c.png": b"2", "not-known.svg": b"3"}.items():
        (tmp_path / name).write_bytes(content)
    cards = '<img src="not-known.svg"><img src="not-known.svg"><img src="absent.png">'
    book = read(index='<img src="c.png"><img src="c.png">', one=f'<img src="a.png"><img src="c.png">{cards}', two="<p>none</p>")
    assert words.pictures_shown_twice(tmp_path, book) == []
    assert len(words.pictures_shown_twice(tmp_path, read(two='<img src="b.png">'))) == 1


FIGURE = '<figure id="{}"><figcaption><span class="caption-number">Book figure {} </span><span>text</span></figcaption></figure>'


def test_numbers_of_figures_are_compared_by_label(read, tmp_path):
    """A shifted number and a figure that one book lacks are told."""
    twin = read(one=FIGURE.format("fig-a", 1) + FIGURE.format("fig-b", 2))
    assert words.numbered(twin) == {"fig-a": "Book figure 1", "fig-b": "Book figure 2"}
    assert words.shifted_numbers(twin, twin) == []
    record = read(one=FIGURE.format("fig-b", 1))
    assert words.shifted_numbers(twin, record) == ["fig-a: Book figure 1 in the twin's book, absent in the record's",
                                                   "fig-b: Book figure 2 in the twin's book, Book figure 1 in the record's"]  # fmt: skip


def drawing(draw) -> str:
    """The SVG of a figure with three panels; the first has a line, the third a bar."""
    figure, axes = plt.subplots(1, 3)
    axes[0].plot([0, 1])
    axes[2].bar([1], [2])
    draw(axes[1])
    file = io.StringIO()
    figure.savefig(file, format="svg")
    plt.close(figure)
    return file.getvalue()


def test_an_empty_panel_is_found():
    """Axes with a title alone are empty; a line, a map, points, bars or an arrow are not."""
    assert words.panel_problems(drawing(lambda ax: ax.set_title("nothing"))) == ["axes_2 is empty"]
    full = [lambda ax: ax.plot([0, 1]), lambda ax: ax.imshow(np.eye(30)), lambda ax: ax.scatter([0], [1]), lambda ax: ax.bar([1], [1]),
            lambda ax: ax.annotate("x", (0, 0), (1, 1), arrowprops={"arrowstyle": "->"})]  # fmt: skip
    assert [words.panel_problems(drawing(draw)) for draw in full] == [[]] * len(full)


def test_an_image_in_two_panels_is_found():
    """The same map twice; maps of one colour and the strips of colour bars may look alike."""
    image = np.random.default_rng(1).random((20, 20))
    draw = {"same": (image, image), "different": (image, image.T), "constant": (np.zeros((20, 20)), np.zeros((20, 20)))}
    problems = {}
    for name, pair in draw.items():
        figure, axes = plt.subplots(1, 2)
        for ax, values in zip(axes, pair):
            figure.colorbar(ax.imshow(values), ax=ax)
        file = io.StringIO()
        figure.savefig(file, format="svg")
        plt.close(figure)
        problems[name] = words.panel_problems(file.getvalue())
    assert problems == {"same": ["axes_1 and axes_2 show the same image"], "different": [], "constant": []}


def test_the_built_book_shows_nothing_of_the_kind(built):
    """No number that is none, no raw label, no wrong source, no picture twice, no empty panel; on the record no truth."""
    found = words.all_problems(built)
    assert not found, "\n".join(found)
