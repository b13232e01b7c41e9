"""Pages lose bytes and nothing that can be seen."""

import nbformat
import pytest

from figures_pkg.book.lighten import ICONS, keep_shown_icons, shorten_paths
from figures_pkg.book.render import stage

SCRIPT = ('var a={moon:[384,512,[127769,"night"],"f186","M1 2z"],"arrow-up":[1,2,[8593],"f062",["","M3"]],'
          'search:[512,512,["magnifying-glass"],"f002","M4z"],zhihu:[1,2,[],"f63f","M5z"]};f("fa-hidden");')


@pytest.fixture
def html(tmp_path):
    """A built book with a script of four icons, two of which are named by a page, one by a script."""
    script = tmp_path / ICONS
    script.parent.mkdir(parents=True)
    script.write_text(SCRIPT, encoding="utf-8")
    (tmp_path / "index.html").write_text('<i class="fas fa-moon"></i><i class="fa-solid fa-magnifying-glass"></i>', encoding="utf-8")
    (tmp_path / "theme.js").write_text('i.className="fas fa-arrow-up"', encoding="utf-8")
    return tmp_path


def test_icons_that_are_named_stay(html):
    """By their name, by another name, in a page or in a script; the rest of the theme's script is untouched."""
    saved = keep_shown_icons(html)
    text = (html / ICONS).read_text(encoding="utf-8")
    assert text == SCRIPT.replace('zhihu:[1,2,[],"f63f","M5z"]', "") and saved == len(SCRIPT) - len(text) > 0
    assert keep_shown_icons(html) == 0


def test_a_theme_without_icons_is_left_alone(tmp_path):
    """No script, nothing to do."""
    assert keep_shown_icons(tmp_path) == 0


def test_only_coordinates_of_paths_are_rounded():
    """Sizes, labels and ids keep their digits; numbers that are short already stay as they are."""
    svg = '<svg width="641.99952pt"><!-- 0.12345 --><path id="m0.12345" d="M 0.12345 -10.99999 Q 3 4.5e-1.25 1e-5"/></svg>'
    assert shorten_paths(svg) == svg.replace("0.12345 -10.99999 Q", "0.12 -11 Q")


def test_staged_drawings_are_lighter(tmp_path):
    """A staged notebook shows the same drawing with fewer digits; its other outputs stay."""
    data = {"image/svg+xml": '<path d="M 1.23456 2"/>', "text/plain": "1.23456"}
    cell = nbformat.v4.new_code_cell("draw()", execution_count=1, outputs=[nbformat.v4.new_output("display_data", data=data)])
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "a.ipynb")
    stage(tmp_path, [tmp_path / "a.ipynb"])
    (staged,) = nbformat.read(tmp_path / "executed" / "a.ipynb", as_version=4).cells
    assert staged.outputs[0].data == {"image/svg+xml": '<path d="M 1.23 2"/>', "text/plain": "1.23456"}
