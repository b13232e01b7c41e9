"""The interactive crystal is one self-contained piece of HTML that holds every atom."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from figures_pkg.plotting.atoms import scene
from figures_pkg.interactive.viewer import crystal_viewer, viewer_data
from figures_pkg.crystal import ermno3


class Page(HTMLParser):
    """Collects ids, tags left open, and the text of scripts by type."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.open, self.scripts = [], [], {}
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.ids += [attrs["id"]] if "id" in attrs else []
        self.open.append(tag)
        self.kind = attrs.get("type", "code") if tag == "script" else None

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        self.kind = None

    def handle_data(self, data):
        if getattr(self, "kind", None):
            self.scripts[self.kind] = self.scripts.get(self.kind, "") + data


@pytest.fixture(scope="module")
def crystals():
    """Both states with the layers of Mn at the same heights."""
    plus, minus = ermno3(1), ermno3(-1)
    cell = plus.cell_angstrom
    return {1: (plus.positions_angstrom + [0, 0, cell[2] / 2]) % cell, -1: minus.positions_angstrom}, plus.symbols, cell


@pytest.fixture(scope="module")
def html(crystals):
    """One viewer."""
    return crystal_viewer(*crystals)


def test_nothing_is_fetched(html):
    """No address, no import, no source: the page needs no other file and no network."""
    assert not re.search(r"(https?:)?//[a-z0-9-]+\.[a-z]", html, re.IGNORECASE)
    assert not re.search(r"\b(src|href|srcset)\s*=|@import|url\(|\bfetch\(|XMLHttpRequest|\bimport\b", html)


def test_it_is_small(html):
    """Less than 60 kB, with less than 300 lines of script, the shared ones included."""
    assert len(html.encode()) < 60_000
    assert Page(html).scripts["code"].count("\n") < 300


def test_html_is_balanced_and_says_what_it_is(html):
    """Every tag is closed, the canvas can be reached by keyboard and has a name, and there is a word without JavaScript."""
    assert Page(html).open == []
    canvas = re.search(r"<canvas[^>]*>", html)[0]
    assert 'tabindex="0"' in canvas and re.search(r'aria-label="[^"]{40,}"', canvas)
    assert 'class="companion-stage" hidden' in html  # the script shows it, so nothing empty stands where scripts are off
    assert "figure above" in re.search(r"<noscript>(.*?)</noscript>", html)[1]
    assert "$" not in re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL)


def test_two_viewers_share_no_id(crystals):
    """Ids differ between viewers, and each script starts its own."""
    first, second = (crystal_viewer(*crystals) for _ in range(2))
    assert not set(Page(first).ids) & set(Page(second).ids)
    for text in (first, second):
        name = Page(text).ids[0]
        assert Page(text).scripts["code"].rstrip().endswith(f'("{name}"));')
        assert all(i.startswith(name) for i in Page(text).ids)
    assert 'id="mine"' in crystal_viewer(*crystals, name="mine")


def test_it_takes_its_colours_from_the_page(html):
    """Ground and letters are the theme's, with colours of their own where there is no theme; the canvas paints them too."""
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)[1]
    assert "--ground: var(--pst-color-background, #ffffff)" in style and 'html[data-theme="dark"]' in style
    assert "background: var(--ground); color: var(--ink)" in style
    assert 'fillStyle = kit.colour("ground")' in html


def test_data_holds_every_atom(html, crystals):
    """The inline JSON has the atoms of both scenes to 0.001 angstrom, and its enlarged heights move only Er."""
    states, symbols, cell = crystals
    data = json.loads(Page(html).scripts["application/json"])
    assert data == json.loads(json.dumps(viewer_data(states, symbols, cell)))
    for state in data["states"]:
        drawn = scene(states[state["sign"]], symbols, cell)
        places = np.array(state["places"]) + cell / 2
        assert np.allclose(places, drawn.places, atol=6e-4) and state["symbols"] == drawn.symbols.tolist()
        moved = np.array(state["enlarged"]) - np.array(state["places"])[:, 2]
        assert (abs(moved[drawn.symbols != "Er"]) < 1e-9).all()
        assert {abs(round(m, 2)) for m in moved[drawn.symbols == "Er"]} == {0.34, 0.67}
        assert len(state["faces"]) == 6 * len(drawn.corners)
        assert (drawn.symbols[np.array(state["faces"])] == "O").all()


def test_pattern_words_follow_the_atoms(crystals):
    """The state called +P has twice as many Er above their layer as below."""
    data = viewer_data(*crystals)
    for state in data["states"]:
        chosen = np.array(state["symbols"]) == "Er"
        moved = (np.array(state["enlarged"]) - np.array(state["places"])[:, 2])[chosen]
        assert (moved > 0).sum() > (moved < 0).sum() if state["sign"] > 0 else (moved > 0).sum() < (moved < 0).sum()
        assert state["pattern"].startswith("two Er up" if state["sign"] > 0 else "two Er down")


def test_cell_has_twelve_edges(crystals):
    """The edges are those of the box, each once."""
    edges = np.array(viewer_data(*crystals)["edges"])
    lengths = np.sort(np.linalg.norm(edges[:, 1] - edges[:, 0], axis=1))
    assert np.allclose(lengths, np.sort(np.repeat(crystals[2], 4)), atol=2e-3)


def test_script_ends_no_tag_early(crystals):
    """Text inside the JSON cannot close its script element."""
    states, symbols, cell = crystals
    html = crystal_viewer(states, symbols, cell, name="x")
    inside = re.search(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)[1]
    assert "<" not in inside
