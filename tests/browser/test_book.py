"""The built book in a real browser: every page quiet, within itself, readable by a machine, and no wider than a phone."""

import re

import pytest
from built_book import HTML, KNOWN, axe_violations, pages, settle

pytestmark = pytest.mark.browser

if not (HTML / "index.html").is_file():
    pytest.skip(f"no built book in {HTML}; make it with `make book`, or name its folder in FIGURES_PKG_HTML", allow_module_level=True)

PHONE = {"viewport": {"width": 390, "height": 844}}


@pytest.mark.parametrize("name", pages())
def test_a_page_is_quiet_readable_and_fits_a_phone(watch, name):
    """No error, no request to another host, no serious violation, no sideways scrolling at the width of a phone."""
    page = watch(HTML / name, **PHONE)
    settle(page)
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 390, f"{name} is {wide} px wide: {page.evaluate(WIDEST)}"
    found = axe_violations(page)
    assert not found, f"{name}: {found}"


WIDEST = """() => [...document.querySelectorAll('main *')].filter((each) => each.getBoundingClientRect().right > 391 && getComputedStyle(each).position !== 'fixed')
  .slice(0, 5).map((each) => each.tagName + '.' + each.className + ' ' + Math.round(each.getBoundingClientRect().right))"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_explorer_works_in_its_page(watch, scheme):
    """It loads its data, follows the pointer and the keys, hides the static figure, and breaks no rule while it is open."""
    page = watch(HTML / "executed" / "explorer.html", color_scheme=scheme)
    settle(page)
    page.get_by_role("button", name="Open the explorer").click()
    page.wait_for_selector(".explorer .companion-stage:not([hidden])")
    assert page.locator("#fig-explorer").is_hidden()
    canvas = page.locator("[data-part='map']")
    before = page.locator("[data-part='counts']").inner_text()
    canvas.hover(position={"x": 20, "y": 20})
    assert page.locator("[data-part='position']").inner_text().startswith("row ")
    assert page.locator("[data-part='counts']").inner_text() != before
    page.locator("[data-part='pattern']").focus()
    disc = page.locator("[data-part='disc']").inner_text()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("+")
    assert page.locator("[data-part='disc']").inner_text() != disc
    assert not axe_violations(page)


@pytest.mark.parametrize("name", ["thickness-tilt-dose", "generator"])
def test_sliders_work_in_their_page(watch, name):
    """A key moves the slider, and what it shows is said."""
    page = watch(HTML / "executed" / f"{name}.html")
    settle(page)
    slider = page.locator(".frames input[type='range']").first
    before = page.locator(".frames-status").first.inner_text()
    slider.focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft") if page.locator(".frames-status").first.inner_text() == before else None
    page.keyboard.press("ArrowRight") if page.locator(".frames-status").first.inner_text() == before else None
    assert page.locator(".frames-status").first.inner_text() != before


def test_nothing_is_excused_without_a_reason():
    """Each excused rule has a sentence that says why, and is the theme's."""
    assert all(re.fullmatch(r"[a-z0-9-]+", rule) and len(reason) > 30 for rule, reason in KNOWN.items())
