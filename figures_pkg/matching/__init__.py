"""Every pattern matched to a library: the lattice, the discs, and the fit of polarization, thickness and tilts."""

from .averaged import DiscLibrary, average_over_discs
from .compare import match_scores, thinned
from .discs import DiscGeometry, DiscPlan, bad_pixels, disc_sums, plan_discs
from .lattice_search import FoundLattice, find_lattice
from .maps import match
from .matcher import Matcher, prepare

__all__ = [
    "DiscGeometry",
    "DiscLibrary",
    "DiscPlan",
    "FoundLattice",
    "Matcher",
    "average_over_discs",
    "bad_pixels",
    "disc_sums",
    "find_lattice",
    "match",
    "match_scores",
    "plan_discs",
    "prepare",
    "thinned",
]
