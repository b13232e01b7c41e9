"""The crystal drawn as a projection: atoms, bipyramids, layer means and the displacements from them."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, FancyArrow, Patch, Rectangle

from .atoms import exaggerate, layer_displacements, project, scene
from .style import MINUS_P, PLUS_P

# Colour and drawn radius in Å; red and blue are left to ±P. Radii are chosen to be seen, not ionic radii.
ELEMENTS = {"Er": ("#2a9d6f", 0.52), "Mn": ("#7a4fa3", 0.30), "O": ("#f4f4f4", 0.24)}
FACES = [(apex, *base) for apex in (0, 1) for base in ((2, 3), (3, 4), (4, 2))]  # corners of the six faces
LEGEND_SIZES = {"Er": 11, "Mn": 7, "O": 6}


def draw_projection(ax: Axes, positions: np.ndarray, symbols, cell, *, factor: float = 3.0, element: str = "Er") -> dict:
    """
    Draw a cell along its first axis, the displacements of one element from its layers enlarged.

    The viewer stands on the first axis; the second points to the right, the third up (:func:`project`). Small open
    circles mark where the enlarged atoms truly are; thin arrows lead from the layer mean to where they are drawn. These
    atoms lie in front of all others, so that none is hidden.

    Parameters
    ----------
    ax
        Where to draw; its limits and aspect are set.
    positions
        Shape ``(n, 3)`` along the beam, to the right and up, in Å.
    symbols
        Element of each atom, length n; see ``ELEMENTS``.
    cell
        Edges of the orthogonal cell in Å.
    factor
        How many times the displacements of ``element`` are enlarged; more than 1.

    Returns
    -------
    dict
        ``"atoms"``: list of circles, farthest first; ``"bipyramids"``: the PolyCollection; ``"layers"``: the dashed lines
        by height; ``"arrows"``: for each drawn column of ``element`` (place on the page, true displacement in Å).
    """
    drawn = scene(positions, symbols, cell)
    enlarged = drawn.places + (exaggerate(positions, symbols, cell, factor, element) - positions)[drawn.index]
    chosen = drawn.symbols == element
    artists = {"bipyramids": _draw_bipyramids(ax, drawn.corners)}
    artists["layers"] = _draw_layers(ax, np.asarray(positions)[np.asarray(symbols) == element, 2], cell)
    artists["atoms"] = _draw_atoms(ax, project(enlarged), drawn.symbols, chosen)
    artists["arrows"] = _draw_displacements(ax, drawn.places[chosen], enlarged[chosen], factor)
    ax.add_patch(Rectangle((0, 0), cell[1], cell[2], fill=False, color="0.3", lw=0.8, zorder=2))
    ax.set(aspect="equal", xlim=(-3, cell[1] + 3.4), ylim=(-4, cell[2] + 2.3))
    ax.set_axis_off()
    return artists


def _draw_bipyramids(ax: Axes, corners: np.ndarray) -> PolyCollection:
    """Translucent faces, farthest first."""
    seen = project(corners[:, FACES].reshape(-1, 3, 3))
    order = np.argsort(seen[..., 2].mean(axis=1), kind="stable")
    colour = ELEMENTS["Mn"][0]
    faces = PolyCollection(seen[order, :, :2], facecolors=colour, edgecolors=colour, alpha=0.13, lw=0.5, zorder=1)
    return ax.add_collection(faces)


def _draw_layers(ax: Axes, heights, cell) -> dict[float, Line2D]:
    """A dashed line at the mean height of each layer."""
    means = np.unique(np.round(layer_displacements(heights, cell[2])[0], 6))
    style = {"color": "0.25", "ls": "--", "lw": 1.0, "zorder": 2.5}
    return {float(mean): ax.plot((-0.9, cell[1] + 0.9), (mean, mean), **style)[0] for mean in means}


def _draw_atoms(ax: Axes, seen: np.ndarray, symbols, in_front) -> list[Circle]:
    """One circle for each atom, farthest first; those ``in_front`` cover all others."""
    circles = []
    for order, atom in enumerate(np.argsort(seen[:, 2], kind="stable")):
        colour, radius = ELEMENTS[symbols[atom]]
        style = {"facecolor": colour, "edgecolor": "0.2", "lw": 0.7, "zorder": 3 + in_front[atom] + order / len(seen)}
        circles.append(ax.add_patch(Circle(seen[atom, :2], radius, **style)))
    return circles


def _draw_displacements(ax: Axes, true, drawn, factor: float) -> list[tuple[tuple[float, float], float]]:
    """Arrows from the layer mean to the drawn place, and a dot where the atom truly is; one for each column of atoms."""
    columns = {}
    for place, target in zip(project(true), project(drawn)):
        moved = (target[1] - place[1]) / (factor - 1)
        columns[tuple(np.round(target[:2], 3))] = (target[0], target[1], place[1], moved)
    for x, y, height, moved in columns.values():
        style = {"arrowstyle": "-|>,head_width=0.22,head_length=0.4", "color": "black", "lw": 1.3, "shrinkA": 0, "shrinkB": 0}
        ax.annotate("", (x, y), (x, y - factor * moved), arrowprops=style, zorder=5)
        ax.plot(x, height, "o", mfc="white", mec="black", ms=3.2, mew=0.9, zorder=5.2)
    return [((x, y), moved) for x, y, _, moved in columns.values()]


def label_displacements(ax: Axes, arrows: list[tuple[tuple[float, float], float]], above: float) -> list:
    """
    Write the true displacement in Å beside each arrow of the layer whose atoms lie above a height.

    Parameters
    ----------
    ax
        Axes with a drawn projection.
    arrows
        The entry ``"arrows"`` of :func:`draw_projection`.
    above
        Height in Å; atoms below it get no label.
    """
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.6}
    labels = []
    for (x, y), moved in arrows:
        if y > above:
            text = f"{moved:+.3f}".replace("-", "−")
            where = {"ha": "center", "va": "center", "fontsize": 6.8, "bbox": box, "zorder": 6}
            labels.append(ax.text(x, y + np.sign(moved) * 0.85, text, **where))
    return labels


def polarization_arrow(ax: Axes, sign: int, x: float, low: float, high: float) -> FancyArrow:
    """
    Draw the polarization as a thick arrow beside the cell, red and upward for +P, blue and downward for −P.

    Parameters
    ----------
    ax
        Axes with c upward.
    sign
        +1 or -1.
    x, low, high
        Place of the arrow and its two ends, in the coordinates of the axes.
    """
    colour, name = (PLUS_P, "+P") if sign > 0 else (MINUS_P, "−P")
    start = low if sign > 0 else high
    shape = {"width": 0.32, "head_width": 0.95, "head_length": 0.95, "length_includes_head": True}
    arrow = ax.arrow(x, start, 0, sign * (high - low), color=colour, lw=0, zorder=6, **shape)
    ax.text(x, low - 0.25 if sign > 0 else high + 0.25, name, color=colour, ha="center", fontsize=12,
            va="top" if sign > 0 else "bottom", weight="bold")  # fmt: skip
    return arrow


def draw_axes_triad(ax: Axes, corner=(-2.3, -3.6), length: float = 1.5, names=("a", "b*", "c")) -> None:
    """Draw the directions of a projection: the second axis to the right, the third up, the first towards the viewer."""
    x, y = corner
    arrow = {"arrowstyle": "-|>", "color": "0.2", "lw": 1.0, "shrinkA": 0, "shrinkB": 0}
    for dx, dy, name in ((length, 0, names[1]), (0, length, names[2])):
        ax.annotate("", (x + dx, y + dy), (x, y), arrowprops=arrow)
        ax.annotate(name, (x + dx, y + dy), (4 * bool(dx), 3 * bool(dy)), textcoords="offset points", fontsize=9, style="italic",
                    ha="left" if dx else "center", va="center" if dx else "bottom")  # fmt: skip
    ax.plot(x, y, "o", mfc="white", mec="0.2", ms=7, zorder=7)
    ax.plot(x, y, "o", color="0.2", ms=2.2, zorder=7)
    ax.annotate(names[0], (x, y), (-9, -5), textcoords="offset points", fontsize=9, style="italic", ha="center", va="center")


def draw_length(ax: Axes, right: float, level: float, length: float, unit: str = "Å") -> Line2D:
    """Draw a black bar of a stated length that ends at ``right``, with its label below."""
    bar = ax.plot((right - length, right), (level, level), color="black", lw=3, solid_capstyle="butt")[0]
    ax.annotate(f"{length:g} {unit}", (right - length / 2, level), (0, -4), textcoords="offset points", ha="center", va="top", fontsize=9)
    return bar


def crystal_legend(figure: Figure, factor: float) -> Legend:
    """Explain the signs of a projection below the panels."""
    ball = {"marker": "o", "ls": "none", "mec": "0.2", "mew": 0.7}
    handles = [Line2D([], [], mfc=ELEMENTS[name][0], ms=LEGEND_SIZES[name], label=name, **ball) for name in ELEMENTS]
    colour = ELEMENTS["Mn"][0]
    handles.insert(2, Patch(facecolor=colour, edgecolor=colour, alpha=0.3, label="MnO₅ bipyramid"))
    handles.append(Line2D([], [], color="0.25", ls="--", lw=1, label="mean height of an Er layer"))
    handles.append(Line2D([], [], ls="none", marker=r"$\uparrow$", color="black", ms=9, label=f"Er displacement, drawn × {factor:g}"))
    handles.append(Line2D([], [], ls="none", marker="o", mfc="white", mec="black", ms=3.2, mew=0.9, label="true height of Er"))
    return figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=8.5, frameon=False)
