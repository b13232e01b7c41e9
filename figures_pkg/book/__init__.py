"""From notebooks as text to the rendered book: what a chapter needs, executing it, and rendering the pages."""

from .chapters import CHAPTERS, artefacts_of, chapter_path, dataset_pattern, datasets_of
from figures_pkg.workspace import load_profile
from .dependencies import installed_code
from .execute import FailedCell, execute
from .make import make
from .render import ForeignHost, render
from .shipped import ship, shipped_files

__all__ = [
    "artefacts_of",
    "CHAPTERS",
    "FailedCell",
    "ForeignHost",
    "chapter_path",
    "dataset_pattern",
    "datasets_of",
    "execute",
    "installed_code",
    "load_profile",
    "make",
    "render",
    "ship",
    "shipped_files",
]
