"""The pages carry the passports: below each figure, in the gallery, and in one sentence on the landing page."""

from datetime import UTC, datetime, timedelta

import pytest

from figures_pkg.book import gallery
from figures_pkg.book.execute import complete_passports
from figures_pkg.book.gallery import Shown, gallery_page, status_sentence
from figures_pkg.provenance.figures import KINDS, PaperFigure, PassportError, PublishedFigure, read_passport, write_passport

FIGURE = PaperFigure("fig-9a", "Fig. 9a", "fig-9", "A line along $c$.", "a line along [100]", ("figures_pkg.plotting.scan_map",))


def passport(name="fig-9a", made=datetime(2026, 1, 1, tzinfo=UTC)):
    """What the writer leaves, in short."""
    machine = {"device": "cpu", "system": "Linux", "wall_s": 3.0, "cpu_s": 2.0, "peak_memory_mb": 300, "measured": "the chapter"}
    software = {"commit": "abc", "tree": "clean", "pins_sha256": "12", "python": "3.11", "packages": {"numpy": "2"}}
    words = {"panel": "Fig. 9a", "chapter": "fig-9", "notebook": "notebooks/fig-9.md", "origin": "model", "made": made.isoformat()}
    return words | {"schema": 1, "id": name, "functions": [], "scans": [], "settings": {}, "machine": machine, "software": software}


def shown(*changed):
    """One figure on the pages, with what changed since it was made."""
    return {"fig-9a": Shown(PublishedFigure(FIGURE, passport(), None), ["split"], list(changed))}


def test_gallery_and_landing_page_say_how_much_is_of_today():
    page, stale = gallery_page(shown()), shown("constants.txt")["fig-9a"]
    assert "out of date" not in page and "a line along \\[100\\]" in page and 'href="does-it-hold.html#claim-split"' in page
    for figures, start in ((shown(), "All 1 figures of the paper were made from"), ({"a": stale, "b": shown()["fig-9a"]}, "One figure of 2 was made from other"),
                           ({"a": stale, "b": stale}, "2 figures of 2 were made from other"), ({}, "No chapter")):  # fmt: skip
        assert status_sentence(figures).startswith(start)


def test_a_run_completes_its_own_passports_and_removes_what_it_no_longer_makes(tmp_path):
    """Those of other chapters stay; a passport of an earlier run does not stand in for one that was not published."""
    start = datetime.now(UTC).replace(microsecond=0)
    for name, chapter in (("new", "fig-9"), ("old", "fig-9"), ("other", "fig-8")):
        write_passport(tmp_path / f"{name}.json", passport(name, start + timedelta(seconds=1)) | {"chapter": chapter})
        for kind in KINDS:
            (tmp_path / f"{name}.{kind}").touch()
    complete_passports(tmp_path, "fig-9", ["new"], start, {"inputs": {"a": "1"}})
    assert read_passport(tmp_path / "new.json", "")["inputs"] == {"a": "1"}
    assert {path.stem for path in tmp_path.iterdir()} == {"new", "other"}
    assert "inputs" not in read_passport(tmp_path / "other.json", "")
    for name in ("new", "missing"):
        with pytest.raises(PassportError, match=name):
            complete_passports(tmp_path, "fig-9", [name], start + timedelta(days=1), {})


def test_a_profile_without_stored_numbers_is_checked_for_the_rest(monkeypatch):
    monkeypatch.setattr(gallery, "shown_figures", lambda data, profile: shown())
    with pytest.warns(UserWarning, match="no numbers are stored for the profile laptop, only for smoke: the 1 figures"):
        assert gallery.check_references("laptop") == []
    monkeypatch.setattr(gallery, "shown_figures", lambda data, profile: shown("a.py"))
    with pytest.raises(RuntimeError, match="fig-9a: made from other text"):
        gallery.check_references("laptop")
