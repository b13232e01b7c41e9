"""The system's Chromium, pages that must not complain, and a small scan to explore."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from figures_pkg.data.axes import Axes, build_scan
from figures_pkg.imaging import Lattice
from figures_pkg.plotting.explorer import explorer
from figures_pkg.plotting.explorer_data import Layer, pack
from figures_pkg.plotting.explorer_file import write_script

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="


@pytest.fixture(scope="session")
def browser():
    """One browser for all tests; without Chromium or Playwright they are skipped."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed, so no page was opened")
    if CHROMIUM is None:
        pytest.skip("no Chromium on this computer, so no page was opened; Debian has it as the package chromium")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield started
        started.close()


class Watched:
    """A page that remembers errors, and requests that leave for another host."""

    def __init__(self, browser, **options):
        self.context = browser.new_context(**{"viewport": {"width": 900, "height": 900}} | options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(120_000)
        self.errors, self.foreign = [], []
        self.page.on("console", lambda message: message.type == "error" and self.errors.append(message.text))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self._asked(request.url))

    def _asked(self, url: str) -> None:
        if not url.startswith(("file:", "data:", "blob:")):
            self.foreign.append(url)


@pytest.fixture
def watch(browser):
    """Opens watched pages, closes them, and asserts that they kept quiet unless the test expects otherwise."""
    opened = []

    def open_page(path, quiet=True, **options):
        watched = Watched(browser, **options)
        opened.append((watched, quiet))
        watched.page.goto(Path(path).as_uri() if not str(path).startswith("file:") else str(path))
        return watched.page

    yield open_page
    for watched, quiet in opened:
        watched.context.close()
        assert not watched.foreign
        assert not quiet or not watched.errors, watched.errors


def small_scan():
    """A scan of 12 x 10 positions and 32 x 40 pixels with two domains, whose reflections ±l are unequal."""
    rng = np.random.default_rng(3)
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
    axes = Axes(scan_step_nm=7.5, det_scale_inv_angstrom=0.04, origin_row_col=(15.2, 19.7))
    words = {"orientation": "lab", "source": "user", "path": "", "title": "", "format": ""}
    return build_scan(rng.poisson(mean).astype(np.uint16), axes, **words), lattice, wall


@pytest.fixture(scope="session")
def small():
    """The small scan, packed with four maps."""
    scan, lattice, wall = small_scan()
    places = {dim: scan[dim] for dim in ("scan_y", "scan_x")}
    truth = {name: xr.DataArray(values, places, tuple(places)) for name, values in {"polarization": np.tanh(wall), "wall_distance_nm": 7.5 * wall}.items()}
    layers = [Layer(name, name, "truth of the twin", values, "nm", "RdBu_r", True) for name, values in truth.items()]
    layers += [Layer(f"com_{axis}", f"COM {axis}", "from the data", truth["polarization"], "10⁻³ 1/Å", "PuOr_r", True) for axis in "yx"]
    return pack(scan, layers, {"source": "user", "title": "twelve by ten positions"}, lattice, 1.3)


@pytest.fixture
def explorer_file(small, tmp_path) -> Path:
    """A page with a static picture, the explorer, and its data beside it."""
    return explorer_page(small, tmp_path)


def explorer_page(packed, folder: Path) -> Path:
    """Write a page with the explorer as the book would hold it."""
    write_script(packed, folder / "data" / "small.js")
    body = f"<figure id='still'><img width='200' height='100' src='{PIXEL}' alt='a scan beside its pattern'></figure>"
    body += explorer(packed, "data/small.js", still="still", name="explorer")
    return plain_page(body, folder / "page.html")


def plain_page(body: str, path: Path) -> Path:
    """A page around a piece."""
    path.write_text(f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>a piece</title>"
                    f"<meta name='viewport' content='width=device-width'></head><body><main><h1>A piece</h1>{body}</main></body></html>", encoding="utf-8")
    return path


def html_folder() -> Path:
    """The built book."""
    folder = Path(os.environ.get("FIGURES_PKG_HTML", Path(__file__).resolve().parents[2] / "book" / "_build" / "html"))
    return folder
