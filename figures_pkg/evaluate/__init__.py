"""Scores of maps against known domains, and what a map is made of."""

from .channels import choose_channel, match_channels, plateau_score
from .known import known_domains
from .scores import (
    Split,
    area_under_curve,
    confusion,
    domain_auc,
    domain_regions,
    domain_scores,
    domain_split,
    effect_at_equal,
    otsu_threshold,
    variance_shares,
    wall_auc,
)

__all__ = [
    "Split", "area_under_curve", "choose_channel", "confusion", "domain_auc", "domain_regions", "domain_scores", "domain_split", "effect_at_equal",
    "known_domains", "match_channels", "otsu_threshold", "plateau_score", "variance_shares", "wall_auc",
]
