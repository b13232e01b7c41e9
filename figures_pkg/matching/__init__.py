"""Every pattern matched to a library: the discs, and the fit of polarization, thickness and tilts."""

from .diagnostics import disc_residuals, match_scores
from .disc_library import DiscLibrary, average_over_discs
from .discs import DiscGeometry, DiscPlan, bad_pixels, disc_sums, plan_discs
from .matcher import Matcher, match, prepare
from .walls import measure_walls

__all__ = [
    "DiscGeometry",
    "DiscLibrary",
    "DiscPlan",
    "Matcher",
    "average_over_discs",
    "bad_pixels",
    "disc_residuals",
    "disc_sums",
    "match",
    "match_scores",
    "measure_walls",
    "plan_discs",
    "prepare",
]
