"""The explorer in a real browser: it moves, it counts what the package counts, and it says what is wrong."""

import re

import numpy as np
import pytest
import xarray as xr
from drawn_patterns import scan_of
from small_pages import plain_page

from figures_pkg.imaging import Disc, Lattice, summarise
from figures_pkg.interactive.explorer_page import Layer, explorer, pack

pytestmark = pytest.mark.browser


PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="


@pytest.fixture(scope="session")
def small():
    """A scan of 12 x 10 positions and 32 x 40 pixels with two domains, whose reflections ±l are unequal, packed with four maps."""
    y, x = np.mgrid[:12, :10]
    row, col = np.mgrid[:32, :40]
    lattice = Lattice((15.2, 19.7), (-4.1, -1.2), (-1.3, 4.2))
    wall = x - 4.6 + 0.15 * y
    mean = np.full((12, 10, 32, 40), 2.0)
    for k, l in np.ndindex(5, 5):
        k, l = k - 2, 2 * l - 4
        at = lattice.position(k, l)
        disc = np.exp(-((row - at[0]) ** 2 + (col - at[1]) ** 2) / 1.5)
        mean += 200 / (1 + k**2 + l**2) * (1 + 0.3 * np.sign(l) * np.tanh(wall))[..., None, None] * disc
    scan = scan_of(np.random.default_rng(3).poisson(mean).astype(np.uint16), lattice.centre, step_nm=7.5, scale=0.04)
    maps = {name: xr.DataArray(values, {dim: scan[dim] for dim in scan.dims[:2]}) for name, values in (("tanh", np.tanh(wall)), ("distance", 7.5 * wall))}
    layers = [Layer("polarization", "polarization", "truth of the twin", maps["tanh"], "nm", "RdBu_r", True),
              Layer("wall_distance_nm", "wall_distance_nm", "truth of the twin", maps["distance"], "nm", "RdBu_r", True),
              *(Layer(f"com_{axis}", f"COM {axis}", "from the data", maps["tanh"], "10⁻³ 1/Å", "PuOr_r", True) for axis in "yx")]  # fmt: skip
    return pack(scan, layers, {"source": "user", "title": "twelve by ten positions"}, lattice, 1.3)


@pytest.fixture
def explorer_file(small, tmp_path):
    """A page with a static picture, the explorer, and its data beside it, as the book holds them."""
    small.write(tmp_path / "data" / "small.js")
    body = f"<figure id='still'><img width='200' height='100' src='{PIXEL}' alt='a scan beside its pattern'></figure>"
    return plain_page(body + explorer(small, "data/small.js", still="still", name="explorer"), tmp_path / "page.html")


@pytest.fixture
def page(watch, explorer_file):
    """The explorer, open, on a screen that can be touched."""
    page = watch(explorer_file, has_touch=True)
    page.get_by_role("button", name="Open the explorer").click()
    page.wait_for_selector(".companion-stage:not([hidden])")
    return page


def numbers(page, part: str) -> list[float]:
    """All numbers of a line of the list."""
    text = page.locator(f"[data-part='{part}']").inner_text().replace("−", "-").replace("10⁻³", "").replace("1/Å", "")
    return [float(word) for word in re.findall(r"-?\d+(?:\.\d+)?", text)]


def aperture(page) -> Disc:
    row, col, radius, *_ = numbers(page, "disc")
    return Disc((row, col), radius)


def assert_same_numbers(page, small):
    """Every number of the list, and the ends of the colours, are those of the package for what the page says it shows."""
    scan = small.scan()
    row, col, y, x = numbers(page, "position")
    row, col, disc = int(row), int(col), aperture(page)
    maps = summarise(scan, {"counts": disc}, mean=False)
    here = maps.isel(scan_y=row, scan_x=col)
    assert (y, x) == pytest.approx((float(here.scan_y), float(here.scan_x)), abs=0.051)
    counts, total, share = numbers(page, "counts")
    assert (counts, total) == pytest.approx((float(here.counts), float(here.total)), abs=0.051)
    assert share == pytest.approx(100 * float(here.counts / here.total), abs=0.0051)
    assert numbers(page, "com") == pytest.approx([1e3 * float(here.com_y), 1e3 * float(here.com_x)], abs=5.1e-4)
    start, step = (np.array([float(scan[dim][i]) for dim in ("det_y", "det_x")]) for i in (0, 1))
    centre = start + (step - start) * disc.centre_row_col
    assert numbers(page, "centre")[:3] == pytest.approx([*centre, np.hypot(*centre)], abs=5.1e-5)
    assert numbers(page, "disc")[3:] == pytest.approx([disc.radius_px * float(step[1] - start[1]), disc.mask(scan.shape[2:]).sum()], abs=5.1e-5)
    if page.locator("[data-part='title']").inner_text() == "virtual dark field":
        ends = numbers(page, "low") + numbers(page, "high")
        assert ends == pytest.approx([float(maps.counts.min()), float(maps.counts.max())], abs=0.051)


def at(page, part: str, across: float, down: float) -> tuple[float, float]:
    """A place on a canvas in the window, from shares of its width and height."""
    box = page.locator(f"[data-part='{part}']").bounding_box()
    return box["x"] + box["width"] * across, box["y"] + box["height"] * down


def centre(page) -> tuple[float, float]:
    row, col = aperture(page).centre_row_col
    return at(page, "pattern", (col + 0.5) / 40, (row + 0.5) / 32)


def picture(page, part: str) -> str:
    return page.eval_on_selector(f"[data-part='{part}']", "canvas => canvas.toDataURL()")


def test_the_pattern_follows_the_pointer_and_a_click_holds_it(page, small):
    """After the button the picture is gone and all numbers are the package's, wherever the pointer goes; a click holds the position until the next."""
    assert page.locator("#still").is_hidden() and page.get_by_role("button", name="Open").is_hidden()
    assert page.locator("[data-part='source']").inner_text() == "twelve by ten positions"
    before = picture(page, "pattern")
    page.mouse.move(*at(page, "map", 0.05, 0.95))
    assert numbers(page, "position")[:2] == [11, 0] and picture(page, "pattern") != before
    assert_same_numbers(page, small)
    for move, click, position in (((0.5, 0.5), (0.95, 0.05), [0, 9]), ((0.35, 0.55), (0.5, 0.5), [6, 3])):
        page.mouse.click(*at(page, "map", *click))
        page.mouse.move(*at(page, "map", *move))
        assert numbers(page, "position")[:2] == position


def test_pointer_and_fingers_move_and_resize_the_aperture(page, small):
    """A drag inside the circle moves it by the same way, a tap elsewhere puts it there, at the rim a drag and anywhere two fingers change the radius alone."""
    before, (row, col), (x, y) = picture(page, "map"), aperture(page).centre_row_col, centre(page)
    pixel = page.locator("[data-part='pattern']").bounding_box()["width"] / 40
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 3 * pixel, y + pixel)
    page.mouse.up()
    assert aperture(page).centre_row_col == pytest.approx((row + 1, col + 3), abs=0.1) and picture(page, "map") != before
    assert_same_numbers(page, small)
    page.touchscreen.tap(*at(page, "pattern", 0.5, 0.5))
    assert aperture(page).centre_row_col == pytest.approx((15.5, 19.5), abs=0.15)
    radius, (x, y), talk = aperture(page).radius_px, centre(page), page.context.new_cdp_session(page)
    for kind, spreads in (("touchStart", [20]), ("touchMove", [40]), ("touchMove", [60]), ("touchEnd", [])):
        points = [{"x": x + sign * spread, "y": y, "id": sign + 1} for spread in spreads for sign in (-1, 1)]
        talk.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    disc = aperture(page)
    assert disc.radius_px > 2 * radius
    x, y = centre(page)
    page.mouse.move(x + disc.radius_px * pixel, y)
    page.mouse.down()
    for way, radius in (((disc.radius_px - 2) * pixel, disc.radius_px - 2), (300, 15.99)):  # at most what lies on the detector
        page.mouse.move(x + way, y)
        assert aperture(page).radius_px == pytest.approx(radius, abs=0.05)
        assert_same_numbers(page, small)
    assert aperture(page).centre_row_col == disc.centre_row_col


def test_everything_works_with_keys(page, small):
    """Arrows move the position or the aperture, with Shift five steps; plus and minus resize; the change is read out."""
    row, col = numbers(page, "position")[:2]
    page.locator("[data-part='map']").focus()
    for key in ("ArrowLeft", "ArrowUp", "Shift+ArrowUp"):
        page.keyboard.press(key)
    assert numbers(page, "position")[:2] == [max(row - 6, 0), col - 1]
    disc = aperture(page)
    page.locator("[data-part='pattern']").focus()
    for key in ("ArrowDown", "Shift+ArrowRight", "+", "+", "-"):
        page.keyboard.press(key)
    moved = aperture(page)
    assert (*moved.centre_row_col, moved.radius_px) == pytest.approx((*np.add(disc.centre_row_col, (1, 5)), disc.radius_px + 0.5), abs=0.011)
    said = page.locator("[data-part='said']").inner_text()
    assert page.locator("[data-part='counts']").inner_text() in said and page.locator("[data-part='position']").inner_text() in said
    assert_same_numbers(page, small)


def test_buttons_put_the_aperture_on_reflections_and_other_maps_show_their_values(page, small):
    """00l lies where the lattice has it; every map has its value at the position; the dark-field image comes back; overlays can be switched."""
    page.get_by_role("button", name="00 minus 2").click()
    head = small.head["lattice"]
    assert aperture(page).centre_row_col == pytest.approx(np.subtract(head["centre"], head["g002"]), abs=0.0051)
    assert_same_numbers(page, small)
    for index, (head, values) in enumerate(zip(small.head["maps"], small.maps().values(), strict=True)):
        page.select_option("[data-part='choice']", str(index))
        row, col = map(int, numbers(page, "position")[:2])
        assert page.locator("[data-part='title']").inner_text() == head["title"]
        assert numbers(page, "value")[0] == pytest.approx(values[row, col], rel=2e-3, abs=1e-3)
    page.get_by_role("button", name="004", exact=True).click()
    assert page.locator("[data-part='title']").inner_text() == "virtual dark field"
    before = picture(page, "map")
    for box in (page.locator(f"[data-part='show-{overlay}']") for overlay in ("com", "domains", "wall")):
        box.set_checked(not box.is_checked())
        assert picture(page, "map") != before
        box.set_checked(not box.is_checked())
        assert picture(page, "map") == before


def test_a_bad_data_file_is_one_message(watch, explorer_file):
    """Truncated, of another build, damaged or missing: a sentence that names the file and what to do, and the picture stays."""
    data = explorer_file.parent / "data" / "small.js"
    whole = data.read_text()
    for message, text in {
        "is incomplete": whole[: len(whole) // 2],
        "of another build": re.sub(r'\["[0-9a-f]{16}', '["0123456789abcdef', whole),
        "is incomplete: .* of .* bytes": re.sub(r'"([A-Za-z0-9+/]{400})', '"', whole, count=1),
        "its checksum is wrong": whole[:9000] + ("A" if whole[9000] != "A" else "B") + whole[9001:],
        "is missing": None,
    }.items():
        data.write_text(text) if text else data.unlink()
        page = watch(explorer_file, quiet=False)
        page.get_by_role("button", name="Open the explorer").click()
        page.wait_for_selector(".companion-message:not([hidden])")
        said = page.locator(".companion-message").inner_text()
        assert re.search(message, said) and "data/small.js" in said and "picture on this page stays" in said
        assert page.locator("#still img").is_visible() and page.locator(".companion-stage").is_hidden()
        assert page.get_by_role("button", name="Open the explorer").is_enabled()


@pytest.mark.parametrize("options, message", [
    ({"script": "delete window.DecompressionStream"}, "lacks DecompressionStream"),
    ({"script": "HTMLCanvasElement.prototype.getContext = () => null"}, "lacks a canvas"),
    ({"java_script_enabled": False}, "needs JavaScript"),
])  # fmt: skip
def test_an_old_browser_is_one_message(watch, explorer_file, options, message):
    """Without what the explorer needs there is no button, a sentence, and the picture."""
    page = watch(explorer_file, **options)
    assert message in page.inner_text("main") and page.locator(".companion-stage").is_hidden()
    assert page.locator("#still img").is_visible() and page.get_by_role("button").count() == 0
