"""Colours and letters of every figure, and the mark that says where its data came from."""

import matplotlib as mpl
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.text import Text

PLUS_P = "#c1272d"  # +P is red and −P blue, as in Fig. 2 of the paper
MINUS_P = "#1f5fa8"
WALL = "#000000"
DOMAIN_MAP = ListedColormap([MINUS_P, "#999999", PLUS_P], name="domains")  # −1, 0 (neither), +1
HIGHLIGHT = "#ffb000"  # readable on the dark and the bright end of viridis

SOURCE_WORDS = {
    "twin": "twin: simulated, truth known",
    "record": "measured: authors' record",
    "rehearsal": "rehearsal: simulated stand-in",
    "user": "measured: own file",
    "picture": "measured on the authors' published pictures",
    "picture and twin": "measured on the authors' published pictures, and simulated (twin)",
    "simulation": "simulation, no scan",
}


def use_style() -> None:
    """Set matplotlib's defaults for the book: opaque white canvas, letters that stay readable at column width."""
    mpl.rcParams.update(
        {
            "figure.facecolor": "white",
            "figure.dpi": 110,
            "savefig.dpi": 110,
            "savefig.facecolor": "white",
            "figure.constrained_layout.use": True,
            "font.size": 10,
            "axes.titlesize": 10,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "image.origin": "upper",
            "image.interpolation": "nearest",
            "legend.frameon": False,
        }
    )


def stamp(figure: Figure, source: str) -> Text:
    """Write below the lower right corner of a figure whether its data are simulated or measured; the source is a key of ``SOURCE_WORDS``."""
    if source not in SOURCE_WORDS:
        raise ValueError(f"the source is {source!r}; it must be one of {', '.join(SOURCE_WORDS)}")
    return figure.supxlabel(SOURCE_WORDS[source], x=0.995, ha="right", fontsize=8, color="0.35", style="italic")
