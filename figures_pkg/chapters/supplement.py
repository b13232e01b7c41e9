"""What the chapter on the supplement alone needs."""

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures_pkg.plotting.maps import ACTIVATION, channel_map, signed_difference


def channel_histogram(ax: Axes, channel: np.ndarray, quantile: float | None = 0.05, *, cmap=ACTIVATION, bins: int = 60) -> None:
    """
    Draw how the activations of a channel are spread, coloured as in its map.

    The dotted lines bound the tails that hold a share ``quantile`` of the positions each; None leaves them out.
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


def _sheet(blocks: int, across: int):
    ratios, side = {"height_ratios": [1, 0.35, 1] * blocks}, 8.8 / max(across, 4)  # inches; fewer than four are no larger
    return plt.subplots(3 * blocks, across, figsize=(side * across, 5.4 / 2.2 * side * blocks), gridspec_kw=ratios, squeeze=False)
