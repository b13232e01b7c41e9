"""The system's Chromium, and pages that must not complain."""

import shutil
from pathlib import Path

import pytest

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


@pytest.fixture
def watch(browser):
    """Opens pages, closes them, and asserts that none asked another host or, unless the test expects it, reported an error."""
    contexts, foreign, errors = [], [], []

    def asked(request):
        if not request.url.startswith(("file:", "data:", "blob:")):
            foreign.append(request.url)

    def open_page(path, quiet=True, script="", **options):
        context = browser.new_context(**{"viewport": {"width": 900, "height": 900}} | options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(300_000)
        page.on("request", asked)
        if quiet:
            page.on("console", lambda message: message.type == "error" and errors.append(message.text))
            page.on("pageerror", lambda error: errors.append(str(error)))
        if script:
            page.add_init_script(script)
        page.goto(Path(path).as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not foreign and not errors, (foreign, errors)


@pytest.fixture
def violations():
    """What axe-core says of a page: serious and critical violations, each with its first places; style sheets are not read, which a page from a folder may not."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()

    def check(page) -> list[str]:
        found = axe.run(page, options={"preload": False}).response["violations"]
        return [f"{each['id']} ({len(each['nodes'])}): {[node['target'] for node in each['nodes'][:3]]}"
                for each in found if each["impact"] in ("serious", "critical")]  # fmt: skip

    return check
