"""What a reader of a built book sees in its HTML, and what must not be seen: each check returns lines that name the page and quote the text.

A page of the record's book is about a measured scan unless its chapter says ``companion: data: twin``, or it is reference. There a sentence may say
"true" or "truth" only if it says whose: the twin's, a simulation's, none, what needs one, or it is the caption of a figure of the twin in both books.
"""

import base64
import hashlib
import io
import json
import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

from bs4 import BeautifulSoup
from PIL import Image

from figures_pkg.book.chapters import CHAPTERS, source_of
from figures_pkg.book.pages import GENERATED, page_names
from figures_pkg.plotting.style import SOURCE_WORDS
from figures_pkg.provenance.figures import paper_figures

BLOCKS = ["p", "li", "td", "th", "dt", "dd", "figcaption", "caption", "summary", "pre", "h1", "h2", "h3", "h4", "h5", "h6", "label", "blockquote"]
UNSEEN = ["script", "style", "template", "head"]
ASIDE = ["cell_input", "headerlink", "MathJax", "math", "xr-wrap", "xr-text-repr-fallback"]  # code, formulas, and what xarray prints of a file's labels
MARK = "\0"
CARDS = {"not-known.svg", "not-simulated.svg"}  # stand for figures that the other book draws
REFERENCE = re.compile(r"api(/.*)?|glossary|changelog|bibliography|citing|chapters|teaching")  # pages that no scan is behind

SVG, HREF = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}href"
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
    """A text that a reader sees as one: a paragraph, a cell of a table, a caption, the words behind a picture."""

    kind: str
    text: str


@dataclass
class Seen:
    """What one page shows."""

    blocks: list[Block] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)  # addresses, in order
    numbers: dict[str, str] = field(default_factory=dict)  # label of a figure or table -> "Book figure 32"
    announced: str = ""  # the line above the page


def read_seen(path: Path) -> Seen:
    """What a page shows: the code of a cell is not seen, its output is."""
    soup = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
    announced = soup.select_one(".bd-header-announcement")
    article, seen = soup.find("article"), Seen(announced=announced.get_text().strip() if announced else "")
    if article is None:
        return seen
    for tag in article.find_all(UNSEEN) + article.find_all(class_=ASIDE):
        tag.decompose()
    for tag in article.find_all(("code", "pre")):
        if not tag.decomposed and not tag.find_parent(class_="cell_output"):
            tag.decompose()
    for number in article.select(".caption-number"):
        place = number.find_parent(("figure", "table"), id=True)
        label = place["id"] if place else ""
        seen.numbers[label] = seen.numbers.get(label, "") + number.get_text()
    seen.pictures = [image.get("src", "") for image in article.find_all("img")]
    seen.blocks = [Block("alt", image["alt"]) for image in article.find_all("img") if image.get("alt", "").strip()]
    for block in article.find_all(BLOCKS):  # a text ends where a block begins or ends
        block.insert(0, f"{MARK}text{MARK}")
        block.append(f"{MARK}{block.name}{MARK}")
    pieces = [*article.get_text().split(MARK), "article"]
    seen.blocks += [Block(kind, text) for piece, kind in zip(pieces[::2], pieces[1::2]) if (text := re.sub(r"\s+", " ", piece).strip())]
    return seen


def read_book(html: Path) -> dict[str, Seen]:
    """Name of each page, without ``.html``, and what it shows; without those that the theme makes."""
    return {name.removesuffix(".html"): read_seen(html / name) for name in page_names(html) if name not in GENERATED}


def quoted(page: str, block: Block, found: re.Match) -> str:
    """One line about a finding, with the text around it."""
    return f"{page}: {found[0]!r} in {block.kind}: …{block.text[max(0, found.start() - 60) : found.end() + 60]}…"


def all_of(pattern: re.Pattern, pages: dict[str, Seen]) -> list[str]:
    """Where a pattern is found on some pages."""
    return [quoted(page, block, found) for page, seen in pages.items() for block in seen.blocks for found in pattern.finditer(block.text)]


def unwritten(book: dict[str, Seen]) -> list[str]:
    """Numbers that were not measured, printed all the same, and labels and roles that nothing has replaced; the reference may name what functions return."""
    pages = {page: seen for page, seen in book.items() if not page.startswith("api")}
    return all_of(NO_NUMBER, pages) + all_of(RAW, pages)


def about_measured(page: str) -> bool:
    """Whether a page of the record's book is about a measured scan."""
    chapter = page.removeprefix("executed/")
    return not REFERENCE.fullmatch(page) and (chapter not in CHAPTERS or source_of(chapter, "zenodo") != "twin")


def claimed_truths(book: dict[str, Seen]) -> list[str]:
    """Sentences on the record's pages that speak of a truth as if the scan had one; titles of pages about the twin may be named."""
    twins = {text for figure in paper_figures(data="zenodo").values() if figure.source("zenodo") == "twin" for text in (figure.caption, figure.alt)}
    spoken_of_twin = {re.sub(r"\W+", " ", sentence).strip() for text in twins for sentence in SENTENCE.split(text)}
    titles = [block.text for page, seen in book.items() if not about_measured(page) for block in seen.blocks if block.kind == "h1"]
    titles = re.compile("|".join(map(re.escape, titles)) or "(?!)")
    found = []
    for page, seen in book.items():
        for block in seen.blocks if about_measured(page) else ():
            for sentence in SENTENCE.split(titles.sub("", block.text)):
                plain = re.sub(r"\W+", " ", sentence).strip()  # what its Markdown and its HTML have in common
                if (word := TRUTH.search(sentence)) and not WHOSE.search(sentence) and plain not in spoken_of_twin:
                    found.append(quoted(page, Block(block.kind, sentence), word))
    return found


def wrong_sources(book: dict[str, Seen], origin: str) -> list[str]:
    """Words for another source than the book's, whose scans come from the "twin", the "record" or a "rehearsal"; the last is announced on each page."""
    measured = {page: seen for page, seen in book.items() if about_measured(page)}
    found = [line for other in ("record", "rehearsal") if other != origin for line in all_of(re.compile(re.escape(SOURCE_WORDS[other])), measured)]
    return found + [f"{page}: announces {seen.announced!r} in a book on the {origin}" for page, seen in book.items()
                    if (SOURCE_WORDS["rehearsal"] in seen.announced) != (origin == "rehearsal")]  # fmt: skip


def pictures_shown_twice(html: Path, book: dict[str, Seen]) -> list[str]:
    """Pictures with the same bytes in two places; the landing page repeats one figure, and cards look alike."""
    places = defaultdict(list)
    for page, seen in book.items():
        for address in seen.pictures if page != "index" else ():
            path = (html / page).parent / unquote(urlsplit(address).path)
            if not urlsplit(address).scheme and path.name not in CARDS and path.is_file():
                places[hashlib.sha256(path.read_bytes()).hexdigest()].append(f"{page} ({path.name})")
    return [f"one picture in two places: {', '.join(where)}" for where in places.values() if len(where) > 1]


def shifted_numbers(twin: dict[str, Seen], record: dict[str, Seen]) -> list[str]:
    """Figures whose numbers differ between the book on the twin and the one on the record, or that one of them lacks."""
    first, second = ({label: number.strip() for seen in book.values() for label, number in seen.numbers.items() if label} for book in (twin, record))
    return [f"{label}: {first.get(label, 'absent')} in the twin's book, {second.get(label, 'absent')} in the record's"
            for label in sorted(first.keys() | second.keys()) if first.get(label) != second.get(label)]  # fmt: skip


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
        words = [text.strip() for text in re.findall(r"<!--(.*?)-->", svg, re.DOTALL)]  # Matplotlib notes each beside its outlines
        origin, stamp = passport["origin"], SOURCE_WORDS.get(passport["origin"])
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
    def images_of(panel: ElementTree.Element):  # not those of axes inside it, such as a colour bar's
        for child in panel:
            if child.tag == f"{SVG}image":
                yield child
            elif not child.get("id", "").startswith("axes_"):
                yield from images_of(child)

    problems, images = [], defaultdict(list)
    for panel in ElementTree.fromstring(svg).iter(f"{SVG}g"):
        name = panel.get("id", "")
        if not re.fullmatch(r"axes_\d+", name):
            continue
        kinds = [child.get("id", child.tag.removeprefix(SVG)).rpartition("_")[0] or "image" for child in panel]
        artists = [kind for kind in kinds if kind not in ("patch", "text", "matplotlib.axis")]
        if not artists and kinds.count("patch") <= FRAME_PATCHES and kinds.count("text") <= 1:
            problems.append(f"{name} is empty")
        for element in images_of(panel):
            pixels = base64.b64decode(element.get(HREF).partition(",")[2])
            image = Image.open(io.BytesIO(pixels))
            colours = image.convert("RGB").getcolors(1 << 20)
            if max(image.size) < BAR_ASPECT * min(image.size) and (colours is None or len(colours) >= FEW_COLOURS):  # neither a colour bar nor one colour
                images[pixels].append(name)
    return problems + [f"{' and '.join(names)} show the same image" for names in images.values() if len(names) > 1]


def all_problems(html: Path, book: dict[str, Seen]) -> list[str]:
    """Everything that is wrong with a built book, whichever source it is on."""
    origin = origin_of_book(html)
    found = unwritten(book) + wrong_sources(book, origin) + pictures_shown_twice(html, book) + wrong_drawings(html)
    return found if origin == "twin" else found + claimed_truths(book)
