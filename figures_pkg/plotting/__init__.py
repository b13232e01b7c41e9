"""Functions that draw arrays on an axis and return artists; they read no files."""

from .com import com_cloud, density, domain_colours, draw_axis
from .maps import mark_box, mark_reflections, overbar, pattern_map, scale_bar, scan_map
from .style import DOMAIN_MAP, HIGHLIGHT, MINUS_P, PLUS_P, WALL, stamp, use_style

__all__ = [
    "DOMAIN_MAP",
    "HIGHLIGHT",
    "MINUS_P",
    "PLUS_P",
    "WALL",
    "com_cloud",
    "density",
    "domain_colours",
    "draw_axis",
    "mark_box",
    "mark_reflections",
    "overbar",
    "pattern_map",
    "scale_bar",
    "scan_map",
    "stamp",
    "use_style",
]
