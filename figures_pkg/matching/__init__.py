"""Every pattern matched to a library: the lattice, the discs, and the fit of polarization, thickness and tilts."""

from .averaged import DiscLibrary, average_over_discs
from .compare import match_scores, thinned
from .columns import convergence_of
from .discs import DiscGeometry, DiscPlan, bad_pixels, disc_sums, plan_discs
from .lattice_search import FoundLattice, find_lattice
from .maps import match
from .matcher import Matcher, prepare
from .mean_pattern import match_mean
from .residuals import disc_residuals
from .walls import measure_walls, over_pieces

__all__ = [
    "DiscGeometry",
    "DiscLibrary",
    "DiscPlan",
    "FoundLattice",
    "Matcher",
    "average_over_discs",
    "bad_pixels",
    "convergence_of",
    "disc_residuals",
    "disc_sums",
    "find_lattice",
    "match",
    "match_mean",
    "match_scores",
    "measure_walls",
    "over_pieces",
    "plan_discs",
    "prepare",
    "thinned",
]
