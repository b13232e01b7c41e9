"""The built book: its pages, what axe-core says of them, and pictures of them at three widths.

``python tests/browser/built_book.py FOLDER`` writes a picture of every page as on a phone, a laptop and a wide screen, light and dark;
names of pages after the folder limit it to these.
"""

import os
import shutil
import sys
from pathlib import Path

HTML = Path(os.environ.get("FIGURES_PKG_HTML", Path(__file__).resolve().parents[2] / "book" / "_build" / "html"))
NOT_PAGES = {"genindex.html", "search.html"}
WIDTHS = {"phone": 390, "laptop": 1366, "wide": 1920}
KNOWN: dict[str, str] = {}  # rules of axe-core that the theme breaks and that cannot be mended from here: rule -> reason


def pages() -> list[str]:
    """Every page that a reader can reach from the table of contents, relative to the built book."""
    found = [path.relative_to(HTML) for path in HTML.rglob("*.html")] if HTML.is_dir() else []
    return sorted(str(path) for path in found if path.parts[0][0] != "_" and path.name not in NOT_PAGES)


def settle(page) -> None:
    """Wait until the page and its equations are there."""
    page.wait_for_load_state("load")
    page.evaluate("window.MathJax && MathJax.startup ? MathJax.startup.promise : null")


def axe_violations(page) -> list[str]:
    """Serious and critical violations, each with the first places. (Style sheets are not read, which a page from a folder may not.)"""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, options={"preload": False}).response["violations"]
    bad = [each for each in found if each["impact"] in ("serious", "critical") and each["id"] not in KNOWN]
    return [f"{each['id']} ({len(each['nodes'])}): {[node['target'] for node in each['nodes'][:3]]}" for each in bad]


def screenshots(folder: Path, names: list[str]) -> None:
    """Pictures of pages at three widths in light and dark."""
    from playwright.sync_api import sync_playwright

    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"])
        for scheme in ("light", "dark"):
            for device, width in WIDTHS.items():
                page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
                page.set_default_timeout(300_000)
                for name in names:
                    page.goto((HTML / name).as_uri())
                    settle(page)
                    page.screenshot(path=folder / f"{Path(name).stem}-{device}-{scheme}.png", full_page=True)
                page.close()
        browser.close()


if __name__ == "__main__":
    target, *chosen = sys.argv[1:] or ["screenshots"]
    screenshots(Path(target), [name for name in pages() if not chosen or Path(name).stem in chosen])
    print(target)
