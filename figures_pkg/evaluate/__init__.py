"""Scores of maps against known domains, and what a map is made of."""

from .decompose import Split, domain_split, effect_at_equal, variance_shares
from .domains import asymmetry, known_domains, two_domains
from .scores import area_under_curve, contrast_to_noise, otsu_threshold

__all__ = [
    "Split",
    "area_under_curve",
    "asymmetry",
    "contrast_to_noise",
    "domain_split",
    "effect_at_equal",
    "known_domains",
    "otsu_threshold",
    "two_domains",
    "variance_shares",
]
