"""Channels of an embedding as maps, with the spread of their values and the change of the pattern that they stand for."""

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from .maps import domain_pair, scale_bar, scan_map
from .style import MINUS_P, PLUS_P

POLARITY = LinearSegmentedColormap.from_list("polarity", [MINUS_P, "#f4f2ee", PLUS_P])  # low is −P, high is +P
ACTIVATION = "viridis"


def polarity(sign_known: bool = True) -> LinearSegmentedColormap:
    """
    Colours of a signed domain channel: ``POLARITY``, or others where nobody knows which domain is +P.

    Examples
    --------
    >>> polarity() is POLARITY, polarity(False).name
    (True, 'domains A and B')
    """
    plus, minus = domain_pair(sign_known)
    return POLARITY if sign_known else LinearSegmentedColormap.from_list("domains A and B", [minus, "#f4f2ee", plus])


def channel_map(ax: Axes, channel: xr.DataArray, title: str = "", *, cmap=ACTIVATION, bar: bool = False, signed: bool = False) -> AxesImage:
    """
    Draw one channel of an embedding over the scan.

    Parameters
    ----------
    ax
        Where to draw.
    channel
        Activations, shape ``(scan_y, scan_x)``.
    title
        What the channel was matched to.
    cmap
        ``POLARITY`` for the channel of the domains, turned so that +P is high; a sequential one for the others.
    bar
        Whether to draw the scale bar.
    signed
        Whether the middle of the colours is zero, as for a channel whose zero lies between two domains.
    """
    drawn = scan_map(ax, channel, cmap=cmap, bar=bar, limits=_around_zero(channel) if signed else None)
    ax.set_title(title)
    return drawn


def inset_map(ax: Axes, channel: xr.DataArray, *, cmap=POLARITY, place=(0.72, 0.02, 0.26, 0.26)) -> AxesImage:
    """
    Draw a small map of a signed channel into a corner of a pattern, with a white frame.

    Parameters
    ----------
    ax
        Axes with a drawn pattern.
    channel
        Shape ``(scan_y, scan_x)``; zero is the middle of the colours.
    cmap
        Colours of the map.
    place
        Left, bottom, width and height as shares of the axes; by default the lower right corner, opposite the scale bar.
    """
    inset = ax.inset_axes(place)
    drawn = scan_map(inset, channel, cmap=cmap, bar=False, limits=_around_zero(channel))
    inset.spines[:].set(visible=True, color="white", linewidth=1.5)
    return drawn


def signed_difference(ax: Axes, difference: xr.DataArray, reach: float = 0.75, limit: float | None = None, bar: bool = True) -> AxesImage:
    """
    Draw the middle of a difference of two patterns: red where the first is brighter, blue where the second is.

    Parameters
    ----------
    ax
        Where to draw; row 0 is at the top.
    difference
        Counts, shape ``(det_y, det_x)`` with coordinates in 1/Å.
    reach
        How far from the direct beam, in 1/Å.
    limit
        Largest value of the colours; by default the 99.8 % quantile of the absolute values, so that discs show.
    bar
        Whether to draw the scale bar.
    """
    near = difference.sel(det_y=slice(-reach, reach), det_x=slice(-reach, reach))
    top = limit or max(float(np.quantile(np.abs(near.values), 0.998)), 1e-12)
    half = abs(float(near.det_x[1] - near.det_x[0])) / 2
    edges = (float(near.det_x[0]) - half, float(near.det_x[-1]) + half, float(near.det_y[-1]) + half, float(near.det_y[0]) - half)
    drawn = ax.imshow(near.values, cmap="RdBu_r", vmin=-top, vmax=top, extent=edges)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set(visible=True, color="0.7", linewidth=0.8)
    if bar:
        scale_bar(ax, edges[1] - edges[0], "1/Å", lengths=np.array([0.1, 0.2, 0.25, 0.5]), colour="black")
    return drawn


def channel_histogram(ax: Axes, channel: np.ndarray, quantile: float | None = 0.05, *, cmap=ACTIVATION, bins: int = 60) -> None:
    """
    Draw how the activations of a channel are spread, coloured as in its map, with both quantiles marked.

    Parameters
    ----------
    ax
        Where to draw.
    channel
        Activations, any shape.
    quantile
        Share of the positions in each tail; the dotted lines bound them. None leaves them out.
    cmap, bins
        Colours of the map, and the number of bars.
    """
    values = np.asarray(channel, float).ravel()
    low, high = np.quantile(values, [0.005, 0.995])
    counts, edges = np.histogram(values, bins)
    shades = np.clip((0.5 * (edges[1:] + edges[:-1]) - low) / max(high - low, 1e-12), 0, 1)
    ax.bar(edges[:-1], counts, np.diff(edges), align="edge", color=plt.get_cmap(cmap)(shades))
    for bound in np.quantile(values, [quantile, 1 - quantile]) if quantile else ():
        ax.axvline(bound, color="0.2", ls=":", lw=1)
    ax.set_yscale("symlog")
    ax.tick_params(axis="y", which="both", left=False, labelleft=False)
    ax.spines["left"].set_visible(False)
    ax.tick_params(labelsize=7)


def embedding_sheet(embedding: list[xr.DataArray], differences: list[xr.DataArray], titles: list[str], quantile: float = 0.05,
                    across: int = 4) -> Figure:
    """
    Draw all channels: map, spread of the activations, and the difference between the patterns of both tails.

    The layout of Supplementary Fig. 3 of doi:10.1038/s41524-024-01265-y.

    Parameters
    ----------
    embedding
        Channels ``(scan_y, scan_x)``, or an array of them.
    differences
        For each the mean pattern of the highest activations less that of the lowest, ``(det_y, det_x)``.
    titles
        One for each channel.
    quantile
        Share of the positions in each tail.
    across
        Channels to a row of the page.

    Raises
    ------
    ValueError
        If there is not one title and one difference for each channel.
    """
    if not len(embedding) == len(differences) == len(titles):
        raise ValueError(f"{len(embedding)} channels, {len(differences)} differences and {len(titles)} titles; expected one of each")
    across = min(across, len(titles))
    blocks = -(-len(titles) // across)
    figure, axes = _sheet(blocks, across)
    for place, (channel, difference, title) in enumerate(zip(embedding, differences, titles, strict=True)):
        top, middle, bottom = axes[3 * (place // across) : 3 * (place // across) + 3, place % across]
        channel_map(top, channel, title, bar=place == 0)
        channel_histogram(middle, channel.values, quantile)
        signed_difference(bottom, difference)
    for place in range(len(titles), blocks * across):
        for ax in axes[3 * (place // across) : 3 * (place // across) + 3, place % across]:
            ax.set_visible(False)
    return figure


def _around_zero(channel: xr.DataArray) -> tuple[float, float]:
    """Limits of the colours that hold 98 % of the values and have zero in the middle."""
    top = max(float(np.quantile(np.abs(channel.values), 0.98)), 1e-12)
    return -top, top


def _sheet(blocks: int, across: int):
    """An empty sheet of blocks of three rows."""
    ratios, side = {"height_ratios": [1, 0.35, 1] * blocks}, 8.8 / max(across, 4)  # inches; fewer than four are no larger
    return plt.subplots(3 * blocks, across, figsize=(side * across, 5.4 / 2.2 * side * blocks), gridspec_kw=ratios, squeeze=False)

