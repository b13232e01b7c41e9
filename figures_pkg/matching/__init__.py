"""Every pattern matched to a library: the discs, and the fit of polarization, thickness and tilts."""

from .disc_library import average_over_discs
from .discs import DiscGeometry, bad_pixels, disc_sums
from .matcher import Matcher, disc_residuals, match, match_scores, prepare
from .walls import measure_walls

__all__ = [
    "DiscGeometry", "Matcher", "average_over_discs", "bad_pixels", "disc_residuals", "disc_sums", "match", "match_scores", "measure_walls", "prepare",
]  # fmt: skip
