"""The system's Chromium, pages that must not complain, and a small scan to explore."""

import shutil
from pathlib import Path

import pytest
from small_pages import explorer_page, small_layers, small_scan

from figures_pkg.interactive.explorer_data import pack

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip


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
        self.page.set_default_timeout(300_000)
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


@pytest.fixture(scope="session")
def small():
    """The small scan, packed with four maps."""
    scan, lattice, wall = small_scan()
    return pack(scan, small_layers(scan, wall), {"source": "user", "title": "twelve by ten positions"}, lattice, 1.3)


@pytest.fixture
def explorer_file(small, tmp_path) -> Path:
    """A page with a static picture, the explorer, and its data beside it."""
    return explorer_page(small, tmp_path)
