"""Scores of maps against known domains, and what a map is made of."""

from .channel_choice import choose_channel, plateau_score
from .decompose import Split, domain_split, effect_at_equal, variance_shares
from .domains import asymmetry, known_domains
from .matching import Matching, match_channels
from .scores import area_under_curve, contrast_to_noise, otsu_threshold
from .truth_scores import confusion, domain_auc, domain_regions, domain_scores, leakage, wall_auc

__all__ = [
    "Matching",
    "Split",
    "area_under_curve",
    "asymmetry",
    "choose_channel",
    "confusion",
    "contrast_to_noise",
    "domain_auc",
    "domain_regions",
    "domain_scores",
    "domain_split",
    "effect_at_equal",
    "known_domains",
    "leakage",
    "match_channels",
    "otsu_threshold",
    "plateau_score",
    "variance_shares",
    "wall_auc",
]
