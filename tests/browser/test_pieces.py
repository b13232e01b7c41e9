"""Sliders, blink and crystal in a real browser: keys, sight in the dark, numbers of the arrays, and what remains without scripts."""

import re
from importlib.resources import files

import numpy as np
import pytest
from small_pages import plain_page, slider_parts

from figures_pkg.chapters.fig_5 import vortex_slider
from figures_pkg.chapters.structure import crystal_viewer
from figures_pkg.crystal import ermno3
from figures_pkg.interactive.frames import frame_slider, signed
from figures_pkg.interactive.page import Picture, blink

pytestmark = pytest.mark.browser


@pytest.fixture
def pieces(tmp_path):
    pictures = [Picture(title, values, f"a ramp, {title}", (0, 1)) for title, values in (("twin", np.eye(8)), ("record", np.eye(8)[::-1]))]
    up, down = ermno3(1), ermno3(-1)
    states = {1: up.positions_angstrom, -1: down.positions_angstrom}
    body = blink(*pictures, name="blink") + crystal_viewer(states, up.symbols, up.cell_angstrom, name="viewer") + vortex_slider("vortex")
    return plain_page(body + frame_slider(*slider_parts(), doses=(0, 10**6, 1000), name="frames"), tmp_path / "pieces.html")


def test_blink_and_crystal_change_by_keys_and_clicks(watch, pieces):
    """The upper picture is hidden, then seen, then half, in the place of the lower; exactly one is read out. Without scripts both are seen."""
    plain = watch(pieces, java_script_enabled=False)
    assert plain.locator("#blink img").nth(0).is_visible() and plain.locator("#blink img").nth(1).is_visible()
    assert plain.locator("#blink figcaption").all_inner_texts() == ["twin", "record"]
    assert plain.locator(".companion-stage").evaluate_all("all => all.every((each) => each.hidden)")
    page = watch(pieces)
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
    shot = lambda: page.eval_on_selector("#viewer canvas", "canvas => canvas.toDataURL()")  # noqa: E731
    before = shot()
    page.locator("#viewer canvas").focus()
    page.keyboard.press("ArrowLeft")
    status = page.locator("#viewer [data-part='status']")
    assert shot() != before and "turned by hand" in status.inner_text()
    page.get_by_role("button", name="−P").click()
    assert status.inner_text().startswith("−P")


def test_sliders_show_the_numbers_of_the_arrays_and_poisson_noise(watch, pieces):
    """The read-out after moving all three sliders with keys has the values of that place, and a count within 5 sigma. At means from 0.01 to 1000
    the browser's counts have Poisson mean and variance; the same key gives the same counts."""
    page = watch(pieces)
    for index, key in enumerate(("ArrowLeft", "ArrowRight", "ArrowRight")):
        page.locator("#frames input").nth(index).focus()
        page.keyboard.press(key)
    values = slider_parts()[3][0].values[:, 0, 2]
    numbers = ", ".join(f"A(004) of {name} {signed(value)}" for name, value in zip(("+P", "−P"), values))
    assert page.locator("#frames .frames-status").inner_text() == f"thickness 10 nm, tilt 0.5 mrad, 1,000,000 electrons: {numbers}."
    counted = re.findall(r"counted ([+−])([\d.]+) ± ([\d.]+)", page.locator("#frames").inner_text())
    assert len(counted) == 2
    for (sign, number, sigma), value in zip(counted, values):
        assert abs(float(number) * (1 if sign == "+" else -1) - value) <= 5 * float(sigma) + 0.02
    found = page.evaluate(f"""() => {{
      const noise = ({files("figures_pkg.interactive").joinpath("noise.js").read_text(encoding="utf-8")})();
      const draw = (mean, ...key) => {{ noise.seed(...key); return Array.from({{length: 20000}}, () => noise.poisson(mean)); }};
      return {{draws: [0, 0.01, 1, 15, 17, 1000].map((mean) => [mean, draw(mean, 1, 1, 0, 3, 2)]), keys: [draw(3, 1, 2), draw(3, 1, 2), draw(3, 1, 3)]}}; }}""")
    for mean, counts in found["draws"]:
        assert abs(np.mean(counts) - mean) <= 4 * np.sqrt(mean / 20000)
        assert abs(np.var(counts) - mean) <= 5 * np.sqrt((mean + 2 * mean**2) / 20000)
    first, same, other = found["keys"]
    assert first == same != other


def test_opposite_walls_keep_one_colour_while_c_turns(watch, pieces):
    """The charges are read out, three alternating ones add up to nothing, and the arrows of +P point along c."""
    page = watch(pieces)
    page.locator("#vortex input").focus()
    for degrees, charges in ((45, "+0.71, +0.26, −0.97"), (60, "+0.87, 0.00, −0.87")):
        page.keyboard.press("ArrowRight")
        said = page.locator("#vortex [data-part='said']").inner_text()
        assert f"{charges}, {charges}. Walls 0, 2, 4 add up to 0.00, walls 1, 3, 5 to 0.00." in said
        strokes = page.locator("#vortex [data-wall]").evaluate_all("lines => lines.map((line) => getComputedStyle(line).stroke)")
        assert strokes[:3] == strokes[3:] and len(set(strokes)) == 3
        assert page.locator("#vortex [data-turn='0']").first.get_attribute("transform") == f"rotate({degrees})"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_serious_is_wrong_with_any_piece(watch, pieces, violations, scheme):
    """Contrast of letters, names and roles, in light and dark."""
    assert violations(watch(pieces, color_scheme=scheme)) == []
