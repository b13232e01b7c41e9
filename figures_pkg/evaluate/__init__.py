"""Scores of maps against known domains, and what a map is made of."""

from .decompose import Split, domain_split, effect_at_equal, variance_shares
from .scores import area_under_curve, contrast_to_noise, otsu_threshold

__all__ = ["Split", "area_under_curve", "contrast_to_noise", "domain_split", "effect_at_equal", "otsu_threshold", "variance_shares"]
