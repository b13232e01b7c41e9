"""Fixtures shared by every room's tests."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

REPOSITORY = Path(__file__).resolve().parents[1]

# The same examples at every run, so that a green build stays green; HYPOTHESIS_PROFILE=explore looks for new ones.
settings.register_profile("repeatable", derandomize=True)
settings.register_profile("explore", derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def realdata() -> Path:
    """The folder of real detector files, which are not ours to publish; tests skip without it."""
    folder = Path(os.environ.get("FIGURES_PKG_REALDATA", REPOSITORY.parent / "shared" / "realdata"))
    if not folder.is_dir():
        pytest.skip(f"real detector files are not at {folder} (set FIGURES_PKG_REALDATA)")
    return folder


@pytest.fixture
def built(repository) -> Path:
    """The built book: ``FIGURES_PKG_HTML``, by default where ``make book`` puts it."""
    named = os.environ.get("FIGURES_PKG_HTML")
    folder = Path(named) if named else repository / "book" / "_build" / "html"
    if not (folder / "index.html").is_file():
        assert not named, f"FIGURES_PKG_HTML is {named}, and there is no index.html"
        pytest.skip(f"no built book at {folder} (make book builds it; FIGURES_PKG_HTML names another)")
    return folder
