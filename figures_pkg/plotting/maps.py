"""Maps over the scan, patterns over the detector, with bars that say how large things are; and methods with their scores, row by row."""

import re
from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection, QuadMesh
from matplotlib.colorbar import Colorbar
from matplotlib.colors import LinearSegmentedColormap, ListedColormap, LogNorm
from matplotlib.image import AxesImage
from matplotlib.patches import Circle
from matplotlib.patheffects import withStroke

from .style import DOMAIN_MAP, HIGHLIGHT, MINUS_P, PLUS_P

NEITHER = "#999999"
SIGN_UNKNOWN = ("#762a83", "#1b7837")  # two domains of which nobody knows which is +P: not the red and blue of ±P
NICE = np.array([1, 2, 5, 10, 20, 25, 50, 100, 200, 250, 500, 1000])
POLARITY = LinearSegmentedColormap.from_list("polarity", [MINUS_P, "#f4f2ee", PLUS_P])  # low is −P, high is +P
ACTIVATION = "viridis"
FAMILY_COLOURS = ("#5b8c5a", "#1f5fa8", "#c1272d", "#7a7a7a")  # of methods: single reflections, linear, networks, control
ORDERS = {2: "#7a4fa3", 4: "#d1730a"}  # 002 and 004; red and blue are left to ±P


def scan_map(ax: Axes, image: xr.DataArray, *, cmap="viridis", limits=None, label: str | None = None, bar=True) -> AxesImage:
    """
    Draw a map (scan_y, scan_x) with coordinates in nm, row 0 at the top, and a scale bar.

    ``limits`` are the lowest and highest value of the colours, by default the 0.5 % and 99.5 % quantiles; with a ``label`` there is a colour bar.
    """
    y, x = image.scan_y.values, image.scan_x.values
    low, high = limits if limits is not None else np.nanquantile(image.values, [0.005, 0.995])
    drawn = ax.imshow(image.values, cmap=cmap, vmin=low, vmax=high, extent=_extent(x, y))
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    if bar:
        scale_bar(ax, float(x[-1] - x[0]), "nm")
    if label is not None:
        colour_bar(drawn, label)
    return drawn


def domain_pair(sign_known: bool = True) -> tuple[str, str]:
    """Colours of both domains: red for +P and blue for −P, or violet and green where the sign of the polarization is unknown."""
    return (PLUS_P, MINUS_P) if sign_known else SIGN_UNKNOWN


def domain_map(sign_known: bool = True) -> ListedColormap:
    """Colour map of a map of −1, 0 (neither) and +1 in the colours of :func:`domain_pair`."""
    plus, minus = domain_pair(sign_known)
    return DOMAIN_MAP if sign_known else ListedColormap([minus, NEITHER, plus], name="domains, sign unknown")


def pattern_map(ax: Axes, pattern: xr.DataArray, *, label: str | None = None, floor: float | None = None) -> AxesImage:
    """
    Draw counts (det_y, det_x) with coordinates in 1/Å on a logarithmic scale, row 0 at the top, and a bar in 1/Å; with a ``label``, a colour bar.

    ``floor`` is the lowest value that has a colour of its own, by default the 2 % quantile of the positive values.
    """
    values = np.asarray(pattern.values, float)
    low = floor or max(np.quantile(values[values > 0], 0.02), values.max() * 1e-5)
    x, y = pattern.det_x.values, pattern.det_y.values
    drawn = ax.imshow(np.maximum(values, low), cmap="magma", norm=LogNorm(low, values.max()), extent=_extent(x, y))
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    scale_bar(ax, float(x[-1] - x[0]), "1/Å", lengths=NICE / 100)
    if label is not None:
        colour_bar(drawn, label)
    return drawn


def colour_bar(drawn: AxesImage, label: str) -> Colorbar:
    """Draw a colour bar as tall as the picture, to its right."""
    beside = drawn.axes.inset_axes([1.03, 0, 0.05, 1])
    return drawn.axes.figure.colorbar(drawn, cax=beside, label=label)


def domain_bar(drawn: AxesImage, plus: str, minus: str) -> Colorbar:
    """Draw the colour bar of a map of −1, 0 and +1 in the colours of :func:`domain_map`, with the names of both domains."""
    bar = colour_bar(drawn, "")
    bar.set_ticks([-2 / 3, 0, 2 / 3], labels=[minus, "neither", plus])
    bar.ax.tick_params(length=0)
    return bar


def scale_bar(ax: Axes, width: float, unit: str, lengths=NICE, colour: str = "white") -> None:
    """Draw a bar of a round length, about a fifth to a third of the width, in the lower left corner."""
    length = lengths[np.argmin(np.abs(lengths - width / 4))]
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    start, level = left + 0.05 * (right - left), bottom + 0.05 * (top - bottom)
    rim = "white" if colour == "black" else "black"
    ax.plot([start, start + length], [level, level], color=rim, lw=5, solid_capstyle="butt")
    ax.plot([start, start + length], [level, level], color=colour, lw=3, solid_capstyle="butt")
    text = ax.text(start, level + 0.03 * (top - bottom), f"{length:g} {unit}", color=colour, fontsize=9, va="bottom")
    text.set_path_effects([outline(rim)])
    ax.set(xlim=(left, right), ylim=(bottom, top))


def mark_reflections(ax: Axes, positions: dict[str, tuple[float, float]], radius: float, colour: str = HIGHLIGHT) -> None:
    """Circle reflections ``{"004": (y, x)}`` in the coordinates of the pattern (1/Å) and write their indices beside; on white the colour is "black"."""
    for name, (y, x) in positions.items():
        ax.add_patch(Circle((x, y), radius, fill=False, color=colour, lw=1.2))
        text = ax.annotate(overbar(name), (x + radius, y), (3, 3), textcoords="offset points", color=colour, fontsize=8)
        text.set_path_effects([outline("white" if colour == "black" else "black")])


def overbar(indices: str) -> str:
    """Write Miller indices as crystallographers do, e.g. ``"00-4"`` with a bar over the 4."""
    return "$" + re.sub("-(.)", r"\\bar{\1}", indices) + "$"


def barred(text: str) -> str:
    """Write the Miller indices in a text with combining bars in place of minus signs, for tables and sentences."""
    return re.sub(r"(?<=\d)-(\d)", "\\1\u0305", text)


def powers(text: str) -> str:
    """Write the numbers in a text as a reader does: "4e-05" as "4 · 10⁻⁵"."""
    raised = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
    return re.sub(r"(?<=\d)e([-+]?\d+)", lambda found: f" · 10{str(int(found[1])).translate(raised)}", text)


def percent(share: float) -> str:
    """A share in words that say so where nothing is left of it: "none", "less than 0.01 %", "2.76 %"."""
    return "none" if share == 0 else "less than 0.01 %" if share < 5e-5 else f"{100 * share:.2f} %"


def _extent(x: np.ndarray, y: np.ndarray) -> tuple[float, float, float, float]:
    """Edges of the outer pixels, rows growing downward."""
    dx, dy = float(x[1] - x[0]), float(y[1] - y[0])
    return float(x[0]) - dx / 2, x[-1] + dx / 2, y[-1] + dy / 2, float(y[0]) - dy / 2


def outline(rim: str = "black"):
    """A rim that keeps letters readable on a ground of their own brightness."""
    return withStroke(linewidth=2, foreground=rim)


def domain_colours(domain: np.ndarray, sign_known: bool = True) -> np.ndarray:
    """Colours of points (n_points,) by their domain, +1, −1, or 0 for neither, in those of :func:`domain_pair`; neither is grey."""
    (plus, minus), domain = domain_pair(sign_known), np.ravel(domain)
    return np.where(domain > 0, plus, np.where(domain < 0, minus, NEITHER))


def polarity(sign_known: bool = True) -> LinearSegmentedColormap:
    """Colours of a signed domain channel: low is −P and high +P, or other colours where nobody knows which domain is +P."""
    plus, minus = domain_pair(sign_known)
    return POLARITY if sign_known else LinearSegmentedColormap.from_list("domains A and B", [minus, "#f4f2ee", plus])


def channel_map(ax: Axes, channel: xr.DataArray, title: str = "", *, cmap=ACTIVATION, bar: bool = False, signed: bool = False) -> AxesImage:
    """
    Draw one channel of an embedding, ``(scan_y, scan_x)``, over the scan; zero is the middle of the colours of a ``signed`` one.

    ``cmap`` is :func:`polarity` for the channel of the domains, turned so that +P is high, and a sequential one for the others.
    """
    drawn = scan_map(ax, channel, cmap=cmap, bar=bar, limits=around_zero(channel) if signed else None)
    ax.set_title(title)
    return drawn


def signed_difference(ax: Axes, difference: xr.DataArray, reach: float = 0.75, limit: float | None = None, bar: bool = True) -> AxesImage:
    """
    Draw the middle of a difference of two patterns (det_y, det_x) in counts, row 0 at the top: red where the first is brighter, blue where the second is.

    ``reach`` is how far from the direct beam, in 1/Å, ``limit`` the largest value of the colours; by default the 99.8 % quantile of the absolute values,
    so that discs show.
    """
    near = difference.sel(det_y=slice(-reach, reach), det_x=slice(-reach, reach))
    top = limit or max(float(np.quantile(np.abs(near.values), 0.998)), 1e-12)
    edges = _extent(near.det_x.values, near.det_y.values)
    drawn = ax.imshow(near.values, cmap="RdBu_r", vmin=-top, vmax=top, extent=edges)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set(visible=True, color="0.7", linewidth=0.8)
    if bar:
        scale_bar(ax, edges[1] - edges[0], "1/Å", lengths=np.array([0.1, 0.2, 0.25, 0.5]), colour="black")
    return drawn


def around_zero(channel: xr.DataArray) -> tuple[float, float]:
    """Limits of the colours that hold 98 % of the values and have zero in the middle."""
    top = max(float(np.quantile(np.abs(channel.values), 0.98)), 1e-12)
    return -top, top


def state_map(ax: Axes, thickness_nm: np.ndarray, tilt_mrad: np.ndarray, values: np.ndarray, limit: float, cmap="RdBu_r", marks=()) -> QuadMesh:
    """
    Draw a quantity (m, n) over thickness (n,) and tilt (m,), with a colour bar below and marked states.

    The colours run from ``-limit`` to ``limit``; ``marks`` are pairs (thickness, tilt), drawn as a circle, a diamond and a square in this order.
    """
    drawn = ax.pcolormesh(thickness_nm, tilt_mrad, values, cmap=cmap, vmin=-limit, vmax=limit, shading="nearest", rasterized=True)
    ax.figure.colorbar(drawn, ax=ax, location="bottom", aspect=16)
    for marker, (thickness, tilt) in zip("oDs", marks):
        ax.plot(thickness, tilt, marker, mfc=HIGHLIGHT, mec="black", ms=7, mew=1.3)
    ax.set(xlabel="thickness (nm)")
    return drawn


def row_label(ax: Axes, text: str) -> None:
    """Write upright at the left of a row of panels, beside its first, what the row shows."""
    ax.annotate(text, (-0.06, 0.5), xycoords="axes fraction", rotation=90, ha="right", va="center", weight="bold")


def method_rows(ax: Axes, families: Mapping[str, Sequence[str]]) -> dict[str, tuple[float, str]]:
    """A row for each method, the first at the top, families (family -> methods) apart: the height of each row and the colour of its family, by method."""
    rows, height = {}, 0.0
    for names, colour in zip(families.values(), FAMILY_COLOURS, strict=False):
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
               filled: bool = True, spread: bool = True, colour: str | None = None) -> PathCollection:
    """
    Draw the middle of each method's scores (method -> scores) as a large mark, and with ``spread`` each score as a small dot.

    ``rows`` come from :func:`method_rows`; a method without scores is left out. ``colour`` is by default that of the family.
    """
    found = [(np.median(scores), *rows[name], np.asarray(scores)) for name, scores in values.items()
             if len(scores) and name in rows]
    if spread:
        for _, height, own, scores in found:
            ax.scatter(scores, np.full(scores.size, height), s=7, color=colour or own, alpha=0.45, lw=0, zorder=2)
    colours = [colour or own for _, _, own, _ in found]
    edge = {"color": colours} if marker == "x" else {"facecolor": colours if filled else "none", "edgecolor": colours}
    return ax.scatter([middle for middle, *_ in found], [height for _, height, *_ in found], s=46, marker=marker, linewidth=1.3,
                      zorder=3, clip_on=False, **edge)
