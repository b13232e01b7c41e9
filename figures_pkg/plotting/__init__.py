"""Functions that draw arrays on an axis and return artists; they read no files."""

from .maps import barred, domain_colours, mark_reflections, overbar, pattern_map, percent, powers, scale_bar, scan_map
from .style import DOMAIN_MAP, HIGHLIGHT, MINUS_P, PLUS_P, WALL, stamp, use_style

__all__ = [
    "DOMAIN_MAP", "HIGHLIGHT", "MINUS_P", "PLUS_P", "WALL", "barred", "domain_colours", "mark_reflections", "overbar", "pattern_map",
    "percent", "powers", "scale_bar", "scan_map", "stamp", "use_style",
]  # fmt: skip
