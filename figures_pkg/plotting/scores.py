"""Methods beside each other: one row for each, dots for their scores."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection

FAMILY_COLOURS = ("#5b8c5a", "#1f5fa8", "#c1272d", "#7a7a7a")  # single reflections, linear, networks, control


def method_rows(ax: Axes, families: Mapping[str, Sequence[str]]) -> dict[str, tuple[float, str]]:
    """
    Prepare an axis with a row for each method, the first at the top, families (family -> methods) apart.

    Returns the height of each method's row and the colour of its family, by method.
    """
    rows, height = {}, 0.0
    for (_, names), colour in zip(families.items(), FAMILY_COLOURS, strict=False):
        for name in names:
            rows[name] = (height, colour)
            ax.axhline(height, color="0.92", lw=0.8, zorder=0)
            height += 1
        height += 0.6
    ax.set(ylim=(height - 1, -0.6), yticks=[place for place, _ in rows.values()])
    ax.set_yticklabels(list(rows))
    for label, (_, colour) in zip(ax.get_yticklabels(), rows.values()):
        label.set_color(colour)
    ax.tick_params(axis="y", length=0)
    return rows


def score_dots(ax: Axes, rows: Mapping[str, tuple[float, str]], values: Mapping[str, np.ndarray], *, marker: str = "o",
               filled: bool = True, spread: bool = True, colour: str | None = None, label: str | None = None) -> PathCollection:
    """
    Draw the middle of each method's scores (method -> scores) as a large mark, and each score as a small dot.

    ``rows`` come from :func:`method_rows`; a method without scores is left out. ``marker``, ``filled`` and ``colour`` (the family's by default) are
    those of the large marks; ``spread`` is whether to draw the small dots.
    """
    found = [(np.median(scores), *rows[name], np.asarray(scores)) for name, scores in values.items()
             if len(scores) and name in rows]
    if spread:
        for _, height, own, scores in found:
            ax.scatter(scores, np.full(scores.size, height), s=7, color=colour or own, alpha=0.45, lw=0, zorder=2)
    colours = [colour or own for _, _, own, _ in found]
    edge = {"color": colours} if marker == "x" else {"facecolor": colours if filled else "none", "edgecolor": colours}
    return ax.scatter([middle for middle, *_ in found], [height for _, height, *_ in found], s=46, marker=marker, linewidth=1.3,
                      zorder=3, label=label, clip_on=False, **edge)
