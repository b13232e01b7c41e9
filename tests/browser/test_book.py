"""The built book in a real browser: every page quiet, within itself, readable by a machine, and no wider than a phone."""

import os
from pathlib import Path

import pytest

pytestmark = pytest.mark.browser

HTML = Path(os.environ.get("FIGURES_PKG_HTML", Path(__file__).resolve().parents[2] / "book" / "_build" / "html"))
if not (HTML / "index.html").is_file():
    pytest.skip(f"no built book in {HTML}; make it with `make book`, or name its folder in FIGURES_PKG_HTML", allow_module_level=True)

FOUND = [path.relative_to(HTML) for path in HTML.rglob("*.html")]
PAGES = sorted(str(path) for path in FOUND if path.parts[0][0] != "_" and path.name not in ("genindex.html", "search.html"))
WIDEST = """() => [...document.querySelectorAll('main *')].filter((each) => each.getBoundingClientRect().right > 391 && getComputedStyle(each).position !== 'fixed')
  .slice(0, 5).map((each) => each.tagName + '.' + each.className + ' ' + Math.round(each.getBoundingClientRect().right))"""


@pytest.fixture
def settled(watch):
    """Opens a page of the book and waits for it and its equations."""

    def open_page(name, **options):
        page = watch(HTML / name, **options)
        page.wait_for_load_state("load")
        page.evaluate("window.MathJax && MathJax.startup ? MathJax.startup.promise : null")
        return page

    return open_page


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_quiet_readable_and_fits_a_phone(settled, violations, name):
    """No error, no request to another host, no serious violation, no sideways scrolling at the width of a phone."""
    page = settled(name, viewport={"width": 390, "height": 844})
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 390, f"{name} is {wide} px wide: {page.evaluate(WIDEST)}"
    assert violations(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_explorer_works_in_its_page(settled, violations, scheme):
    """It loads its data, follows the pointer, hides the static figure, and breaks no rule while it is open."""
    page = settled("executed/explorer.html", color_scheme=scheme)
    page.get_by_role("button", name="Open the explorer").click()
    page.wait_for_selector(".explorer .companion-stage:not([hidden])")
    assert page.locator("#fig-explorer").is_hidden()
    before = page.locator("[data-part='counts']").inner_text()
    page.locator("[data-part='map']").hover(position={"x": 20, "y": 20})
    assert page.locator("[data-part='counts']").inner_text() != before and violations(page) == []
