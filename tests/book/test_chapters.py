"""What a chapter reads stands in its front matter."""

import pytest

from figures_pkg.book import CHAPTERS, chapter_path, datasets_of, load_profile


def test_scans_follow_profile_and_source(tmp_path, monkeypatch):
    """A chapter's scans are the twin's of the profile; a chapter about the twin reads the twin whatever is asked for."""
    monkeypatch.setenv("FIGURES_PKG_ARTEFACTS", str(tmp_path))
    assert datasets_of("fig-2", "twin", "smoke") == [str(tmp_path / "smoke" / "ds1.hspy")]
    assert datasets_of("the-twin", "zenodo", "smoke") == [str(tmp_path / "smoke" / f"{name}.hspy") for name in ("ds1", "ds2")]


def test_every_chapter_is_in_the_table_of_contents(repository):
    """No chapter is executed for nothing, and none is listed that does not exist."""
    listed = {line.split("executed/")[1].strip() for line in (repository / "book/_toc.yml").read_text().splitlines() if "executed/" in line}
    assert listed == set(CHAPTERS)


def test_unknown_names_list_the_known_ones():
    """A misspelt chapter or profile is one clear error."""
    with pytest.raises(ValueError, match="fig-2"):
        chapter_path("fig2")
    with pytest.raises(ValueError, match="laptop, paper, smoke"):
        load_profile("huge")
