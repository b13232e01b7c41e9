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


def read(folder, above="", **articles):
    """Write pages, each with a line above its text, and read them as a book."""
    for name, article in articles.items():
        path = folder / f"{name.replace('__', '/')}.html"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f'<html><head><title>nan</title></head><body><div class="bd-header-announcement">{above}</div><nav>None</nav>'
                        f'<article class="bd-article">{article}</article></body></html>', encoding="utf-8")  # fmt: skip
    return words.read_book(folder)


@pytest.mark.parametrize(("text", "found"), [
    ("<p>a step of nan ± 0.1</p>", 1), ("<table><tr><td>NaN</td></tr></table>", 1), ("<p>r = <span>nan</span>.</p>", 1), ("<p>best: None</p>", 1),
    ('<div class="cell_output"><pre>AUC inf</pre></div>', 1), ('<img src="a.png" alt="a map with nan in it">', 1),
    ("<figcaption>the step is −<span>nan</span> px</figcaption>", 1), ("<p>A nanometre. None of them, information, in the finance.</p>", 0),
    ('<div class="cell_input"><pre>x = np.nan</pre></div>', 0), ("<p>The word <code>nan</code></p>", 0), ("<script>var a = nan</script>", 0),
    ("<p>see fig-2ab for more</p>", 1), ("<p>{glue:text}`com-step:.2f` px</p>", 2), ("<p>{numref}`fig-1d` shows</p>", 3),
    ("<p><a href='fig-2.html#fig-2ab'>Book figure 3</a> and fig-2ab.json</p>", 0), ("<p><code>figures_pkg notebook fig-2</code></p>", 0),
])  # fmt: skip
def test_a_number_that_is_none_and_a_raw_label_are_found(tmp_path, text, found):
    """In prose, tables, outputs, captions and the words behind pictures; not in words that begin alike, in code, addresses, or where nobody reads."""
    assert len(words.unwritten(read(tmp_path, index=text))) == found


TITLE, TRUTH = "Every method against the truth", "The AUC against the true domains is 0.99. The truth is a step of 3.1. Dotted: the true wall."  # three claims
OTHERS = ["The twin knows the truth.", "A measured scan has no truth.", "Drawn without the truth.", "The same holds true of 004.",
          "This figure needs the truth at each position.", "On a simulated scan the true wall is known."]  # fmt: skip


@pytest.mark.parametrize(("pages", "found"), [
    ({f"executed__{MEASURED}": f"<p>A sentence.</p><img src='a.png' alt='{TRUTH}'><p>{TRUTH}</p>"}, 6),
    ({f"executed__{TWINS}": f"<h1>{TITLE}</h1><p>{TRUTH}</p>", "glossary": f"<p>{TRUTH}</p>", f"executed__{MEASURED}": f"<a href='x'>{TITLE}</a>"}, 0),
    *[({"index": f"<p>{text}</p>"}, 0) for text in OTHERS], *[({"index": f"<p>{text} The true wall is dotted.</p>"}, 1) for text in OTHERS],
])  # fmt: skip
def test_a_truth_is_claimed_only_on_pages_about_the_twin(tmp_path, pages, found):
    """And in the glossary, in a link with such a chapter's title, and in a sentence that names the twin or denies the truth; the next is read by itself."""
    assert len(words.claimed_truths(read(tmp_path, **pages))) == found


OWN, OTHER = SOURCE_WORDS["rehearsal"], SOURCE_WORDS["record"]


@pytest.mark.parametrize(("above", "text", "origin", "found"), [
    (OWN, "text", "rehearsal", 0), ("", "text", "rehearsal", 1), (OWN, OTHER, "rehearsal", 1), (OWN, "text", "record", 1), ("", OWN, "twin", 1),
])  # fmt: skip
def test_a_rehearsal_is_announced_on_every_page_and_claims_no_record(tmp_path, above, text, origin, found):
    """The line above the page is asked for; the record's own words are found; the other way round neither may be there."""
    assert len(words.wrong_sources(read(tmp_path, above=above, index=f"<figcaption>{text}</figcaption>"), origin)) == found


def test_a_picture_in_two_places_is_found(tmp_path):
    """By its bytes, on one page or two; the landing page repeats a figure, cards look alike, and an absent file is another test's."""
    for name, content in {"a.png": b"1", "b.png": b"1", "c.png": b"2", "not-known.svg": b"3"}.items():
        (tmp_path / name).write_bytes(content)
    cards = '<img src="not-known.svg"><img src="not-known.svg"><img src="absent.png">'
    book = read(tmp_path, index='<img src="c.png"><img src="c.png">', one=f'<img src="a.png"><img src="c.png">{cards}', two="<p>none</p>")
    assert words.pictures_shown_twice(tmp_path, book) == []
    assert len(words.pictures_shown_twice(tmp_path, read(tmp_path, two='<img src="b.png">'))) == 1


def test_numbers_of_figures_are_compared_by_label(tmp_path):
    figure = '<figure id="{}"><figcaption><span class="caption-number">Book figure {} </span><span>text</span></figcaption></figure>'
    twin, record = read(tmp_path, one=figure.format("fig-a", 1) + figure.format("fig-b", 2)), read(tmp_path, one=figure.format("fig-b", 1))
    assert words.shifted_numbers(twin, twin) == []
    assert words.shifted_numbers(twin, record) == ["fig-a: Book figure 1 in the twin's book, absent in the record's",
                                                   "fig-b: Book figure 2 in the twin's book, Book figure 1 in the record's"]  # fmt: skip


def drawing(*draw) -> str:
    """The SVG of a figure with a panel for each function."""
    figure, axes = plt.subplots(1, len(draw), squeeze=False)
    for ax, function in zip(axes[0], draw):
        function(ax)
    file = io.StringIO()
    figure.savefig(file, format="svg")
    plt.close(figure)
    return file.getvalue()


def test_an_empty_panel_and_an_image_in_two_panels_are_found():
    """A title alone is empty; a line, points, bars, an arrow or a map are not. Maps of one colour and the strips of colour bars may look alike."""
    full = [lambda ax: ax.plot([0, 1]), lambda ax: ax.scatter([0], [1]), lambda ax: ax.bar([1], [1]),
            lambda ax: ax.annotate("x", (0, 0), (1, 1), arrowprops={"arrowstyle": "->"})]  # fmt: skip
    image = np.random.default_rng(1).random((20, 20))
    assert words.panel_problems(drawing(*full, lambda ax: ax.imshow(image), lambda ax: ax.set_title("nothing"))) == ["axes_6 is empty"]
    for pair, problems in (((image, image), ["axes_1 and axes_2 show the same image"]), ((image, image.T), []), ((0 * image, 0 * image), [])):
        maps = [lambda ax, shown=shown: ax.figure.colorbar(ax.imshow(shown), ax=ax) for shown in pair]
        assert words.panel_problems(drawing(*maps)) == problems


def test_the_built_book_shows_nothing_of_the_kind(built):
    """No number that is none, no raw label, no wrong source, no picture twice, no empty panel; on the record no truth."""
    found = words.all_problems(built, words.read_book(built))
    assert not found, "\n".join(found)
