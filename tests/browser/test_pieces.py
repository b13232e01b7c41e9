"""Sliders, blink and crystal in a real browser: keys, sight in the dark, and what remains without scripts."""

import numpy as np
import pytest
from small_pages import plain_page

from figures_pkg.chapters.structure import crystal_viewer
from figures_pkg.crystal import ermno3
from figures_pkg.interactive.frames import Axis, frame_slider
from figures_pkg.interactive.page import Picture, blink

pytestmark = pytest.mark.browser


def pieces() -> dict[str, str]:
    """One of each kind."""
    pictures = [Picture(title, values, f"a ramp, {title}", (0, 1)) for title, values in (("twin", np.eye(8)), ("record", np.eye(8)[::-1]))]
    up, down = ermno3(1), ermno3(-1)
    return {
        "blink": blink(*pictures, name="blink"),
        "frames": frame_slider(np.random.default_rng(1).random((3, 8, 8)), [Axis("thickness", "nm", (10, 20, 30))], name="frames"),
        "viewer": crystal_viewer({1: up.positions_angstrom, -1: down.positions_angstrom}, up.symbols, up.cell_angstrom, name="viewer"),
    }


@pytest.fixture
def page(watch, tmp_path):
    """All pieces in one page."""
    return watch(plain_page("".join(pieces().values()), tmp_path / "pieces.html"))


def test_blink_changes_by_space_slider_and_click(page):
    """The upper picture is hidden, then seen, then half; exactly one of both is read out."""
    over = page.locator("#blink figure").nth(1).locator("img")
    opacity = lambda: float(over.evaluate("image => getComputedStyle(image).opacity"))  # noqa: E731
    assert opacity() == 0 and page.locator("#blink figcaption").nth(0).is_visible()
    page.get_by_role("button", name="blink").focus()
    page.keyboard.press("Space")
    assert opacity() == 1 and page.locator("#blink output").inner_text() == "record"
    assert page.locator("#blink img").evaluate_all("images => images.map((image) => image.getAttribute('aria-hidden'))") == ["true", "false"]
    over.click()
    assert opacity() == 0
    page.locator("#blink input").focus()
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    assert opacity() == 0.5 and page.locator("#blink output").inner_text() == "50 % record"
    boxes = page.locator("#blink img").evaluate_all("images => images.map((image) => image.getBoundingClientRect().x)")
    assert boxes[0] == boxes[1]


def test_without_scripts_both_pictures_are_seen(watch, tmp_path):
    """Side by side, each with its title."""
    page = watch(plain_page("".join(pieces().values()), tmp_path / "pieces.html"), java_script_enabled=False)
    assert page.locator("#blink img").nth(0).is_visible() and page.locator("#blink img").nth(1).is_visible()
    assert page.locator("#blink figcaption").all_inner_texts() == ["twin", "record"]
    assert page.locator(".companion-stage").evaluate_all("all => all.every((each) => each.hidden)")


def test_sliders_move_with_keys(page):
    """An arrow key goes one place on, the line below says where."""
    page.locator("#frames input").focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("#frames .frames-status").inner_text() == "thickness 20 nm."


def test_the_crystal_turns_with_keys(page):
    """An arrow key changes the picture, a button the state."""
    shot = lambda: page.eval_on_selector("#viewer canvas", "canvas => canvas.toDataURL()")  # noqa: E731
    before = shot()
    page.locator("#viewer canvas").focus()
    page.keyboard.press("ArrowLeft")
    assert shot() != before and "turned by hand" in page.locator("#viewer [data-part='status']").inner_text()
    page.get_by_role("button", name="−P").click()
    assert page.locator("#viewer [data-part='status']").inner_text().startswith("−P")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_letters_stand_out_from_the_ground(watch, tmp_path, scheme):
    """Ink on ground has a contrast of at least 4.5 in light and dark, by the formula of WCAG."""
    page = watch(plain_page("".join(pieces().values()), tmp_path / "pieces.html"), color_scheme=scheme)
    ground, *inks = page.evaluate("""() => { const seen = getComputedStyle(document.getElementById('blink'));
      return ['--ground', '--ink', '--quiet', '--plus', '--minus', '--warn'].map((name) => seen.getPropertyValue(name).trim()); }""")

    def light(colour):
        rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]

    for ink in inks:
        low, high = sorted((light(ground), light(ink)))
        assert (high + 0.05) / (low + 0.05) >= 4.5, (ground, ink)


def test_axe_finds_nothing_serious(page):
    """No serious or critical violation in any piece."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    found = axe.run(page, options={"preload": False}).response["violations"]
    assert [each["id"] for each in found if each["impact"] in ("serious", "critical")] == []
