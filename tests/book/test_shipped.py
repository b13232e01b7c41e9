"""What lies beside the pages is made first, and is there."""

import pytest

from figures_pkg.book import artefacts_of, ship, shipped_files


def test_the_explorers_data_lie_beside_the_pages(tmp_path, monkeypatch):
    """The file of the profile and source goes where its page looks for it, and the workflow makes it before the page."""
    monkeypatch.setenv("FIGURES_PKG_ARTEFACTS", str(tmp_path))
    files = shipped_files("twin", "smoke")
    path = tmp_path / "smoke" / "explorer" / "twin" / "ds1.js"
    assert files["_static/explorer/ds1.js"] == path and str(path) in artefacts_of("explorer", "twin", "smoke")
    with pytest.raises(FileNotFoundError, match=r"ds1\.js is to lie at _static/explorer/ds1\.js"):
        ship(tmp_path / "html", files)
    path.parent.mkdir(parents=True)
    path.write_text("data")
    ship(tmp_path / "html", {"_static/explorer/ds1.js": path})
    assert (tmp_path / "html" / "_static" / "explorer" / "ds1.js").read_text() == "data"


def test_what_nobody_makes_is_not_shipped(monkeypatch):
    """A file that is not among a chapter's artefacts is one clear error."""
    monkeypatch.setattr("figures_pkg.book.shipped.front_matter", lambda chapter: {"companion": {"ships": ["explorer/x.js"]}})
    with pytest.raises(ValueError, match="'explorer/x.js', which is not among its artefacts"):
        shipped_files("twin", "smoke")
