"""
What a reader of a built book sees, and what must not be seen.

The checks read the HTML, not the notebooks, so they hold whatever made a page. Each returns lines that name the page and quote the text;
an empty list is a good book.

**Truth.** A page of the record's book is about a measured scan unless its chapter says ``companion: data: twin``, or it is reference. On a page
about a measured scan a sentence may say "true" or "truth" only if it says whose truth: it names the twin or a simulation, it says that there
is no truth or what needs one, or it is the caption of a figure that is drawn from the twin in both books.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from collections import defaultdict
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

from PIL import Image

from figures_pkg.book.chapters import CHAPTERS, source_of
from figures_pkg.book.pages import GENERATED, page_names
from figures_pkg.plotting.style import SOURCE_WORDS
from figures_pkg.provenance.figures import paper_figures

BLOCKS = {"p", "li", "td", "th", "dt", "dd", "figcaption", "caption", "summary", "pre", "h1", "h2", "h3", "h4", "h5", "h6", "label", "blockquote"}
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
UNSEEN = {"script", "style", "template", "head"}
ASIDE = {"cell_input", "headerlink", "MathJax", "math", "xr-wrap", "xr-text-repr-fallback"}  # code, formulas, and what xarray prints of a file's labels
CARDS = {"not-known.svg", "not-simulated.svg"}  # stand for figures that the other book draws
REFERENCE = re.compile(r"api(/.*)?|glossary|changelog|bibliography|citing|chapters|teaching")  # pages that no scan is behind

SVG, HREF = "http://www.w3.org/2000/svg", "{http://www.w3.org/1999/xlink}href"
FRAME_PATCHES = 5  # background and four spines
FEW_COLOURS = 8
BAR_ASPECT = 6

NO_NUMBER = re.compile(r"(?<![\w-])(nan|NaN|NaT|inf|-inf|None(?! of)|undefined)(?![\w-])")
RAW = re.compile(r"\{(glue|numref|ref|eq|cite|doc|download)[:a-z]*\}`?|(?<![\w/-])fig-[a-z0-9]+(?:-[a-z0-9]+)*(?![\w.-])|<!--|\\\(|`|\bTODO\b")
TRUTH = re.compile(r"\b(true|truth|truths)\b", re.IGNORECASE)
WHOSE = re.compile(r"\b(twin|twin's|simulat\w+|null)\b|\bno truth\b|\bwithout (a |any |its |the )?truth\b|\btrue camera length\b|\bwith (a )?known truth\b|\bneeds? (a|the) truth\b|\btruth is (not )?known\b|"
                   r"\bknows? no truth\b|\bnot? .{0,40}\btruth\b|\btruth .{0,30}\bnot\b|\btrue only\b|\b(holds|is|be|are|remains?) true\b", re.IGNORECASE)  # fmt: skip
SENTENCE = re.compile(r"(?<=[.!?:;])\s+(?=[^a-z])")


@dataclass
class Block:
    """A piece of text that a reader sees as one: a paragraph, a cell of a table, a caption, the words behind a picture."""

    kind: str
    text: str


@dataclass
class Seen:
    """What one page shows."""

    blocks: list[Block] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)  # addresses, in order
    numbers: dict[str, str] = field(default_factory=dict)  # label of a figure or table -> "Book figure 32"
    announced: str = ""  # the line above the page


class _Reader(HTMLParser):
    """Walks through a page and keeps what is seen; the code of a cell is not, its output is."""

    def __init__(self):
        super().__init__()
        self.seen, self.open = Seen(), []  # open elements: (tag, classes, id)
        self.words: list[str] = []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if tag in BLOCKS:
            self._close_block()
        if tag == "img" and self._in_article() and not self._unseen():
            self.seen.pictures.append(values.get("src") or "")
            if (values.get("alt") or "").strip():
                self.seen.blocks.append(Block("alt", values["alt"]))
        if tag not in VOID:
            self.open.append((tag, (values.get("class") or "").split(), values.get("id") or ""))

    def handle_endtag(self, tag):
        if tag in BLOCKS or tag == "article":
            self._close_block(tag)
        for place in range(len(self.open) - 1, -1, -1):
            if self.open[place][0] == tag:
                del self.open[place:]
                return

    def handle_data(self, data):
        if any("bd-header-announcement" in classes for _, classes, _ in self.open):
            self.seen.announced = f"{self.seen.announced} {data}".strip()
        if not self._in_article() or self._unseen():
            return
        if any("caption-number" in classes for _, classes, _ in self.open):
            label = next((identity for tag, _, identity in reversed(self.open) if tag in ("figure", "table") and identity), "")
            self.seen.numbers[label] = self.seen.numbers.get(label, "") + data
        self.words.append(data)

    def _close_block(self, tag=None):
        text = re.sub(r"\s+", " ", "".join(self.words)).strip()
        if text:
            self.seen.blocks.append(Block(tag or "text", text))
        self.words = []

    def _in_article(self):
        return any(tag == "article" for tag, _, _ in self.open)

    def _unseen(self):
        output = any("cell_output" in classes for _, classes, _ in self.open)
        for tag, classes, _ in self.open:
            if tag in UNSEEN or ASIDE & set(classes) or (tag in ("code", "pre") and not output):
                return True
        return False


def read_seen(path: Path) -> Seen:
    """What a page shows."""
    reader = _Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    return reader.seen


def read_book(html: Path) -> dict[str, Seen]:
    """Name of each page, without ``.html``, and what it shows; without those that the theme makes."""
    return {name.removesuffix(".html"): read_seen(html / name) for name in page_names(html) if name not in GENERATED}


def quoted(page: str, block: Block, found: re.Match) -> str:
    """One line about a finding, with the text around it."""
    around = block.text[max(0, found.start() - 60) : found.end() + 60]
    return f"{page}: {found[0]!r} in {block.kind}: …{around}…"


def missing_numbers(book: dict[str, Seen]) -> list[str]:
    """Numbers that were not measured, printed all the same: nan, inf, None. The reference describes functions and may name them."""
    pages = {page: seen for page, seen in book.items() if not page.startswith("api")}
    return [quoted(page, block, found) for page, seen in pages.items() for block in seen.blocks for found in NO_NUMBER.finditer(block.text)]


def raw_labels(book: dict[str, Seen]) -> list[str]:
    """Labels and roles that nothing has replaced."""
    pages = {page: seen for page, seen in book.items() if not page.startswith("api")}
    return [quoted(page, block, found) for page, seen in pages.items() for block in seen.blocks for found in RAW.finditer(block.text)]


def about_measured(page: str, data: str = "zenodo") -> bool:
    """Whether a page of the book on ``data`` is about a measured scan."""
    chapter = page.removeprefix("executed/")
    return not REFERENCE.fullmatch(page) and (source_of(chapter, data) != "twin" if chapter in CHAPTERS else True)


def claimed_truths(book: dict[str, Seen]) -> list[str]:
    """Sentences on the record's pages that speak of a truth as if the scan had one."""
    twins = {text for figure in paper_figures(data="zenodo").values() if figure.source("zenodo") == "twin" for text in (figure.caption, figure.alt)}
    spoken_of_twin = {_plain(sentence) for text in twins for sentence in SENTENCE.split(text)}
    titles = re.compile("|".join(re.escape(title) for page, seen in book.items() if not about_measured(page) and (title := _title(seen))) or "(?!)")
    found = []
    for page, seen in book.items():
        for block in seen.blocks if about_measured(page) else ():
            for sentence in SENTENCE.split(titles.sub("", block.text)):
                if (word := TRUTH.search(sentence)) and not WHOSE.search(sentence) and _plain(sentence) not in spoken_of_twin:
                    found.append(quoted(page, Block(block.kind, sentence), word))
    return found


def _plain(sentence: str) -> str:
    """A sentence without marks, as its Markdown and its HTML have it in common."""
    return re.sub(r"\W+", " ", sentence).strip()


def _title(seen: Seen) -> str:
    """Heading of a page."""
    return next((block.text for block in seen.blocks if block.kind == "h1"), "")


def wrong_sources(book: dict[str, Seen], origin: str) -> list[str]:
    """
    Words for another source than the book's.

    Parameters
    ----------
    book
        From :func:`read_book`.
    origin
        Of the scans: "twin", "record" or "rehearsal".
    """
    found = []
    for other in sorted(SOURCE_WORDS.keys() - {origin}):
        if other in ("twin", "simulation", "user"):  # every book has simulations, and tells a reader how her own file is called
            continue
        said = re.compile(re.escape(SOURCE_WORDS[other]))
        found += [quoted(page, block, word) for page, seen in book.items() if about_measured(page) for block in seen.blocks for word in said.finditer(block.text)]
    if origin == "rehearsal":
        found += [f"{page}: the page does not say {SOURCE_WORDS[origin]!r}" for page, seen in book.items() if SOURCE_WORDS[origin] not in seen.announced]
    else:
        found += [f"{page}: announces {seen.announced!r}" for page, seen in book.items() if SOURCE_WORDS["rehearsal"] in seen.announced]
    return found


def pictures_shown_twice(html: Path, book: dict[str, Seen]) -> list[str]:
    """Pictures with the same bytes in two places; the landing page repeats one figure, and cards look alike."""
    places = defaultdict(list)
    for page, seen in book.items():
        for address in seen.pictures if page != "index" else ():
            path = (html / page).parent / unquote(urlsplit(address).path)
            if urlsplit(address).scheme or path.name in CARDS or not path.is_file():
                continue
            places[hashlib.sha256(path.read_bytes()).hexdigest()].append(f"{page} ({path.name})")
    return [f"one picture in two places: {', '.join(where)}" for where in places.values() if len(where) > 1]


def numbered(book: dict[str, Seen]) -> dict[str, str]:
    """Label -> number of every figure and table of a book."""
    return {label: number.strip() for seen in book.values() for label, number in seen.numbers.items() if label}


def shifted_numbers(twin: dict[str, Seen], record: dict[str, Seen]) -> list[str]:
    """Figures whose numbers differ between the book on the twin and the one on the record, or that one of them lacks."""
    first, second = numbered(twin), numbered(record)
    return [f"{label}: {first.get(label, 'absent')} in the twin's book, {second.get(label, 'absent')} in the record's"
            for label in sorted(first.keys() | second.keys()) if first.get(label) != second.get(label)]  # fmt: skip


def drawn_words(svg: str) -> list[str]:
    """Texts inside a drawing; Matplotlib notes each beside its outlines."""
    return [text.strip() for text in re.findall(r"<!--(.*?)-->", svg, re.DOTALL)]


def published(html: Path) -> dict[str, tuple[str, dict]]:
    """Drawing (SVG) and passport of each figure of the paper, from the files that the gallery gives away."""
    files = {path.name: path for path in (html / "_downloads").glob("*/fig-*.*")}
    return {path.stem: (path.read_text(encoding="utf-8"), json.loads(files[f"{path.stem}.json"].read_text(encoding="utf-8")))
            for path in files.values() if path.suffix == ".svg" and f"{path.stem}.json" in files}  # fmt: skip


def origin_of_book(html: Path) -> str:
    """Where the scans of a book come from, by the passports of its figures: "twin", "record" or "rehearsal"."""
    origins = {passport["origin"] for _, passport in published(html).values()}
    return next((origin for origin in ("rehearsal", "record") if origin in origins), "twin")


def wrong_drawings(html: Path) -> list[str]:
    """What is wrong inside the published figures of a book: stamps, numbers that are none, empty panels, panels shown twice."""
    found = []
    for name, (svg, passport) in sorted(published(html).items()):
        origin, words = passport["origin"], drawn_words(svg)
        stamp = SOURCE_WORDS.get(origin)
        found += [f"{name}: {word!r} is drawn" for word in words if NO_NUMBER.search(word)]
        found += [f"{name}: stamped {word!r}, its passport says {origin!r}" for word in words if word in SOURCE_WORDS.values() and word != stamp]
        if origin in ("record", "rehearsal"):
            found += [f"{name}: {word!r} is drawn from a measured scan" for word in words if TRUTH.search(word)]
        if stamp and stamp not in words:
            found.append(f"{name}: no stamp says {stamp!r}")
        found += [f"{name}: {problem}" for problem in panel_problems(svg)]
    return found


def panel_problems(svg: str) -> list[str]:
    """Panels of a drawing that hold nothing, or the same image as another one; maps of next to no contrast may look alike."""
    problems, images = [], defaultdict(list)
    for panel in ElementTree.fromstring(svg).iter(f"{{{SVG}}}g"):
        name = panel.get("id", "")
        if not re.fullmatch(r"axes_\d+", name):
            continue
        kinds = [child.get("id", child.tag.removeprefix(f"{{{SVG}}}")).rpartition("_")[0] or "image" for child in panel]
        artists = [kind for kind in kinds if kind not in ("patch", "text", "matplotlib.axis")]
        if not artists and kinds.count("patch") <= FRAME_PATCHES and kinds.count("text") <= 1:
            problems.append(f"{name} is empty")
        for image in _images(panel):
            pixels = base64.b64decode(image.get(HREF).partition(",")[2])
            if _is_map(Image.open(io.BytesIO(pixels))):
                images[pixels].append(name)
    return problems + [f"{' and '.join(names)} show the same image" for names in images.values() if len(names) > 1]


def _images(panel: ElementTree.Element):
    """Images of a panel, not those of axes inside it, such as a colour bar's."""
    for child in panel:
        if child.tag == f"{{{SVG}}}image":
            yield child
        elif not child.get("id", "").startswith("axes_"):
            yield from _images(child)


def _is_map(image: Image.Image) -> bool:
    """Whether an image is neither the strip of a colour bar nor all but one colour."""
    colours = image.convert("RGB").getcolors(1 << 20)
    return max(image.size) < BAR_ASPECT * min(image.size) and (colours is None or len(colours) >= FEW_COLOURS)


def all_problems(html: Path) -> list[str]:
    """Everything that is wrong with a built book, whichever source it is on."""
    book, origin = read_book(html), origin_of_book(html)
    found = missing_numbers(book) + raw_labels(book) + wrong_sources(book, origin) + pictures_shown_twice(html, book) + wrong_drawings(html)
    return found if origin == "twin" else found + claimed_truths(book)
